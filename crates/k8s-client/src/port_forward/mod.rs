//! The port-forward protocol: one TCP connection into a pod over one WebSocket.
//!
//! ```text
//!   codec.rs    messages <-> bytes, no I/O
//!   stream.rs   a WebSocket as a stream of bytes (feature `live`)
//! ```
//!
//! The API server's `portforward` subresource speaks it after a WebSocket upgrade with the sub-protocol
//! `v4.channel.k8s.io`. Every message is binary, and begins with the number of its channel: of the first (and here only)
//! port that was asked for, 0 has the data of both directions, 1 the text of an error, to the client.
//!
//! ```text
//!   +---------+-----------------+      first message of each channel, to the client:
//!   | channel | payload         |      the port, two bytes, little-endian
//!   | 1 byte  | the rest        |      each one after that: data, or the error's text
//!   +---------+-----------------+
//! ```
//!
//! There is no half-close: either end of the TCP connection ends the whole (containerd waits one second for the other). Idle
//! connections are kept by data alone, not by the WebSocket's pings: the API server's limit is four hours, those of load
//! balancers in between are minutes. Whoever needs either frames it in what is carried, as HTTP/2 does.
//!
//! Sources: `pkg/kubelet/cri/streaming/portforward/websocket.go` of Kubernetes (since 1.37 `cri-streaming`);
//! `internal/cri/server/sandbox_portforward_linux.go` of containerd.

mod codec;
#[cfg(feature = "live")]
mod stream;

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub use codec::{Decoder, ForwardEvent, ForwardProtocolError, MESSAGE_LIMIT, encode};
#[cfg(feature = "live")]
pub use stream::ForwardStream;

/// A connection to a port of a pod.
pub struct PortForward(Box<dyn Connection>);

trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

impl PortForward {
    /// A connection over whatever carries it.
    pub fn new(connection: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        Self(Box::new(connection))
    }
}

impl fmt::Debug for PortForward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PortForward").finish_non_exhaustive()
    }
}

impl AsyncRead for PortForward {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for PortForward {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
