//! A process in memory whose connections fail as a script says.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _, stream};
use podbay_k8s_client::{Error as ClientError, ErrorKind};
use podbay_protocol::{
    End, EndRecord, Offsets, ProcessEnd, ProcessId, ProcessInfo, ProcessSpec, Signal, SignalTarget,
    StreamEnd, TerminalSize, Verdict,
};
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Operation, ProcessError};
use crate::transport::{
    Attachment, AttachmentEnd, Capabilities, Chunk, Integrity, Output, ProcessTransport, TreeKill,
};

/// What one connection does before it is lost. The last connection of a script carries all and tells the end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Connection {
    /// How many times an attempt at it fails first.
    pub(super) refused: u32,
    /// Whether the first attempt at it never has an answer.
    pub(super) hangs: bool,
    /// Bytes of each output it carries.
    pub(super) carries: usize,
    /// Bytes that it repeats from before where it was asked to begin, and at each piece.
    pub(super) repeats: usize,
    /// Whether bytes are missing at its end, after which more come.
    pub(super) gap: bool,
    /// How long it is silent before it is lost.
    pub(super) stall: Duration,
}

/// A process that writes both outputs and ends with code 7.
#[derive(Debug)]
pub(super) struct Scripted {
    pub(super) stdout: Bytes,
    pub(super) stderr: Bytes,
    pub(super) capabilities: Capabilities,
    pub(super) piece: usize,
    connections: Mutex<VecDeque<Connection>>,
    seen: Mutex<Seen>,
    /// What the record of the end says of standard output, if not the truth.
    pub(super) claim: Option<StreamEnd>,
}

/// What was asked of the process.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    pub(super) starts: usize,
    pub(super) attached: Vec<Offsets>,
    pub(super) concluded: Vec<AttachmentEnd>,
    pub(super) stdin: Vec<u8>,
    pub(super) stdin_closed: bool,
    pub(super) kills: usize,
    /// How many connections there are at once.
    open: usize,
    pub(super) most_open: usize,
    writes: usize,
}

/// All that a transport may be able to do.
pub(super) const ABLE: Capabilities = Capabilities {
    transport: "a script",
    reattach: true,
    repeated_start: true,
    stdin_offsets: true,
    stdin_piece: 32 << 10,
    stdin_pieces: 4,
    signals: true,
    tree_signals: true,
    tree_kill: TreeKill::EnvironmentMark,
    list: true,
    timeouts: false,
    spool: true,
    tail: true,
    users: true,
    get_from_offset: true,
    put_from_offset: true,
    put_is_atomic: true,
    put_with_mode: true,
    owners_of_archive: true,
    integrity: Integrity::Hashed,
};

impl Scripted {
    pub(super) fn new(
        stdout: &[u8],
        stderr: &[u8],
        connections: impl IntoIterator<Item = Connection>,
    ) -> Self {
        Self {
            stdout: Bytes::copy_from_slice(stdout),
            stderr: Bytes::copy_from_slice(stderr),
            capabilities: ABLE,
            piece: 7,
            connections: Mutex::new(connections.into_iter().collect()),
            seen: Mutex::default(),
            claim: None,
        }
    }

    pub(super) fn seen(&self) -> Seen {
        self.noted().clone()
    }

    fn noted(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }

    fn unreachable() -> ProcessError {
        let source = ClientError::new("attach", ErrorKind::Disconnected);
        let session = "s".to_owned();
        ProcessError::from(Error::Call { session, source })
    }

    /// The next connection of the script, from these offsets on.
    async fn connect(self: &Arc<Self>, from: Offsets) -> Result<Attachment, ProcessError> {
        let connection = {
            let mut connections = self.connections.lock().unwrap();
            match connections.front_mut() {
                Some(next) if next.hangs => {
                    next.hangs = false;
                    None
                }
                Some(next) if next.refused > 0 => {
                    next.refused -= 1;
                    return Err(Self::unreachable());
                }
                Some(_) => Some(connections.pop_front()),
                None => Some(None),
            }
        };
        let Some(connection) = connection else {
            return std::future::pending().await;
        };
        {
            let mut seen = self.noted();
            seen.open += 1;
            seen.most_open = seen.most_open.max(seen.open);
        }
        let lost = CancellationToken::new();
        let end = match connection {
            None => AttachmentEnd::Ended(self.record()),
            Some(_) => AttachmentEnd::Lost {
                message: "reset".to_owned(),
            },
        };
        let stall = connection.map(|connection| connection.stall).unwrap_or_default();
        let ended = {
            let lost = lost.clone();
            async move {
                // Stands for the silence that a transport takes for a loss.
                tokio::time::sleep(stall).await;
                lost.cancel();
                end
            }
        };
        Ok(Attachment {
            stdout: self.output(&self.stdout, from.stdout, connection, &lost),
            stderr: self.output(&self.stderr, from.stderr, connection, &lost),
            end: ended.boxed(),
            guard: Box::new(Open(self.clone())),
        })
    }

