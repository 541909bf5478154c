//! Faults that other proxies for sandboxes had, each with its thread.

use std::time::Duration;

use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use podbay_exec_proxy::listen::{Limits, Listening};
use podbay_runtime::SessionState;
use podbay_runtime::dial::SandboxAddress;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::Instant;

use crate::support::{
    Client, KEY, PORTS, Proxy, Scripted, answering, answering_with, get, host, raw, ready, settings,
};

/// kvcache-ai/AgentENV#56: connections were kept by address and port; the next pod with the address got the earlier one's.
#[tokio::test]
async fn a_connection_of_an_earlier_pod_is_not_used_for_its_successor() {
    let sandbox = answering().await;
    let sessions = Scripted::serving(sandbox.address);
    sessions.leads("pod-2", PORTS.server, sandbox.address);
    let proxy = Proxy::over(&sessions).await;
    let mut client = proxy.client().await;
    for _ in 0..3 {
        assert_eq!(client.ask(get("/")).await.0.status, 200);
    }
    assert_eq!(
        sandbox.connections(),
        1,
        "a connection of the same pod is used again"
    );
    sessions.is(Some(ready("pod-2")));
    assert_eq!(client.ask(get("/")).await.0.status, 200);
    assert_eq!(sandbox.connections(), 2);
}

/// The same, where the address changes hands between the look at the index and the connection.
#[tokio::test]
async fn nothing_is_sent_to_a_pod_that_has_taken_the_address_meanwhile() {
    let stranger = raw(|mut stream, _| async move {
        let mut read = [0; 1];
        assert_eq!(
            stream.read(&mut read).await.unwrap_or(0),
            0,
            "it was sent something"
        );
    })
    .await;
    let sandbox = answering().await;
    let sessions = Scripted::serving(stranger.address);
    sessions.leads("pod-2", PORTS.server, sandbox.address);
    // The session's pod is replaced as soon as the earlier one is dialled.
    sessions.replaced_when_dialled(ready("pod-2"));
    let proxy = Proxy::over(&sessions).await;
    let (head, body) = proxy.client().await.ask(get("/a")).await;
    assert_eq!(head.status, 200, "{body}");
    assert!(body.starts_with("GET /a\n"));
    assert_eq!(stranger.connections(), 1);
}

/// OpenSandbox#1050: only headers of a white list went with a WebSocket, so that the token was lost.
#[tokio::test]
async fn all_headers_of_a_websocket_request_arrive() {
    let sandbox = raw(|mut stream, _| async move {
        let mut read = vec![0; 4096];
        let count = stream.read(&mut read).await.unwrap();
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: a\r\n\r\n{}",
            String::from_utf8_lossy(&read[..count])
        );
        stream.write_all(answer.as_bytes()).await.unwrap();
    })
    .await;
    let proxy = Proxy::over(&Scripted::serving(sandbox.address)).await;
    let mut client = proxy.client().await;
    let request = format!(
        "GET /sockets?session_api_key=q HTTP/1.1\r\nHost: {}\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Key: k\r\nSec-WebSocket-Protocol: p\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\
         X-Session-API-Key: {KEY}\r\nX-Token: t\r\nCookie: a=1\r\nOrigin: http://o\r\n\r\n",
        host()
    );
    client.send(request).await;
    let head = client.head().await.unwrap();
    assert_eq!(head.status, 101);
    assert_eq!(head.get("sec-websocket-accept"), Some("a"));
    let seen = String::from_utf8(client.rest().await).unwrap().to_lowercase();
    for field in [
        "get /sockets?session_api_key=q http/1.1",
        "connection: upgrade",
        "upgrade: websocket",
        "sec-websocket-key: k",
        "sec-websocket-protocol: p",
        "sec-websocket-extensions: permessage-deflate",
        "x-session-api-key: the-key-of-the-session",
        "x-token: t",
        "cookie: a=1",
        "origin: http://o",
    ] {
        assert!(seen.lines().any(|line| line == field), "{field} in {seen}");
    }
}

