//! Processes with a terminal.

use crate::support::*;
use bytes::Bytes;
use podbay_agent::process::ResizeError;
use podbay_protocol::{ProcessEnd, ProcessSpec, TerminalSize};

fn with_terminal(mut spec: ProcessSpec) -> ProcessSpec {
    spec.terminal = Some(TerminalSize {
        width: 100,
        height: 30,
    });
    spec
}

#[tokio::test]
async fn a_terminal_is_one_and_has_its_size() {
    let processes = processes();
    let text = "test -t 1 && test -t 2 && stty size < /dev/tty; echo $TERM; echo err >&2; exit 7";
    let all = run(&processes, with_terminal(shell("p", text))).await;
    assert_eq!(
        (all.text().as_str(), all.code()),
        ("30 100\r\nxterm\r\nerr\r\n", 7)
    );
    assert_eq!(all.record.stderr.bytes, Some(0));
}

#[tokio::test]
async fn it_is_typed_into_and_its_input_has_an_end() {
    let processes = processes();
    let mut spec = with_terminal(shell("p", "stty -echo; echo ready; cat; echo end"));
    spec.stdin = true;
    processes.start(spec).unwrap();
    until("it is ready", || {
        processes.info(&id("p")).unwrap().written.stdout > 0
    })
    .await;
    let text = Bytes::from_static(b"typed\nhalf");
    processes.write_stdin(&id("p"), 0, text).await.unwrap();
    processes.close_stdin(&id("p")).await.unwrap();
    let all = read_all(&processes, "p").await;
    assert_eq!(all.text(), "ready\r\ntyped\r\nhalfend\r\n");
}

#[tokio::test]
async fn without_input_it_reads_an_end_of_file() {
    let processes = processes();
    let all = run(
        &processes,
        with_terminal(shell("p", "cat; test -t 0 || echo none")),
    )
    .await;
    assert_eq!(all.text(), "none\r\n");
}

#[tokio::test]
async fn it_is_told_of_a_new_size() {
    let processes = processes();
    let text = "trap 'stty size < /dev/tty; exit' WINCH; echo ready; while :; do sleep 0.01; done";
    processes.start(with_terminal(shell("p", text))).unwrap();
    until("it is ready", || {
        processes.info(&id("p")).unwrap().written.stdout > 0
    })
    .await;
    let size = TerminalSize {
        width: 120,
        height: 40,
    };
    processes.resize(&id("p"), size).unwrap();
    assert_eq!(read_all(&processes, "p").await.text(), "ready\r\n40 120\r\n");
    assert!(matches!(
        processes.resize(&id("p"), size),
        Err(ResizeError::Ended { .. })
    ));
    run(&processes, program("plain", &["true"])).await;
    assert!(matches!(
        processes.resize(&id("plain"), size),
        Err(ResizeError::NoTerminal { .. })
    ));
}

#[tokio::test]
async fn a_size_set_at_once_is_there() {
    let processes = processes();
    processes
        .start(with_terminal(shell("p", "sleep 0.3; stty size < /dev/tty")))
        .unwrap();
    let size = TerminalSize { width: 9, height: 8 };
    processes.resize(&id("p"), size).unwrap();
    assert_eq!(read_all(&processes, "p").await.text(), "8 9\r\n");
}

#[tokio::test]
async fn a_time_out_ends_what_runs_in_it() {
    let processes = processes();
    let mut spec = with_terminal(program("p", &["bash", "-ic", "echo so far; sleep 91"]));
    spec.timeout_seconds = Some(1.0);
    spec.stdin = true;
    let all = run(&processes, spec).await;
    assert_eq!(all.record.end, ProcessEnd::TimedOut { seconds: 1.0 });
    assert!(all.text().contains("so far"), "{}", all.text());
    until("nothing is left", || processes.alive() == 0).await;
}
