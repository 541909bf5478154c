//! Hosts and paths that are nearly those of a session, and headers that carry more than one.

use http::Request;
use http_body_util::Full;
use hyper::body::Bytes;

use crate::support::{Proxy, Scripted, answering, host, http2, id, raw, text};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

#[tokio::test]
async fn near_misses_of_a_host_are_nobody_or_the_api() {
    let sandbox = answering().await;
    let sessions = Scripted::serving(sandbox.address);
    let proxy = Proxy::over(&sessions).await;
    let mut client = proxy.client().await;
    let id = id();
    for (host, status, is_api) in [
        (format!("{id}.example.test"), 200, false),
        (
            format!("{}.EXAMPLE.test.:8000", id.as_str().to_uppercase()),
            200,
            false,
        ),
        (format!("x{id}.example.test"), 404, false),
        (format!("{id}.{id}.example.test"), 404, false),
        (format!("{}.example.test", "0".repeat(32)), 404, false),
        (format!("work-3-{id}.example.test"), 404, false),
        (format!("{id}example.test"), 200, true),
        (format!("{id}.example.test.evil"), 200, true),
        ("example.test".to_owned(), 200, true),
        ("127.0.0.1".to_owned(), 200, true),
        (format!("{id}.example.test%00.evil"), 400, false),
        (format!("{id}.example.test/.evil"), 400, false),
        (format!("{id}.example.test#.evil"), 400, false),
    ] {
        let request = format!("GET /{id}/x HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let (head, body) = client.ask(request).await;
        assert_eq!((head.status, body == "the API"), (status, is_api), "{host}");
    }
}

/// Over HTTP/2 a host stands in the target, and may stand in `Host` once more.
#[tokio::test]
async fn over_http2_two_hosts_are_refused() {
    let sandbox = answering().await;
    let proxy = Proxy::over(&Scripted::serving(sandbox.address)).await;
    let (mut sender, _driving) = http2(proxy.address).await;
    for (target, field, status) in [
        (host(), None, 200),
        (host(), Some(host()), 200),
        (host(), Some("evil".to_owned()), 400),
        ("evil".to_owned(), Some(host()), 400),
    ] {
        let mut request = Request::get(format!("http://{target}/a"));
        if let Some(field) = &field {
            request = request.header("host", field);
        }
        let request = request.body(Full::new(Bytes::new())).unwrap();
        let answer = sender.send_request(request).await.unwrap();
        assert_eq!(answer.status(), status, "{target} {field:?}");
        text(answer.into_body()).await;
    }
}

/// What a sandbox says of itself in headers can't become a header of its own, nor an answer.
#[tokio::test]
async fn a_header_of_an_answer_carries_nothing_else() {
    for field in ["X: a\rSet-Cookie: __Host-podbay-x=1", "X: a\0b", "X y: a"] {
        let answer = format!("HTTP/1.1 200 OK\r\n{field}\r\nContent-Length: 2\r\n\r\nok");
        let sandbox = raw(move |mut stream, _| {
            let answer = answer.clone();
            async move {
                let mut read = vec![0; 4096];
                let _ = stream.read(&mut read).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        })
        .await;
        let proxy = Proxy::over(&Scripted::serving(sandbox.address)).await;
        let (head, _) = proxy.client().await.ask(crate::support::get("/")).await;
        assert_eq!((head.status, head.get("set-cookie")), (502, None), "{field:?}");
    }
}

/// Two answers to one request: the second would be taken for that to the next.
#[tokio::test]
async fn an_answer_that_nobody_asked_for_is_given_to_nobody() {
    let sandbox = raw(|mut stream, number| async move {
        let mut read = vec![0; 4096];
        let _ = stream.read(&mut read).await;
        let one = format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{number}");
        let other = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong";
        stream.write_all((one + other).as_bytes()).await.unwrap();
        let _ = stream.read(&mut read).await;
    })
    .await;
    let proxy = Proxy::over(&Scripted::serving(sandbox.address)).await;
    let mut client = proxy.client().await;
    for expected in ["1", "2", "3"] {
        assert_eq!(client.ask(crate::support::get("/")).await.1, expected);
    }
}

#[tokio::test]
async fn cookies_of_a_sandbox_are_for_its_own_host() {
    let sandbox = raw(|mut stream, _| async move {
        let mut read = vec![0; 4096];
        let _ = stream.read(&mut read).await;
        let answer = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1; Domain=example.test; Path=/\r\nSet-Cookie: __Host-podbay-x=1; Path=/\r\n\
            Set-Cookie: podbay-x=1\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(answer).await.unwrap();
    })
    .await;
    let proxy = Proxy::over(&Scripted::serving(sandbox.address)).await;
    let (head, _) = proxy.client().await.ask(crate::support::get("/")).await;
    assert_eq!(head.all("set-cookie").collect::<Vec<_>>(), ["a=1; Path=/"]);
}
