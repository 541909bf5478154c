//! When silence is loss. On a paused clock, where time passes only while everybody waits.

use std::time::Duration;

use podbay_k8s_client::remote_command::{DriverOptions, LINGER};
use podbay_k8s_client::{ExecEnd, ExecProcess};
use tokio::time::{Instant, timeout};

use crate::fake_server::{CLOSE, STDERR, STDOUT, read_all, start_in_memory};

const EXITED: ExecEnd = ExecEnd::Exited { code: 0 };
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[tokio::test(start_paused = true)]
async fn a_silent_server_is_lost_a_timeout_after_the_first_ping() {
    let options = DriverOptions::default();
    // Held, but neither read nor written: pings are taken by the buffer and never answered.
    let (process, _server) = start_in_memory(false).await;
    let start = Instant::now();
    let end = process.end.await;
    assert_eq!(start.elapsed(), options.ping_interval + options.ping_timeout);
    let message = "nothing came from the server for 45 s, not even the answer to a ping".to_owned();
    assert_eq!(end, ExecEnd::Lost { message });
    assert_eq!(read_all(process.stdout).await, b"");
}

#[tokio::test(start_paused = true)]
async fn a_quiet_command_may_take_a_day() {
    let (mut process, mut server) = start_in_memory(false).await;
    // Receiving answers the pings.
    let quiet = timeout(DAY, async { tokio::join!(&mut process.end, server.receive()) });
    assert!(quiet.await.is_err());
    server.exit(0).await;
    server.close().await;
    assert_eq!(process.end.await, EXITED);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_sends_but_answers_no_ping_lives() {
    let (mut process, mut server) = start_in_memory(false).await;
    for _ in 0..100 {
        assert!(timeout(Duration::from_secs(40), &mut process.end).await.is_err());
        server.send(STDOUT, b".").await;
    }
    server.exit(0).await;
    server.close().await;
    assert_eq!(process.end.await, EXITED);
}

/// API servers answer no ping while the command does not read what stands before it.
#[tokio::test(start_paused = true)]
async fn input_the_command_does_not_read_is_no_loss() {
    let options = DriverOptions::default();
    let (mut process, mut server) = start_in_memory(true).await;
    let stdin = process.stdin.take().unwrap();
    stdin.write("unread".into()).await.unwrap();
    let hour = Duration::from_secs(60 * 60);
    assert!(hour > options.ping_timeout * 10);
    assert!(timeout(hour, &mut process.end).await.is_err());
    assert_eq!(server.receive().await.unwrap(), "\0unread");
    // Now that a later ping is answered, silence counts again.
    assert!(timeout(Duration::from_secs(60), server.receive()).await.is_err());
    let start = Instant::now();
    assert!(matches!(process.end.await, ExecEnd::Lost { .. }));
    assert!(
        start.elapsed() <= options.ping_interval + options.ping_timeout,
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn input_that_is_never_read_is_lost_in_the_end() {
    let options = DriverOptions::default();
    let (mut process, _server) = start_in_memory(true).await;
    let stdin = process.stdin.take().unwrap();
    let start = Instant::now();
    stdin.write("unread".into()).await.unwrap();
    assert!(matches!(process.end.await, ExecEnd::Lost { .. }));
    assert_eq!(start.elapsed(), options.unread_stdin_timeout);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_closes_ends_after_a_linger() {
    let (process, mut server) = start_in_memory(false).await;
    let start = Instant::now();
    server.exit(0).await;
    assert!(timeout(LINGER / 2, server.receive()).await.is_err());
    server.send(STDOUT, b"late").await;
    assert_eq!(process.end.await, EXITED);
    assert_eq!(
        start.elapsed(),
        LINGER / 2 + LINGER,
        "what comes late is waited for anew"
    );
    assert_eq!(read_all(process.stdout).await, b"late");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_closed_all_streams_needs_no_linger() {
    let (process, mut server) = start_in_memory(false).await;
    let ExecProcess {
        end, guard: _guard, ..
    } = process;
    let start = Instant::now();
    server.exit(0).await;
    server.frame(CLOSE, &[STDOUT]).await;
    server.frame(CLOSE, &[STDERR]).await;
    assert_eq!(end.await, EXITED);
    assert_eq!(start.elapsed(), Duration::ZERO);
}
