//! What clients may take of a listener.

use std::time::Duration;

use http::Request;
use http_body_util::Full;
use hyper::body::Bytes;
use podbay_exec_proxy::listen::{Limits, Listening};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, sleep, timeout};

use crate::support::{Client, Proxy, Scripted, answering, get, host, http2, raw, settings, text, upgrade};

async fn limited(sandbox: &crate::support::Sandbox, change: impl FnOnce(&mut Limits)) -> Proxy {
    let mut limits = Limits::default();
    change(&mut limits);
    let sessions = Scripted::serving(sandbox.address);
    Proxy::with(&sessions, settings(), limits, Listening::default()).await
}

#[tokio::test]
async fn a_head_that_comes_too_slowly_ends_its_connection() {
    let sandbox = answering().await;
    let proxy = limited(&sandbox, |limits| limits.header_time = Duration::from_millis(200)).await;
    for begun in ["", "G", "PRI * HTTP/2.0\r\n", "GET / HTTP/1.1\r\nHost: t\r\n"] {
        let mut client = proxy.client().await;
        client.send(begun).await;
        let since = Instant::now();
        // A byte now and then does not count.
        let trickle = async {
            loop {
                sleep(Duration::from_millis(60)).await;
                if client.stream.try_write(b"").is_err() {
                    return;
                }
            }
        };
        let _ = timeout(Duration::from_millis(150), trickle).await;
        client.rest().await;
        assert!(since.elapsed() < Duration::from_secs(5), "{begun:?}");
    }
    assert_eq!(sandbox.connections(), 0);
}

#[tokio::test]
async fn a_slow_trickle_of_header_fields_ends_its_connection() {
    let sandbox = answering().await;
    let proxy = limited(&sandbox, |limits| limits.header_time = Duration::from_millis(200)).await;
    let client = proxy.client().await;
    let (mut reading, mut writing) = client.stream.into_split();
    let writing = tokio::spawn(async move {
        let mut count = 0;
        let begun = format!("GET / HTTP/1.1\r\nHost: {}\r\n", host());
        writing.write_all(begun.as_bytes()).await.unwrap();
        while writing.write_all(b"X: y\r\n").await.is_ok() {
            count += 1;
            assert!(count < 100, "it goes on for ever");
            sleep(Duration::from_millis(40)).await;
        }
    });
    let mut heard = Vec::new();
    let _ = timeout(Duration::from_secs(10), reading.read_to_end(&mut heard))
        .await
        .expect("it was not ended");
    assert_eq!(sandbox.connections(), 0);
    writing.await.unwrap();
}

#[tokio::test]
async fn heads_that_are_too_large_are_refused() {
    let sandbox = answering().await;
    let proxy = limited(&sandbox, |_| {}).await;
    let large = format!(
        "GET / HTTP/1.1\r\nHost: {}\r\nX: {}\r\n\r\n",
        host(),
        "x".repeat(70 << 10)
    );
    let many = format!(
        "GET / HTTP/1.1\r\nHost: {}\r\n{}\r\n",
        host(),
        "X: y\r\n".repeat(200)
    );
    for request in [large, many] {
        let mut client = proxy.client().await;
        let _ = client.stream.write_all(request.as_bytes()).await;
        assert_eq!(client.head().await.unwrap().status, 431);
        client.rest().await;
    }
    // Below that they pass.
    let fits = format!(
        "GET / HTTP/1.1\r\nHost: {}\r\nX: {}\r\n\r\n",
        host(),
        "x".repeat(32 << 10)
    );
    assert_eq!(proxy.client().await.ask(fits).await.0.status, 200);
    let (mut sender, _driving) = http2(proxy.address).await;
    let large = Request::get(format!("http://{}/", host()))
        .header("x", "x".repeat(70 << 10))
        .body(Full::new(Bytes::new()))
        .unwrap();
    let answer = sender.send_request(large).await;
    assert!(answer.is_err() || answer.unwrap().status() == 431);
}

#[tokio::test]
async fn more_connections_than_may_be_wait_for_their_turn() {
    let sandbox = answering().await;
    let proxy = limited(&sandbox, |limits| limits.connections = 2).await;
    let (mut first, mut second) = (proxy.client().await, proxy.client().await);
    for client in [&mut first, &mut second] {
        assert_eq!(client.ask(get("/")).await.0.status, 200);
    }
    let mut third = proxy.client().await;
    third.send(get("/")).await;
    let mut byte = [0; 1];
    let answered = timeout(Duration::from_millis(200), third.stream.peek(&mut byte)).await;
    assert!(answered.is_err(), "it was answered though there are two already");
    drop(first);
    assert_eq!(third.answer().await.0.status, 200);
}