/// OpenSandbox#1689 and #1502: the tenant's key and routing headers reached the sandbox.
#[tokio::test]
async fn the_key_of_the_api_reaches_no_sandbox_whatever_the_client_speaks() {
    let sandbox = answering().await;
    let proxy = Proxy::over(&Scripted::serving(sandbox.address)).await;
    let fields = "X-API-Key: s3cret\r\nx_api_key: s3cret\r\nCookie: a=1; podbay-x=s3cret\r\nProxy-Authorization: s3cret\r\n";
    let mut client = proxy.client().await;
    for connection in ["keep-alive", "keep-alive, x-custom", "upgrade"] {
        let request = format!(
            "GET / HTTP/1.1\r\nHost: {}\r\n{fields}Connection: {connection}\r\nUpgrade: websocket\r\nX-Custom: 1\r\n\r\n",
            host()
        );
        let (head, body) = client.ask(request).await;
        assert_eq!(head.status, 200);
        assert!(!body.contains("s3cret"), "{body}");
        assert!(body.contains("cookie: a=1\n"), "{body}");
    }
    let (mut sender, connection) = crate::support::http2(proxy.address).await;
    let request = Request::get(format!("http://{}/", host()))
        .header("x-api-key", "s3cret")
        .header("cookie", "a=1")
        .header("cookie", "podbay-x=s3cret")
        .body(Full::new(Bytes::new()))
        .unwrap();
    let answer = sender.send_request(request).await.unwrap();
    let body = crate::support::text(answer.into_body()).await;
    assert!(
        !body.contains("s3cret") && body.contains("cookie: a=1\n"),
        "{body}"
    );
    assert!(body.contains(&format!("host: {}\n", host())), "{body}");
    connection.abort();
}

/// caddy#8026: the end of what a client says aborted what it was still to hear.
#[tokio::test]
async fn a_client_that_has_said_all_still_gets_a_large_answer() {
    const SIZE: usize = 10 << 20;
    let sandbox = answering_with(|_| async { Response::new(Full::new(Bytes::from(vec![7; SIZE]))) }).await;
    let proxy = Proxy::over(&Scripted::serving(sandbox.address)).await;
    let mut client = proxy.client().await;
    client.send(get("/")).await;
    client.stream.shutdown().await.unwrap();
    let (head, body) = client.answer().await;
    assert_eq!((head.status, body.len()), (200, SIZE));
}

/// haproxy#3414: a connection to the server that was closed while it was idle reset the client's, and no log said so.
#[tokio::test]
async fn a_connection_that_was_closed_while_idle_costs_a_client_nothing() {
    // Answers one request on each connection, and closes it when the next one comes.
    let sandbox = raw(|mut stream, number| async move {
        let mut read = vec![0; 4096];
        if stream.read(&mut read).await.unwrap() > 0 {
            let body = number.to_string();
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            stream.write_all(answer.as_bytes()).await.unwrap();
            let _ = stream.read(&mut read).await;
        }
    })
    .await;
    let proxy = Proxy::over(&Scripted::serving(sandbox.address)).await;
    let mut client = proxy.client().await;
    assert_eq!(client.ask(get("/")).await.1, "1");
    // Sent again: nothing of an answer came, and the request changes nothing.
    assert_eq!(client.ask(get("/")).await.1, "2");
    // One that does is not: it may have been carried out.
    let post = format!(
        "POST / HTTP/1.1\r\nHost: {}\r\nContent-Length: 1\r\n\r\nx",
        host()
    );
    let (head, body) = client.ask(post).await;
    assert_eq!(head.status, 502);
    assert!(body.contains("before it answered"), "{body}");
    // The client's own connection goes on.
    assert_eq!(client.ask(get("/")).await.1, "3");
}

/// The other half: once a byte of an answer came, nothing is sent again.
#[tokio::test]
async fn an_answer_that_breaks_off_is_not_asked_for_again() {
    let sandbox = raw(|mut stream, number| async move {
        let mut read = vec![0; 4096];
        let _ = stream.read(&mut read).await;
        if number == 1 {
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1")
                .await
                .unwrap();
            let _ = stream.read(&mut read).await;
        }
        stream.write_all(b"HTTP/1.1 200").await.unwrap();
    })
    .await;
    let proxy = Proxy::over(&Scripted::serving(sandbox.address)).await;
    let mut client = proxy.client().await;
    assert_eq!(client.ask(get("/")).await.1, "1");
    assert_eq!(client.ask(get("/")).await.0.status, 502);
    assert_eq!(sandbox.connections(), 1);
}

/// pingora#945, CVE-2026-2833: bytes after a request for an upgrade went to the server as they were, before it had agreed.
#[tokio::test]
async fn without_a_101_nothing_is_passed_on_as_bytes() {
    let sandbox = answering().await;
    let proxy = Proxy::over(&Scripted::serving(sandbox.address)).await;
    let mut client = proxy.client().await;
    let request = format!(
        "GET /first HTTP/1.1\r\nHost: {}\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n\
         GET /smuggled HTTP/1.1\r\nHost: evil\r\nX-API-Key: s3cret\r\n\r\n",
        host()
    );
    client.send(request).await;
    let (head, body) = client.answer().await;
    assert_eq!(head.status, 200);
    assert!(body.starts_with("GET /first\n"));
    // What follows is a request like any other, for whoever it names.
    let (head, body) = client.answer().await;
    assert_eq!((head.status, body.as_str()), (200, "the API"));
}

