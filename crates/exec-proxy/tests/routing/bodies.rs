//! Bodies of any size.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{Proxy, Scripted, answering_with, host, raw};

const PIECE: usize = 64 << 10;

/// Bytes up and down: 64 MiB, or as many MiB as `PODBAY_TEST_MIB` says.
fn size() -> usize {
    let given = std::env::var("PODBAY_TEST_MIB")
        .ok()
        .and_then(|given| given.parse().ok());
    given.unwrap_or(64) << 20
}

/// Bytes that differ from piece to piece, without having them.
struct Pattern {
    at: usize,
    size: usize,
}

fn piece(at: usize, size: usize) -> Bytes {
    let length = PIECE.min(size - at);
    let mut piece = vec![u8::try_from(at / PIECE % 251).unwrap(); length];
    if let Some(first) = piece.first_chunk_mut::<8>() {
        *first = at.to_le_bytes();
    }
    piece.into()
}

fn expected(size: usize) -> [u8; 32] {
    let mut hash = Sha256::new();
    for at in (0..size).step_by(PIECE) {
        hash.update(piece(at, size));
    }
    hash.finalize().into()
}

impl Body for Pattern {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.at >= self.size {
            return Poll::Ready(None);
        }
        let next = piece(self.at, self.size);
        self.at += next.len();
        Poll::Ready(Some(Ok(Frame::data(next))))
    }

    fn is_end_stream(&self) -> bool {
        self.at >= self.size
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact((self.size - self.at) as u64)
    }
}

async fn hash_of(mut body: Incoming) -> ([u8; 32], usize) {
    let (mut hash, mut size) = (Sha256::new(), 0);
    while let Some(frame) = body.frame().await {
        let data = frame.unwrap().into_data().unwrap();
        size += data.len();
        hash.update(data);
    }
    (hash.finalize().into(), size)
}

/// Bytes of this process that are in memory.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_bodies_are_exact_both_ways_in_flat_memory() {
    let size = size();
    let sandbox = answering_with(move |request: Request<Incoming>| async move {
        if request.method() == http::Method::GET {
            let body = Pattern { at: 0, size };
            Response::new(body.boxed())
        } else {
            let (hash, _) = hash_of(request.into_body()).await;
            let body = Full::new(Bytes::copy_from_slice(&hash));
            Response::new(body.boxed())
        }
    })
    .await;
    let proxy = Proxy::over(&Scripted::serving(sandbox.address)).await;
    let expected = expected(size);
    let before = resident();

    let stream = tokio::net::TcpStream::connect(proxy.address).await.unwrap();
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    let driving = tokio::spawn(connection);
    let request = |method, size| {
        Request::builder()
            .method(method)
            .uri("/")
            .header("host", host())
            .body(Pattern { at: 0, size })
            .unwrap()
    };
    let answer = sender.send_request(request("GET", 0)).await.unwrap();
    assert_eq!(answer.headers()["content-length"], size.to_string());
    assert!(hash_of(answer.into_body()).await == (expected, size));
    sender.ready().await.unwrap();
    let answer = sender.send_request(request("POST", size)).await.unwrap();
    let hash = answer.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(hash[..], expected);

    let grown = resident().saturating_sub(before);
    assert!(grown < 48 << 20, "{} KiB more are in memory", grown >> 10);
    driving.abort();
}

/// A client that does not read stops the sandbox, and not the service's memory.
#[tokio::test]
async fn a_client_that_does_not_read_holds_the_sandbox_up() {
    let (told, mut written) = tokio::sync::mpsc::unbounded_channel();
    let sandbox = raw(move |mut stream, _| {
        let told = told.clone();
        async move {
            let mut read = vec![0; 4096];
            let _ = stream.read(&mut read).await;
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 1_usize << 40);
            stream.write_all(head.as_bytes()).await.unwrap();
            let piece = vec![0; PIECE];
            while stream.write_all(&piece).await.is_ok() {
                let _ = told.send(());
            }
        }
    })
    .await;
    let proxy = Proxy::over(&Scripted::serving(sandbox.address)).await;
    let mut client = proxy.client().await;
    client.send(crate::support::get("/")).await;
    client.head().await.unwrap();
    let mut pieces = 0_usize;
    // Until nothing more is taken for a while: what sockets hold is some megabytes.
    while tokio::time::timeout(Duration::from_millis(300), written.recv())
        .await
        .is_ok()
    {
        pieces += 1;
        assert!(
            pieces < 512,
            "32 MiB were taken from the sandbox, and none by the client"
        );
    }
    // When the client goes, the sandbox is told.
    drop(client);
    let ended = async { while written.recv().await.is_some() {} };
    // The sandbox's own task holds the other end: its next write fails.
    let _ = tokio::time::timeout(Duration::from_millis(500), ended).await;
}

