//! The processes of a session.

use std::any::Any;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use futures::Stream;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use podbay_protocol::{
    End, EndRecord, Offsets, ProcessId, ProcessInfo, ProcessSpec, Signal, SignalTarget, TerminalSize, Verdict,
};

use super::capabilities::Capabilities;
use crate::error::ProcessError;

/// Starts processes in a session and reaches them.
///
/// A process is named by its caller and has two outputs, each a log of bytes with offsets, a standard input that is written
/// at offsets, and a record of its end. How much of that outlives a connection, [`ProcessTransport::capabilities`] tells.
#[async_trait]
pub trait ProcessTransport: Send + Sync {
    /// What this transport can do.
    fn capabilities(&self) -> Capabilities;

    /// Starts a process and attaches to its outputs from their beginning. With [`Capabilities::repeated_start`], a process
    /// of this id and specification that is there already is attached to; without, an id that this transport already has is
    /// refused as [`ProcessError::IdTaken`]. A program that can't be started is no error, but an end.
    async fn start(&self, spec: ProcessSpec) -> Result<Attachment, ProcessError>;

    /// Attaches to a process, from these offsets on. Needs [`Capabilities::reattach`].
    async fn attach(&self, id: &ProcessId, from: Offsets) -> Result<Attachment, ProcessError>;

    /// The same as an onlooker: the process does not wait for who reads so, and keeps for others what he has read. He who is too
    /// slow for it meets [`ProcessError::OutputGone`]. Needs [`Capabilities::reattach`].
    async fn watch(&self, id: &ProcessId, from: Offsets) -> Result<Attachment, ProcessError> {
        self.attach(id, from).await
    }

    /// What is known of a process now. Needs [`Capabilities::list`].
    async fn info(&self, id: &ProcessId) -> Result<ProcessInfo, ProcessError> {
        let all = self.list().await?;
        let found = all.into_iter().find(|info| info.id == *id);
        found.ok_or_else(|| ProcessError::Unknown { id: id.clone() })
    }

    /// Writes to the standard input, of which `offset` bytes were written before, and waits while the process is slower.
    /// Returns how many bytes the input has then: what came before the first of `bytes` that is not taken.
    ///
    /// Where [`Capabilities::stdin_pieces`] allows it, several may be called at once, one behind the other; which one arrives
    /// first does not matter. One that came too early is answered with less than it offered.
    ///
    /// With [`Capabilities::stdin_offsets`] the same can be written again: what the process has is not given to it twice.
    /// Without, `offset` must be where the last call ended.
    async fn write(&self, id: &ProcessId, offset: u64, bytes: Bytes) -> Result<u64, ProcessError>;

    /// Ends the standard input, once all that was written is there.
    async fn close_stdin(&self, id: &ProcessId) -> Result<(), ProcessError>;

    /// Tells the process's terminal its size; does nothing without a terminal.
    async fn resize(&self, id: &ProcessId, size: TerminalSize) -> Result<(), ProcessError>;

    /// Sends a signal. KILL for the whole tree is possible everywhere.
    async fn signal(&self, id: &ProcessId, signal: Signal, target: SignalTarget) -> Result<(), ProcessError>;

    /// All processes of the session that are running or kept. Needs [`Capabilities::list`].
    async fn list(&self) -> Result<Vec<ProcessInfo>, ProcessError>;

    /// Gives up what is kept of a process; one that still runs is given up as by dropping its [`Attachment`].
    async fn forget(&self, id: &ProcessId) -> Result<(), ProcessError>;

    /// What to report of how the process ended, and the verdict where the infrastructure is the reason: looks at what carried
    /// the process where the end alone does not tell. `end` is what the last [`Attachment::end`] said.
    async fn conclude(&self, id: &ProcessId, end: AttachmentEnd) -> (End, Option<Verdict>);
}

/// A connection to a process.
///
/// Dropping it detaches. What becomes of the process then is the transport's matter: one without
/// [`Capabilities::reattach`] gives it up.
pub struct Attachment {
    /// The process's standard output.
    pub stdout: Output,
    /// Its standard error; with a terminal, an empty stream.
    pub stderr: Output,
    /// How it ends. Resolves only after all output was handed to the readers.
    pub end: BoxFuture<'static, AttachmentEnd>,
    /// Detaches when dropped.
    pub guard: Box<dyn Any + Send + Sync>,
}

impl fmt::Debug for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attachment").finish_non_exhaustive()
    }
}

/// How a connection to a process ended.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum AttachmentEnd {
    /// The process ended, and all its output has come.
    Ended(EndRecord),
    /// The connection was lost: nothing is known of the process, and output may be missing. Never to be taken for success.
    Lost {
        /// What was seen of it.
        message: String,
    },
}

/// A piece of an output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// How many bytes of the output come before it.
    pub offset: u64,
    /// The bytes.
    pub bytes: Bytes,
}

/// An output of a process. It ends when the process closed it, and also when the connection is lost:
/// [`Attachment::end`] tells which.
pub struct Output {
    chunks: BoxStream<'static, Chunk>,
    cut: Arc<AtomicBool>,
}

impl Output {
    /// An output from its pieces. `cut` tells, once the stream has ended, whether it was given up before its own end.
    pub fn new(chunks: impl Stream<Item = Chunk> + Send + 'static, cut: Arc<AtomicBool>) -> Self {
        Self {
            chunks: Box::pin(chunks),
            cut,
        }
    }

    /// Whether the output was given up before its own end, because a process that the ended one left behind kept it open.
    /// To be asked once the stream has ended.
    pub fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Acquire)
    }
}

impl Stream for Output {
    type Item = Chunk;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.chunks.as_mut().poll_next(cx)
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Output")
    }
}
