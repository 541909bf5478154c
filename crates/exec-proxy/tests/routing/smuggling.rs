//! Raw requests that two readers may take for different ones.

use std::sync::{Arc, Mutex};

use http::Response;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};

use crate::support::{Client, Proxy, Scripted, answering, answering_with, host};

/// What a sandbox was asked for, and with which body.
type Seen = Arc<Mutex<Vec<String>>>;

async fn seeing() -> (crate::support::Sandbox, Seen) {
    let seen = Seen::default();
    let kept = Arc::clone(&seen);
    let sandbox = answering_with(move |request: http::Request<Incoming>| {
        let kept = Arc::clone(&kept);
        async move {
            let line = format!("{} {}", request.method(), request.uri());
            let body = request.into_body().collect().await.unwrap().to_bytes();
            kept.lock()
                .unwrap()
                .push(format!("{line} {}", String::from_utf8_lossy(&body)));
            Response::new(Full::new(Bytes::from("ok")))
        }
    })
    .await;
    (sandbox, seen)
}

/// What the client is answered, by status, until the connection ends.
async fn statuses(client: &mut Client, bytes: &str) -> Vec<u16> {
    client.send(bytes).await;
    let mut statuses = Vec::new();
    while let Some(head) = client.head().await {
        statuses.push(head.status);
        let length: usize = head
            .get("content-length")
            .map_or(0, |length| length.parse().unwrap());
        client.exactly(length).await;
    }
    statuses
}

/// hyper takes `Transfer-Encoding` and removes the other; what was smuggled behind the body is never read.
#[tokio::test]
async fn with_two_lengths_nothing_behind_the_body_is_a_request() {
    let (sandbox, seen) = seeing().await;
    let proxy = Proxy::over(&Scripted::serving(sandbox.address)).await;
    let lengths = ["Content-Length: 6", "Transfer-Encoding: chunked"];
    for [first, second] in [lengths, [lengths[1], lengths[0]]] {
        let request = format!(
            "POST /a HTTP/1.1\r\nHost: {0}\r\n{first}\r\n{second}\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: {0}\r\n\r\n",
            host()
        );
        assert_eq!(
            statuses(&mut proxy.client().await, &request).await,
            [200],
            "{first}"
        );
    }
    assert_eq!(*seen.lock().unwrap(), ["POST /a ", "POST /a "]);
}

