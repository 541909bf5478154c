//! Connections that are no longer HTTP.

use std::time::Duration;

use podbay_exec_proxy::listen::{Limits, Listening};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{Client, KEY, Proxy, Sandbox, Scripted, echoing, get, host, raw, settings, upgrade};

#[tokio::test]
async fn what_is_said_on_a_websocket_comes_back() {
    let sandbox = echoing().await;
    let proxy = Proxy::over(&Scripted::serving(sandbox.address)).await;
    let mut client = proxy.client().await;
    client.send(upgrade("/sockets/events/1")).await;
    let head = client.head().await.unwrap();
    assert_eq!(head.status, 101);
    assert_eq!(head.get("upgrade"), Some("websocket"));
    assert!(head.get("connection").unwrap().eq_ignore_ascii_case("upgrade"));
    for size in [1_usize, 100, 70_000, 1 << 20] {
        let sent: Vec<u8> = (0..size)
            .map(|index| u8::try_from(index % 251).unwrap())
            .collect();
        let (mut reading, mut writing) = client.stream.split();
        let mut heard = vec![0; size];
        let (sent_all, heard_all) = tokio::join!(writing.write_all(&sent), reading.read_exact(&mut heard));
        sent_all.unwrap();
        heard_all.unwrap();
        assert!(heard == sent, "{size}");
    }
}

/// Bytes that come right behind the request, and right behind the answer, belong to the new protocol.
#[tokio::test]
async fn no_byte_is_lost_at_the_change() {
    let sandbox = raw(|mut stream, _| async move {
        let mut read = Vec::new();
        let mut piece = vec![0; 4096];
        while !read.ends_with(b"first") {
            let count = stream.read(&mut piece).await.unwrap();
            assert!(count > 0, "cut");
            read.extend_from_slice(&piece[..count]);
            if read.ends_with(b"\r\n\r\n") {
                let answer = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello";
                stream.write_all(answer).await.unwrap();
            }
        }
        stream.write_all(b"heard").await.unwrap();
    })
    .await;
    let proxy = Proxy::over(&Scripted::serving(sandbox.address)).await;
    let mut client = proxy.client().await;
    client.send(upgrade("/") + "first").await;
    assert_eq!(client.head().await.unwrap().status, 101);
    assert_eq!(client.exactly(10).await, b"helloheard");
}

/// caddy#8026, on an upgraded connection: the client's end must not end what it hears.
#[tokio::test]
async fn the_end_of_one_direction_leaves_the_other() {
    const SIZE: usize = 10 << 20;
    let sandbox = raw(|mut stream, _| async move {
        let mut piece = vec![0; 4096];
        let count = stream.read(&mut piece).await.unwrap();
        assert!(piece[..count].ends_with(b"\r\n\r\n"));
        let answer = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: raw/1\r\n\r\n";
        stream.write_all(answer).await.unwrap();
        let mut asked = Vec::new();
        stream.read_to_end(&mut asked).await.unwrap();
        assert_eq!(asked, b"all of it, please");
        stream.write_all(&vec![9; SIZE]).await.unwrap();
    })
    .await;
    let proxy = Proxy::over(&Scripted::serving(sandbox.address)).await;
    let mut client = proxy.client().await;
    let request = format!(
        "GET / HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: raw/1\r\n\r\n",
        host()
    );
    client.send(request).await;
    assert_eq!(client.head().await.unwrap().status, 101);
    client.send("all of it, please").await;
    client.stream.shutdown().await.unwrap();
    let heard = client.rest().await;
    assert_eq!(heard.len(), SIZE);
    assert!(heard.iter().all(|byte| *byte == 9));
}

/// A client that asks for HTTP/2 that way gets HTTP/1.1: what came after would be requests that nobody looks at.
#[tokio::test]
async fn http2_is_not_changed_to() {
    let sandbox = crate::support::answering().await;
    let proxy = Proxy::over(&Scripted::serving(sandbox.address)).await;
    let request = format!(
        "GET / HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
        host()
    );
    let (head, body) = proxy.client().await.ask(request).await;
    assert_eq!(head.status, 200);
    assert!(
        !body.contains("upgrade") && !body.contains("http2-settings"),
        "{body}"
    );
}

/// A client on a WebSocket whose sandbox says all again, through a service that can end.
async fn on_a_websocket() -> (Sandbox, Proxy, Client) {
    let sandbox = echoing().await;
    let sessions = Scripted::serving(sandbox.address);
    let proxy = Proxy::with(&sessions, settings(), Limits::default(), Listening::default()).await;
    let mut client = proxy.client().await;
    client.send(upgrade("/")).await;
    assert_eq!(client.head().await.unwrap().status, 101);
    (sandbox, proxy, client)
}

#[tokio::test]
async fn the_end_of_the_service_ends_them_after_a_while() {
    let (_sandbox, mut proxy, mut client) = on_a_websocket().await;
    proxy.end().await.unwrap();
    // The service listens no longer, and the connection is still there.
    client.send("x").await;
    assert_eq!(client.exactly(1).await, b"x");
    proxy.router.drain(Duration::from_millis(50)).await;
    assert_eq!(client.rest().await, b"");
}

/// RFC 6455, 7.4.1: an endpoint that goes away says 1001, and clients know that it was no fault of theirs.
#[tokio::test]
async fn a_websocket_is_closed_in_order_when_the_service_ends() {
    let (_sandbox, mut proxy, mut client) = on_a_websocket().await;
    // Its echo is a whole frame, too.
    let frame = [0x82, 0x81, 1, 2, 3, 4, 5];
    client.stream.write_all(&frame).await.unwrap();
    assert_eq!(client.exactly(frame.len()).await, frame);
    proxy.end().await.unwrap();
    let draining = proxy.router.drain(Duration::from_millis(50));
    let ((), heard) = tokio::join!(draining, client.rest());
    assert_eq!(heard, [0x88, 2, 0x03, 0xe9]);
}

/// A refusal of a WebSocket is an answer like any other.
#[tokio::test]
async fn a_websocket_that_is_refused_is_told() {
    let sandbox = raw(|mut stream, _| async move {
        let mut read = vec![0; 4096];
        let _ = stream.read(&mut read).await;
        stream
            .write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
            .await
            .unwrap();
    })
    .await;
    let proxy = Proxy::over(&Scripted::serving(sandbox.address)).await;
    let mut client = proxy.client().await;
    let (head, body) = client.ask(upgrade("/")).await;
    assert_eq!((head.status, body.as_str()), (403, "no"));
    // The connection is still one for requests.
    let with_key = get("/").replace("\r\n\r\n", &format!("\r\nX-Session-API-Key: {KEY}\r\n\r\n"));
    assert_eq!(client.ask(with_key).await.0.status, 403);
}
