//! One output stream between the socket and its reader: bounded, exact, in order.
//!
//! Both streams come over one connection, so what waits for a slow reader of one stands before what a fast
//! reader of the other wants. Up to [`MEMORY_LIMIT`] a queue holds in memory; what is more goes to a file
//! (see `spool.rs`) as long as that helps somebody, and else the writer waits, which the command feels as a
//! full pipe. A reader that is gone holds up nobody: its bytes are discarded.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use futures::stream;
use tokio::sync::Notify;

use super::spool::{Extent, Ring, Spool};
use crate::exec::ExecOutput;

/// What a queue holds in memory at most, in bytes: 1 MiB, 32 of the largest frames API servers send. With two
/// queues, a process with a thousand commands open needs at most 2 GiB for them, and as a rule next to nothing.
pub const MEMORY_LIMIT: usize = 1 << 20;

/// What is handed to the reader at once, at most, in bytes. Smaller pieces are joined up to here, so that a stream of
/// single bytes costs no more than its bytes; copying also lets go of the socket's larger read buffers.
const BLOCK: usize = 64 * 1024;

/// Makes a queue with room for `spool_limit` bytes of overflow. `fault` is set when bytes were lost because the
/// file could not be read back.
pub(super) fn queue(spool_limit: u64, fault: Arc<AtomicBool>) -> (QueueWriter, QueueReader) {
    let shared = Arc::new(Shared {
        state: Mutex::new(State {
            segments: VecDeque::new(),
            in_memory: 0,
            ring: Ring::new(spool_limit),
            spool: None,
            writer_gone: false,
            reader_gone: false,
        }),
        filled: Notify::new(),
        drained: Notify::new(),
        fault,
        cut: Arc::default(),
    });
    (
        QueueWriter {
            shared: Arc::clone(&shared),
            spool_broken: false,
            is_complete: false,
        },
        QueueReader { shared },
    )
}

/// The end that the connection fills. Dropping it ends the stream after what is in it, as one that was cut: see
/// [`QueueWriter::complete`].
#[derive(Debug)]
pub(super) struct QueueWriter {
    shared: Arc<Shared>,
    /// Whether the file could not be made or written; then this queue uses none any more.
    spool_broken: bool,
    /// Whether all of the stream was put in.
    is_complete: bool,
}

/// The end that the caller reads. Dropping it discards what is in the queue and what is still to come.
#[derive(Debug)]
pub(super) struct QueueReader {
    shared: Arc<Shared>,
}

/// Tells whether a queue still has a reader.
#[derive(Clone, Debug)]
pub(super) struct ReaderProbe(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Something came in, or the writer went.
    filled: Notify,
    /// Something went out, or the reader went.
    drained: Notify,
    fault: Arc<AtomicBool>,
    /// Whether the connection ended before the stream did.
    cut: Arc<AtomicBool>,
}

#[derive(Debug)]
struct State {
    /// Oldest first.
    segments: VecDeque<Segment>,
    /// Bytes in the segments in memory.
    in_memory: usize,
    ring: Ring,
    /// Made when first needed.
    spool: Option<Spool>,
    writer_gone: bool,
    reader_gone: bool,
}

#[derive(Debug)]
enum Segment {
    Memory(BytesMut),
    Spooled(Extent),
}

/// What the reader finds.
enum Front {
    Block(Bytes),
    Spooled(Spool, Extent),
    Empty,
    Ended,
}

impl Shared {
    /// A panic under the lock can't leave the state half changed in a way that matters more than the panic.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl QueueWriter {
    /// Tells about this queue's reader.
    pub(super) fn probe(&self) -> ReaderProbe {
        ReaderProbe(Arc::clone(&self.shared))
    }

    /// Puts `bytes` in; returns when the last one is in, or nobody reads them any more. `may_spool` is asked each
    /// time memory is full: whether somebody gains from going on.
    pub(super) async fn push(&mut self, mut bytes: Bytes, may_spool: impl Fn() -> bool) {
        loop {
            if self.push_to_memory(&mut bytes) {
                return;
            }
            if may_spool() && self.push_to_spool(&mut bytes).await {
                continue;
            }
            self.shared.drained.notified().await;
        }
    }

    /// Takes from `bytes` what fits into memory; returns whether nothing is left to do.
    fn push_to_memory(&self, bytes: &mut Bytes) -> bool {
        let mut state = self.shared.lock();
        if state.reader_gone {
            return true;
        }
        let room = MEMORY_LIMIT.saturating_sub(state.in_memory);
        let fits = bytes.split_to(bytes.len().min(room));
        if !fits.is_empty() {
            state.push_to_memory(fits);
            self.shared.filled.notify_one();
        }
        bytes.is_empty()
    }

    /// Moves some of `bytes` to the file; returns whether it did.
    async fn push_to_spool(&mut self, bytes: &mut Bytes) -> bool {
        if self.spool_broken {
            return false;
        }
        let Some(extent) = self.shared.lock().ring.offer(bytes.len()) else {
            return false;
        };
        if let Err(error) = self.write_to_spool(extent, bytes).await {
            // A full disk is no reason to lose a byte: from here on this queue holds the command back instead.
            tracing::warn!(%error, "output of a command can't be spooled; the command waits for its reader");
            self.spool_broken = true;
            return false;
        }
        true
    }

