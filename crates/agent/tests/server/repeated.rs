//! Actions that are asked for again.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use podbay_protocol::agent::KEY_HEADER;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::actions::agent;
use crate::client::{Agent, KEY};

/// Counts how often it is run.
const COUNT: &str = "echo x >> counter; sleep 0.5; echo counted $(wc -l < counter)";

fn body(command: &str) -> String {
    json!({"action": {"action": "run", "args": {"command": command, "blocking": true}, "timeout": 30}})
        .to_string()
}

async fn sent(agent: &Agent, command: &str) -> TcpStream {
    sent_with(agent, command, "").await
}

/// With lines of a head.
async fn sent_with(agent: &Agent, command: &str, more: &str) -> TcpStream {
    let mut stream = agent.tcp().await;
    let body = body(command);
    let request = format!(
        "POST /execute_action HTTP/1.1\r\nHost: a\r\n{KEY_HEADER}: {KEY}\r\n{more}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// What comes until all of the answer is there.
async fn answer(stream: &mut TcpStream) -> String {
    let (mut text, mut buffer) = (String::new(), [0; 4096]);
    while !text.ends_with('}') {
        let length = stream.read(&mut buffer).await.unwrap();
        assert!(length > 0, "{text}");
        text.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
    }
    text
}

async fn until_counted(agent: &Agent) {
    while !agent.at("counter").exists() {
        tokio::task::yield_now().await;
    }
}

fn counted(agent: &Agent) -> usize {
    std::fs::read_to_string(agent.at("counter"))
        .unwrap()
        .lines()
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_before_the_answer_runs_nothing_twice() {
    let agent = agent().await;
    // Before: the shell is only being started. During: the command runs. Another text each time: what was asked last, on a
    // connection that broke at once, may still be given again.
    for (is_running, text) in [(false, ": before; "), (true, ": during; ")] {
        let command = format!("{text}{COUNT}");
        let first = sent(&agent, &command).await;
        if is_running {
            until_counted(&agent).await;
        } else {
            until_started(&agent).await;
        }
        drop(first);
        until_closed(&agent).await;
        let mut second = sent(&agent, &command).await;
        assert!(answer(&mut second).await.contains("counted 1"));
        assert_eq!(counted(&agent), 1);
        std::fs::remove_file(agent.at("counter")).unwrap();
    }
}

/// The agent has taken the action: it starts a shell for it.
async fn until_started(agent: &Agent) {
    loop {
        let list: Value = agent.get("/podbay/v1/processes").await.ok().json();
        if list["processes"].as_array().is_some_and(|all| !all.is_empty()) {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_lost_is_given_again() {
    let agent = agent().await;
    // The connection was closed before it was written.
    drop({
        let first = sent(&agent, COUNT).await;
        until_counted(&agent).await;
        first
    });
    tokio::time::sleep(std::time::Duration::from_millis(900)).await;
    let second = sent(&agent, COUNT).await;
    second.readable().await.unwrap();
    // The client went without reading what had come: its system resets the connection.
    drop(second);
    until_closed(&agent).await;
    let third = sent(&agent, COUNT).await;
    third.readable().await.unwrap();
    drop(third);
    until_closed(&agent).await;
    // This one has read all, and then its connection is reset.
    let mut fourth = sent(&agent, COUNT).await;
    assert!(answer(&mut fourth).await.contains("counted 1"));
    fourth.set_zero_linger().unwrap();
    drop(fourth);
    until_closed(&agent).await;
    let mut fifth = sent(&agent, COUNT).await;
    assert!(answer(&mut fifth).await.contains("counted 1"));
    assert_eq!(counted(&agent), 1);
    // It is still there: what comes on another one is new.
    let mut sixth = sent(&agent, COUNT).await;
    assert!(answer(&mut sixth).await.contains("counted 2"));
}

/// A client that has read its answer and then closes the connection, as one does that has a connection for each request.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_again_after_a_connection_that_was_closed_in_order_is_run_again() {
    let agent = agent().await;
    let mut count = 0;
    for head in ["", "Connection: close\r\n"] {
        // At once, and after it is certain how the connection before ended.
        for wait in [0, 0, 500] {
            tokio::time::sleep(std::time::Duration::from_millis(wait)).await;
            count += 1;
            let mut stream = sent_with(&agent, COUNT, head).await;
            assert!(answer(&mut stream).await.contains(&format!("counted {count}")));
        }
    }
    assert_eq!(counted(&agent), count);
}

/// The server has seen that a connection was closed: a request on another one is answered after it.
async fn until_closed(agent: &Agent) {
    for _ in 0..20 {
        agent.get("/alive").await.ok();
    }
}

async fn client(agent: &Agent) -> SendRequest<Full<Bytes>> {
    let (client, connection) = hyper::client::conn::http1::handshake(TokioIo::new(agent.tcp().await))
        .await
        .unwrap();
    tokio::spawn(connection);
    client
}

async fn asked(client: &mut SendRequest<Full<Bytes>>, command: &str, closes: bool) -> String {
    let mut request = http::Request::post("/execute_action")
        .header("host", "a")
        .header(KEY_HEADER, KEY);
    if closes {
        request = request.header("connection", "close");
    }
    client.ready().await.unwrap();
    let answer = client
        .send_request(request.body(Full::new(body(command).into())).unwrap())
        .await
        .unwrap();
    let told: Value =
        serde_json::from_slice(&answer.into_body().collect().await.unwrap().to_bytes()).unwrap();
    told["content"]
        .as_str()
        .unwrap_or_else(|| panic!("{told}"))
        .to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_twice_on_a_connection_that_works_is_run_twice() {
    let agent = agent().await;
    let mut client = client(&agent).await;
    let date = "date +%s.%N";
    let first = asked(&mut client, date, false).await;
    let second = asked(&mut client, date, false).await;
    assert_ne!(first, second);
    // Also when the client goes then: what it asked first was read.
    drop(client);
    until_closed(&agent).await;
    let mut others = Vec::new();
    for _ in 0..2 {
        let mut client = self::client(&agent).await;
        others.push(asked(&mut client, date, true).await);
    }
    others.dedup();
    assert_eq!(others.len(), 2);
}
