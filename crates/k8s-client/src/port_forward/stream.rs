//! A WebSocket of the protocol as a stream of bytes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use futures::{Sink as _, Stream as _};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};

use super::codec::{Decoder, ForwardEvent, encode};

/// Bytes that wait to be written at most: a few messages. Without a bound a slow server's connection would grow in our memory.
const WRITE_LIMIT: usize = 512 * 1024;

/// A connection to a port. Reading and writing wait for nothing of one another, so that a reader who stops does not stop the
/// writer.
#[derive(Debug)]
pub struct ForwardStream<S> {
    socket: WebSocketStream<S>,
    decoder: Decoder,
    /// What has come and was not read yet.
    pending: Bytes,
    ended: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> ForwardStream<S> {
    /// Takes over a connection that was upgraded to WebSocket frames.
    pub async fn new(connection: S, port: u16) -> Self {
        let config = WebSocketConfig::default()
            .write_buffer_size(0)
            .max_write_buffer_size(WRITE_LIMIT);
        Self {
            socket: WebSocketStream::from_raw_socket(connection, Role::Client, Some(config)).await,
            decoder: Decoder::new(port),
            pending: Bytes::new(),
            ended: false,
        }
    }

    /// Waits for more bytes; without any left when the other side has ended.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.pending.is_empty() && !self.ended {
            match ready!(Pin::new(&mut self.socket).poll_next(cx)) {
                Some(Ok(Message::Binary(message))) => match self.decoder.decode(message) {
                    Ok(ForwardEvent::Opened) => {}
                    Ok(ForwardEvent::Data(bytes)) => self.pending = bytes,
                    Ok(ForwardEvent::Failed(message)) => {
                        self.ended = true;
                        return Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionReset, message)));
                    }
                    Err(error) => {
                        self.ended = true;
                        return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
                    }
                },
                // Pings are answered by the socket itself; a text is nothing of the protocol's.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_) | Message::Text(_))) => {}
                Some(Ok(Message::Close(_))) | None => self.ended = true,
                Some(Err(error)) => {
                    self.ended = true;
                    return match error {
                        SocketError::ConnectionClosed | SocketError::AlreadyClosed => Poll::Ready(Ok(())),
                        error => Poll::Ready(Err(broken(error))),
                    };
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

fn broken(error: SocketError) -> io::Error {
    match error {
        SocketError::Io(error) => error,
        error => io::Error::new(io::ErrorKind::ConnectionReset, error),
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for ForwardStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_more(cx))?;
        let length = self.pending.len().min(buffer.remaining());
        buffer.put_slice(&self.pending[..length]);
        self.pending.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for ForwardStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(Pin::new(&mut self.socket).poll_ready(cx)).map_err(broken)?;
        let (message, taken) = encode(bytes);
        Pin::new(&mut self.socket)
            .start_send(Message::Binary(message))
            .map_err(broken)?;
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx).map_err(broken)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match ready!(Pin::new(&mut self.socket).poll_close(cx)) {
            // A server that closed first has what it wanted.
            Ok(()) | Err(SocketError::ConnectionClosed | SocketError::AlreadyClosed) => Poll::Ready(Ok(())),
            Err(error) => Poll::Ready(Err(broken(error))),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::{SinkExt as _, StreamExt as _};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

    use super::*;

    const PORT: u16 = 10022;

    /// Both ends: the client's stream, and the server's socket.
    async fn connected() -> (ForwardStream<DuplexStream>, WebSocketStream<DuplexStream>) {
        let (client, server) = tokio::io::duplex(4096);
        let mut server = WebSocketStream::from_raw_socket(server, Role::Server, None).await;
        let [low, high] = PORT.to_le_bytes();
        for channel in [0, 1] {
            let first = Message::binary(vec![channel, low, high]);
            server.send(first).await.unwrap();
        }
        (ForwardStream::new(client, PORT).await, server)
    }

    /// Sends back what comes, until the client closes.
    async fn echo(mut server: WebSocketStream<DuplexStream>) {
        while let Some(Ok(message)) = server.next().await {
            if message.is_binary() && server.send(message).await.is_err() {
                return;
            }
        }
    }

    #[tokio::test]
    async fn bytes_come_back_as_they_went() {
        let (client, server) = connected().await;
        let server = tokio::spawn(echo(server));
        let sent: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
        let (mut read, mut write) = tokio::io::split(client);
        let writing = async {
            write.write_all(&sent).await.unwrap();
            write.flush().await.unwrap();
        };
        let mut got = vec![0; sent.len()];
        let ((), read_back) = tokio::join!(writing, read.read_exact(&mut got));
        read_back.unwrap();
        assert!(got == sent);
        write.shutdown().await.unwrap();
        assert_eq!(read.read(&mut [0; 8]).await.unwrap(), 0);
        server.await.unwrap();
    }

    #[tokio::test]
    async fn the_servers_error_is_told_in_its_words() {
        let (mut client, mut server) = connected().await;
        server
            .send(Message::binary(b"\x01connect: connection refused".to_vec()))
            .await
            .unwrap();
        let error = client.read_u8().await.unwrap_err();
        assert_eq!(error.to_string(), "connect: connection refused");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        // And once: the stream has ended.
        assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_connection_that_breaks_off_is_no_end() {
        let (mut client, server) = connected().await;
        drop(server);
        assert!(client.read(&mut [0; 8]).await.is_err());
    }

    #[tokio::test]
    async fn a_server_that_takes_nothing_holds_up_the_writer_and_not_the_reader() {
        let (client, mut server) = connected().await;
        let (mut read, mut write) = tokio::io::split(client);
        let endless = tokio::spawn(async move { write.write_all(&vec![0; 64 << 20]).await });
        server.send(Message::binary(b"\0hi".to_vec())).await.unwrap();
        let mut got = [0; 2];
        read.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"hi");
        assert!(!endless.is_finished());
        endless.abort();
    }
}
