//! One connection of the server: requests in, the acts of their answers out.

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::answer::Act;
use super::server::State;

/// A request as the server saw it.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// The connection it came on, from 0.
    pub(crate) connection: usize,
    /// `METHOD path?query HTTP/1.1`.
    pub(crate) line: String,
    head: String,
}

impl Request {
    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    /// Whether it is a watch.
    pub(crate) fn is_watch(&self) -> bool {
        self.line.contains("watch=true")
    }
}

/// A connection, with TLS or without.
pub(crate) trait Connection: AsyncRead + AsyncWrite + Send + Unpin {
    /// Makes the end of it a reset (RST), which also throws away what the client has not read.
    fn reset(&self);
}

impl Connection for TcpStream {
    fn reset(&self) {
        self.set_zero_linger().unwrap();
    }
}

impl Connection for TlsStream<TcpStream> {
    fn reset(&self) {
        self.get_ref().0.set_zero_linger().unwrap();
    }
}

/// Answers requests until the connection ends.
pub(crate) async fn serve(mut stream: Box<dyn Connection>, number: usize, state: &State) {
    let mut buffer = Vec::new();
    while let Some(request) = read(&mut *stream, &mut buffer, number).await {
        for act in state.answer(request).acts {
            if !perform(&mut *stream, act).await {
                return;
            }
        }
    }
}

/// Whether the connection goes on after `act`.
async fn perform(stream: &mut dyn Connection, act: Act) -> bool {
    match act {
        Act::Send(bytes) => stream.write_all(&bytes).await.is_ok() && stream.flush().await.is_ok(),
        Act::Drip(bytes, size) => {
            for piece in bytes.chunks(size) {
                if stream.write_all(piece).await.is_err() || stream.flush().await.is_err() {
                    return false;
                }
                // Lets the client, on the same thread, read this piece before the next is there.
                tokio::task::yield_now().await;
            }
            true
        }
        Act::Flood(bytes) => {
            while stream.write_all(&bytes).await.is_ok() {}
            false
        }
        Act::Until(gate) => {
            gate.notified().await;
            true
        }
        Act::Stall => std::future::pending().await,
        Act::Close => false,
        Act::Reset => {
            stream.reset();
            false
        }
    }
}

/// Reads one request with its body.
async fn read(stream: &mut dyn Connection, buffer: &mut Vec<u8>, connection: usize) -> Option<Request> {
    let mut piece = [0; 8192];
    let head = loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break String::from_utf8(buffer.drain(..end + 4).collect()).unwrap();
        }
        let n = stream.read(&mut piece).await.ok().filter(|n| *n > 0)?;
        buffer.extend_from_slice(&piece[..n]);
    };
    let request = Request {
        connection,
        line: head.lines().next().unwrap().to_owned(),
        head,
    };
    let length = request.header("content-length").map_or(0, |n| n.parse().unwrap());
    while buffer.len() < length {
        let n = stream.read(&mut piece).await.ok().filter(|n| *n > 0)?;
        buffer.extend_from_slice(&piece[..n]);
    }
    buffer.drain(..length);
    Some(request)
}