#[tokio::test]
async fn a_connection_that_is_no_longer_http_keeps_its_place() {
    let sandbox = raw(|mut stream, _| async move {
        let mut read = vec![0; 4096];
        let length = stream.read(&mut read).await.unwrap();
        let asked = String::from_utf8_lossy(&read[..length]).to_lowercase();
        if asked.contains("upgrade: websocket") {
            let answer =
                b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
            stream.write_all(answer).await.unwrap();
            let _ = stream.read(&mut read).await;
        } else {
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
            stream.write_all(answer).await.unwrap();
        }
    })
    .await;
    let proxy = limited(&sandbox, |limits| limits.connections = 1).await;
    let mut upgraded = proxy.client().await;
    upgraded.send(upgrade("/")).await;
    assert_eq!(upgraded.answer().await.0.status, 101);
    let mut second = proxy.client().await;
    second.send(get("/")).await;
    let mut byte = [0; 1];
    let answered = timeout(Duration::from_millis(200), second.stream.peek(&mut byte)).await;
    assert!(answered.is_err(), "it was answered though there is one already");
    drop(upgraded);
    assert_eq!(second.answer().await.0.status, 200);
}

#[tokio::test]
async fn at_the_end_what_was_asked_is_answered() {
    let (go, gone) = tokio::sync::oneshot::channel::<()>();
    let gone = std::sync::Mutex::new(Some(gone));
    let sandbox = raw(move |mut stream, _| {
        let gone = gone.lock().unwrap().take().unwrap();
        async move {
            let mut read = vec![0; 4096];
            let _ = stream.read(&mut read).await;
            let _ = gone.await;
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                .await
                .unwrap();
        }
    })
    .await;
    let mut proxy = limited(&sandbox, |limits| limits.linger = Duration::ZERO).await;
    let (mut idle, mut asking) = (proxy.client().await, proxy.client().await);
    // Known to the service.
    assert_eq!(idle.ask("GET / HTTP/1.1\r\nHost: api\r\n\r\n").await.1, "the API");
    asking.send(get("/")).await;
    while sandbox.connections() == 0 {
        tokio::task::yield_now().await;
    }
    let address = proxy.address;
    let serving = proxy.end();
    assert_eq!(
        idle.rest().await,
        b"",
        "one that waits for a request is closed at once"
    );
    assert!(!serving.is_finished());
    go.send(()).unwrap();
    let (head, body) = asking.answer().await;
    assert_eq!((head.status, body.as_str()), (200, "ok"));
    assert_eq!(head.get("connection"), Some("close"));
    serving.await.unwrap();
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn http2_is_understood_at_once() {
    let sandbox = answering().await;
    let proxy = limited(&sandbox, |_| {}).await;
    let (sender, _driving) = http2(proxy.address).await;
    let asking = (0..20).map(|number| {
        let mut sender = sender.clone();
        async move {
            let request = Request::post(format!("http://{}/{number}", host()))
                .body(Full::new(Bytes::from(format!("body {number}"))))
                .unwrap();
            let answer = sender.send_request(request).await.unwrap();
            assert_eq!(answer.status(), 200);
            let body = text(answer.into_body()).await;
            assert!(body.starts_with(&format!("POST /{number}\n")), "{body}");
            assert!(body.ends_with(&format!("body {number}")), "{body}");
        }
    });
    futures::future::join_all(asking).await;
}

#[tokio::test]
async fn a_client_of_http_1_0_is_answered() {
    let sandbox = answering().await;
    let proxy = limited(&sandbox, |_| {}).await;
    let mut client = Client::connect(proxy.address).await;
    let (head, body) = client
        .ask(format!("GET /a HTTP/1.0\r\nHost: {}\r\n\r\n", host()))
        .await;
    assert_eq!(head.status, 200);
    assert!(body.starts_with("GET /a\n"), "{body}");
    assert_eq!(client.rest().await, b"");
}

/// A kept connection is answered once more, and told that it ends: a request that is on its way when the service is told to end is not lost.
#[tokio::test]
async fn kept_connections_are_answered_once_more_and_told_that_they_end() {
    const LINGER: Duration = Duration::from_secs(3);
    let sandbox = answering().await;
    let mut proxy = limited(&sandbox, |limits| limits.linger = LINGER).await;
    let (mut kept, mut idle) = (proxy.client().await, proxy.client().await);
    for client in [&mut kept, &mut idle] {
        let (head, _) = client.ask(get("/")).await;
        assert_eq!((head.status, head.get("connection")), (200, None));
    }
    // One that has said nothing yet.
    let mut fresh = proxy.client().await;
    let (mut sender, _driving) = http2(proxy.address).await;
    let request = || {
        let request = Request::get(format!("http://{}/", host()));
        request.body(Full::new(Bytes::new())).unwrap()
    };
    assert_eq!(sender.send_request(request()).await.unwrap().status(), 200);
    let begun = tokio::time::Instant::now();
    let serving = proxy.end();
    tokio::time::sleep(Duration::from_millis(300)).await;
    for client in [&mut kept, &mut fresh] {
        let (head, _) = client.ask(get("/")).await;
        assert_eq!((head.status, head.get("connection")), (200, Some("close")));
        assert_eq!(client.rest().await, b"");
    }
    assert!(begun.elapsed() < LINGER, "{:?}", begun.elapsed());
    assert_eq!(idle.rest().await, b"");
    assert!(begun.elapsed() >= LINGER, "{:?}", begun.elapsed());
    // HTTP/2 says it by itself, and the client begins nothing more.
    assert!(sender.ready().await.is_err());
    serving.await.unwrap();
}
