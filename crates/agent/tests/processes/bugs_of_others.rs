//! Faults that other agents had, each as a test of this one. The name says which; the reports are public threads.
//!
//! Counts are small here. `PODBAY_STORM=1` runs those that the reports had.

use std::time::Duration;

use crate::support::*;
use podbay_agent::process::Piece;
use podbay_protocol::{Offsets, ProcessEnd, Retention, Signal, SignalTarget, TerminalSize};
use tokio::time::{Instant, timeout};

/// A count, and the one of the report.
fn count(small: usize, reported: usize) -> usize {
    if std::env::var_os("PODBAY_STORM").is_some() {
        reported
    } else {
        small
    }
}

/// 1: a reader that no longer reads holds up all others, and then the process.
#[tokio::test(flavor = "multi_thread")]
async fn a_dead_reader_holds_up_nobody() {
    const BYTES: u64 = 20 << 20;
    let processes = processes();
    processes
        .start(shell("p", &format!("head -c {BYTES} /dev/zero")))
        .unwrap();
    // They attach and never ask for a piece.
    let from = Offsets::default();
    let dead = [
        processes.read(&id("p"), from, None).unwrap(),
        processes.read(&id("p"), from, None).unwrap(),
    ];
    let all = read_all(&processes, "p").await;
    assert_eq!((all.stdout.len() as u64, all.code()), (BYTES, 0));
    for mut reader in dead {
        // And when one comes back he is told what he missed.
        match timeout(PATIENCE, reader.next()).await.unwrap() {
            Some(Piece::Gone { first, .. }) => assert!(first > 0),
            other => panic!("{other:?}"),
        }
    }
}

/// 2: memory grows without end when the client of a stream is gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_costs_no_memory() {
    fn resident() -> usize {
        let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
        statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
    }
    let processes = processes_with(|settings| settings.reattach_grace = Duration::from_millis(50));
    let before = resident();
    processes.start(program("p", &["yes"])).unwrap();
    let mut stream = processes
        .read(&id("p"), Offsets::default(), Some(reader_id("r")))
        .unwrap();
    let mut read = 0;
    while read < 1 << 20 {
        match stream.next().await {
            Some(Piece::Output { bytes, .. }) => read += bytes.len(),
            other => panic!("{other:?}"),
        }
    }
    drop(stream);
    // Nobody takes it and there is no place for it: it is truncated, and the process goes on.
    until("it went on", || {
        processes.info(&id("p")).unwrap().written.stdout >= 1 << 20
    })
    .await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(resident() < before + (256 << 20), "{} → {}", before, resident());
    processes
        .signal(&id("p"), Signal::KILL, SignalTarget::Tree)
        .unwrap();
    until("it ended", || processes.info(&id("p")).unwrap().end.is_some()).await;
    let record = processes.info(&id("p")).unwrap().end.unwrap();
    assert!(record.stdout.truncated && record.stdout.spooled);
}

/// 2: the reader of a terminal hangs when a grandchild holds it.
#[tokio::test]
async fn a_grandchild_that_holds_the_terminal_does_not_hold_up_the_end() {
    let processes = processes();
    let mut spec = shell("p", "setsid sleep 60 & sleep 0.3; echo started");
    spec.terminal = Some(TerminalSize::default());
    let begin = Instant::now();
    let all = run(&processes, spec).await;
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    assert_eq!((all.text().as_str(), all.code()), ("started\r\n", 0));
    assert!(all.record.stdout.truncated);
    processes.forget(&id("p")).unwrap();
    until("nothing is left", || processes.alive() == 0).await;
}

/// 4: waiting for a process without a terminal ends the agent; an id finds another process. (The second as a property
/// test of the registry.)
#[tokio::test]
async fn a_process_without_a_terminal_is_waited_for() {
    let processes = processes();
    for number in 0..5 {
        let all = run(
            &processes,
            shell(&format!("p{number}"), &format!("exit {number}")),
        )
        .await;
        assert_eq!(all.code(), number);
    }
    let infos = processes.list();
    let ids: Vec<&str> = infos.iter().map(|info| info.id.as_str()).collect();
    assert_eq!(ids, ["p0", "p1", "p2", "p3", "p4"]);
}

/// 5 and 6: whoever reaps orphans takes the exit codes of others, or makes 0 of all; with terminals as well. In a storm
/// of orphans, and of programs that don't exist.
#[tokio::test(flavor = "multi_thread")]
async fn no_exit_code_is_stolen() {
    let total = count(200, 10_000);
    let processes = processes_with(|settings| settings.kept = total * 2);
    processes
        .start(shell(
            "storm",
            "while :; do (setsid sh -c 'sleep 0.002 &' &) ; sleep 0.001; done",
        ))
        .unwrap();
    let mut running = tokio::task::JoinSet::new();
    for number in 0..total {
        while running.len() >= 8 {
            running.join_next().await.unwrap().unwrap();
        }
        let processes = processes.clone();
        running.spawn(async move {
            let code = i32::try_from(number % 256).unwrap();
            let mut spec = shell(&format!("p{number}"), &format!("exit {code}"));
            if number % 3 == 0 {
                spec.terminal = Some(TerminalSize::default());
            }
            assert_eq!(run(&processes, spec).await.code(), code);
            let all = run(
                &processes,
                program(&format!("none{number}"), &["no-such-program"]),
            )
            .await;
            assert!(
                matches!(all.record.end, ProcessEnd::NotStarted { .. }),
                "{:?}",
                all.record
            );
        });
    }
    while let Some(done) = running.join_next().await {
        done.unwrap();
    }
    processes.forget(&id("storm")).unwrap();
    until("nothing is left", || processes.alive() == 0).await;
}

