//! Commands with a terminal.

use bytes::Bytes;
use podbay_local::SandboxCommand;
use podbay_process::TerminalSize;

use crate::harness::{End, finish, lines, read_until, request, run, sandbox, shell, start, within};

fn interactive(script: &str) -> SandboxCommand {
    SandboxCommand {
        stdin: true,
        terminal: true,
        ..shell(script)
    }
}

#[tokio::test]
async fn all_streams_are_the_terminal() {
    let sandbox = sandbox();
    let script = "test -t 0 && test -t 1 && test -t 2 && stty size && echo $TERM >&2; exit 7";
    let mut process = start(&sandbox, interactive(script));
    let stdin = process.stdin.take().unwrap();
    let ran = within(finish(process)).await;
    drop(stdin);
    assert_eq!(
        (ran.end.clone(), ran.stderr.as_slice()),
        (End::Exited { code: 7 }, [].as_slice())
    );
    let lines: Vec<_> = ran.text().lines().collect();
    assert_eq!(lines[0], "24 80");
    assert!(!lines[1].is_empty());
}

#[tokio::test]
async fn a_new_size_reaches_the_command() {
    let sandbox = sandbox();
    let mut process = start(
        &sandbox,
        interactive("echo ready; read line; stty size; echo $line"),
    );
    read_until(&mut process.stdout, "ready").await;
    process
        .resize
        .as_ref()
        .unwrap()
        .send(TerminalSize {
            width: 132,
            height: 50,
        })
        .unwrap();
    process
        .stdin
        .as_ref()
        .unwrap()
        .write(Bytes::from_static(b"typed\n"))
        .await
        .unwrap();
    let text = read_until(&mut process.stdout, "50 132\r\ntyped").await;
    assert!(text.contains("50 132"), "{text}");
    assert_eq!(within(finish(process)).await.end, End::Exited { code: 0 });
}

#[tokio::test]
async fn ctrl_c_is_a_signal() {
    let sandbox = sandbox();
    let mut process = start(&sandbox, interactive("echo ready; exec sleep 1000"));
    read_until(&mut process.stdout, "ready").await;
    process
        .stdin
        .as_ref()
        .unwrap()
        .write(Bytes::from_static(b"\x03"))
        .await
        .unwrap();
    assert_eq!(End::from(within(process.end).await), End::Signaled { signal: 2 });
}

#[tokio::test]
async fn the_end_of_input_is_typed() {
    let sandbox = sandbox();
    for typed in ["", "a line\n", "half a line"] {
        let mut process = start(&sandbox, interactive("stty -echo; echo ready; exec cat"));
        read_until(&mut process.stdout, "ready").await;
        process
            .stdin
            .as_ref()
            .unwrap()
            .write(Bytes::from(typed))
            .await
            .unwrap();
        let ran = within(finish(process)).await;
        assert_eq!(ran.end, End::Exited { code: 0 });
        assert_eq!(ran.text().trim(), typed.trim(), "{typed:?}");
    }
}

#[tokio::test]
async fn without_input_a_terminal_command_reads_an_end_at_once() {
    let sandbox = sandbox();
    let ran = run(
        &sandbox,
        SandboxCommand {
            terminal: true,
            ..request(["cat"])
        },
    )
    .await;
    assert_eq!(ran.end, End::Exited { code: 0 });
}

#[tokio::test]
async fn long_output_is_whole() {
    let sandbox = sandbox();
    let ran = run(
        &sandbox,
        SandboxCommand {
            terminal: true,
            ..request(["seq", "1", "200000"])
        },
    )
    .await;
    let expected = lines(1..=200_000, "\r\n");
    assert!(
        ran.text() == expected,
        "{} bytes of {}",
        ran.stdout.len(),
        expected.len()
    );
}
