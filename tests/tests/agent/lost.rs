//! Connections that break, stall, are cut into slices, are half open, and deliver late: a command's output and code are what they
//! are without that, and nothing runs twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::time::Instant;

use crate::faults::{Class, Counts, Faults};
use crate::sandbox::{Sandbox, sandbox};
use crate::task::{self, Task};

/// How many commands run, unless `PODBAY_TEST_RUNS` says otherwise.
const RUNS: u64 = 2000;
/// In so many sandboxes at once, each with connections of its own.
const SANDBOXES: u64 = 4;
/// So many at once in each: they share a connection.
const AT_ONCE: u64 = 2;
/// Bytes that a connection carries before its fault, at most: some commands write more, most less.
const AFTER: u64 = 120_000;

#[tokio::test(flavor = "multi_thread")]
async fn commands_survive_the_connections_they_were_started_by() {
    let runs = std::env::var("PODBAY_TEST_RUNS").map_or(RUNS, |runs| runs.parse().unwrap());
    let seed = std::env::var("PODBAY_TEST_SEED").map_or(7, |seed| seed.parse().unwrap());
    let begun = Instant::now();
    let bytes: Arc<[u8]> = task::bytes().into();
    let sandboxes = (0..SANDBOXES).map(|number| {
        let bytes = Arc::clone(&bytes);
        let share = runs / SANDBOXES + u64::from(number < runs % SANDBOXES);
        tokio::spawn(in_one_sandbox(seed + number, share, bytes))
    });
    let (mut counts, mut faulted) = (Counts::default(), 0);
    for sandbox in futures::future::join_all(sandboxes).await {
        let (some, with_fault) = sandbox.unwrap();
        counts.add(&some);
        faulted += with_fault;
    }
    println!(
        "{runs} runs in {:.1} s, {faulted} of them with a fault; connections: {counts}",
        begun.elapsed().as_secs_f64()
    );
    assert!(
        faulted * 10 >= runs * 3,
        "only {faulted} of {runs} runs met a fault"
    );
    for class in Class::ALL {
        assert!(
            counts.of(class) * 100 >= runs,
            "{class:?} befell too few: {counts}"
        );
    }
}

/// Runs so many commands. Returns what befell their connections, and how many of them met a fault.
async fn in_one_sandbox(seed: u64, runs: u64, bytes: Arc<[u8]>) -> (Counts, u64) {
    let sandbox = sandbox(Faults::seeded(&Class::ALL, AFTER, seed)).await;
    std::fs::write(sandbox.path(task::BYTES), &bytes).unwrap();
    let (next, faulted) = (AtomicU64::new(0), AtomicU64::new(0));
    let workers = (0..AT_ONCE).map(|_| async {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= runs {
                return;
            }
            let before = sandbox.faults.counts().total();
            let task = Task::number(seed, number, &bytes);
            let came = task.run(&sandbox.session).await;
            let came = came.unwrap_or_else(|error| panic!("run {number} of seed {seed}: {error}"));
            task.check(&came)
                .unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}: {task:.0?}", task = task.argv));
            if sandbox.faults.counts().total() > before {
                faulted.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    futures::future::join_all(workers).await;
    each_ran_once(&sandbox, seed, runs, &bytes);
    (sandbox.faults.counts(), faulted.into_inner())
}

/// Looks into the file in which each run left its number.
fn each_ran_once(sandbox: &Sandbox, seed: u64, runs: u64, bytes: &[u8]) {
    let text = std::fs::read_to_string(sandbox.path(task::RAN)).unwrap();
    let mut ran: Vec<u64> = text.lines().map(|line| line.parse().unwrap()).collect();
    ran.sort_unstable();
    let must: Vec<u64> = (0..runs)
        .filter(|number| Task::number(seed, *number, bytes).leaves_number)
        .collect();
    assert_eq!(ran, must, "seed {seed}");
}