/// The length that a client was told is that of the sandbox, also where nothing follows.
#[tokio::test]
async fn answers_without_a_body_have_none() {
    let sandbox = answering_with(|request: Request<Incoming>| async move {
        let mut answer = Response::new(Full::new(Bytes::from("12345")));
        if request.uri().path() == "/204" {
            answer = Response::new(Full::new(Bytes::new()));
            *answer.status_mut() = http::StatusCode::NO_CONTENT;
        }
        answer
    })
    .await;
    let proxy = Proxy::over(&Scripted::serving(sandbox.address)).await;
    let mut client = proxy.client().await;
    client
        .send(format!("HEAD / HTTP/1.1\r\nHost: {}\r\n\r\n", host()))
        .await;
    assert_eq!(client.head().await.unwrap().get("content-length"), Some("5"));
    assert_eq!(client.ask(crate::support::get("/204")).await.0.status, 204);
    assert_eq!(client.ask(crate::support::get("/")).await.1, "12345");
    assert_eq!(sandbox.connections(), 1);
}

/// A client that waits for our word before it sends a body gets it, and the sandbox does not see that it asked.
#[tokio::test]
async fn a_client_that_expects_to_be_told_to_go_on_is_told() {
    let sandbox = crate::support::answering().await;
    let proxy = Proxy::over(&Scripted::serving(sandbox.address)).await;
    let mut client = proxy.client().await;
    let head = format!(
        "POST / HTTP/1.1\r\nHost: {}\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n",
        host()
    );
    client.send(head).await;
    assert_eq!(client.head().await.unwrap().status, 100);
    client.send("body").await;
    let (head, body) = client.answer().await;
    assert_eq!(head.status, 200);
    assert!(body.ends_with("body") && !body.contains("expect"), "{body}");
}

/// An answer by a server that knows no lengths ends with its connection.
#[tokio::test]
async fn an_answer_of_http_1_0_is_whole() {
    let sandbox = raw(|mut stream, _| async move {
        let mut read = vec![0; 4096];
        let _ = stream.read(&mut read).await;
        stream
            .write_all(b"HTTP/1.0 200 OK\r\n\r\nall of it")
            .await
            .unwrap();
    })
    .await;
    let proxy = Proxy::over(&Scripted::serving(sandbox.address)).await;
    let mut client = proxy.client().await;
    for _ in 0..2 {
        let (head, body) = client.ask(crate::support::get("/")).await;
        assert_eq!((head.status, body.as_str()), (200, "all of it"));
    }
}

/// One that is cut is not taken for whole.
#[tokio::test]
async fn an_answer_that_is_cut_is_cut_for_the_client() {
    for (head, body) in [
        ("Content-Length: 10", "123"),
        ("Transfer-Encoding: chunked", "3\r\n123\r\n"),
    ] {
        let answer = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{body}");
        let sandbox = raw(move |mut stream, _| {
            let answer = answer.clone();
            async move {
                let mut read = vec![0; 4096];
                let _ = stream.read(&mut read).await;
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        })
        .await;
        let proxy = Proxy::over(&Scripted::serving(sandbox.address)).await;
        let mut client = proxy.client().await;
        client.send(crate::support::get("/")).await;
        client.head().await.unwrap();
        let rest = client.rest().await;
        assert!(!rest.ends_with(b"0\r\n\r\n") && rest.len() < 10, "{head}");
    }
}
