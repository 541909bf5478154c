//! How commands end, and what becomes of their streams.

use bytes::Bytes;
use podbay_local::{Closed, SandboxCommand};

use crate::harness::{End, Ran, finish, is_alive, lines, read, request, run, sandbox, shell, start, within};

#[tokio::test]
async fn both_streams_apart_and_the_exit_code() {
    let sandbox = sandbox();
    for code in [0, 1, 3, 137] {
        let Ran { end, stdout, stderr } =
            run(&sandbox, shell(&format!("echo out; echo err >&2; exit {code}"))).await;
        assert_eq!(
            (end, stdout, stderr),
            (End::Exited { code }, b"out\n".to_vec(), b"err\n".to_vec())
        );
    }
}

#[tokio::test]
async fn a_signal_is_told_from_a_code() {
    let sandbox = sandbox();
    for signal in [9, 15] {
        let ran = run(&sandbox, shell(&format!("kill -{signal} $$"))).await;
        assert_eq!(ran.end, End::Signaled { signal });
    }
}

#[tokio::test]
async fn ten_mebibytes_on_both_streams_at_once_are_exact() {
    const SIZE: usize = 10 << 20;
    let sandbox = sandbox();
    let script =
        format!("head -c {SIZE} /dev/zero | tr '\\0' a & head -c {SIZE} /dev/zero | tr '\\0' b >&2; wait");
    let ran = run(&sandbox, shell(&script)).await;
    assert_eq!(ran.end, End::Exited { code: 0 });
    assert!(ran.stdout == vec![b'a'; SIZE], "{} bytes", ran.stdout.len());
    assert!(ran.stderr == vec![b'b'; SIZE], "{} bytes", ran.stderr.len());
}

#[tokio::test]
async fn one_stream_that_is_not_read_does_not_hold_up_the_other() {
    let sandbox = sandbox();
    let mut process = start(
        &sandbox,
        shell("head -c 4194304 /dev/zero >&2 & head -c 4194304 /dev/zero; exec >&-; wait"),
    );
    assert_eq!(within(read(&mut process.stdout)).await.len(), 4 << 20);
    let rest = within(finish(process)).await;
    assert_eq!((rest.stderr.len(), rest.end), (4 << 20, End::Exited { code: 0 }));
}

#[tokio::test]
async fn binary_input_comes_back_and_its_end_is_seen() {
    let sandbox = sandbox();
    let sent: Vec<u8> = (0..=255_u8).cycle().take(3 << 20).collect();
    let mut process = start(
        &sandbox,
        SandboxCommand {
            stdin: true,
            ..request(["cat"])
        },
    );
    let stdin = process.stdin.take().unwrap();
    let write = async {
        for piece in sent.chunks(10_000) {
            stdin.write(Bytes::copy_from_slice(piece)).await.unwrap();
        }
        stdin.close();
    };
    let ((), ran) = within(async { tokio::join!(write, finish(process)) }).await;
    assert_eq!(ran.end, End::Exited { code: 0 });
    assert!(ran.stdout == sent, "{} bytes of {}", ran.stdout.len(), sent.len());
}

#[tokio::test]
async fn output_goes_on_after_the_end_of_input() {
    let sandbox = sandbox();
    let mut process = start(
        &sandbox,
        SandboxCommand {
            stdin: true,
            ..shell("cat >/dev/null; echo after")
        },
    );
    process.stdin.take().unwrap().close();
    assert_eq!(within(finish(process)).await.text(), "after\n");
}

#[tokio::test]
async fn without_input_a_command_reads_an_end_at_once() {
    let sandbox = sandbox();
    let ran = run(&sandbox, request(["cat"])).await;
    assert_eq!((ran.end, ran.stdout), (End::Exited { code: 0 }, Vec::new()));
}

#[tokio::test]
async fn writing_to_a_command_that_ended_fails() {
    let sandbox = sandbox();
    let mut process = start(
        &sandbox,
        SandboxCommand {
            stdin: true,
            ..request(["true"])
        },
    );
    let stdin = process.stdin.take().unwrap();
    within(async { while stdin.write(Bytes::from_static(&[0; 4096])).await.is_ok() {} }).await;
    assert_eq!(within(finish(process)).await.end, End::Exited { code: 0 });
}

#[tokio::test]
async fn what_cannot_be_started_is_said_as_a_shell_says_it() {
    let sandbox = sandbox();
    let directory = sandbox.directory().unwrap().join("files/workspace");
    std::fs::write(directory.join("data"), "no program").unwrap();
    for (program, reason, message) in [
        (
            "no-such-program-here",
            "ENOENT",
            "no-such-program-here: command not found",
        ),
        ("./none", "ENOENT", "./none: No such file or directory"),
        ("./data", "EACCES", "./data: Permission denied"),
        ("/", "EACCES", "/: Permission denied"),
    ] {
        for tty in [false, true] {
            let ran = run(
                &sandbox,
                SandboxCommand {
                    terminal: tty,
                    ..request([program])
                },
            )
            .await;
            let (reason, message) = (reason.to_owned(), message.to_owned());
            assert_eq!(ran.end, End::NotStarted { reason, message }, "tty {tty}");
        }
    }
}

#[tokio::test]
async fn a_sandbox_that_was_closed_takes_no_commands() {
    let sandbox = sandbox();
    sandbox.close().unwrap();
    assert!(matches!(sandbox.start(request(["true"])), Err(Closed)));
    assert!(sandbox.ended().is_cancelled());
    assert_eq!(sandbox.directory(), None);
}

#[tokio::test]
async fn sixty_four_at_once_keep_their_output_apart() {
    let sandbox = sandbox();
    let runs = (0..64).map(|index| {
        let sandbox = &sandbox;
        async move {
            let ran = run(sandbox, shell(&format!("seq {index} 20000; exit {index}"))).await;
            let expected = lines(index..=20_000, "\n");
            assert_eq!(ran.end, End::Exited { code: index });
            assert!(ran.text() == expected, "{index}");
        }
    });
    within(futures::future::join_all(runs)).await;
}

// The clock is paused, so that waiting for what was left behind takes no time.
#[tokio::test(start_paused = true)]
async fn what_a_command_leaves_behind_neither_holds_up_its_end_nor_ends_with_it() {
    let sandbox = sandbox();
    let ran = finish(start(&sandbox, shell("sleep 1000 & echo $!"))).await;
    assert_eq!(ran.end, End::Exited { code: 0 });
    let left: u32 = ran.text().trim().parse().unwrap();
    assert!(is_alive(left));
}

#[tokio::test]
async fn a_command_leads_a_session_of_its_own() {
    let sandbox = sandbox();
    // Field 6 of stat is the session's leader.
    let ran = run(&sandbox, shell("echo $$; cut -d ' ' -f 6 /proc/$$/stat")).await;
    let ids: Vec<_> = ran.text().lines().collect();
    assert_eq!(ids[0], ids[1]);
}
