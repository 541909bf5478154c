//! A command in a container, as its caller sees it: whatever carries it (the API server's exec subresource,
//! a local process), the semantics are these.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::Stream;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
pub use podbay_protocol::TerminalSize;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::DropGuard;

/// What to run, and with which streams (`PodExecOptions` of the core API).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecRequest {
    /// The container's name.
    pub container: String,
    /// Program and arguments; no shell is involved. Stands in URLs and audit logs: no secrets.
    pub argv: Vec<String>,
    /// Whether the command gets a standard input to write to; without, it reads an end of file at once.
    pub stdin: bool,
    /// Whether it gets a terminal. Standard error then comes on standard output.
    pub tty: bool,
}

/// A running command.
///
/// Dropping it (or its [`ExecProcess::guard`]) gives the command up: the connection is closed, and what
/// becomes of the process is the carrier's matter.
pub struct ExecProcess {
    /// Its standard input, if asked for.
    pub stdin: Option<ExecStdin>,
    /// Its standard output.
    pub stdout: ExecOutput,
    /// Its standard error; with a terminal, an empty stream.
    pub stderr: ExecOutput,
    /// The terminal's size, if it has one.
    pub resize: Option<watch::Sender<TerminalSize>>,
    /// Signals for the command, by number; `None` where its carrier has no way for them.
    pub signals: Option<mpsc::UnboundedSender<i32>>,
    /// How it ends. Resolves only after all output was handed to (or refused by) the readers' queues.
    pub end: BoxFuture<'static, ExecEnd>,
    /// Gives the command up when dropped.
    pub guard: DropGuard,
}

impl fmt::Debug for ExecProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecProcess").finish_non_exhaustive()
    }
}

/// How a command ended, as far as its carrier can tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExecEnd {
    /// It exited, and all its output arrived. Over Kubernetes a signal n shows as code `128 + n`.
    Exited {
        /// The exit code.
        code: i32,
    },
    /// A signal ended it, and all its output arrived. Only carriers that can tell say so.
    Signaled {
        /// The signal's number.
        signal: i32,
    },
    /// It could not be started: the runtime's own words.
    NotStarted {
        /// The `reason` of the status, or an errno's name.
        reason: String,
        /// The `message` of the status.
        message: String,
    },
    /// The connection ended without word of the command: how it ended is not known, and output may be
    /// missing. Never to be taken for success.
    Lost {
        /// What was seen of it.
        message: String,
    },
}

impl fmt::Display for ExecEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited { code } => write!(f, "exit code {code}"),
            Self::Signaled { signal } => write!(f, "signal {signal}"),
            Self::NotStarted { reason, message } => {
                write!(f, "it could not be started: {message} ({reason})")
            }
            Self::Lost { message } => write!(f, "the connection was lost: {message}"),
        }
    }
}

/// A command's standard input. Dropping it, or [`ExecStdin::close`], gives the command an end of file once
/// all that was written has been sent.
#[derive(Debug)]
pub struct ExecStdin(mpsc::Sender<Bytes>);

impl ExecStdin {
    /// A standard input whose bytes go to `sender`; a dropped sender means end of file.
    pub const fn new(sender: mpsc::Sender<Bytes>) -> Self {
        Self(sender)
    }

    /// Writes; waits while the command (or the network) is slower.
    pub async fn write(&self, bytes: Bytes) -> Result<(), StdinClosed> {
        self.0.send(bytes).await.map_err(|_| StdinClosed)
    }

    /// Ends the input.
    pub fn close(self) {}

    /// What the bytes go to, for who writes by polling; dropping it ends the input.
    pub fn into_sender(self) -> mpsc::Sender<Bytes> {
        self.0
    }
}

/// The command no longer reads its standard input, or has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the command no longer reads its standard input")]
pub struct StdinClosed;

/// A command's output stream. It ends when the command closed it, and also when the connection is lost:
/// [`ExecProcess::end`] tells which.
pub struct ExecOutput {
    pieces: BoxStream<'static, Bytes>,
    cut: Arc<AtomicBool>,
}

impl ExecOutput {
    /// Output from a stream of its pieces.
    pub fn new(stream: impl Stream<Item = Bytes> + Send + 'static) -> Self {
        Self {
            pieces: Box::pin(stream),
            cut: Arc::default(),
        }
    }

    /// The same stream, of which `cut` tells once it has ended whether its carrier stopped to read it before its end.
    #[must_use]
    pub fn cut_as(self, cut: Arc<AtomicBool>) -> Self {
        Self { cut, ..self }
    }

    /// Whether the carrier stopped to read the stream before its end, because a process that the command left behind
    /// kept it open. To be asked once the stream has ended.
    pub fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Acquire)
    }
}

impl Stream for ExecOutput {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.pieces.as_mut().poll_next(cx)
    }
}

impl fmt::Debug for ExecOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExecOutput")
    }
}
