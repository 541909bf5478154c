//! The cases in which kube's own helper (4.2 and 5.0) hangs or loses output.

use std::time::Duration;

use futures::StreamExt;
use podbay_k8s_client::{ExecEnd, ExecProcess};
use tokio::time;

use crate::fake_server::{CLOSE, FRAME, STDERR, STDOUT, read_all, start, start_in_memory, within};
use crate::pattern::{Difference, Pattern};

const OUT: Pattern = Pattern(1);
const ERR: Pattern = Pattern(2);
const MIB: usize = 1 << 20;
const EXITED: ExecEnd = ExecEnd::Exited { code: 0 };

async fn reads_one_stream_while_the_other_holds(pending: usize) {
    let (process, mut server) = start(false).await;
    let script = async {
        server.send(STDERR, &ERR.bytes(pending)).await;
        server.send(STDOUT, &OUT.bytes(100)).await;
        server.exit(0).await;
        server.close().await;
    };
    let ExecProcess {
        stdout,
        stderr,
        end,
        guard: _guard,
        ..
    } = process;
    let client = async {
        assert_eq!(OUT.check(&read_all(stdout).await, 100), Ok(()));
        assert_eq!(end.await, EXITED);
        assert_eq!(ERR.check(&read_all(stderr).await, pending), Ok(()));
    };
    within(async { tokio::join!(script, client) }).await;
}

#[tokio::test]
async fn reads_stdout_while_4000_bytes_of_stderr_wait() {
    reads_one_stream_while_the_other_holds(4000).await;
}

#[tokio::test]
async fn reads_stdout_while_10_mib_of_stderr_wait() {
    reads_one_stream_while_the_other_holds(10 * MIB).await;
}

#[tokio::test]
async fn both_streams_of_10_mib_are_exact() {
    let (process, mut server) = start(false).await;
    let script = async {
        let (out, err) = (OUT.bytes(10 * MIB), ERR.bytes(10 * MIB));
        for (out, err) in out.chunks(FRAME).zip(err.chunks(FRAME)) {
            server.frame(STDOUT, out).await;
            server.frame(STDERR, err).await;
        }
        server.exit(7).await;
        server.close().await;
    };
    let ExecProcess {
        stdout,
        stderr,
        end,
        guard: _guard,
        ..
    } = process;
    let ((), out, err, end) =
        within(async { tokio::join!(script, read_all(stdout), read_all(stderr), end) }).await;
    assert_eq!(OUT.check(&out, 10 * MIB), Ok(()));
    assert_eq!(ERR.check(&err, 10 * MIB), Ok(()));
    assert_eq!(end, ExecEnd::Exited { code: 7 });
}

/// That the exactness of the other tests can fail.
#[tokio::test]
async fn a_byte_the_server_drops_is_noticed() {
    let (process, mut server) = start(false).await;
    let mut bytes = OUT.bytes(100_000).to_vec();
    bytes.remove(50_000);
    server.send(STDOUT, &bytes).await;
    server.exit(0).await;
    server.close().await;
    let out = within(read_all(process.stdout)).await;
    assert_eq!(OUT.check(&out, 100_000), Err(Difference::At { position: 50_000 }));
}

#[tokio::test]
async fn output_behind_the_status_arrives() {
    let (process, mut server) = start(false).await;
    let ExecProcess {
        stdout,
        stderr,
        end,
        guard: _guard,
        ..
    } = process;
    server.send(STDOUT, &OUT.bytes(MIB)[..MIB / 2]).await;
    server.exit(0).await;
    server.send(STDOUT, &OUT.bytes(MIB)[MIB / 2..]).await;
    server.send(STDERR, &ERR.bytes(10)).await;
    server.close().await;
    let (out, err, end) = within(async { tokio::join!(read_all(stdout), read_all(stderr), end) }).await;
    assert_eq!(OUT.check(&out, MIB), Ok(()));
    assert_eq!(ERR.check(&err, 10), Ok(()));
    assert_eq!(end, EXITED);
}

#[tokio::test]
async fn a_waiting_reader_sees_the_end_when_the_connection_is_reset() {
    let (process, mut server) = start(false).await;
    let ExecProcess {
        mut stdout,
        stderr,
        end,
        guard: _guard,
        ..
    } = process;
    server.send(STDOUT, b"some").await;
    within(async {
        assert_eq!(stdout.next().await.unwrap(), "some");
        let (more, ()) = tokio::join!(stdout.next(), async { server.reset() });
        assert_eq!(more, None);
        assert_eq!(read_all(stderr).await, b"");
        assert!(matches!(end.await, ExecEnd::Lost { .. }));
    })
    .await;
}

