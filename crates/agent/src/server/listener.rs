//! What is listened on, and what comes of it.

use std::io;
use std::time::Duration;

use rustix::process::geteuid;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

/// When a silent connection is asked by the system whether its other side is there.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// What is listened on: a port, or a socket of this machine.
#[derive(Debug)]
pub enum Listener {
    /// A port.
    Port(TcpListener),
    /// A socket in a directory, for this user alone.
    Socket(UnixListener),
}

/// A connection.
pub(super) trait Io: AsyncRead + AsyncWrite + Unpin + Send {
    /// What the system has found wrong with it since it was asked last.
    fn take_error(&self) -> io::Result<Option<io::Error>>;
}

impl Io for TcpStream {
    fn take_error(&self) -> io::Result<Option<io::Error>> {
        Self::take_error(self)
    }
}

impl Io for UnixStream {
    fn take_error(&self) -> io::Result<Option<io::Error>> {
        Self::take_error(self)
    }
}

impl From<TcpListener> for Listener {
    fn from(port: TcpListener) -> Self {
        Self::Port(port)
    }
}

impl From<UnixListener> for Listener {
    fn from(socket: UnixListener) -> Self {
        Self::Socket(socket)
    }
}

impl Listener {
    /// The next connection; `None` is one that was turned away, since another user made it. The socket's mode keeps others out
    /// already; root passes by that.
    pub(super) async fn accept(&self) -> io::Result<Option<Box<dyn Io>>> {
        match self {
            Self::Port(port) => {
                let (stream, _) = port.accept().await?;
                prepare(&stream);
                Ok(Some(Box::new(stream)))
            }
            Self::Socket(socket) => {
                let (stream, _) = socket.accept().await?;
                let peer = stream.peer_cred()?.uid();
                if peer == geteuid().as_raw() {
                    return Ok(Some(Box::new(stream)));
                }
                tracing::warn!(user = peer, "another user's connection was refused");
                Ok(None)
            }
        }
    }
}

/// Small answers are not held back, and a dead client is found out.
fn prepare(stream: &TcpStream) {
    use rustix::net::sockopt::{set_socket_keepalive, set_tcp_keepidle};

    let prepared = stream.set_nodelay(true).and_then(|()| {
        set_socket_keepalive(stream, true)?;
        Ok(set_tcp_keepidle(stream, KEEPALIVE)?)
    });
    if let Err(error) = prepared {
        tracing::debug!(%error, "a connection could not be set up as it should be");
    }
}