#[tokio::test]
async fn a_length_that_is_none_is_refused() {
    let (sandbox, seen) = seeing().await;
    let proxy = Proxy::over(&Scripted::serving(sandbox.address)).await;
    for fields in [
        "Content-Length: 3\r\nContent-Length: 4",
        "Content-Length: +3",
        "Content-Length: 3, 4",
        "Content-Length: 0x3",
        "Content-Length: -1",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: identity",
        "X: a\r\n b",
        "Content-Length : 3",
        "X: a\0b",
        " X: a",
        "X\u{1}: a",
    ] {
        let request = format!("POST /a HTTP/1.1\r\nHost: {}\r\n{fields}\r\n\r\nabcdef", host());
        assert_eq!(
            statuses(&mut proxy.client().await, &request).await,
            [400],
            "{fields}"
        );
    }
    let old = format!(
        "POST /a HTTP/1.0\r\nHost: {}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        host()
    );
    assert_eq!(statuses(&mut proxy.client().await, &old).await, [400]);
    assert_eq!(*seen.lock().unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_chunk_that_is_none_ends_the_request() {
    let (sandbox, seen) = seeing().await;
    let proxy = Proxy::over(&Scripted::serving(sandbox.address)).await;
    for body in [
        "-1\r\na\r\n",
        "0x1\r\na\r\n",
        "1 \u{1}\r\na\r\n",
        "fffffffffffffffff\r\na",
        "1\r\nabc\r\n0\r\n\r\n",
    ] {
        let request = format!(
            "POST /a HTTP/1.1\r\nHost: {0}\r\nTransfer-Encoding: chunked\r\n\r\n{body}GET /smuggled HTTP/1.1\r\nHost: {0}\r\n\r\n",
            host()
        );
        let statuses = statuses(&mut proxy.client().await, &request).await;
        assert!(
            statuses.iter().all(|status| *status >= 400),
            "{body:?}: {statuses:?}"
        );
    }
    assert!(!seen.lock().unwrap().iter().any(|seen| seen.contains("smuggled")));
}

#[tokio::test]
async fn a_doubtful_host_is_refused() {
    let (sandbox, seen) = seeing().await;
    let proxy = Proxy::over(&Scripted::serving(sandbox.address)).await;
    let host = host();
    for head in [
        format!("GET / HTTP/1.1\r\nHost: {host}\r\nHost: {host}"),
        format!("GET / HTTP/1.1\r\nHost: {host}\r\nHost: evil"),
        "GET / HTTP/1.1".to_owned(),
        format!("GET http://{host}/ HTTP/1.1"),
        format!("GET http://evil/a HTTP/1.1\r\nHost: {host}"),
        format!("GET http://{host}/a HTTP/1.1\r\nHost: evil"),
        format!("GET http://{host}@evil/a HTTP/1.1\r\nHost: {host}"),
        format!("GET / HTTP/1.1\r\nHost: {host}, evil"),
        format!("GET / HTTP/1.1\r\nHost: {host}/../evil"),
        format!("GET / HTTP/1.1\r\nHost: evil@{host}"),
        "GET / HTTP/1.0".to_owned(),
        format!("GET evil HTTP/1.1\r\nHost: {host}"),
    ] {
        let request = format!("{head}\r\nConnection: close\r\n\r\n");
        assert_eq!(
            statuses(&mut proxy.client().await, &request).await,
            [400],
            "{head}"
        );
    }
    let tunnel = format!("CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\nConnection: close\r\n\r\n");
    assert_eq!(statuses(&mut proxy.client().await, &tunnel).await[0], 405);
    assert_eq!(*seen.lock().unwrap(), Vec::<String>::new());
    // The same host in both is fine, whatever its case.
    let request = format!(
        "GET http://{}/a HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n",
        host.to_uppercase()
    );
    assert_eq!(statuses(&mut proxy.client().await, &request).await, [200]);
    assert_eq!(*seen.lock().unwrap(), ["GET /a "]);
}

#[tokio::test]
async fn a_key_is_not_removed_by_naming_it() {
    let (sandbox, seen) = seeing().await;
    let proxy = Proxy::over(&Scripted::serving(sandbox.address)).await;
    for name in [
        "x-session-api-key",
        "X-API-Key",
        "host",
        "cookie",
        "content-length",
        "X-Forwarded-For",
    ] {
        let request = format!(
            "GET / HTTP/1.1\r\nHost: {}\r\nX-Session-API-Key: k\r\nConnection: close, {name}\r\n\r\n",
            host()
        );
        assert_eq!(
            statuses(&mut proxy.client().await, &request).await,
            [400],
            "{name}"
        );
    }
    assert_eq!(*seen.lock().unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn paths_go_as_they_came() {
    let (sandbox, seen) = seeing().await;
    let proxy = Proxy::over(&Scripted::serving(sandbox.address)).await;
    let paths = [
        "/a/%2e%2e/b",
        "//a",
        "/a//b/./../c",
        "/%00",
        "/a%0d%0aX:%20y?q=%2f&r=//",
        "/?",
        "/a;b=c",
    ];
    let mut client = proxy.client().await;
    for path in paths {
        assert_eq!(
            client.ask(crate::support::get(path)).await.0.status,
            200,
            "{path}"
        );
    }
    let expected = paths.map(|path| format!("GET {path} "));
    assert_eq!(*seen.lock().unwrap(), expected);
}

/// What comes after a body may not say where a message ends, nor who asks.
#[tokio::test]
async fn trailers_are_not_passed_on() {
    let sandbox = answering().await;
    let proxy = Proxy::over(&Scripted::serving(sandbox.address)).await;
    let request = format!(
        "POST / HTTP/1.1\r\nHost: {}\r\nTransfer-Encoding: chunked\r\nTrailer: X-API-Key\r\nTE: trailers\r\n\r\n\
         3\r\nabc\r\n0\r\nX-API-Key: s3cret\r\nContent-Length: 7\r\n\r\n",
        host()
    );
    let (head, body) = proxy.client().await.ask(request).await;
    assert_eq!(head.status, 200);
    assert!(
        body.ends_with("\n\nabc") && !body.contains("s3cret") && !body.contains("trailer"),
        "{body}"
    );
}

/// Lines that end with a line feed alone are lines, to hyper and so to the sandbox, which gets them as they should be.
#[tokio::test]
async fn bare_line_feeds_are_made_whole() {
    let (sandbox, seen) = seeing().await;
    let proxy = Proxy::over(&Scripted::serving(sandbox.address)).await;
    let request = format!("GET /a HTTP/1.1\nHost: {}\nConnection: close\n\n", host());
    assert_eq!(statuses(&mut proxy.client().await, &request).await, [200]);
    assert_eq!(*seen.lock().unwrap(), ["GET /a "]);
}