/// 8: the tail of a terminal's output is lost at the exit.
#[tokio::test(flavor = "multi_thread")]
async fn the_tail_of_a_terminal_is_not_lost() {
    let processes = processes();
    let expected: String = (1..=20_000).map(|number| format!("{number}\r\n")).collect();
    for number in 0..count(50, 1000) {
        let mut spec = shell(&format!("p{number}"), "seq 1 20000; exit 0");
        spec.terminal = Some(TerminalSize::default());
        let all = run(&processes, spec).await;
        assert!(
            all.stdout == expected.as_bytes(),
            "run {number}: {} bytes",
            all.stdout.len()
        );
        assert!(!all.record.stdout.truncated);
    }
}

/// 9: each time a client comes back there is another shell.
#[tokio::test]
async fn coming_back_starts_nothing() {
    let processes = processes();
    let mut spec = program("shell", &["bash"]);
    spec.terminal = Some(TerminalSize::default());
    spec.stdin = true;
    processes.start(spec.clone()).unwrap();
    let pid = {
        until("it runs", || processes.info(&id("shell")).unwrap().pid.is_some()).await;
        processes.info(&id("shell")).unwrap().pid
    };
    for _ in 0..100 {
        assert!(!processes.start(spec.clone()).unwrap().created);
        drop(
            processes
                .read(&id("shell"), Offsets::default(), Some(reader_id("r")))
                .unwrap(),
        );
    }
    assert_eq!(processes.info(&id("shell")).unwrap().pid, pid);
    assert_eq!((processes.alive(), processes.list().len()), (1, 1));
    processes.forget(&id("shell")).unwrap();
    until("nothing is left", || processes.alive() == 0).await;
}

/// 10: only the leader is killed; and the time-out is dropped when the leader ends first.
#[tokio::test]
async fn a_time_out_is_of_all_that_was_started() {
    let mark = format!("bug10-{}", std::process::id());
    let processes = processes_with(|settings| settings.mark.clone_from(&mark));
    for (name, text, end) in [
        (
            "stays",
            "(while :; do :; done) & sleep 99",
            ProcessEnd::TimedOut { seconds: 1.0 },
        ),
        (
            "leaves",
            "(while :; do :; done) & (setsid env -i sleep 98 &)",
            ProcessEnd::Exited { code: 0 },
        ),
    ] {
        let mut spec = shell(name, text);
        spec.timeout_seconds = Some(1.0);
        let all = run(&processes, spec).await;
        assert_eq!(all.record.end, end);
    }
    until("nothing is left", || processes.alive() == 0).await;
    assert_eq!(carrying(&mark), Vec::<i32>::new());
}

/// 11: a process group of its own without a terminal stops a shell with job control.
#[tokio::test]
async fn an_interactive_shell_is_not_stopped() {
    let processes = processes();
    for (name, terminal, stdin) in [
        ("plain", false, false),
        ("pipe", false, true),
        ("terminal", true, true),
    ] {
        let mut spec = program(name, &["bash", "-ic", "true"]);
        spec.terminal = terminal.then(TerminalSize::default);
        spec.stdin = stdin;
        let begin = Instant::now();
        let all = run(&processes, spec).await;
        assert_eq!(all.code(), 0, "{name}");
        assert!(begin.elapsed() < Duration::from_secs(10), "{name}");
    }
}

/// 12: an open standard input that nobody writes makes tools wait for ever.
#[tokio::test]
async fn no_standard_input_is_an_empty_one() {
    let processes = processes();
    let all = run(&processes, shell("p", "cat; readlink /proc/self/fd/0")).await;
    assert_eq!(all.text(), "/dev/null\n");
}

/// 13: the agent's descriptors, a terminal's among them, are open in later processes.
#[tokio::test]
async fn no_descriptor_is_inherited() {
    // Opened without close-on-exec, as whoever started the agent may have left it.
    let leaked = std::fs::File::open("/").unwrap();
    rustix::io::fcntl_setfd(&leaked, rustix::io::FdFlags::empty()).unwrap();
    let processes = processes();
    let mut first = shell("first", "sleep 90");
    first.terminal = Some(TerminalSize::default());
    first.stdin = true;
    processes.start(first).unwrap();
    until("it runs", || processes.info(&id("first")).unwrap().pid.is_some()).await;
    for (name, terminal) in [("pipe", false), ("terminal", true)] {
        let mut spec = program(name, &["ls", "/proc/self/fd"]);
        spec.terminal = terminal.then(TerminalSize::default);
        let all = run(&processes, spec).await;
        let text = all.text();
        let open: Vec<&str> = text.split_whitespace().collect();
        // The last is the directory that it looks into.
        assert_eq!(open, ["0", "1", "2", "3"], "{name}");
    }
    processes.forget(&id("first")).unwrap();
    until("nothing is left", || processes.alive() == 0).await;
}

/// 18: a time-out throws away what was written so far.
#[tokio::test]
async fn a_time_out_keeps_the_output_so_far() {
    let processes = processes();
    let mut spec = shell("p", "echo so far; echo and this >&2; sleep 97");
    spec.timeout_seconds = Some(0.7);
    spec.retention = Retention::Spool;
    let all = run(&processes, spec).await;
    assert_eq!(all.record.end, ProcessEnd::TimedOut { seconds: 0.7 });
    assert_eq!(
        (all.text().as_str(), all.error_text().as_str()),
        ("so far\n", "and this\n")
    );
    assert!(!all.record.stdout.truncated);
}
