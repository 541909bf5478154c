//! Connections to what listens in a sandbox.
//!
//! ```text
//!   address.rs       which sandbox: made after it is known whose pod it is (pure)
//!   pod_ip.rs        by the pod's address, from within the cluster
//!   port_forward.rs  through the API server, from outside
//!   stdio.rs         through the API server's exec, by a program in the pod
//!   loopback.rs      on this machine, for local sessions
//!   unix_socket.rs   the agent of a local session
//!   ways.rs          which of them there are, and in which order they are tried
//! ```
//!
//! Nothing above knows which way is gone.

mod address;
mod loopback;
mod pod_ip;
mod port_forward;
mod stdio;
mod unix_socket;
mod ways;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use podbay_k8s_client::Error as ClientError;
use podbay_protocol::{DialWay, ErrorCode};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::error::code_of;

pub use address::{NotItsPod, SandboxAddress};
pub use loopback::Loopback;
pub use pod_ip::PodIp;
pub use port_forward::PortForwarding;
pub use stdio::StdioBridge;
pub(crate) use unix_socket::UnixSocket;
pub(crate) use ways::Ways;

/// How long a connection may take to be made, unless told otherwise.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A stream of bytes in both directions.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A connection.
pub type BoxIo = Box<dyn Io>;

/// Makes connections to sandboxes.
#[async_trait]
pub trait Dialer: Send + Sync {
    /// Which way it goes.
    fn way(&self) -> DialWay;

    /// Connects to a port of the sandbox. What answers is whoever has the sandbox's address now: a pod's address may have
    /// been given to another pod since, so whoever sends a secret has the other side prove itself first.
    async fn connect(&self, address: &SandboxAddress, port: u16) -> Result<BoxIo, DialError>;
}

/// Why a connection could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// The pod has no address yet, or none any longer.
    #[error("session {session:?}: pod {pod} has no address")]
    NoAddress {
        /// The session's id.
        session: String,
        /// The pod.
        pod: String,
    },
    /// Nothing listens there, or the network has no way to it.
    #[error("session {session:?}: no connection to {address}")]
    Unreachable {
        /// The session's id.
        session: String,
        /// Where.
        address: SocketAddr,
        /// The system's own words.
        #[source]
        source: io::Error,
    },
    /// Nobody listens on the socket of a session on this machine, or somebody else does.
    #[error("session {session:?}: no connection to {}", path.display())]
    Socket {
        /// The session's id.
        session: String,
        /// The socket.
        path: PathBuf,
        /// The system's own words.
        #[source]
        source: io::Error,
    },
    /// The cluster makes no such connection.
    #[error("session {session:?}: no connection to its pod through the API server")]
    Refused {
        /// The session's id.
        session: String,
        /// What the cluster said.
        #[source]
        source: Box<ClientError>,
    },
    /// The program in the pod that would pass the connection's bytes on could not be run, or could not connect either.
    #[error("session {session:?}: no connection by the agent's bridge in its pod: {message}")]
    Bridge {
        /// The session's id.
        session: String,
        /// The words of the program, or of who should have started it.
        message: String,
    },
    /// Nobody answered. A network policy that lets nothing in looks like this.
    #[error("session {session:?}: no answer from {address} within {seconds} s")]
    TimedOut {
        /// The session's id.
        session: String,
        /// Where.
        address: SocketAddr,
        /// How long was waited, in seconds.
        seconds: f64,
    },
}

impl DialError {
    /// Whether the sandbox was reached, and nothing listens on the port.
    pub fn is_refusal_of_sandbox(&self) -> bool {
        matches!(self, Self::Unreachable { source, .. } if source.kind() == io::ErrorKind::ConnectionRefused)
    }

    /// The stable code.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Refused { source, .. } => code_of(source.kind),
            Self::NoAddress { .. } => ErrorCode::NotReady,
            Self::Unreachable { .. } | Self::Bridge { .. } | Self::Socket { .. } => ErrorCode::Unavailable,
            Self::TimedOut { .. } => ErrorCode::Timeout,
        }
    }
}

/// How long a connection is silent before the system asks whether the sandbox is still there.
const KEEPALIVE: TcpKeepalive = TcpKeepalive::new().with_time(Duration::from_secs(30));

/// Connects by TCP within `timeout`.
async fn connect(
    sandbox: &SandboxAddress,
    address: SocketAddr,
    timeout: Duration,
) -> Result<BoxIo, DialError> {
    let session = || sandbox.session().to_owned();
    match tokio::time::timeout(timeout, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => {
            // Small requests go out at once. A socket that refuses that works all the same.
            let _ = stream.set_nodelay(true);
            // A node that is lost closes nothing, and what is open may be silent for hours.
            let _ = SockRef::from(&stream).set_tcp_keepalive(&KEEPALIVE);
            Ok(Box::new(stream))
        }
        Ok(Err(source)) => Err(DialError::Unreachable {
            session: session(),
            address,
            source,
        }),
        Err(_) => Err(DialError::TimedOut {
            session: session(),
            address,
            seconds: timeout.as_secs_f64(),
        }),
    }
}

#[cfg(test)]
mod tests;