#[tokio::test]
async fn a_kept_reader_outlives_its_process() {
    let (process, mut server) = start(false).await;
    let ExecProcess {
        stdout,
        mut stderr,
        end,
        guard,
        ..
    } = process;
    server.send(STDOUT, &OUT.bytes(5000)).await;
    server.send(STDERR, b"sent").await;
    within(async {
        // What came before it is in the queue then.
        assert_eq!(stderr.next().await.unwrap(), "sent");
        drop(guard);
        assert_eq!(OUT.check(&read_all(stdout).await, 5000), Ok(()));
        assert_eq!(
            end.await,
            ExecEnd::Lost {
                message: "given up by the caller".into()
            }
        );
    })
    .await;
}

#[tokio::test]
async fn the_end_comes_while_output_is_untaken() {
    for untaken in [5000, 3 * MIB] {
        let (mut process, mut server) = start(false).await;
        let script = async {
            server.send(STDOUT, &OUT.bytes(untaken)).await;
            server.exit(3).await;
            server.close().await;
        };
        let ((), end) = within(async { tokio::join!(script, &mut process.end) }).await;
        assert_eq!(end, ExecEnd::Exited { code: 3 });
        assert_eq!(
            OUT.check(&within(read_all(process.stdout)).await, untaken),
            Ok(())
        );
    }
}

#[tokio::test]
async fn the_status_comes_though_a_reader_is_gone() {
    for keep_stderr in [true, false] {
        let (process, mut server) = start(false).await;
        let ExecProcess {
            stdout,
            stderr,
            end,
            guard: _guard,
            ..
        } = process;
        let script = async {
            server.send(STDOUT, &OUT.bytes(10 * MIB)).await;
            server.send(STDERR, &ERR.bytes(10)).await;
            server.exit(9).await;
            server.close().await;
        };
        drop(stdout);
        let stderr = keep_stderr.then_some(stderr);
        let ((), end) = within(async { tokio::join!(script, end) }).await;
        assert_eq!(end, ExecEnd::Exited { code: 9 });
        if let Some(stderr) = stderr {
            assert_eq!(ERR.check(&within(read_all(stderr)).await, 10), Ok(()));
        }
    }
}

/// Where a file helps nobody, a slow reader holds the command back; nothing is lost, and a held-back connection
/// is not taken for a dead one.
#[tokio::test(start_paused = true)]
async fn a_slow_reader_holds_the_command_back() {
    let (process, mut server) = start_in_memory(false).await;
    let ExecProcess {
        stdout,
        stderr,
        end,
        guard: _guard,
        ..
    } = process;
    drop(stderr);
    let mut script = tokio::spawn(async move {
        server.send(STDOUT, &OUT.bytes(4 * MIB)).await;
        server.exit(0).await;
        server.close().await;
    });
    let hour = Duration::from_secs(3600);
    assert!(
        time::timeout(hour, &mut script).await.is_err(),
        "4 MiB must not fit anywhere"
    );
    let (out, end, script) = tokio::join!(read_all(stdout), end, script);
    script.unwrap();
    assert_eq!(OUT.check(&out, 4 * MIB), Ok(()));
    assert_eq!(end, EXITED);
}

#[tokio::test]
async fn a_stream_that_is_closed_ends_before_the_command() {
    let (process, mut server) = start(false).await;
    let ExecProcess {
        stdout,
        stderr,
        end,
        guard: _guard,
        ..
    } = process;
    server.send(STDERR, b"e").await;
    server.frame(CLOSE, &[STDERR]).await;
    assert_eq!(within(read_all(stderr)).await, b"e");
    server.send(STDOUT, b"o").await;
    server.exit(0).await;
    server.close().await;
    assert_eq!(within(read_all(stdout)).await, b"o");
    assert_eq!(within(end).await, EXITED);
}

#[tokio::test]
async fn markers_and_frames_of_any_size_are_taken() {
    let (process, mut server) = start(false).await;
    let ExecProcess {
        stdout,
        stderr,
        end,
        guard: _guard,
        ..
    } = process;
    let sizes = [1, 64 * 1024 - 1, 64 * 1024 + 1, 300 * 1024, 3 * MIB];
    let total: usize = sizes.iter().sum();
    let script = async {
        server.frame(STDOUT, b"").await;
        server.frame(STDERR, b"").await;
        let mut rest = OUT.bytes(total);
        for size in sizes {
            server.frame(STDOUT, &rest.split_to(size)).await;
        }
        server.exit(0).await;
        server.close().await;
    };
    let ((), out, err, end) =
        within(async { tokio::join!(script, read_all(stdout), read_all(stderr), end) }).await;
    assert_eq!(OUT.check(&out, total), Ok(()));
    assert_eq!(err, b"");
    assert_eq!(end, EXITED);
}
