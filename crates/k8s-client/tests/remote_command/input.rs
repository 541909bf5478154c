//! Standard input and terminal sizes.

use std::time::Duration;

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use podbay_k8s_client::remote_command::{DriverOptions, Protocol, STDIN_CHUNK, attach};
use podbay_k8s_client::{ExecEnd, ExecProcess, TerminalSize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

use crate::fake_server::{
    FRAME, FakeServer, STDOUT, frame, in_memory, read_all, request, start, start_in_memory, status_json,
    within,
};
use crate::pattern::Pattern;

const IN: Pattern = Pattern(3);
const OUT: Pattern = Pattern(1);
const MIB: usize = 1 << 20;
const EXITED: ExecEnd = ExecEnd::Exited { code: 0 };

#[tokio::test]
async fn dropped_input_ends_after_what_was_written() {
    let (process, mut server) = start(true).await;
    let stdin = process.stdin.unwrap();
    stdin.write("written".into()).await.unwrap();
    drop(stdin);
    assert_eq!(within(server.read_stdin()).await, b"written");
}

#[tokio::test]
async fn closed_input_leaves_the_output_open() {
    let (process, mut server) = start(true).await;
    let ExecProcess {
        stdin,
        stdout,
        end,
        guard: _guard,
        ..
    } = process;
    let script = async {
        let input = server.read_stdin().await;
        assert_eq!(IN.check(&input, 100_000), Ok(()));
        // What a filter says only when its input has ended.
        server.send(STDOUT, &OUT.bytes(MIB)).await;
        server.exit(0).await;
        server.close().await;
    };
    let client = async {
        let stdin = stdin.unwrap();
        stdin.write(IN.bytes(100_000)).await.unwrap();
        stdin.close();
        read_all(stdout).await
    };
    let ((), out, end) = within(async { tokio::join!(script, client, end) }).await;
    assert_eq!(OUT.check(&out, MIB), Ok(()));
    assert_eq!(end, EXITED);
}

#[tokio::test]
async fn large_input_comes_in_small_frames() {
    let (process, mut server) = start(true).await;
    let stdin = process.stdin.unwrap();
    stdin.write(Bytes::new()).await.unwrap();
    stdin.write(IN.bytes(2 * STDIN_CHUNK + 1)).await.unwrap();
    for expected in [STDIN_CHUNK, STDIN_CHUNK, 1] {
        let frame = within(server.receive()).await.unwrap();
        assert_eq!(frame.len(), 1 + expected);
    }
}

/// The connection's buffers are 64 KiB here: the input can't have gone anywhere while the output flows.
#[tokio::test]
async fn output_flows_while_input_is_not_read() {
    let (process, mut server) = start_in_memory(true).await;
    let ExecProcess {
        stdin,
        stdout,
        end,
        guard: _guard,
        ..
    } = process;
    let stdin = stdin.unwrap();
    let input = tokio::spawn(async move {
        for chunk in 0..8 {
            stdin
                .write(IN.bytes(8 * MIB).slice(chunk * MIB..(chunk + 1) * MIB))
                .await
                .unwrap();
        }
    });
    let script = async {
        server.send(STDOUT, &OUT.bytes(10 * MIB)).await;
        assert!(!input.is_finished());
        let input = server.read_stdin().await;
        server.exit(0).await;
        server.close().await;
        input
    };
    let (received, out, end) = within(async { tokio::join!(script, read_all(stdout), end) }).await;
    assert_eq!(OUT.check(&out, 10 * MIB), Ok(()));
    assert_eq!(IN.check(&received, 8 * MIB), Ok(()));
    assert_eq!(end, EXITED);
    input.await.unwrap();
}

#[tokio::test]
async fn input_flows_while_output_is_not_read() {
    let (process, server) = start_in_memory(true).await;
    let ExecProcess {
        stdin,
        stdout,
        stderr,
        end,
        guard: _guard,
        ..
    } = process;
    // Without it the output would go to a file and never be full.
    drop(stderr);
    let (mut sink, stream) = server.socket.split();
    let output = tokio::spawn(async move {
        for chunk in OUT.bytes(4 * MIB).chunks(FRAME) {
            sink.send(Message::Binary(frame(STDOUT, chunk))).await.unwrap();
        }
        sink
    });
    let reading = async {
        let frames = stream.filter_map(async |message| match message.unwrap() {
            Message::Binary(frame) if frame[0] == 0 => Some(frame.slice(1..)),
            _ => None,
        });
        let mut frames = Box::pin(frames);
        let mut input = Vec::new();
        while input.len() < 2 * MIB {
            input.extend_from_slice(&frames.next().await.unwrap());
        }
        // Handed back to keep the connection open.
        (input, frames)
    };
    let writing = async {
        let stdin = stdin.unwrap();
        stdin.write(IN.bytes(2 * MIB)).await.unwrap();
        stdin
    };
    let ((input, _frames), _stdin) = within(async { tokio::join!(reading, writing) }).await;
    assert_eq!(IN.check(&input, 2 * MIB), Ok(()));
    assert!(!output.is_finished());
    let rest = async {
        let mut sink = output.await.unwrap();
        sink.send(Message::Binary(frame(3, status_json(0).as_bytes())))
            .await
            .unwrap();
        sink.close().await.unwrap();
    };
    let ((), out, end) = within(async { tokio::join!(rest, read_all(stdout), end) }).await;
    assert_eq!(OUT.check(&out, 4 * MIB), Ok(()));
    assert_eq!(end, EXITED);
}

/// Also while the connection lingers, and for a writer that is waiting already.
#[tokio::test(start_paused = true)]
async fn input_is_refused_when_the_command_has_ended() {
    let (process, mut server) = start_in_memory(true).await;
    let stdin = process.stdin.unwrap();
    let start = Instant::now();
    let writing = async { while stdin.write(IN.bytes(MIB)).await.is_ok() {} };
    tokio::join!(writing, server.exit(0));
    assert_eq!(start.elapsed(), Duration::ZERO);
    server.close().await;
    assert_eq!(process.end.await, EXITED);
}

async fn terminal() -> (ExecProcess, FakeServer<tokio::io::DuplexStream>) {
    let (client, server) = in_memory(64 * 1024).await;
    (
        attach(
            client,
            Protocol::V5,
            &request(true, true),
            DriverOptions::default(),
        )
        .unwrap(),
        server,
    )
}

/// What a command does not read stays with the caller, so that nothing is being written when it ends: a proxy that fails
/// to write throws away the status that comes the other way.
#[tokio::test(start_paused = true)]
async fn input_that_nobody_reads_is_held_back() {
    // The server's bytes as they are: it answers the ping that stands before all input, and no other.
    let (client, mut server) = tokio::io::duplex(8 * MIB);
    let options = DriverOptions::default();
    let process = attach(client, Protocol::V5, &request(true, false), options).unwrap();
    let mut ping = [0; 2 + 4 + 8];
    server.read_exact(&mut ping).await.unwrap();
    server
        .write_all(&[0x8a, 8, 0, 0, 0, 0, 0, 0, 0, 1])
        .await
        .unwrap();
    let stdin = process.stdin.unwrap();
    let writing = tokio::spawn(async move { while stdin.write(IN.bytes(MIB)).await.is_ok() {} });
    let mut buffer = vec![0; MIB];
    let mut taken = 0;
    let quiet = Duration::from_secs(10);
    while let Ok(read) = tokio::time::timeout(quiet, server.read(&mut buffer)).await {
        let read = read.unwrap();
        assert!(read > 0, "the client went");
        taken += read;
    }
    assert!((64 * 1024..80 * 1024).contains(&taken), "{taken}");
    // The command ends, and its code arrives.
    let status = status_json(7);
    let length = u16::try_from(status.len() + 1).unwrap().to_be_bytes();
    server
        .write_all(
            &[
                &[0x82, 126, length[0], length[1], 3],
                status.as_bytes(),
                &[0x88, 0],
            ]
            .concat(),
        )
        .await
        .unwrap();
    assert_eq!(process.end.await, ExecEnd::Exited { code: 7 });
    writing.await.unwrap();
}

#[tokio::test]
async fn terminal_sizes_arrive() {
    let (process, mut server) = terminal().await;
    assert_eq!(
        within(read_all(process.stderr)).await,
        b"",
        "a terminal has one stream"
    );
    let resize = process.resize.unwrap();
    for (width, height) in [(80, 24), (200, 50), (0, u16::MAX)] {
        resize.send(TerminalSize { width, height }).unwrap();
        let expected = format!("\u{4}{{\"Width\":{width},\"Height\":{height}}}");
        assert_eq!(within(server.receive()).await.unwrap(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn terminal_sizes_end_without_harm() {
    let (mut process, mut server) = terminal().await;
    drop(process.resize.take());
    let quiet = Duration::from_secs(5);
    assert!(tokio::time::timeout(quiet, server.receive()).await.is_err());
    process.stdin.take().unwrap().close();
    assert_eq!(server.read_stdin().await, b"");
    server.exit(0).await;
    server.close().await;
    assert_eq!(process.end.await, EXITED);
}