#[tokio::test]
async fn a_protocol_that_was_not_asked_for_is_not_changed_to() {
    for (asked, granted) in [
        ("Connection: upgrade\r\nUpgrade: websocket\r\n", "Upgrade: other"),
        ("Connection: upgrade\r\nUpgrade: websocket\r\n", "X: y"),
        ("", "Upgrade: websocket"),
    ] {
        let answer =
            format!("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n{granted}\r\n\r\nraw");
        let sandbox = raw(move |mut stream, _| {
            let answer = answer.clone();
            async move {
                let mut read = vec![0; 4096];
                let _ = stream.read(&mut read).await;
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.read(&mut read).await;
            }
        })
        .await;
        let proxy = Proxy::over(&Scripted::serving(sandbox.address)).await;
        let request = format!("GET / HTTP/1.1\r\nHost: {}\r\n{asked}\r\n", host());
        let (head, body) = proxy.client().await.ask(request).await;
        assert_eq!(head.status, 502, "{granted}");
        assert!(!body.contains("raw"));
    }
}

/// pingora#674: `Connection: close` of one side closed the connection of the other.
#[tokio::test]
async fn close_is_about_one_connection() {
    let sandbox = answering().await;
    let proxy = Proxy::over(&Scripted::serving(sandbox.address)).await;
    for _ in 0..2 {
        let request = format!("GET / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", host());
        let (head, body) = proxy.client().await.ask(request).await;
        assert_eq!(head.get("connection"), Some("close"));
        assert!(!body.contains("connection:"), "{body}");
    }
    assert_eq!(sandbox.connections(), 1);

    let closing = raw(|mut stream, _| async move {
        let mut read = vec![0; 4096];
        let _ = stream.read(&mut read).await;
        let answer =
            b"HTTP/1.1 200 OK\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nContent-Length: 2\r\n\r\nok";
        stream.write_all(answer).await.unwrap();
    })
    .await;
    let proxy = Proxy::over(&Scripted::serving(closing.address)).await;
    let mut client = proxy.client().await;
    for _ in 0..2 {
        let (head, body) = client.ask(get("/")).await;
        assert_eq!((head.status, body.as_str()), (200, "ok"));
        assert_eq!((head.get("connection"), head.get("x-hop")), (None, None));
    }
}

/// coder#19930 and #22041: of two cookies of one name the wrong one was taken; an application's own `Authorization` hid the proxy's cookie.
#[tokio::test]
async fn an_applications_own_cookies_and_authorization_arrive() {
    let sandbox = answering().await;
    let proxy = Proxy::over(&Scripted::serving(sandbox.address)).await;
    let request = format!(
        "GET / HTTP/1.1\r\nHost: {}\r\nCookie: a=1; a=2\r\nAuthorization: Bearer app\r\nX-Session-API-Key: {KEY}\r\n\r\n",
        host()
    );
    let (_, body) = proxy.client().await.ask(request).await;
    for field in [
        "cookie: a=1; a=2\n",
        "authorization: Bearer app\n",
        "x-session-api-key: the-key-of-the-session\n",
    ] {
        assert!(body.contains(field), "{body}");
    }
}

