//! Pods through the API server's exec: a mode of the agent's program, run in the pod, passes on what comes through its standard
//! streams.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use async_trait::async_trait;
use bytes::{Buf as _, Bytes, BytesMut};
use futures::{Stream as _, StreamExt as _};
use podbay_k8s_client::{ClusterClient, ExecEnd, ExecOutput, ExecProcess, ExecRequest};
use podbay_manifests::AGENT_PROGRAM;
use podbay_manifests::pod::CONTAINER;
use podbay_protocol::DialWay;
use podbay_protocol::agent::BRIDGE_READY;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::{DropGuard, PollSender};

use super::{BoxIo, DialError, Dialer, SandboxAddress};

/// Bytes that are sent at once, at most: what the API server passes on at once.
const PIECE: usize = 32 * 1024;
/// Bytes of the bridge's words that are kept.
const WORDS: usize = 1024;

/// Connects by a program in the pod: needs the right to exec, and that the agent's program is there.
///
/// The pod is named, not addressed, as with port-forward. What runs in the sandbox as the agent's user can see the program, and
/// where the agent was uploaded can put another one in its place; so who answers has to prove itself as anywhere else.
#[derive(Clone)]
pub struct StdioBridge {
    client: Arc<dyn ClusterClient>,
    namespace: String,
}

impl StdioBridge {
    /// For the pods of a namespace.
    pub fn new(client: Arc<dyn ClusterClient>, namespace: impl Into<String>) -> Self {
        Self {
            client,
            namespace: namespace.into(),
        }
    }
}

impl fmt::Debug for StdioBridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StdioBridge")
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Dialer for StdioBridge {
    fn way(&self) -> DialWay {
        DialWay::Stdio
    }

    async fn connect(&self, address: &SandboxAddress, port: u16) -> Result<BoxIo, DialError> {
        let request = ExecRequest {
            container: CONTAINER.to_owned(),
            argv: [AGENT_PROGRAM, "stdio", "--port", &port.to_string()]
                .map(str::to_owned)
                .into(),
            stdin: true,
            tty: false,
        };
        let begun = self
            .client
            .exec(&self.namespace, address.pod_name(), request)
            .await;
        let process = begun.map_err(|source| DialError::Refused {
            session: address.session().to_owned(),
            source: Box::new(source),
        })?;
        match BridgeStream::begin(process).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(message) => Err(DialError::Bridge {
                session: address.session().to_owned(),
                message,
            }),
        }
    }
}

/// The connection that the bridge has made, as its standard streams carry it.
struct BridgeStream {
    stdin: PollSender<Bytes>,
    stdout: ExecOutput,
    /// What has come and was not read yet.
    pending: Bytes,
    /// Ends the exec when dropped, and the bridge with it.
    _guard: DropGuard,
}

impl BridgeStream {
    /// Waits until the bridge says that it has connected. Else says in words why it has not.
    async fn begin(process: ExecProcess) -> Result<Self, String> {
        let ExecProcess {
            stdin,
            mut stdout,
            mut stderr,
            resize: _,
            signals: _,
            end,
            guard,
        } = process;
        let Some(stdin) = stdin else {
            return Err("the exec has no standard input".to_owned());
        };
        let words = async move {
            let mut words = Vec::new();
            while let Some(piece) = stderr.next().await {
                let room = WORDS.saturating_sub(words.len());
                words.extend_from_slice(&piece[..piece.len().min(room)]);
            }
            String::from_utf8_lossy(&words).trim().to_owned()
        };
        let mut came = BytesMut::new();
        while came.len() < BRIDGE_READY.len() {
            let Some(piece) = stdout.next().await else {
                let (words, end) = futures::join!(words, end);
                return Err(why(&words, &end));
            };
            came.extend_from_slice(&piece);
        }
        if came.split_to(BRIDGE_READY.len()) != BRIDGE_READY.as_bytes() {
            return Err("another program than the agent's bridge answers".to_owned());
        }
        // Its words are read on: unread ones would hold the rest up.
        tokio::spawn(async move {
            let words = words.await;
            if !words.is_empty() {
                tracing::debug!(words, "the agent's bridge ended with words");
            }
        });
        Ok(Self {
            stdin: PollSender::new(stdin.into_sender()),
            stdout,
            pending: came.freeze(),
            _guard: guard,
        })
    }
}

/// Why a bridge ended that never connected.
fn why(words: &str, end: &ExecEnd) -> String {
    match end {
        ExecEnd::NotStarted { message, .. } | ExecEnd::Lost { message } => message.clone(),
        ExecEnd::Exited { .. } | ExecEnd::Signaled { .. } if !words.is_empty() => words.to_owned(),
        ExecEnd::Exited { code } => format!("it exited with {code} and said nothing"),
        ExecEnd::Signaled { signal } => format!("signal {signal} ended it"),
    }
}

impl AsyncRead for BridgeStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.pending.is_empty() {
            match ready!(Pin::new(&mut self.stdout).poll_next(cx)) {
                Some(piece) => self.pending = piece,
                None => return Poll::Ready(Ok(())),
            }
        }
        let length = self.pending.len().min(buffer.remaining());
        buffer.put_slice(&self.pending[..length]);
        self.pending.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for BridgeStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.stdin.poll_reserve(cx)).map_err(|_| closed())?;
        let taken = bytes.len().min(PIECE);
        self.stdin
            .send_item(Bytes::copy_from_slice(&bytes[..taken]))
            .map_err(|_| closed())?;
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // What was taken is on its way.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stdin.close();
        Poll::Ready(Ok(()))
    }
}

fn closed() -> io::Error {
    io::Error::new(
        io::ErrorKind::BrokenPipe,
        "the exec that carried the connection has ended",
    )
}

#[cfg(test)]
mod tests;
