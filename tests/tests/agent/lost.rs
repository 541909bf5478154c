//! Connections that break, stall and are cut into slices: a command's output and code are what they are without that, and
//! nothing runs twice.

use std::sync::atomic::Ordering;

use podbay_runtime::protocol::End;
use sha2::{Digest as _, Sha256};

use crate::faults::Faults;
use crate::sandbox::sandbox;

/// How many commands run, unless `PODBAY_TEST_RUNS` says otherwise.
const RUNS: u64 = 200;
/// Of a hundred connections so many have a fault: all, because a whole one would serve the rest.
const PERCENT: u32 = 100;

/// What command number `run` does: writes so many lines to each stream, and exits with a code.
struct Task {
    run: u64,
    out_lines: u64,
    err_lines: u64,
    code: i32,
}

impl Task {
    fn number(run: u64) -> Self {
        // Any spread will do that is the same each time.
        let spread = run.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self {
            run,
            out_lines: spread % 9_000,
            err_lines: (spread >> 20) % 3_000,
            code: i32::try_from((spread >> 40) % 100).unwrap(),
        }
    }

    /// It notes in a file that it ran, and hands its input on to the file.
    fn script(&self) -> String {
        let Self {
            run,
            out_lines,
            err_lines,
            code,
        } = self;
        format!("echo {run} >>ran; seq 1 {out_lines}; seq 1 {err_lines} >&2; cat >>input; exit {code}")
    }

    fn lines(count: u64) -> String {
        (1..=count).map(|line| format!("{line}\n")).collect()
    }
}

fn sha256(text: &str) -> String {
    Sha256::digest(text)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_survive_the_connections_they_were_started_by() {
    let runs = std::env::var("PODBAY_TEST_RUNS").map_or(RUNS, |runs| runs.parse().unwrap());
    let sandbox = sandbox(Faults::seeded(PERCENT, 7)).await;
    for run in 0..runs {
        let task = Task::number(run);
        let command = sandbox.session.command(["sh", "-c", &task.script()]);
        let input = format!("{run}\n");
        let command = command.stdin(std::io::Cursor::new(input.into_bytes()));
        let outcome = Box::pin(command.output()).await.unwrap();
        assert_eq!(
            outcome.end,
            End::Exited { code: task.code },
            "run {run}: {outcome:?}"
        );
        for (stream, lines) in [
            (&outcome.stdout, task.out_lines),
            (&outcome.stderr, task.err_lines),
        ] {
            let expected = Task::lines(lines);
            assert_eq!(stream.bytes, expected.len() as u64, "run {run}");
            assert_eq!(stream.sha256, sha256(&expected), "run {run}");
            assert!(!stream.truncated, "run {run}");
        }
    }
    let numbers: String = (0..runs).map(|run| format!("{run}\n")).collect();
    for file in ["ran", "input"] {
        let command = sandbox.session.command(["cat", file]);
        let outcome = Box::pin(command.output()).await.unwrap();
        assert_eq!(outcome.stdout.sha256, sha256(&numbers), "{file}");
    }
    let (broken, sliced) = (
        sandbox.faults.broken.load(Ordering::Relaxed),
        sandbox.faults.sliced.load(Ordering::Relaxed),
    );
    println!("{runs} commands, {broken} connections broken, {sliced} in slices");
    assert!(broken * 10 >= runs * 3, "only {broken} of the connections broke");
}