/// docker/sbx-releases#480: server-sent events were kept back until there were many.
#[tokio::test]
async fn the_first_event_arrives_at_once() {
    let sandbox = raw(|mut stream, _| async move {
        let mut read = vec![0; 4096];
        let _ = stream.read(&mut read).await;
        let head =
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
        stream.write_all(head).await.unwrap();
        for byte in [b'd', b'a', b't', b'a'] {
            stream
                .write_all(&[b'1', b'\r', b'\n', byte, b'\r', b'\n'])
                .await
                .unwrap();
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    })
    .await;
    let proxy = Proxy::over(&Scripted::serving(sandbox.address)).await;
    let mut times = Vec::new();
    for _ in 0..9 {
        let mut client = proxy.client().await;
        let begun = Instant::now();
        client.send(get("/events")).await;
        assert_eq!(
            client.head().await.unwrap().get("content-type"),
            Some("text/event-stream")
        );
        // One byte, in its chunk.
        assert_eq!(client.exactly(4).await, b"1\r\nd");
        times.push(begun.elapsed());
    }
    // The median, since other tests share the processors; the second byte comes after 300 ms.
    times.sort_unstable();
    assert!(times[times.len() / 2] < Duration::from_millis(250), "{times:?}");
}

/// agent-sandbox#1574: the address of a pod that is gone was kept, and every request failed until a restart.
#[tokio::test]
async fn after_a_failure_to_connect_the_next_address_is_taken() {
    let (gone, sandbox) = (answering().await, answering().await);
    let sessions = Scripted::serving(gone.address);
    let proxy = Proxy::over(&sessions).await;
    let mut client = proxy.client().await;
    assert_eq!(client.ask(get("/")).await.0.status, 200);
    // Its pod is replaced; the request that finds that out is answered by the new one.
    let unbound = crate::support::unbound().await;
    sessions.leads("pod-2", PORTS.server, unbound);
    sessions.leads("pod-3", PORTS.server, sandbox.address);
    sessions.is(Some(ready("pod-2")));
    sessions.replaced_when_dialled(ready("pod-3"));
    assert_eq!(client.ask(get("/")).await.0.status, 200);
    assert_eq!(sandbox.connections(), 1);
}

/// The same thread's other half: what an application answers says nothing about its address.
#[tokio::test]
async fn an_error_of_the_application_keeps_the_connection() {
    let sandbox = answering_with(|request: Request<Incoming>| async move {
        let mut answer = Response::new(Full::new(Bytes::from("no")));
        *answer.status_mut() = request.uri().path()[1..].parse().unwrap();
        answer
    })
    .await;
    let proxy = Proxy::over(&Scripted::serving(sandbox.address)).await;
    let mut client = proxy.client().await;
    for status in [404, 500, 503, 429, 200] {
        assert_eq!(client.ask(get(&format!("/{status}"))).await.0.status, status);
    }
    assert_eq!(sandbox.connections(), 1);
}

/// OpenSandbox#1421: a session that was ready and had no address hung its clients for ever.
#[tokio::test]
async fn ready_without_an_address_is_waited_for_and_no_longer() {
    let sandbox = answering().await;
    let sessions = Scripted::serving(sandbox.address);
    let without: Option<SandboxAddress> = None;
    sessions.is(Some(podbay_exec_proxy::sessions::Route {
        address: without,
        ..ready("pod-1")
    }));
    let mut settings = settings();
    settings.hold.starting = Duration::from_millis(100);
    let proxy = Proxy::with(&sessions, settings, Limits::default(), Listening::default()).await;
    let (head, _) = proxy.client().await.ask(get("/")).await;
    assert_eq!(head.status, 504);
}

/// OpenHands#12718 and #12611: after a resume it said that it runs, and its server was not up yet.
#[tokio::test]
async fn a_server_that_comes_up_after_its_sandbox_is_waited_for() {
    let unbound = crate::support::unbound().await;
    let sessions = Scripted::serving(unbound);
    sessions.is_in(SessionState::Paused);
    let proxy = Proxy::over(&sessions).await;
    let mut client = proxy.client().await;
    let request = format!(
        "POST /execute_action HTTP/1.1\r\nHost: {}\r\nX-Session-API-Key: {KEY}\r\nContent-Length: 2\r\n\r\n{{}}",
        host()
    );
    client.send(request).await;
    sessions.until_woken().await;
    // Ready, and its port is not open.
    sessions.is_in(SessionState::Ready(None));
    sessions.until_dialled(3).await;
    let sandbox = answering().await;
    sessions.leads("pod-1", PORTS.server, sandbox.address);
    let (head, body) = client.answer().await;
    assert_eq!(head.status, 200);
    assert!(
        body.starts_with("POST /execute_action\n") && body.ends_with("{}"),
        "{body}"
    );
    assert_eq!(sessions.wakes(), 1);
}

/// NemoClaw#409: a WebSocket on which nothing was said was cut.
#[tokio::test]
async fn an_upgraded_connection_may_be_silent_for_longer_than_a_request_may_take() {
    let sandbox = crate::support::echoing().await;
    let limits = {
        let mut limits = Limits::default();
        limits.header_time = Duration::from_millis(100);
        limits
    };
    let sessions = Scripted::serving(sandbox.address);
    let proxy = Proxy::with(&sessions, settings(), limits, Listening::default()).await;
    let mut client = Client::connect(proxy.address).await;
    client.send(crate::support::upgrade("/")).await;
    assert_eq!(client.head().await.unwrap().status, 101);
    tokio::time::sleep(Duration::from_millis(400)).await;
    client.send("still there").await;
    assert_eq!(client.exactly(11).await, b"still there");
}
