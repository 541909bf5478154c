//! VS Code's server in a sandbox, as far as its sockets go: it says again what it is told, and breaks a connection when it is told to.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::frames::Frames;
use super::messages::{Message, Messages, Type};
use crate::support::{Sandbox, raw};

/// RFC 6455, 1.3: the key of its example, and what a server answers to it.
pub(super) const WEBSOCKET_KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
pub(super) const WEBSOCKET_ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
/// What makes it break the connection.
pub(super) const BREAK: &[u8] = b"break";

/// What one client and the server have said to one another, over all of its connections.
#[derive(Debug, Default)]
struct Link {
    /// The number of the last message that was heard.
    heard: u32,
    /// What was said, by number from 1 on.
    said: Vec<Vec<u8>>,
}

/// The server.
pub(super) struct Server {
    pub(super) sandbox: Sandbox,
    /// The heads of the requests that came.
    heads: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub(super) async fn start() -> Self {
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let links = Arc::<Mutex<HashMap<String, Link>>>::default();
        let seen = Arc::clone(&heads);
        let sandbox = raw(move |stream, _| serve(stream, Arc::clone(&seen), Arc::clone(&links))).await;
        Self { sandbox, heads }
    }

    pub(super) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

async fn serve(
    mut stream: TcpStream,
    heads: Arc<Mutex<Vec<String>>>,
    links: Arc<Mutex<HashMap<String, Link>>>,
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8(head).unwrap();
    let target = head.split(' ').nth(1).unwrap().to_owned();
    heads.lock().unwrap().push(head.clone());
    if !head.to_ascii_lowercase().contains("\r\nupgrade: websocket\r\n") {
        // The page.
        let page = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
        stream.write_all(page).await.unwrap();
        return;
    }
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {WEBSOCKET_ACCEPT}\r\n\
         Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
    );
    stream.write_all(answer.as_bytes()).await.unwrap();
    let query = |name: &str| {
        let (_, query) = target.split_once('?').unwrap();
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|pair| pair.0 == name).unwrap().1.to_owned()
    };
    let (token, again) = (query("reconnectionToken"), query("reconnection") == "true");
    let mut messages = Messages::over(stream, Frames::of_server());
    assert_eq!(messages.next().await.unwrap().json()["type"], "auth");
    messages
        .send(&Message::control(&json!({"type": "sign", "data": "x"})))
        .await;
    let asked = messages.next().await.unwrap().json();
    assert_eq!(asked["type"], "connectionType");
    let known = links.lock().unwrap().contains_key(&token);
    if known != again {
        messages.send(&Message::control(&json!({"type": "error"}))).await;
        return;
    }
    messages.send(&Message::control(&json!({"type": "ok"}))).await;
    let (heard, said) = {
        let mut links = links.lock().unwrap();
        let link = links.entry(token.clone()).or_default();
        (link.heard, link.said.clone())
    };
    // Nothing tells yet what the client has heard: all is sent again.
    for (id, data) in (1..).zip(said) {
        messages.send(&regular(id, heard, data)).await;
    }
    while let Some(message) = messages.next().await {
        let answer = {
            let mut links = links.lock().unwrap();
            let link = links.get_mut(&token).unwrap();
            // What comes once more was heard before.
            if message.id <= link.heard {
                continue;
            }
            assert_eq!(message.id, link.heard + 1, "a message is missing");
            link.heard = message.id;
            link.said.push(message.data.clone());
            regular(u32::try_from(link.said.len()).unwrap(), link.heard, message.data)
        };
        if answer.data == BREAK {
            return;
        }
        messages.send(&answer).await;
    }
}

pub(super) fn regular(id: u32, ack: u32, data: Vec<u8>) -> Message {
    Message {
        kind: Type::Regular,
        id,
        ack,
        data,
    }
}
