//! A WebSocket to a terminal of a session, through the service.

use std::io;
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::http::ask;

/// A WebSocket (RFC 6455) to a terminal in which `cat` runs.
#[derive(Debug)]
pub struct Terminal(BufReader<TcpStream>);

impl Terminal {
    /// Connects to the terminal of the session with this host and key, by the service at this address.
    #[expect(clippy::missing_errors_doc, reason = "what the connection says")]
    pub async fn open(address: &str, host: &str, key: &str) -> io::Result<Self> {
        Self::named(address, host, key, "echo").await
    }

    /// The same, of several in one session the one of this name.
    #[expect(clippy::missing_errors_doc, reason = "what the connection says")]
    pub async fn named(address: &str, host: &str, key: &str, name: &str) -> io::Result<Self> {
        let head = format!("X-Session-API-Key: {key}\r\n");
        let process = json!({
            "id": name, "argv": ["cat"], "stdin": true, "retention": "tail", "terminal": {"width": 80, "height": 24},
        });
        let path = format!("/podbay/v1/processes/{name}");
        match ask(address, ("PUT", host, &path), &head, &process.to_string()).await {
            Ok((200 | 201, _)) => {}
            other => return Err(io::Error::other(format!("{other:?}"))),
        }
        let mut stream = BufReader::new(TcpStream::connect(address).await?);
        let request = format!(
            "GET {path}/terminal HTTP/1.1\r\nHost: {host}\r\n{head}Connection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.get_mut().write_all(request.as_bytes()).await?;
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        if !line.starts_with("HTTP/1.1 101") {
            return Err(io::Error::other(line));
        }
        while line != "\r\n" {
            line.clear();
            stream.read_line(&mut line).await?;
        }
        Ok(Self(stream))
    }

    /// Types a line, and waits until it is there again. Whether it came: the other side may go away, and say so, before it does.
    #[expect(clippy::missing_errors_doc, reason = "what the connection says")]
    pub async fn echo(&mut self, line: &str) -> io::Result<bool> {
        let typed = format!("{line}\n");
        self.send(2, typed.as_bytes()).await?;
        let mut shown = Vec::new();
        // The terminal shows what is typed, and `cat` says it again.
        while String::from_utf8_lossy(&shown).matches(line).count() < 2 {
            match self.message().await? {
                Some(message) => shown.extend(message),
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Listens for so long; whether the other side has said by then that it goes away.
    #[expect(clippy::missing_errors_doc, reason = "what the connection says")]
    pub async fn ends_within(&mut self, pause: Duration) -> io::Result<bool> {
        // What has begun to come is read to its end.
        if timeout(pause, self.0.fill_buf()).await.is_err() {
            return Ok(false);
        }
        Ok(self.message().await?.is_none())
    }

    /// What a message of the terminal holds, nothing for others; `None` once the other side goes away (1001). Any other end is an error,
    /// one that was not said as well.
    async fn message(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut head = [0; 2];
        self.0.read_exact(&mut head).await?;
        let mut length = u64::from(head[1] & 127);
        if length == 126 {
            length = u64::from(self.0.read_u16().await?);
        } else if length == 127 {
            length = self.0.read_u64().await?;
        }
        let mut payload = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        self.0.read_exact(&mut payload).await?;
        match head[0] & 15 {
            2 => Ok(Some(payload)),
            8 if payload == 1001_u16.to_be_bytes() => Ok(None),
            8 => Err(io::Error::other(format!("it was closed: {payload:?}"))),
            9 => {
                self.send(10, &payload).await?;
                Ok(Some(Vec::new()))
            }
            _ => Ok(Some(Vec::new())),
        }
    }

    /// A short message, masked by nothing.
    async fn send(&mut self, opcode: u8, payload: &[u8]) -> io::Result<()> {
        let length = u8::try_from(payload.len()).map_err(io::Error::other)?;
        let mut message = vec![128 | opcode, 128 | length, 0, 0, 0, 0];
        message.extend(payload);
        self.0.get_mut().write_all(&message).await
    }
}
