//! How connections die, and what is told of the command then.

use futures::StreamExt as _;
use podbay_k8s_client::remote_command::{DriverOptions, Protocol, attach};
use podbay_k8s_client::{ErrorKind, ExecEnd, ExecProcess};
use tokio::runtime::Handle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use crate::fake_server::{
    CLOSE, STATUS, STDERR, STDOUT, frame, read_all, request, start, start_in_memory, status_json, tcp, within,
};
use crate::pattern::Pattern;

const OUT: Pattern = Pattern(1);
const EXITED: ExecEnd = ExecEnd::Exited { code: 0 };

fn lost_message(end: ExecEnd) -> String {
    match end {
        ExecEnd::Lost { message } => message,
        other => panic!("not lost: {other:?}"),
    }
}

#[tokio::test]
async fn close_without_a_status_is_lost() {
    let (process, mut server) = start(false).await;
    server.send(STDOUT, b"half").await;
    server.close().await;
    assert_eq!(within(read_all(process.stdout)).await, b"half");
    let message = lost_message(within(process.end).await);
    assert!(message.contains("without a status"), "{message}");
}

#[tokio::test]
async fn end_of_the_socket_without_a_status_is_lost() {
    let (process, mut server) = start(false).await;
    server.send(STDOUT, b"half").await;
    drop(server);
    assert_eq!(within(read_all(process.stdout)).await, b"half");
    assert_eq!(
        lost_message(within(process.end).await),
        "the connection broke: it ended without a close frame"
    );
}

/// What closed its stream has written all; of the other stream nobody knows.
#[tokio::test]
async fn a_stream_that_the_connection_did_not_carry_to_its_end_says_so() {
    let (process, mut server) = start(false).await;
    let ExecProcess {
        mut stdout,
        mut stderr,
        end,
        guard: _guard,
        ..
    } = process;
    server.send(STDOUT, b"half").await;
    server.frame(CLOSE, &[STDERR]).await;
    drop(server);
    let rest = async { tokio::join!(stdout.next(), stderr.next(), end) };
    let (out, err, end) = within(rest).await;
    assert_eq!((out.as_deref(), err), (Some(&b"half"[..]), None));
    assert_eq!(within(stdout.next()).await, None);
    lost_message(end);
    assert_eq!((stdout.is_cut(), stderr.is_cut()), (true, false));
}

/// The protocol before 5 closes no streams: the status says that all was sent.
#[tokio::test]
async fn a_status_says_that_no_stream_was_cut() {
    let (process, mut server) = start(false).await;
    let ExecProcess {
        mut stdout,
        mut stderr,
        end,
        guard: _guard,
        ..
    } = process;
    server.exit(0).await;
    drop(server);
    let all = async { tokio::join!(stdout.next(), stderr.next(), end) };
    assert_eq!(within(all).await, (None, None, EXITED));
    assert_eq!((stdout.is_cut(), stderr.is_cut()), (false, false));
}

#[tokio::test]
async fn abrupt_end_after_the_status_keeps_everything() {
    let (process, mut server) = start(false).await;
    let ExecProcess {
        stdout,
        end,
        guard: _guard,
        ..
    } = process;
    let script = async {
        server.send(STDOUT, &OUT.bytes(1 << 20)).await;
        server.exit(0).await;
        drop(server);
    };
    let ((), out, end) = within(async { tokio::join!(script, read_all(stdout), end) }).await;
    assert_eq!(OUT.check(&out, 1 << 20), Ok(()));
    assert_eq!(end, EXITED);
}

#[tokio::test]
async fn what_the_status_told_of_a_failed_start_is_kept() {
    let (process, mut server) = start(false).await;
    let json = r#"{"metadata":{},"status":"Failure","message":"exec: \"nope\": not found","reason":"InternalError","code":500}"#;
    server.frame(STATUS, json.as_bytes()).await;
    server.close().await;
    let expected = ExecEnd::NotStarted {
        reason: "InternalError".into(),
        message: "exec: \"nope\": not found".into(),
    };
    assert_eq!(within(process.end).await, expected);
}

#[tokio::test]
async fn frames_that_break_the_protocol_are_lost_and_named() {
    let binary = |bytes: &'static [u8]| Message::Binary(bytes.into());
    let cases = [
        (binary(b""), "an empty frame"),
        (Message::text("hello"), "a text frame"),
        (
            binary(&[7, 1]),
            "channel 7, which v5.channel.k8s.io does not have",
        ),
        (binary(&[CLOSE, 9]), "channel 9"),
        (binary(&[CLOSE]), "a close frame of 1 bytes"),
        (binary(&[CLOSE, 1, 1]), "a close frame of 3 bytes"),
        (binary(&[0, 1]), "the stdin channel, which only the client writes"),
        (
            binary(&[4, 1]),
            "the resize channel, which only the client writes",
        ),
        (
            binary(&[STATUS, b'{']),
            "a status that can't be understood: it is no metav1.Status: EOF",
        ),
    ];
    for (message, expected) in cases {
        let (process, mut server) = start(false).await;
        server.message(message).await;
        let told = lost_message(within(process.end).await);
        assert!(told.contains(expected), "{told:?} should contain {expected:?}");
    }
}

