//! A process as its caller holds it.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::Stream;
use futures::future::BoxFuture;
use podbay_protocol::TerminalSize;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::DropGuard;

/// A running process.
///
/// Dropping it (or its [`Process::guard`]) gives it up: it is killed with all its descendants.
pub struct Process {
    /// Its standard input, if asked for.
    pub stdin: Option<Input>,
    /// Its standard output.
    pub stdout: Output,
    /// Its standard error; with a terminal, an empty stream.
    pub stderr: Output,
    /// The terminal's size, if it has one.
    pub resize: Option<watch::Sender<TerminalSize>>,
    /// Signals for it, by number; its descendants do not get them. One that has ended gets none.
    pub signals: mpsc::UnboundedSender<i32>,
    /// How it ends. Resolves only after all output was handed to (or refused by) the readers' queues.
    pub end: BoxFuture<'static, ProcessEnd>,
    /// Gives the process up when dropped.
    pub guard: DropGuard,
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process").finish_non_exhaustive()
    }
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProcessEnd {
    /// It exited.
    Exited {
        /// The exit code.
        code: i32,
    },
    /// A signal ended it.
    Signaled {
        /// The signal's number.
        signal: i32,
    },
    /// How it ended is not known, and output may be missing. Never to be taken for success.
    Lost {
        /// What was seen of it.
        message: String,
    },
}

/// A process's standard input. Dropping it, or [`Input::close`], gives the process an end of file once all that was
/// written has been handed over.
#[derive(Debug)]
pub struct Input(mpsc::Sender<Bytes>);

impl Input {
    pub(crate) const fn new(sender: mpsc::Sender<Bytes>) -> Self {
        Self(sender)
    }

    /// Writes; waits while the process is slower.
    pub async fn write(&self, bytes: Bytes) -> Result<(), InputClosed> {
        self.0.send(bytes).await.map_err(|_| InputClosed)
    }

    /// Ends the input.
    pub fn close(self) {}

    /// The queue behind it; dropping the sender ends the input.
    pub fn into_sender(self) -> mpsc::Sender<Bytes> {
        self.0
    }
}

/// The process no longer reads its standard input, or has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the process no longer reads its standard input")]
pub struct InputClosed;

/// A process's output stream.
#[derive(Debug)]
pub struct Output {
    /// `None` if it never carries anything.
    pieces: Option<mpsc::Receiver<Bytes>>,
    cut: Arc<AtomicBool>,
}

impl Output {
    pub(crate) fn new(receiver: mpsc::Receiver<Bytes>) -> Self {
        Self {
            pieces: Some(receiver),
            cut: Arc::default(),
        }
    }

    /// A stream that has ended.
    pub(crate) fn empty() -> Self {
        Self {
            pieces: None,
            cut: Arc::default(),
        }
    }

    /// Whether its end was not seen: the process exited and left another one behind that kept the stream open, and
    /// waiting for that one was cut short. To be asked once the stream has ended.
    pub fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Acquire)
    }

    /// What [`Output::is_cut`] will tell.
    pub fn cut(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.cut)
    }
}

impl Stream for Output {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match &mut self.pieces {
            Some(receiver) => receiver.poll_recv(cx),
            None => Poll::Ready(None),
        }
    }
}
