//! Terminals over WebSockets, with a client that is not ours.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::{SinkExt as _, StreamExt as _};
use http::{Method, Request};
use podbay_protocol::agent::terminal::{KEY_SUBPROTOCOL, SUBPROTOCOL, TerminalControl, TerminalEvent};
use podbay_protocol::agent::{AgentErrorCode, KEY_HEADER};
use podbay_protocol::process::{ProcessEnd, ProcessInfo};
use serde_json::json;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message};
use tokio_tungstenite::tungstenite::{Error, handshake::client::Response};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::client::{Agent, KEY, PATIENCE, Protocol, stand_still};

const KEYED: &[(&str, &str)] = &[(KEY_HEADER, KEY)];

struct Client {
    socket: WebSocketStream<TcpStream>,
    /// Where the next byte is.
    offset: Option<u64>,
    bytes: Vec<u8>,
    /// How often it was told that something was dropped.
    gaps: usize,
}

async fn asked(
    agent: &Agent,
    query: &str,
    headers: &[(&str, &str)],
) -> Result<(WebSocketStream<TcpStream>, Response), Error> {
    let mut request = Request::get(format!(
        "ws://{}/podbay/v1/processes/t/terminal{query}",
        agent.address
    ))
    .header("host", "a")
    .header("connection", "Upgrade")
    .header("upgrade", "websocket")
    .header("sec-websocket-version", "13")
    .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    client_async(request.body(()).unwrap(), agent.tcp().await).await
}

async fn connected(agent: &Agent, query: &str) -> Client {
    let (socket, _) = asked(agent, query, KEYED).await.unwrap();
    Client {
        socket,
        offset: None,
        bytes: Vec::new(),
        gaps: 0,
    }
}

async fn refused(agent: &Agent, query: &str, headers: &[(&str, &str)]) -> (u16, AgentErrorCode) {
    match asked(agent, query, headers).await {
        Err(Error::Http(response)) => {
            let body = response.body().as_deref().unwrap_or_default();
            let error: podbay_protocol::agent::AgentError = serde_json::from_slice(body).unwrap();
            (response.status().as_u16(), error.code)
        }
        other => panic!("{other:?}"),
    }
}

impl Client {
    async fn types(&mut self, text: &'static str) {
        self.socket.send(Message::binary(text.as_bytes())).await.unwrap();
    }

    async fn message(&mut self) -> Option<Message> {
        let message = tokio::time::timeout(PATIENCE, self.socket.next()).await.unwrap();
        message.map(Result::unwrap)
    }

    /// Reads until this was written, or to the end of all.
    async fn until(&mut self, text: &str) {
        while !String::from_utf8_lossy(&self.bytes).contains(text) {
            let message = self.message().await.unwrap();
            assert!(self.takes(message).is_none(), "it ended: {:?}", self.text());
        }
    }

    /// Reads to the end: how the process ended, and why the connection did.
    async fn until_the_end(&mut self) -> (ProcessEnd, Option<CloseFrame>) {
        let (mut end, mut close) = (None, None);
        while let Some(message) = self.message().await {
            match message {
                Message::Close(frame) => close = frame,
                message => end = end.or(self.takes(message)),
            }
        }
        (end.unwrap(), close)
    }