#[tokio::test]
async fn a_broken_protocol_after_the_status_is_lost() {
    let after: [(&[u8], &str); 3] = [
        (&[CLOSE, STDOUT, 3], "a close frame"),
        (&[9], "channel 9"),
        (&frame(STATUS, status_json(0).as_bytes()), "a second status"),
    ];
    for (bytes, expected) in after {
        let (process, mut server) = start(false).await;
        server.exit(0).await;
        server.message(Message::Binary(bytes.to_vec().into())).await;
        let told = lost_message(within(process.end).await);
        assert!(told.contains(expected), "{told:?} should contain {expected:?}");
    }
}

#[tokio::test]
async fn data_after_its_streams_close_is_lost() {
    let (process, mut server) = start(false).await;
    server.frame(CLOSE, &[STDERR]).await;
    server.send(STDERR, b"ghost").await;
    let told = lost_message(within(process.end).await);
    assert!(
        told.contains("data on the stderr channel after its close"),
        "{told}"
    );
}

#[tokio::test]
async fn data_that_was_not_asked_for_is_lost() {
    let (client, mut server) = tcp(Protocol::V5).await;
    let process = attach(
        client,
        Protocol::V5,
        &request(false, true),
        DriverOptions::default(),
    )
    .unwrap();
    server.send(STDERR, b"a terminal has one stream").await;
    let told = lost_message(within(process.end).await);
    assert!(
        told.contains("data on the stderr channel, which was not asked for"),
        "{told}"
    );
}

#[tokio::test]
async fn websocket_fragments_are_one_frame() {
    let (process, mut server) = start(false).await;
    let first = Frame::message(frame(STDOUT, b"one "), OpCode::Data(Data::Binary), false);
    let second = Frame::message("frame", OpCode::Data(Data::Continue), true);
    server.message(Message::Frame(first)).await;
    server.message(Message::Frame(second)).await;
    server.exit(0).await;
    server.close().await;
    assert_eq!(within(read_all(process.stdout)).await, b"one frame");
    assert_eq!(within(process.end).await, EXITED);
}

#[tokio::test]
async fn v4_refuses_standard_input() {
    let (client, mut server) = tcp(Protocol::V4).await;
    let error = attach(
        client,
        Protocol::V4,
        &request(true, false),
        DriverOptions::default(),
    )
    .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unsupported);
    let message = error.message.unwrap();
    assert!(message.contains("Kubernetes before 1.30"), "{message}");
    assert_eq!(within(server.receive()).await, None, "the connection is closed");
}

#[tokio::test]
async fn v4_runs_a_command_without_standard_input() {
    let (client, mut server) = tcp(Protocol::V4).await;
    let process = attach(
        client,
        Protocol::V4,
        &request(false, false),
        DriverOptions::default(),
    )
    .unwrap();
    server.send(STDOUT, b"four").await;
    server.exit(4).await;
    server.close().await;
    assert_eq!(within(read_all(process.stdout)).await, b"four");
    assert_eq!(within(process.end).await, ExecEnd::Exited { code: 4 });
}

#[tokio::test]
async fn v4_has_no_close_frame() {
    let (client, mut server) = tcp(Protocol::V4).await;
    let process = attach(
        client,
        Protocol::V4,
        &request(false, false),
        DriverOptions::default(),
    )
    .unwrap();
    server.frame(CLOSE, &[STDOUT]).await;
    let told = lost_message(within(process.end).await);
    assert!(
        told.contains("channel 255, which v4.channel.k8s.io does not have"),
        "{told}"
    );
}

/// Whatever the command is doing when its process is dropped, the connection and the task go.
#[tokio::test(start_paused = true)]
async fn dropping_the_process_leaves_no_task_and_no_connection() {
    let alive = || Handle::current().metrics().num_alive_tasks();
    for blocked_on_output in [false, true] {
        let before = alive();
        let (process, mut server) = start_in_memory(true).await;
        assert_eq!(alive(), before + 1);
        let filling = tokio::spawn(async move {
            if blocked_on_output {
                while server.try_frame(STDOUT, &[0; 1000]).await {}
            }
            while server.receive().await.is_some() {}
        });
        let ExecProcess {
            stdin,
            stdout,
            stderr,
            end,
            guard,
            resize,
            signals: _signals,
        } = process;
        assert!(resize.is_none());
        let stdin = stdin.unwrap();
        stdin.write(vec![0; 100_000].into()).await.unwrap();
        drop(stderr);
        // On the paused clock this passes when all are waiting for each other.
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
        drop(guard);
        assert_eq!(lost_message(end.await), "given up by the caller");
        filling.await.unwrap();
        assert!(stdin.write("more".into()).await.is_err());
        drop(stdout);
        within(async {
            while alive() > before {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}