    fn output(
        &self,
        all: &Bytes,
        from: u64,
        connection: Option<Connection>,
        lost: &CancellationToken,
    ) -> Output {
        let from = usize::try_from(from).unwrap();
        let (until, repeats, gap) = match connection {
            Some(connection) => (
                (from + connection.carries).min(all.len()),
                connection.repeats,
                connection.gap,
            ),
            None => (all.len(), 0, false),
        };
        let mut chunks = Vec::new();
        let mut at = from;
        while at < until {
            let (begin, end) = (at.saturating_sub(repeats), (at + self.piece).min(until));
            chunks.push(Chunk {
                offset: begin as u64,
                bytes: all.slice(begin..end),
            });
            at = end;
        }
        if gap && until + 1 < all.len() {
            chunks.push(Chunk {
                offset: until as u64 + 1,
                bytes: all.slice(until + 1..),
            });
        }
        let lost = lost.clone();
        let rest = async move { lost.cancelled().await }
            .into_stream()
            .filter_map(|()| async { None });
        // Each piece comes by itself.
        let chunks = stream::iter(chunks).then(|chunk| async {
            tokio::task::yield_now().await;
            chunk
        });
        Output::new(chunks.chain(rest), Arc::new(AtomicBool::new(false)))
    }

    fn record(&self) -> EndRecord {
        let mut record = EndRecord::new(ProcessEnd::Exited { code: 7 });
        record.stdout.bytes = Some(self.stdout.len() as u64);
        record.stderr.bytes = Some(self.stderr.len() as u64);
        if let Some(claim) = &self.claim {
            record.stdout = claim.clone();
        }
        record
    }
}

/// A connection that is there.
struct Open(Arc<Scripted>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.noted().open -= 1;
    }
}

/// The transport whose process it is.
#[derive(Clone, Debug)]
pub(super) struct Transport(pub(super) Arc<Scripted>, pub(super) Arc<AtomicBool>);

#[async_trait]
impl ProcessTransport for Transport {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities
    }

    async fn start(&self, _: ProcessSpec) -> Result<Attachment, ProcessError> {
        let starts = {
            let mut seen = self.0.noted();
            seen.starts += 1;
            seen.starts
        };
        // With the flag, the answer to the first one is lost.
        if starts == 1 && self.1.load(Ordering::Relaxed) {
            return Err(Scripted::unreachable());
        }
        self.0.connect(Offsets::default()).await
    }

    async fn attach(&self, _: &ProcessId, from: Offsets) -> Result<Attachment, ProcessError> {
        self.0.capabilities.require(Operation::Attach)?;
        self.0.noted().attached.push(from);
        self.0.connect(from).await
    }

    /// Takes a part of what it is given; each second answer is lost.
    async fn write(&self, _: &ProcessId, offset: u64, bytes: Bytes) -> Result<u64, ProcessError> {
        let mut seen = self.0.noted();
        seen.writes += 1;
        let offset = usize::try_from(offset).unwrap();
        let held = seen.stdin.len();
        if offset > held {
            return Ok(held as u64);
        }
        let part = bytes.len().div_ceil(2);
        if let Some(fresh) = bytes.get(held - offset..part) {
            seen.stdin.extend_from_slice(fresh);
        }
        if seen.writes % 2 == 1 {
            return Err(Scripted::unreachable());
        }
        Ok((offset + part).max(held) as u64)
    }

    async fn close_stdin(&self, _: &ProcessId) -> Result<(), ProcessError> {
        self.0.noted().stdin_closed = true;
        Ok(())
    }

    async fn resize(&self, _: &ProcessId, _: TerminalSize) -> Result<(), ProcessError> {
        Ok(())
    }

    async fn signal(&self, _: &ProcessId, _: Signal, _: SignalTarget) -> Result<(), ProcessError> {
        self.0.noted().kills += 1;
        Ok(())
    }

    async fn list(&self) -> Result<Vec<ProcessInfo>, ProcessError> {
        Ok(Vec::new())
    }

    async fn forget(&self, _: &ProcessId) -> Result<(), ProcessError> {
        Ok(())
    }

    async fn conclude(&self, _: &ProcessId, end: AttachmentEnd) -> (End, Option<Verdict>) {
        self.0.noted().concluded.push(end.clone());
        match end {
            AttachmentEnd::Ended(_) => (End::Exited { code: 7 }, None),
            AttachmentEnd::Lost { message } => (End::Lost { message }, None),
        }
    }
}
