//! Thousands of sessions of one process, on the scripted cluster: no cluster is needed.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, stream};
use podbay_fake_cluster::{FaultyCluster, Operation, ScriptedCluster};
use podbay_k8s_client::Kind;
use podbay_runtime::{Config, Podbay};
use tokio::time::Instant;

/// As many as the issue asks for.
const SESSIONS: usize = 2000;

/// As many as an evaluation harness has workers, and more.
const WORKERS: usize = 256;

/// Opens all sessions, first by some workers, then all at once, each time in a process of its own, because a process keeps
/// the memory that it once had.
pub(super) async fn sessions() {
    for at_once in [WORKERS, SESSIONS] {
        let program = std::env::current_exe().unwrap();
        let mut child = tokio::process::Command::new(program);
        let status = child.arg(format!("scale={at_once}")).status().await.unwrap();
        assert!(status.success(), "{status}");
    }
}

/// The same in this process, `at_once` of them at a time, on one thread.
pub(super) fn sessions_at_once(at_once: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(open_and_close(at_once));
}

/// Opens all sessions, then closes them, and tells time, memory, CPU and calls.
async fn open_and_close(at_once: usize) {
    let at_start = Usage::now();
    let cluster = FaultyCluster::new(Arc::new(ScriptedCluster::new()));
    let podbay = Podbay::with_client(Arc::new(cluster.clone()), Config::default());
    let began = Instant::now();
    let opening = (0..SESSIONS).map(|number| podbay.session(format!("s{number}")).image("debian:12").open());
    let opened: Vec<_> = stream::iter(opening).buffer_unordered(at_once).collect().await;
    let open = began.elapsed();
    let at_open = Usage::now();
    let failed = opened.iter().filter(|session| session.is_err()).count();
    drop(opened);
    let counts = cluster.counts();
    let count = |operation, kind| counts.get(&(operation, Some(kind))).copied().unwrap_or(0);
    let (reads, writes) = (cluster.reads(), cluster.writes());
    let closed = podbay.close_all("", true).await.unwrap();
    let whole = began.elapsed();
    let unclosed = closed.iter().filter(|closed| closed.is_err()).count();
    let left = podbay.list("").await.unwrap().len();
    let at_end = Usage::now();
    let per_session = |amount: f64| amount / f64::from(u32::try_from(SESSIONS).unwrap());
    println!(
        "sessions: {SESSIONS} opened, {at_once} at once, and closed; failed {failed}, not closed {unclosed}, left {left}"
    );
    println!(
        "time: {:.2} s in all, {:.2} s until all were ready",
        whole.as_secs_f64(),
        open.as_secs_f64()
    );
    println!(
        "memory: {:.0} MB at most ({:.0} MB until all were ready), {:.0} MB before the first session; {:.1} KB a session",
        at_end.peak_kib / 1024.0,
        at_open.peak_kib / 1024.0,
        at_start.peak_kib / 1024.0,
        per_session(at_end.peak_kib - at_start.peak_kib)
    );
    println!(
        "CPU: {:.2} s, {:.2} ms a session, the scripted cluster included",
        at_end.cpu.as_secs_f64(),
        per_session(at_end.cpu.as_secs_f64() * 1000.0)
    );
    println!(
        "calls until all were ready: {writes} writes ({:.3} a session), {reads} reads, {} watches of pods",
        per_session(f64::from(u32::try_from(writes).unwrap())),
        count(Operation::Watch, Kind::Pod)
    );
}

/// What this process has used so far.
struct Usage {
    peak_kib: f64,
    cpu: Duration,
}

impl Usage {
    /// From `/proc/self`: `VmHWM` of `status`, fields 14 and 15 of `stat` in clock ticks, of which Linux has 100 a second.
    fn now() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let peak = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .unwrap();
        let peak_kib = peak.trim().trim_end_matches(" kB").parse().unwrap();
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
        let (_, fields) = stat.rsplit_once(") ").unwrap();
        let ticks: u64 = fields
            .split(' ')
            .skip(11)
            .take(2)
            .map(|field| field.parse::<u64>().unwrap())
            .sum();
        Self {
            peak_kib,
            cpu: Duration::from_millis(ticks * 10),
        }
    }
}