    /// Writes the first bytes of `bytes` to `extent` and lets the reader know.
    async fn write_to_spool(&self, extent: Extent, bytes: &mut Bytes) -> io::Result<()> {
        let existing = self.shared.lock().spool.clone();
        let spool = match existing {
            Some(spool) => spool,
            None => Spool::create().await?,
        };
        let len = usize::try_from(extent.len).unwrap_or(usize::MAX).min(bytes.len());
        spool.write(extent.offset, bytes.slice(..len)).await?;
        // Only now do they leave `bytes`: a write that failed loses none.
        drop(bytes.split_to(len));
        let mut state = self.shared.lock();
        if !state.reader_gone {
            state.spool.get_or_insert(spool);
            state.push_spooled(extent);
            self.shared.filled.notify_one();
        }
        Ok(())
    }

    /// Ends the stream, of which all is in.
    pub(super) fn complete(mut self) {
        self.is_complete = true;
    }
}

impl Drop for QueueWriter {
    fn drop(&mut self) {
        if !self.is_complete {
            self.shared.cut.store(true, Ordering::Release);
        }
        self.shared.lock().writer_gone = true;
        self.shared.filled.notify_one();
    }
}

impl ReaderProbe {
    /// Whether somebody may still read the queue.
    pub(super) fn is_alive(&self) -> bool {
        !self.0.lock().reader_gone
    }
}

impl State {
    fn push_to_memory(&mut self, mut bytes: Bytes) {
        self.in_memory += bytes.len();
        if let Some(Segment::Memory(last)) = self.segments.back_mut() {
            let room = BLOCK.saturating_sub(last.len());
            last.extend_from_slice(&bytes.split_to(bytes.len().min(room)));
        }
        while !bytes.is_empty() {
            let block = bytes.split_to(bytes.len().min(BLOCK));
            self.segments
                .push_back(Segment::Memory(BytesMut::from(&block[..])));
        }
    }

    fn push_spooled(&mut self, extent: Extent) {
        self.ring.take(extent);
        match self.segments.back_mut() {
            Some(Segment::Spooled(last)) if last.offset + last.len == extent.offset => last.len += extent.len,
            _ => self.segments.push_back(Segment::Spooled(extent)),
        }
    }

    /// Takes the oldest block, or tells where in the file it is.
    fn front(&mut self) -> Front {
        match self.segments.pop_front() {
            Some(Segment::Memory(block)) => {
                self.in_memory -= block.len();
                Front::Block(block.freeze())
            }
            Some(Segment::Spooled(extent)) => {
                // It stays until it was read: reading may be given up midway.
                self.segments.push_front(Segment::Spooled(extent));
                // A spooled segment without a file does not happen; it would be an end, never wrong bytes.
                self.spool
                    .clone()
                    .map_or(Front::Ended, |spool| Front::Spooled(spool, extent))
            }
            None if self.writer_gone => Front::Ended,
            None => Front::Empty,
        }
    }

    /// Forgets the first `len` bytes of the oldest segment, which were read from the file.
    fn advance(&mut self, len: u64) {
        if let Some(Segment::Spooled(extent)) = self.segments.front_mut() {
            extent.offset += len;
            extent.len -= len;
            let is_empty = extent.len == 0;
            self.ring.free(len);
            if is_empty {
                self.segments.pop_front();
            }
        }
    }
}

impl QueueReader {
    /// The next bytes; none at the end. May be given up and called again.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        loop {
            let front = self.shared.lock().front();
            match front {
                Front::Block(block) => {
                    self.shared.drained.notify_one();
                    return Some(block);
                }
                Front::Spooled(spool, extent) => return self.read_spooled(&spool, extent).await,
                Front::Ended => return None,
                Front::Empty => self.shared.filled.notified().await,
            }
        }
    }

    async fn read_spooled(&self, spool: &Spool, extent: Extent) -> Option<Bytes> {
        let len = usize::try_from(extent.len).unwrap_or(usize::MAX).min(BLOCK);
        match spool.read(extent.offset, len).await {
            Ok(bytes) => {
                self.shared.lock().advance(len as u64);
                self.shared.drained.notify_one();
                Some(bytes)
            }
            Err(error) => {
                tracing::error!(%error, "output of a command can't be read back from its temporary file");
                self.shared.fault.store(true, Ordering::Release);
                self.discard();
                None
            }
        }
    }

    /// The queue as the output that it holds.
    pub(super) fn into_output(self) -> ExecOutput {
        let cut = Arc::clone(&self.shared.cut);
        let pieces = stream::unfold(self, async |mut reader| {
            reader.next().await.map(|bytes| (bytes, reader))
        });
        ExecOutput::new(pieces).cut_as(cut)
    }

    /// Lets go of what is in the queue and what is to come.
    fn discard(&self) {
        let mut state = self.shared.lock();
        state.reader_gone = true;
        state.segments.clear();
        state.in_memory = 0;
        state.spool = None;
        self.shared.drained.notify_one();
    }
}

impl Drop for QueueReader {
    fn drop(&mut self) {
        self.discard();
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
