//! Clients that mean ill: what they may take is bounded, and others are served all the while.

use std::time::Duration;

use http::Method;
use podbay_protocol::agent::{AgentErrorCode, KEY_HEADER, path};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::client::{Agent, BOTH, KEY, Protocol};

/// Memory that this process has had resident at most, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// What comes until the other side closes.
async fn rest(stream: &mut tokio::net::TcpStream) -> String {
    let mut all = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut all))
        .await
        .unwrap();
    String::from_utf8_lossy(&all).into_owned()
}

#[tokio::test]
async fn bad_json_is_told() {
    let agent = Agent::start().await;
    for protocol in BOTH {
        for body in [
            "",
            "{",
            "[]",
            "{\"id\":\"a b\"}",
            "{\"id\":\"p\"}",
            "\u{0}",
            "{\"id\":1e999}",
        ] {
            let reply = agent
                .ask(protocol, Method::PUT, "/podbay/v1/processes/p", body)
                .await;
            reply.fails(400, AgentErrorCode::InvalidRequest);
        }
        let other = r#"{"id":"q","argv":["true"],"stdin":false,"retention":"spool"}"#;
        let reply = agent
            .ask(protocol, Method::PUT, "/podbay/v1/processes/p", other)
            .await;
        reply.fails(400, AgentErrorCode::InvalidRequest);
        let deep = "[".repeat(1_000_000);
        let reply = agent
            .ask(protocol, Method::PUT, "/podbay/v1/processes/p", deep)
            .await;
        reply.fails(400, AgentErrorCode::InvalidRequest);
    }
}

#[tokio::test]
async fn a_body_of_a_gibibyte_is_not_read() {
    let agent = Agent::start().await;
    let target = "/podbay/v1/processes/p";
    let before = peak();
    // Announced.
    let mut stream = agent.tcp().await;
    let head = format!(
        "PUT {target} HTTP/1.1\r\nhost: a\r\n{KEY_HEADER}: {KEY}\r\ncontent-length: 1073741824\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 413");
    // Not announced.
    let mut stream = agent.tcp().await;
    let head = format!(
        "PUT {target} HTTP/1.1\r\nhost: a\r\n{KEY_HEADER}: {KEY}\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let (mut reading, mut writing) = stream.split();
    let chunk = [b"100000\r\n".as_slice(), &vec![b' '; 1 << 20], b"\r\n"].concat();
    let mut sent = 0;
    let send = async {
        while sent < 1024 && writing.write_all(&chunk).await.is_ok() {
            sent += 1;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        read = reading.read_exact(&mut status) => { read.unwrap(); }
        () = send => {}
    }
    assert_eq!(&status, b"HTTP/1.1 413");
    let body = vec![b' '; 64 << 20];
    let reply = agent.ask(Protocol::Http2, Method::PUT, target, body).await;
    reply.fails(413, AgentErrorCode::BodyTooLarge);
    // The last body is ours; the server is in this process, too, and other tests with bodies of their own.
    assert!(
        peak() < before + (64 << 20) + (256 << 20),
        "{before} to {}",
        peak()
    );
}

#[tokio::test]
async fn floods_of_headers_are_cut() {
    let agent = Agent::start().await;
    for flood in [
        "x: y\r\n".repeat(100),
        format!("x: {}\r\n", "y".repeat(1 << 20)),
        "x".repeat(1 << 20),
    ] {
        let mut stream = agent.tcp().await;
        let _ = stream
            .write_all(format!("GET /alive HTTP/1.1\r\n{flood}\r\n").as_bytes())
            .await;
        let answer = rest(&mut stream).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 431"),
            "{answer}"
        );
    }
    let (mut client, connection) = h2::client::handshake(agent.tcp().await).await.unwrap();
    tokio::spawn(connection);
    let mut request = http::Request::get(format!("http://a{}", path::ALIVE));
    for number in 0..2000 {
        request = request.header(format!("x-{number}"), "y".repeat(100));
    }
    let sent = client.send_request(request.body(()).unwrap(), true);
    let refused = match sent {
        Ok((answer, _)) => answer
            .await
            .map_or(true, |answer| answer.status().is_client_error()),
        Err(_) => true,
    };
    assert!(refused);
    agent.get(path::PROCESSES).await.ok();
}

#[tokio::test]
async fn slow_clients_are_closed() {
    let agent = Agent::start_with(|limits| {
        limits.header_time = Duration::from_millis(300);
        limits.stranger_time = Duration::from_millis(900);
    })
    .await;
    // Heads and prefaces that come byte by byte, or not at all.
    for first in [
        "",
        "G",
        "GET /alive HTTP/1.1\r\nhost: a\r\nx: ",
        "PRI * HT",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let mut stream = agent.tcp().await;
        stream.write_all(first.as_bytes()).await.unwrap();
        let answer = rest(&mut stream).await;
        assert!(!answer.contains("200"), "{first:?}: {answer}");
    }
    // One that asks what is open, again and again, and never presents the key.
    let mut stream = agent.tcp().await;
    let asked = async {
        let mut answer = [0; 1024];
        loop {
            let request = b"GET /alive HTTP/1.1\r\nhost: a\r\n\r\n";
            if stream.write_all(request).await.is_err() || !matches!(stream.read(&mut answer).await, Ok(1..))
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), asked)
        .await
        .unwrap();
}

#[tokio::test]
async fn strangers_do_not_keep_clients_out() {
    let agent = Agent::start_with(|limits| {
        limits.connections = 20;
        limits.strangers = 8;
    })
    .await;
    // A client of long standing.
    let (client, connection) = h2::client::handshake(agent.tcp().await).await.unwrap();
    tokio::spawn(connection);
    let ask = || {
        let request = http::Request::get(format!("http://a{}", path::PROCESSES)).header(KEY_HEADER, KEY);
        crate::client::over_http2(client.clone(), request.body(()).unwrap(), bytes::Bytes::new())
    };
    ask().await.ok();
    let mut held = Vec::new();
    for _ in 0..100 {
        held.push(agent.tcp().await);
        agent.get(path::PROCESSES).await.ok();
    }
    ask().await.ok();
    // All but the last few were closed.
    for stream in &mut held[..80] {
        assert_eq!(rest(stream).await, "");
    }
}