    fn takes(&mut self, message: Message) -> Option<ProcessEnd> {
        match message {
            Message::Binary(bytes) => {
                *self.offset.as_mut().unwrap() += bytes.len() as u64;
                self.bytes.extend_from_slice(&bytes);
            }
            Message::Text(text) => match serde_json::from_str(&text).unwrap() {
                TerminalEvent::Output { offset } => {
                    assert!(self.offset.is_none_or(|before| before < offset));
                    self.gaps += usize::from(self.offset.is_some());
                    self.offset = Some(offset);
                }
                TerminalEvent::End { end } => return Some(end.end),
                other => panic!("{other:?}"),
            },
            Message::Ping(_) | Message::Pong(_) => {}
            other => panic!("{other:?}"),
        }
        None
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

async fn start(agent: &Agent, shell: &str) {
    start_with(agent, json!({"shell": shell})).await;
}

async fn start_with(agent: &Agent, more: serde_json::Value) {
    let mut spec = json!({
        "id": "t", "argv": [], "terminal": {"width": 80, "height": 24}, "stdin": true, "retention": "tail",
    });
    spec.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let body = serde_json::to_vec(&spec).unwrap();
    agent.put("/podbay/v1/processes/t", body).await.ok();
}

#[tokio::test]
async fn a_terminal_is_typed_into_resized_and_watched_by_another() {
    let agent = Agent::start().await;
    start(
        &agent,
        "stty size; read line; stty size; echo \"got $line\"; exit 3",
    )
    .await;
    let mut client = connected(&agent, "").await;
    client.until("24 80").await;
    let mut watching = connected(&agent, "?read_only=true").await;
    watching.until("24 80").await;
    // What it sends is nothing to the process, whatever it is.
    watching.types("wrong\n").await;
    watching.socket.send(Message::text("{}")).await.unwrap();
    let size = TerminalControl::Resize {
        width: 100,
        height: 30,
    };
    let size = serde_json::to_string(&size).unwrap();
    client.socket.send(Message::text(size)).await.unwrap();
    client.types("it\n").await;
    let (end, close) = client.until_the_end().await;
    assert_eq!(end, ProcessEnd::Exited { code: 3 });
    assert_eq!(close.unwrap().code, CloseCode::Normal);
    assert_eq!(client.text(), "24 80\r\nit\r\n30 100\r\ngot it\r\n");
    let (end, _) = watching.until_the_end().await;
    assert_eq!(
        (end, watching.text()),
        (ProcessEnd::Exited { code: 3 }, client.text())
    );
    // It is there for those who come later: from anywhere in it, or the last of it.
    for (query, text) in [
        ("", "24 80\r\nit\r\n30 100\r\ngot it\r\n"),
        ("?offset=11", "30 100\r\ngot it\r\n"),
        ("?tail=8", "got it\r\n"),
        ("?tail=1000", "24 80\r\nit\r\n30 100\r\ngot it\r\n"),
    ] {
        let mut later = connected(&agent, query).await;
        later.until_the_end().await;
        assert_eq!(later.text(), text, "{query}");
    }
}

#[tokio::test]
async fn one_whose_connection_broke_goes_on_where_it_was() {
    let agent = Agent::start().await;
    start(
        &agent,
        "stty raw -echo; echo ready; while read line; do echo \"$line\"; done",
    )
    .await;
    let mut client = connected(&agent, "").await;
    client.until("ready").await;
    let (mut all, mut expected) = (client.bytes.clone(), "ready\n".to_owned());
    let mut offset = client.offset.unwrap();
    for number in 0..20 {
        let mut client = connected(&agent, &format!("?offset={offset}")).await;
        let line = format!("line {number}\n");
        let message = Message::binary(line.clone().into_bytes());
        client.socket.send(message).await.unwrap();
        client.until(&line).await;
        all.extend_from_slice(&client.bytes);
        offset = client.offset.unwrap();
        expected.push_str(&line);
        // Without a word.
        drop(client);
    }
    assert_eq!(String::from_utf8(all).unwrap(), expected);
    let info: ProcessInfo = agent.get("/podbay/v1/processes/t").await.ok().json();
    assert!(info.end.is_none());
}

/// A process that keeps the last bytes alone waits for nobody.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_slow_is_told_what_it_missed() {
    let agent = Agent::start().await;
    start(
        &agent,
        "stty raw -echo; echo ready; read line; seq -f %07.0f 4000000; exit 0",
    )
    .await;
    let mut client = connected(&agent, "").await;
    client.until("ready\n").await;
    client.types("\n").await;
    let ended = async {
        loop {
            let info: ProcessInfo = agent.get("/podbay/v1/processes/t").await.ok().json();
            if info.end.is_some() {
                return info.written.stdout;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let written = tokio::time::timeout(PATIENCE, ended).await.unwrap();
    let (end, _) = client.until_the_end().await;
    assert_eq!(end, ProcessEnd::Exited { code: 0 });
    assert_eq!((written, client.offset), (32_000_006, Some(32_000_006)));
    assert!(client.gaps > 0 && client.bytes.len() < 32_000_000);
    assert!(client.text().ends_with("3999999\n4000000\n"));
}

#[tokio::test]
async fn a_page_in_a_browser_presents_the_key_as_a_subprotocol() {
    let agent = Agent::start().await;
    start(&agent, "echo hello").await;
    let key = |key: &str| {
        let key = URL_SAFE_NO_PAD.encode(key);
        format!("{SUBPROTOCOL}, {KEY_SUBPROTOCOL}{key}")
    };
    let (_, response) = asked(&agent, "", &[("sec-websocket-protocol", &key(KEY))])
        .await
        .unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], SUBPROTOCOL);
    let wrong = key("another");
    for headers in [&[][..], &[("sec-websocket-protocol", wrong.as_str())]] {
        let unauthorized = (401, AgentErrorCode::Unauthorized);
        assert_eq!(refused(&agent, "", headers).await, unauthorized);
    }
    // It opens nothing else.
    let path = "/podbay/v1/processes";
    let offered = [("sec-websocket-protocol", key(KEY))];
    let headers: Vec<(&str, &str)> = offered
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let reply = agent.send(Protocol::Http1, Method::GET, path, &headers, "").await;
    reply.fails(401, AgentErrorCode::Unauthorized);
}

#[tokio::test]
async fn what_can_not_be_had_is_told_before_anything_is_opened() {
    let agent = Agent::start().await;
    assert_eq!(
        refused(&agent, "", KEYED).await,
        (404, AgentErrorCode::UnknownProcess)
    );
    start_with(&agent, json!({"shell": "echo one", "stdin": false})).await;
    let invalid = (400, AgentErrorCode::InvalidRequest);
    for query in ["?offset=1&tail=1", "?offset=x", "?offset=1000000", "?fly=true"] {
        let query = format!("{query}&read_only=true");
        assert_eq!(refused(&agent, &query, KEYED).await, invalid, "{query}");
    }
    assert_eq!(
        refused(&agent, "", KEYED).await,
        (409, AgentErrorCode::StdinClosed)
    );
    let path = "/podbay/v1/processes/t/terminal?read_only=true";
    for protocol in crate::client::BOTH {
        let reply = agent.ask(protocol, Method::GET, path, "").await;
        reply.fails(426, AgentErrorCode::UpgradeRequired);
        assert_eq!(reply.headers["sec-websocket-version"], "13");
        let reply = agent.ask(protocol, Method::HEAD, path, "").await;
        assert_eq!(reply.status, 405);
    }
    agent
        .ask(Protocol::Http1, Method::DELETE, "/podbay/v1/processes/t", "")
        .await
        .ok();
    start_with(&agent, json!({"shell": "echo two", "terminal": null})).await;
    assert_eq!(
        refused(&agent, "", KEYED).await,
        (409, AgentErrorCode::NoTerminal)
    );
}

#[tokio::test]
async fn what_makes_no_sense_ends_the_connection_and_nothing_else() {
    let agent = Agent::start().await;
    start(&agent, "echo ready; read line").await;
    for wrong in ["resize", r#"{"type":"fly"}"#, "{}"] {
        let mut client = connected(&agent, "").await;
        client.until("ready").await;
        client.socket.send(Message::text(wrong)).await.unwrap();
        let close = loop {
            match client.message().await.unwrap() {
                Message::Close(frame) => break frame.unwrap(),
                message => assert!(client.takes(message).is_none()),
            }
        };
        assert_eq!(close.code, CloseCode::Policy, "{}", close.reason);
        assert!(close.reason.contains("no JSON of a control"), "{}", close.reason);
    }
    let mut client = connected(&agent, "").await;
    client.types("\n").await;
    let (end, _) = client.until_the_end().await;
    assert_eq!(end, ProcessEnd::Exited { code: 0 });
}

/// A client that is gone without a word is found out, and one that is there stays.
#[tokio::test]
async fn clients_are_asked_whether_they_are_there() {
    let agent = Agent::start_with(|limits| limits.idle = Duration::from_millis(500)).await;
    start(&agent, "echo ready; read line").await;
    // This one reads no frames, and so answers no ping; what it finds is the end of the connection.
    let silent = connected(&agent, "").await;
    let mut stays = connected(&agent, "").await;
    stays.until("ready\r\n").await;
    let stream = silent.socket.get_ref();
    let closed = async {
        let mut all = vec![0; 1 << 16];
        loop {
            stream.readable().await.unwrap();
            match stream.try_read(&mut all) {
                Ok(0) => return,
                Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => return,
                _ => {}
            }
        }
    };
    let mut closed = std::pin::pin!(closed);
    loop {
        tokio::select! {
            message = stays.message() => assert!(matches!(message, Some(Message::Ping(_))), "{message:?}"),
            () = closed.as_mut() => break,
        }
    }
    stays.types("\n").await;
    let (end, _) = stays.until_the_end().await;
    assert_eq!(end, ProcessEnd::Exited { code: 0 });
}

/// As in a sandbox that was paused: several questions are due at once, and none was left without an answer.
#[tokio::test]
async fn an_agent_that_stood_still_keeps_who_looks_at_a_terminal() {
    let agent = Agent::start_with(|limits| limits.idle = Duration::from_millis(200)).await;
    start(&agent, "echo ready; read line").await;
    let mut client = connected(&agent, "").await;
    client.until("ready\r\n").await;
    for _ in 0..3 {
        stand_still(Duration::from_millis(700));
        let message = client.message().await;
        assert!(matches!(message, Some(Message::Ping(_))), "{message:?}");
    }
    client.types("\n").await;
    let (end, _) = client.until_the_end().await;
    assert_eq!(end, ProcessEnd::Exited { code: 0 });
}

#[tokio::test]
async fn a_server_that_ends_says_so() {
    let agent = Agent::start().await;
    start(&agent, "echo ready; read line").await;
    let mut client = connected(&agent, "").await;
    client.until("ready").await;
    let ending = agent.ends();
    let reading = async {
        while let Some(message) = client.message().await {
            if let Message::Close(frame) = message {
                return frame.unwrap().code;
            }
        }
        panic!("it ended without a word")
    };
    let ((), code) = tokio::join!(ending, reading);
    assert_eq!(code, CloseCode::Away);
}
