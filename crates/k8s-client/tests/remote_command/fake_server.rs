//! A server that does what the test says: an API server's exec endpoint, well-behaved or not.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use futures::{SinkExt, StreamExt};
use podbay_k8s_client::remote_command::{DriverOptions, Protocol, attach};
use podbay_k8s_client::{ExecOutput, ExecProcess, ExecRequest};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async, client_async};

pub(crate) const STDOUT: u8 = 1;
pub(crate) const STDERR: u8 = 2;
pub(crate) const STATUS: u8 = 3;
pub(crate) const CLOSE: u8 = 255;

/// What the API server copies at once.
pub(crate) const FRAME: usize = 32 * 1024;

const SUB_PROTOCOL: &str = "sec-websocket-protocol";

/// The server's side of one connection.
pub(crate) struct FakeServer<S> {
    pub(crate) socket: WebSocketStream<S>,
}

/// A connection over TCP on which the server agreed to `protocol`, after a real handshake.
#[expect(clippy::result_large_err, reason = "the type of the handshake's callback")]
pub(crate) async fn tcp(protocol: Protocol) -> (TcpStream, FakeServer<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let agree = |request: &Request, mut response: Response| {
        let offered = request.headers().get(SUB_PROTOCOL).unwrap().to_str().unwrap();
        assert!(offered.contains(protocol.name()));
        response
            .headers_mut()
            .insert(SUB_PROTOCOL, HeaderValue::from_static(protocol.name()));
        Ok(response)
    };
    let server = async {
        let (stream, _) = listener.accept().await.unwrap();
        accept_hdr_async(stream, agree).await.unwrap()
    };
    let client = async {
        let mut request = format!("ws://{address}/exec").into_client_request().unwrap();
        let offer = HeaderValue::from_static("v5.channel.k8s.io, v4.channel.k8s.io");
        request.headers_mut().insert(SUB_PROTOCOL, offer);
        let stream = TcpStream::connect(address).await.unwrap();
        let (socket, response) = client_async(request, stream).await.unwrap();
        let agreed = response.headers().get(SUB_PROTOCOL).unwrap().to_str().unwrap();
        assert_eq!(Protocol::from_name(agreed), Some(protocol));
        // Nothing was read beyond the handshake: the server is silent until the test speaks.
        socket.into_inner()
    };
    let (socket, client) = tokio::join!(server, client);
    (client, FakeServer { socket })
}

/// A connection in memory, for the paused clock and for buffers of known size.
pub(crate) async fn in_memory(buffer: usize) -> (DuplexStream, FakeServer<DuplexStream>) {
    let (client, server) = tokio::io::duplex(buffer);
    let socket = WebSocketStream::from_raw_socket(server, Role::Server, None).await;
    (client, FakeServer { socket })
}

pub(crate) fn request(stdin: bool, tty: bool) -> ExecRequest {
    ExecRequest {
        container: "main".into(),
        argv: vec!["true".into()],
        stdin,
        tty,
    }
}

/// A command over TCP with v5 and its server.
pub(crate) async fn start(stdin: bool) -> (ExecProcess, FakeServer<TcpStream>) {
    let (client, server) = tcp(Protocol::V5).await;
    (
        attach(
            client,
            Protocol::V5,
            &request(stdin, false),
            DriverOptions::default(),
        )
        .unwrap(),
        server,
    )
}

/// The same in memory, with a buffer of 64 KiB each way.
pub(crate) async fn start_in_memory(stdin: bool) -> (ExecProcess, FakeServer<DuplexStream>) {
    let (client, server) = in_memory(64 * 1024).await;
    (
        attach(
            client,
            Protocol::V5,
            &request(stdin, false),
            DriverOptions::default(),
        )
        .unwrap(),
        server,
    )
}

pub(crate) fn frame(channel: u8, payload: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(1 + payload.len());
    frame.put_u8(channel);
    frame.put(payload);
    frame.freeze()
}

/// The JSON of the status for an exit code, as the API server writes it (`codeExitToStatusError`).
pub(crate) fn status_json(code: u8) -> String {
    if code == 0 {
        return r#"{"metadata":{},"status":"Success"}"#.to_owned();
    }
    format!(
        r#"{{"metadata":{{}},"status":"Failure","message":"command terminated with non-zero exit code: exit {code}","reason":"NonZeroExitCode","details":{{"causes":[{{"reason":"ExitCode","message":"{code}"}}]}}}}"#
    )
}

impl<S: AsyncRead + AsyncWrite + Unpin> FakeServer<S> {
    pub(crate) async fn message(&mut self, message: Message) {
        self.socket.send(message).await.unwrap();
    }

    pub(crate) async fn frame(&mut self, channel: u8, payload: &[u8]) {
        self.message(Message::Binary(frame(channel, payload))).await;
    }

    /// Sends a frame; returns whether the client still takes any.
    pub(crate) async fn try_frame(&mut self, channel: u8, payload: &[u8]) -> bool {
        self.socket
            .send(Message::Binary(frame(channel, payload)))
            .await
            .is_ok()
    }

    /// Sends in frames of the usual size.
    pub(crate) async fn send(&mut self, channel: u8, bytes: &[u8]) {
        for chunk in bytes.chunks(FRAME) {
            self.frame(channel, chunk).await;
        }
    }

    pub(crate) async fn exit(&mut self, code: u8) {
        self.frame(STATUS, status_json(code).as_bytes()).await;
    }

    /// Closes as the API server does: a close frame, then the socket.
    pub(crate) async fn close(mut self) {
        let frame = CloseFrame {
            code: CloseCode::Normal,
            reason: "".into(),
        };
        self.message(Message::Close(Some(frame))).await;
    }

    /// The next binary frame; none when the client has gone. Answers pings on the way.
    pub(crate) async fn receive(&mut self) -> Option<Bytes> {
        loop {
            match self.socket.next().await? {
                Ok(Message::Binary(frame)) => return Some(frame),
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// Reads standard input to the frame that ends it.
    pub(crate) async fn read_stdin(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        loop {
            let frame = self
                .receive()
                .await
                .expect("the client went before standard input ended");
            match &frame[..] {
                [0, payload @ ..] => bytes.extend_from_slice(payload),
                [CLOSE, 0] => return bytes,
                other => panic!("not standard input: {other:?}"),
            }
        }
    }
}

impl FakeServer<TcpStream> {
    /// Ends the connection as a crashed host does: with a reset.
    pub(crate) fn reset(self) {
        self.socket.get_ref().set_zero_linger().unwrap();
    }
}

pub(crate) async fn read_all(mut output: ExecOutput) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(piece) = output.next().await {
        bytes.extend_from_slice(&piece);
    }
    bytes
}

/// Makes a hang a failure. Far above what any test takes, so that a busy machine fails none.
pub(crate) async fn within<T>(test: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), test)
        .await
        .expect("it hangs")
}
