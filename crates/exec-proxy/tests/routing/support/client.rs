//! A client that sends bytes as a test writes them.

use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::host;

/// More than any answer of a test takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    /// What was read and belongs to what comes next.
    read: Vec<u8>,
}

/// The head of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) fields: Vec<(String, String)>,
}

impl Head {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.fields
            .iter()
            .find(|field| field.0 == name)
            .map(|field| field.1.as_str())
    }

    /// The cookie that a browser has after it.
    pub(crate) fn cookie(&self) -> &str {
        self.get("set-cookie").unwrap().split(';').next().unwrap()
    }

    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields
            .iter()
            .filter(move |field| field.0 == name)
            .map(|field| field.1.as_str())
    }
}

/// A request for the session's server.
pub(crate) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", host())
}

/// A request for a WebSocket of the session's server.
pub(crate) fn upgrade(path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n",
        host()
    )
}

/// A client that knows that the service speaks HTTP/2, and what drives its connection.
pub(crate) async fn http2(address: SocketAddr) -> (SendRequest<Full<Bytes>>, JoinHandle<()>) {
    let stream = TcpStream::connect(address).await.unwrap();
    let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    let connection = tokio::spawn(async move {
        let _ = connection.await;
    });
    (sender, connection)
}

/// All of a body.
pub(crate) async fn text(body: Incoming) -> String {
    let body = body.collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            read: Vec::new(),
        }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Sends, and reads the answer.
    pub(crate) async fn ask(&mut self, bytes: impl AsRef<[u8]>) -> (Head, String) {
        self.send(bytes).await;
        self.answer().await
    }

    /// The next answer.
    pub(crate) async fn answer(&mut self) -> (Head, String) {
        let head = self.head().await.expect("no answer");
        let body = self.body(&head).await;
        (head, String::from_utf8_lossy(&body).into_owned())
    }

    /// The head of the next answer; `None` if the connection ends before it.
    pub(crate) async fn head(&mut self) -> Option<Head> {
        let end = loop {
            if let Some(at) = self.read.windows(4).position(|window| window == b"\r\n\r\n") {
                break at;
            }
            if !self.more().await {
                return None;
            }
        };
        let head: Vec<u8> = self.read.drain(..end + 4).collect();
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let fields = lines
            .map(|line| line.split_once(':').unwrap())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        Some(Head { status, fields })
    }

    async fn body(&mut self, head: &Head) -> Vec<u8> {
        if head.get("transfer-encoding") == Some("chunked") {
            let mut body = Vec::new();
            loop {
                let line = self.line().await;
                let length = usize::from_str_radix(line.split(';').next().unwrap(), 16).unwrap();
                let chunk = self.exactly(length + 2).await;
                if length == 0 {
                    return body;
                }
                body.extend_from_slice(&chunk[..length]);
            }
        }
        match head.get("content-length") {
            Some(length) => self.exactly(length.parse().unwrap()).await,
            None if head.status == 101 || head.status == 204 => Vec::new(),
            None => self.rest().await,
        }
    }

    async fn line(&mut self) -> String {
        loop {
            if let Some(at) = self.read.windows(2).position(|window| window == b"\r\n") {
                let line: Vec<u8> = self.read.drain(..at + 2).collect();
                return String::from_utf8(line[..at].to_vec()).unwrap();
            }
            assert!(self.more().await, "cut");
        }
    }

    /// So many bytes.
    pub(crate) async fn exactly(&mut self, count: usize) -> Vec<u8> {
        while self.read.len() < count {
            assert!(
                self.more().await,
                "cut after {} of {count} bytes",
                self.read.len()
            );
        }
        self.read.drain(..count).collect()
    }

    /// All until the end of the connection.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        while self.more().await {}
        std::mem::take(&mut self.read)
    }

    /// Whether more came.
    async fn more(&mut self) -> bool {
        let mut piece = vec![0; 64 << 10];
        let read = timeout(PATIENCE, self.stream.read(&mut piece))
            .await
            .expect("nothing comes");
        // A reset ends it, too.
        let count = read.unwrap_or(0);
        self.read.extend_from_slice(&piece[..count]);
        count > 0
    }
}
