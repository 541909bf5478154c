//! All processes of an agent.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use podbay_protocol::{
    Offsets, ProcessId, ProcessInfo, ProcessSpec, ReaderId, Signal, SignalTarget, TerminalSize,
};

use super::error::{
    AcknowledgeError, ReadError, ResizeError, SignalError, StartRefusal, StdinError, UnknownProcess,
};
use super::reader::Piece;
use super::settings::ProcessSettings;
use crate::init::Children;

/// All processes of an agent. Cheap to clone.
#[derive(Clone)]
pub struct Processes(Arc<Shared>);

struct Shared {
    _settings: ProcessSettings,
    _children: Children,
}

/// A process that was asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Started {
    /// The process.
    pub info: ProcessInfo,
    /// Whether it was made now; else it was there, started with the same specification.
    pub created: bool,
}

/// Reads a process's output, live or after its end.
#[derive(Debug)]
pub struct OutputReader(());

impl OutputReader {
    /// The next piece; waits for one. `None` after the last.
    pub async fn next(&mut self) -> Option<Piece> {
        None
    }
}

impl Processes {
    /// No processes yet.
    pub fn new(settings: ProcessSettings, children: Children) -> Self {
        Self(Arc::new(Shared {
            _settings: settings,
            _children: children,
        }))
    }

    /// Starts a process. Must be called within a tokio runtime. Asked again with the same specification, it gives the
    /// process that is there.
    pub fn start(&self, spec: ProcessSpec) -> Result<Started, StartRefusal> {
        Err(StartRefusal::ShuttingDown { id: spec.id })
    }

    /// A process.
    pub fn info(&self, _id: &ProcessId) -> Option<ProcessInfo> {
        None
    }

    /// All processes, in the order of their start.
    pub fn list(&self) -> Vec<ProcessInfo> {
        Vec::new()
    }

    /// Drops a process's record and output. One that runs is killed with all it started.
    pub fn forget(&self, id: &ProcessId) -> Result<(), UnknownProcess> {
        Err(UnknownProcess { id: id.clone() })
    }

    /// Reads a process's output from a place in each stream. With a `reader`, a process that waits for its reader
    /// waits for this one from now on; the pieces it has taken are to be acknowledged.
    pub fn read(
        &self,
        id: &ProcessId,
        _from: Offsets,
        _reader: Option<ReaderId>,
    ) -> Result<OutputReader, ReadError> {
        Err(UnknownProcess { id: id.clone() }.into())
    }

    /// Tells how much of a process's output `reader` has taken for good.
    pub fn acknowledge(
        &self,
        id: &ProcessId,
        _reader: &ReaderId,
        _taken: Offsets,
    ) -> Result<(), AcknowledgeError> {
        Err(UnknownProcess { id: id.clone() }.into())
    }

    /// Writes to a process's standard input what of `bytes`, which begin at `offset`, it has not taken yet; waits while
    /// it is slower. Returns how much it has taken then. Dropped, it may have taken some of them.
    pub async fn write_stdin(&self, id: &ProcessId, _offset: u64, _bytes: Bytes) -> Result<u64, StdinError> {
        Err(UnknownProcess { id: id.clone() }.into())
    }

    /// Ends a process's standard input: it reads an end of file once it has read what was written. Closing it again
    /// changes nothing.
    pub async fn close_stdin(&self, id: &ProcessId) -> Result<(), StdinError> {
        Err(UnknownProcess { id: id.clone() }.into())
    }

    /// Sends a signal.
    pub fn signal(&self, id: &ProcessId, _signal: Signal, _target: SignalTarget) -> Result<(), SignalError> {
        Err(UnknownProcess { id: id.clone() }.into())
    }

    /// Sets the size of a process's terminal.
    pub fn resize(&self, id: &ProcessId, _size: TerminalSize) -> Result<(), ResizeError> {
        Err(UnknownProcess { id: id.clone() }.into())
    }

    /// Ends all processes: SIGTERM to all, after `grace` SIGKILL to what is left. None can be started any more.
    pub async fn shut_down(&self, _grace: Duration) {}
}
