//! The behaviour suite: the same cases on the scripted cluster and on a real API server.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::mpsc;

use futures::{FutureExt as _, StreamExt as _, stream};
use podbay_tests::behaviour::{CASES, Case, Observed, answers, double, live};
use podbay_tests::registry::{self, Registry};
use podbay_tests::{TestCluster, in_namespace};
use tokio::net::TcpListener;

/// Cases at a time on the real cluster: pods of a small node start a few at a time in any case.
const AT_ONCE: usize = 10;

/// Cases that may be asked once more in one run. One that is late on a busy machine is no difference; a third is no accident.
const ASKED_AGAIN: usize = 2;

/// Set to have the real cluster's answers recorded.
const RECORD: &str = "PODBAY_TEST_RECORD";

/// What a case saw, or that it failed: a failing case does not hide the others.
type Result = std::result::Result<Observed, String>;

#[test]
fn each_case_has_a_name_of_its_own_and_a_recorded_answer() {
    let mut names: Vec<&str> = CASES.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    let recorded = answers::read();
    assert_eq!(names, recorded.keys().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn the_scripted_cluster_answers_as_recorded() {
    let recorded = answers::read();
    let mut report = Report::default();
    for (name, case) in CASES {
        let recorded = recorded.get(*name).cloned();
        let recorded = recorded.ok_or_else(|| "no answer is recorded".to_owned());
        report.compare(
            name,
            &[("recorded", recorded), ("scripted", on_the_double(name, *case))],
        );
    }
    report.conclude();
}

/// With `PODBAY_TEST_RECORD` set, the answers are recorded too.
#[tokio::test]
#[ignore = "needs a cluster: PODBAY_TEST_KUBECONFIG"]
async fn the_real_and_the_scripted_cluster_answer_the_same() {
    TestCluster::get();
    // Another run's would do as well.
    let free = TcpListener::bind(registry::ADDRESS).await.is_ok();
    let registry = if free { Some(Registry::start().await) } else { None };
    let real = stream::iter(CASES).map(|(name, case)| async move { (*name, on_the_real(name, *case).await) });
    let mut real: BTreeMap<&str, Result> = real.buffer_unordered(AT_ONCE).collect().await;
    // Many at once on a small cluster, one may be late for want of room: what is not as recorded is asked once more, alone.
    // How many that were is told and bounded: a difference that shows half of the time would else pass.
    let known = answers::read();
    let mut asked_again = Vec::new();
    for (name, case) in CASES {
        let as_recorded = match (real.get(name), known.get(*name)) {
            (Some(Ok(seen)), Some(known)) => seen.unseen().is_some() || known.differences(seen).is_empty(),
            _ => false,
        };
        if !as_recorded {
            say(&format!("case {name}: asked once more"));
            asked_again.push(*name);
            real.insert(name, on_the_real(name, *case).await);
        }
    }
    drop(registry);
    say(&format!(
        "{} of {} cases were asked once more: {asked_again:?}",
        asked_again.len(),
        CASES.len()
    ));
    let recording = std::env::var_os(RECORD).is_some();
    if recording {
        let seen = real
            .iter()
            .filter_map(|(name, seen)| Some(((*name).to_owned(), seen.clone().ok()?)));
        answers::write(&seen.collect());
    }
    let recorded = answers::read();
    let mut report = Report::default();
    for (name, case) in CASES {
        let recorded = recorded.get(*name).cloned();
        let recorded = recorded.ok_or_else(|| "no answer is recorded".to_owned());
        let real = real
            .remove(name)
            .unwrap_or_else(|| Err("it was not run".to_owned()));
        let double = on_the_double(name, *case);
        report.compare(
            name,
            &[("real", real), ("scripted", double), ("recorded", recorded)],
        );
    }
    report.conclude();
    assert!(
        recording || asked_again.len() <= ASKED_AGAIN,
        "{} cases answered otherwise at first: {asked_again:?}",
        asked_again.len()
    );
}

/// Runs a case on a scripted cluster, whose time passes as fast as it can.
fn on_the_double(name: &str, case: Case) -> Result {
    let (tell, told) = mpsc::channel();
    // A thread, for there may be a runtime around this one.
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        tell.send(runtime.block_on(async { case(double::stage().await).await }))
            .unwrap();
    });
    match thread.unwrap().join() {
        Ok(()) => Ok(told.recv().unwrap()),
        Err(panic) => Err(words(panic.as_ref())),
    }
}

/// Runs a case in a namespace of its own of the real cluster.
async fn on_the_real(name: &str, case: Case) -> Result {
    let (tell, told) = mpsc::channel();
    let tell = Arc::new(tell);
    let label = name.replace("::", "-").replace('_', "-");
    let run = in_namespace(&label, |namespace| {
        let tell = Arc::clone(&tell);
        async move {
            let seen = case(live::stage(&namespace).await).await;
            tell.send(seen).unwrap();
        }
    });
    match AssertUnwindSafe(run).catch_unwind().await {
        Ok(()) => Ok(told.recv().unwrap()),
        Err(panic) => Err(words(panic.as_ref())),
    }
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    format!("failed: {}", text.unwrap_or("it panicked"))
}

/// What came of the cases.
#[derive(Default)]
struct Report {
    same: usize,
    /// Cases whose subject can't be seen on the real cluster now.
    unseen: usize,
    different: Vec<String>,
}

impl Report {
    /// Compares what was seen of a case with what was seen first.
    fn compare(&mut self, name: &str, seen: &[(&str, Result)]) {
        let why = seen.iter().find_map(|(_, result)| result.as_ref().ok()?.unseen());
        if let Some(why) = why {
            say(&format!("case {name}: not seen here: {why}"));
            self.unseen += 1;
            return;
        }
        let mut differences = Vec::new();
        let (first, others) = seen.split_first().unwrap();
        for (who, other) in others {
            let between = format!("{} (-) and {who} (+)", first.0);
            match (&first.1, other) {
                (Ok(a), Ok(b)) => {
                    let found = a.differences(b);
                    if !found.is_empty() {
                        differences.push(format!("{between}\n{}", found.join("\n")));
                    }
                }
                (a, b) => {
                    let shown =
                        |result: &Result| result.as_ref().err().map_or("ran", String::as_str).to_owned();
                    differences.push(format!("{between}\n  - {}\n  + {}", shown(a), shown(b)));
                }
            }
        }
        if differences.is_empty() {
            self.same += 1;
            say(&format!("case {name}: same"));
        } else {
            say(&format!("case {name}: DIFFERENT: {}", differences.join("; ")));
            self.different.push(name.to_owned());
        }
    }

    fn conclude(self) {
        let Self {
            same,
            unseen,
            different,
        } = self;
        say(&format!(
            "{same} of {} cases the same, {unseen} not to be seen on this cluster now",
            CASES.len()
        ));
        // The double itself can show every case, and a real cluster all but those that need some age.
        assert!(unseen <= 1, "{unseen} cases were not seen");
        assert_eq!(different, Vec::<String>::new());
    }
}

#[expect(
    clippy::print_stdout,
    reason = "the comparison, case by case, is what the test shows"
)]
fn say(line: &str) {
    println!("{line}");
}
