//! The stream of a connection, watched for how it ends: whether its client has what was written on it.
//!
//! A client that has read everything and closes its connection sends the end of its stream (FIN). One that closes it with
//! something unread in its socket, or that is gone when more arrives, has its system send a reset (RFC 9293, 3.10.4 and
//! 3.10.7.1; RFC 1122, 4.2.2.13). On a socket of this machine the kernel tells the same. So a connection that ends in order has
//! delivered what was written on it, and one that is reset may not have.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::time::{sleep, timeout};

use super::connection::Connection;
use super::listener::Io;
use crate::action::Ending;

/// How long a reset takes at most to come back for what was on its way when the client closed: a round trip.
const ROUND_TRIP: Duration = Duration::from_millis(200);
/// How long a client may take to close after this side has, for its end to say something.
const LINGER: Duration = Duration::from_secs(2);

/// The stream of a connection. Dropped, it is given to the connection, which asks how it ended.
pub(super) struct Watched {
    /// There until it is dropped.
    io: Option<Box<dyn Io>>,
    ended: Option<Ending>,
    connection: Arc<Connection>,
}

/// A stream on which nothing is read or written any longer.
pub(super) struct Closed {
    io: Box<dyn Io>,
    ended: Option<Ending>,
}

impl Watched {
    /// The stream of this connection.
    pub(super) fn new(io: Box<dyn Io>, connection: Arc<Connection>) -> Self {
        Self {
            io: Some(io),
            ended: None,
            connection,
        }
    }

    fn io(&mut self) -> io::Result<Pin<&mut Box<dyn Io>>> {
        self.io.as_mut().map(Pin::new).ok_or_else(closed)
    }

    fn watch<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        if result.is_err() {
            self.ended = Some(Ending::Broken);
        }
        result
    }
}

fn closed() -> io::Error {
    io::ErrorKind::NotConnected.into()
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some(io) = self.io.take() {
            let ended = self.ended;
            self.connection.is_closed(Closed { io, ended });
        }
    }
}

impl Closed {
    /// Waits until it is certain how the connection ended, a few seconds at most.
    pub(super) async fn ending(mut self) -> Ending {
        if self.ended.is_none() {
            // This side has closed it. What the client does then tells whether it had read all.
            let rest = async {
                while self.io.read(&mut [0; 1024]).await? > 0 {}
                io::Result::Ok(())
            };
            match timeout(LINGER, rest).await {
                Ok(Err(_)) => return Ending::Broken,
                // It is open still: what it had so long it has read.
                Err(_) => return Ending::InOrder,
                Ok(Ok(())) => {}
            }
        }
        if self.ended != Some(Ending::Broken) {
            sleep(ROUND_TRIP).await;
            if matches!(self.io.take_error(), Ok(None)) {
                return Ending::InOrder;
            }
        }
        Ending::Broken
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = ready!(self.io()?.poll_read(cx, buffer));
        let is_end = buffer.filled().len() == before && buffer.remaining() > 0;
        if read.is_ok() && is_end && self.ended.is_none() {
            self.ended = Some(Ending::InOrder);
        }
        Poll::Ready(self.watch(read))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(self.io()?.poll_write(cx, bytes));
        Poll::Ready(self.watch(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = ready!(self.io()?.poll_flush(cx));
        if flushed.is_ok() {
            // Both servers flush when all that they had is written.
            self.connection.flushed();
        }
        Poll::Ready(self.watch(flushed))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = ready!(self.io()?.poll_shutdown(cx));
        Poll::Ready(self.watch(shut))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(self.io()?.poll_write_vectored(cx, parts));
        Poll::Ready(self.watch(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.as_ref().is_some_and(AsyncWrite::is_write_vectored)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::{TcpListener, TcpStream, UnixStream};

    use super::*;

    /// The server's side of a connection, and the client's.
    async fn tcp() -> (Box<dyn Io>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        (Box::new(server), client)
    }

    fn open(io: Box<dyn Io>) -> Closed {
        Closed { io, ended: None }
    }

    #[tokio::test]
    async fn one_who_has_read_all_closes_in_order() {
        let (mut io, mut client) = tcp().await;
        io.write_all(b"answer").await.unwrap();
        client.read_exact(&mut [0; 6]).await.unwrap();
        drop(client);
        assert_eq!(open(io).ending().await, Ending::InOrder);

        let (server, mut client) = UnixStream::pair().unwrap();
        let mut io: Box<dyn Io> = Box::new(server);
        io.write_all(b"answer").await.unwrap();
        client.read_exact(&mut [0; 6]).await.unwrap();
        drop(client);
        assert_eq!(open(io).ending().await, Ending::InOrder);
    }

    #[tokio::test]
    async fn one_who_has_not_read_all_breaks_it() {
        let (mut io, client) = tcp().await;
        io.write_all(b"answer").await.unwrap();
        client.readable().await.unwrap();
        drop(client);
        assert_eq!(open(io).ending().await, Ending::Broken);

        let (server, client) = UnixStream::pair().unwrap();
        let mut io: Box<dyn Io> = Box::new(server);
        io.write_all(b"answer").await.unwrap();
        drop(client);
        assert_eq!(open(io).ending().await, Ending::Broken);
    }

    /// The client's end and the answer pass each other on their way.
    #[tokio::test]
    async fn what_comes_to_a_client_that_is_gone_was_not_read() {
        let (mut io, client) = tcp().await;
        drop(client);
        assert_eq!(io.read(&mut [0; 1]).await.unwrap(), 0);
        io.write_all(b"answer").await.unwrap();
        let ended = Some(Ending::InOrder);
        assert_eq!(Closed { io, ended }.ending().await, Ending::Broken);
    }

    #[tokio::test(start_paused = true)]
    async fn one_who_stays_has_read_it() {
        let (mut io, client) = tcp().await;
        io.write_all(b"answer").await.unwrap();
        io.shutdown().await.unwrap();
        assert_eq!(open(io).ending().await, Ending::InOrder);
        drop(client);
    }
}
