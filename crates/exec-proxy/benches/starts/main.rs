//! The runtime API over a scripted cluster: how long starts take to be answered, what a thousand sessions cost, and how soon a session
//! is reached.
//!
//! ```text
//! cargo bench -p podbay-exec-proxy --bench starts -- starts thousand route
//! ```
//!
//! `starts`: 1,000 `POST /start`, 200 of them at a time, with the hold and without. `thousand`: the memory of a replica that knows
//! 1,000 sessions, what it asks the API server while no client asks it, and how soon after its start it lists them. `route`: from the
//! moment a pod is ready to the answer of a request that waited for it. Each in a process of its own; the scripted cluster and its
//! agents are in it too.

#![expect(clippy::print_stdout, reason = "a program whose output are its figures")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a measurement that fails ends")]

#[expect(dead_code, reason = "the tests use all of it")]
#[path = "../../tests/api/agents.rs"]
mod agents;
mod memory;
mod route;
#[expect(dead_code, reason = "the tests use all of it")]
#[path = "../../tests/api/world.rs"]
mod world;

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, stream};
use podbay_fake_cluster::{FaultyCluster, ScriptedCluster};
use tokio::time::Instant;
use world::{ALICE, World, stock};

const SESSIONS: usize = 1000;
const IN_FLIGHT: usize = 200;

fn main() {
    let asked: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    if asked.is_empty() {
        println!("usage: cargo bench --bench starts -- starts | thousand | route ...");
        return;
    }
    for what in asked {
        match what.as_str() {
            "starts" => {
                by_a_process("starts=1000");
                by_a_process("starts=0");
            }
            "thousand" => by_a_process("thousand="),
            "route" => by_a_process("route="),
            other => {
                let Some((what, argument)) = other.split_once('=') else {
                    println!("nothing is called {other}");
                    continue;
                };
                let runtime = tokio::runtime::Runtime::new().unwrap();
                match what {
                    "starts" => runtime.block_on(starts(argument.parse().unwrap())),
                    "thousand" => runtime.block_on(thousand()),
                    "route" => runtime.block_on(route::live_after_ready()),
                    _ => println!("nothing is called {what}"),
                }
            }
        }
    }
}

/// A process keeps the memory that it once had.
fn by_a_process(what: &str) {
    let program = std::env::current_exe().unwrap();
    let status = std::process::Command::new(program).arg(what).status().unwrap();
    assert!(status.success(), "{status}");
}

/// How long each of many starts takes to be answered.
async fn starts(hold_milliseconds: u64) {
    let cluster = ScriptedCluster::new();
    agents::answer(&cluster, || true);
    let world = World::on(&cluster, |config| config.hold_milliseconds = hold_milliseconds);
    let begun = Instant::now();
    let asking = (0..SESSIONS).map(|number| {
        let world = &world;
        async move {
            let begun = Instant::now();
            let session = world.start(&stock(&format!("s{number}"), "debian:12")).await;
            (begun.elapsed(), session["status"] == "running")
        }
    });
    let answers: Vec<_> = stream::iter(asking).buffer_unordered(IN_FLIGHT).collect().await;
    let whole = begun.elapsed();
    let ready = answers.iter().filter(|(_, ready)| *ready).count();
    println!(
        "hold {hold_milliseconds} ms: {SESSIONS} starts, {IN_FLIGHT} at a time, in {:.2} s: {}; {ready} ready in the first answer",
        whole.as_secs_f64(),
        spread(answers.into_iter().map(|(time, _)| time).collect()),
    );
}

/// What a replica costs that knows many sessions, and what it asks for.
async fn thousand() {
    let cluster = ScriptedCluster::new();
    agents::answer(&cluster, || true);
    let first = World::on(&cluster, |_| {});
    let starting = (0..SESSIONS).map(|number| {
        let first = &first;
        async move {
            let id = format!("s{number}");
            first.start(&stock(&id, "debian:12")).await;
            first.until(&id, "running").await;
        }
    });
    stream::iter(starting)
        .buffer_unordered(IN_FLIGHT)
        .collect::<Vec<()>>()
        .await;
    drop(first);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = memory::resident_mib();
    let counted = FaultyCluster::new(Arc::new(cluster.clone()));
    let begun = Instant::now();
    let replica = World::by(Arc::new(counted.clone()), &cluster, |_| {});
    let listed = loop {
        let (_, list) = replica.ask("GET", "/list", &[ALICE], "").await;
        if list["runtimes"].as_array().map(Vec::len) == Some(SESSIONS) {
            break begun.elapsed();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    // The agents have been asked, and the keys read.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let after = memory::resident_mib();
    let reads = counted.reads();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let (again, writes) = (counted.reads(), counted.writes());
    println!(
        "{SESSIONS} sessions: all listed {:.2} s after the start of a replica; {after:.0} MiB resident with the scripted cluster, {:.0} MiB of them since that start",
        listed.as_secs_f64(),
        after - before,
    );
    println!(
        "while nobody asked for a minute: {} reads; calls since the start: {reads} reads, {writes} writes, {:?}",
        again - reads,
        counted.counts()
    );
}

/// Median, 99 of 100 and the longest.
pub(crate) fn spread(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)].as_secs_f64() * 1000.0;
    format!(
        "p50 {:.1} ms, p99 {:.1} ms, at most {:.1} ms",
        at(50),
        at(99),
        at(100)
    )
}
