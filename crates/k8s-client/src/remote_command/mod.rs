//! The remote-command protocol: a command's streams over one WebSocket.
//!
//! ```text
//!   codec.rs     frames <-> events, no I/O        status.rs    how the command ended, from the status frame
//!   queue.rs     one output stream, bounded       spool.rs     where a queue overflows to: an unlinked file
//!   liveness.rs  whether silence means loss       driver.rs    attach(): the task between socket and queues
//!   reader.rs    socket -> queues                 writer.rs    input, sizes, pings -> socket
//!   window.rs    how much input may be on its way
//! ```
//!
//! The codec is always there; what drives a connection with it belongs to the feature `live`.
//!
//! # The protocol
//!
//! The API server's `exec` subresource speaks it after a WebSocket upgrade with the sub-protocol
//! `v5.channel.k8s.io` (Kubernetes 1.30 and later, KEP-4006) or `v4.channel.k8s.io`. Every message is binary:
//!
//! ```text
//!   +---------+------------------------+
//!   | channel | payload                |      first byte      direction   payload
//!   | 1 byte  | the rest of the frame  |      0   stdin       to server   bytes
//!   +---------+------------------------+      1   stdout      to client   bytes
//!                                             2   stderr      to client   bytes; not with a terminal
//!                                             3   status      to client   one metav1.Status, JSON
//!                                             4   resize      to server   {"Width":80,"Height":24}
//!                                             255 close       both, v5    one byte: the channel that ends
//! ```
//!
//! A frame without payload marks a channel as open and says nothing. The end of standard input is the frame
//! `[255, 0]`; version 4 has no such thing, which is why a request with standard input is refused there.
//! The status frame tells the exit code; the server closes the connection after it. A connection that ends
//! without a status tells nothing of the command: [`ExecEnd::Lost`](crate::exec::ExecEnd::Lost).
//!
//! Sources: KEP-4006; `pkg/util/proxy/websocket.go` and `streamtranslator.go` of `k8s.io/apiserver`;
//! `tools/remotecommand/{websocket,v4,v5}.go` of `k8s.io/client-go`;
//! `pkg/util/remotecommand/constants.go` of `k8s.io/apimachinery`.
//!
//! # What the protocol can't tell
//!
//! A success is as good as the API server's knowledge. Where it translates to the kubelet's SPDY connection
//! (before 1.36, or with `ExtendWebSocketsToKubelet` off) and that connection closes without a status, client-go's
//! `watchErrorStream` takes the empty error stream for success, and the client is sent `Success` with output
//! cut short. Nothing on this side of the API server shows it: whoever must be sure of the bytes frames them
//! end to end, with length and hash.

mod codec;
#[cfg(feature = "live")]
mod driver;
#[cfg(all(fuzzing, feature = "live"))]
pub mod fuzzing;
#[cfg(feature = "live")]
mod liveness;
#[cfg(feature = "live")]
mod queue;
#[cfg(feature = "live")]
mod reader;
#[cfg(feature = "live")]
mod spool;
mod status;
#[cfg(feature = "live")]
mod window;
#[cfg(feature = "live")]
mod writer;

pub use codec::{
    Channel, Codec, Decoder, Event, OutputChannel, Protocol, ProtocolError, Refusal, ResizeEncoder,
    STDIN_CHUNK, StdinEncoder, StdinFrames, Streams,
};
#[cfg(feature = "live")]
pub use driver::{DriverOptions, attach};
#[cfg(feature = "live")]
pub use queue::MEMORY_LIMIT;
#[cfg(feature = "live")]
pub use reader::LINGER;
pub use status::{Ending, StatusError, conclude, parse_status};
