//! Carrying an output from its pipe or terminal into its log.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

use podbay_protocol::StreamName;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, ioctl_fionread, read, retry_on_intr};
use sha2::{Digest as _, Sha256};
use tokio::net::unix::pipe;
use tokio::sync::watch;
use tokio::time::Instant;

use super::entry::Entry;
use super::kept::Hash;
use super::log::Place;

/// The most that is read in one piece: a pipe's capacity on Linux (pipe(7)).
const PIECE: usize = 64 * 1024;
/// The most until one piece was that long: most commands write less, and room for more would have to be made and cleared for each.
const SMALL: usize = 4 * 1024;

/// How far a process has come, as far as its outputs are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It runs.
    Running,
    /// It has exited; others may still write for it.
    Exited,
    /// These have been waited for long enough.
    Lingered,
}

/// What there is to say of an output that has ended.
pub(super) struct Pumped {
    pub(super) sha256: Hash,
    /// Whether its end was not seen.
    pub(super) was_cut: bool,
}

/// Carries an output until it ends or, if others keep it open, until they were waited for long enough. What the process
/// itself has written is carried over in any case.
pub(super) async fn carry(
    entry: Arc<Entry>,
    name: StreamName,
    source: pipe::Receiver,
    mut phase: watch::Receiver<Phase>,
) -> Pumped {
    let mut pump = Pump {
        entry,
        name,
        source,
        hash: Sha256::new(),
        buffer: vec![0; SMALL],
    };
    let was_cut = pump.run(&mut phase).await;
    let Pump { hash, source, .. } = pump;
    if was_cut {
        // Read on, so that what the process left behind is not killed by a closed pipe.
        tokio::spawn(discard(source));
    }
    Pumped {
        sha256: hash.finalize().into(),
        was_cut,
    }
}

struct Pump {
    entry: Arc<Entry>,
    name: StreamName,
    source: pipe::Receiver,
    hash: Sha256,
    buffer: Vec<u8>,
}

/// What reading gave.
enum Step {
    /// So many bytes are in the buffer.
    Read(usize),
    Ended,
    /// The process has come further.
    Phase(Phase),
}

impl Pump {
    /// Whether the end was not seen.
    async fn run(&mut self, phase: &mut watch::Receiver<Phase>) -> bool {
        loop {
            let step = tokio::select! {
                biased;
                phase = changed(phase) => Step::Phase(phase),
                step = Self::next(&self.entry, self.name, &self.source, &mut self.buffer) => step,
            };
            match step {
                Step::Ended => return false,
                Step::Read(count) => self.take(count).await,
                Step::Phase(phase) => {
                    // Whether there is room or not: the process can't wait any more, and what a pipe holds is little.
                    if self.drain().await {
                        return false;
                    }
                    if phase == Phase::Lingered {
                        return true;
                    }
                }
            }
        }
    }

    /// Waits until the process may write, and for what it writes.
    async fn next(entry: &Entry, name: StreamName, source: &pipe::Receiver, buffer: &mut [u8]) -> Step {
        loop {
            let room = wait_for_room(entry, name).await.min(buffer.len());
            if source.readable().await.is_err() {
                return Step::Ended; // The runtime is being shut down.
            }
            let read = source.try_io(|| Ok(read_now(source, &mut buffer[..room])?));
            match read {
                Ok(0) => return Step::Ended,
                Ok(count) => return Step::Read(count),
                Err(error) if is_nothing(&error) => {}
                Err(error) => return ended(&error),
            }
        }
    }

    /// Takes over what is in the pipe now. Whether it has ended.
    async fn drain(&mut self) -> bool {
        let is_closed = has_no_writer(&self.source);
        // While somebody can write, what was there at the beginning: one that never rests must not hold us up. Else all to
        // the end; of a terminal the kernel does not count what is on its way to the reader's side (flip buffers).
        let mut left = ioctl_fionread(&self.source).unwrap_or(0);
        while is_closed || left > 0 {
            let most = self.buffer.len();
            let limit = if is_closed {
                most
            } else {
                usize::try_from(left).map_or(most, |left| left.min(most))
            };
            match read_now(&self.source, &mut self.buffer[..limit]) {
                Ok(0) => return true,
                Ok(count) => {
                    left = left.saturating_sub(count as u64);
                    self.take(count).await;
                }
                Err(Errno::AGAIN) => break,
                Err(errno) => {
                    ended(&errno.into());
                    return true;
                }
            }
        }
        false
    }

    /// Puts what was read into the log.
    async fn take(&mut self, count: usize) {
        let kept = match self.put_into_memory(count) {
            Place::Memory => count,
            Place::Nowhere => 0,
            Place::NewFile | Place::File => self.put_into_file(count).await,
        };
        self.hash.update(&self.buffer[..kept]);
        self.entry.tell_readers();
        if count == SMALL {
            self.buffer.resize(PIECE, 0);
        }
    }

    /// Puts what was read where it belongs, if that is memory.
    fn put_into_memory(&self, count: usize) -> Place {
        let mut state = self.entry.lock();
        let log = &mut state.stream_mut(self.name).log;
        let place = log.place(count);
        if place == Place::Memory {
            log.append(&self.buffer[..count]);
        }
        place
    }

    /// Writes what was read to the file, apart from the threads that others need: a disk may be slow. How many bytes
    /// were kept.
    async fn put_into_file(&mut self, count: usize) -> usize {
        let (entry, name) = (Arc::clone(&self.entry), self.name);
        let piece = self.buffer[..count].to_vec();
        let written = tokio::task::spawn_blocking(move || append(&entry, name, &piece)).await;
        written.unwrap_or_else(|error| {
            tracing::error!(%error, "writing a spool file");
            self.entry.lock().stream_mut(self.name).log.truncate();
            0
        })
    }
}

/// Appends to the file, which is made if there is none; tells the log. By the one who writes alone. How many bytes were
/// kept.
fn append(entry: &Entry, name: StreamName, piece: &[u8]) -> usize {
    let (file, memory) = {
        let state = entry.lock();
        let stream = state.stream(name);
        (stream.file.clone(), stream.log.memory())
    };
    let file = if let Some(file) = file {
        file
    } else {
        let made = entry.spool.create(&memory.bytes).map(Arc::new);
        let mut state = entry.lock();
        let stream = state.stream_mut(name);
        let Some(made) = made else {
            stream.log.truncate();
            return 0;
        };
        // Nobody but this writer adds to it, and a reader's acknowledgement takes nothing away.
        stream.log.moved_to_file();
        stream.file = Some(Arc::clone(&made));
        made
    };
    let kept = file.append(piece);
    entry
        .lock()
        .stream_mut(name)
        .log
        .appended_to_file(kept, piece.len());
    kept
}

/// Waits until the process may write; when its reader has been away for too long, it may. How many bytes.
async fn wait_for_room(entry: &Entry, name: StreamName) -> usize {
    loop {
        let taken = entry.room();
        let over = {
            let mut state = entry.lock();
            let room = state.stream(name).log.room();
            if room > 0 {
                return room;
            }
            let over = state.attendance.over();
            if over.is_some_and(|over| over <= Instant::now()) {
                state.stream_mut(name).log.go_on();
                continue;
            }
            over
        };
        let grace_is_over = async {
            match over {
                Some(over) => tokio::time::sleep_until(over).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = taken => {}
            () = grace_is_over => {}
        }
    }
}

/// The next phase; pending when there will be none.
async fn changed(phase: &mut watch::Receiver<Phase>) -> Phase {
    match phase.changed().await {
        Ok(()) => *phase.borrow_and_update(),
        Err(_) => std::future::pending().await,
    }
}

/// Reads what is there. The end of a terminal's output is an error (EIO) when its other side is closed; what was written
/// just before that may come to light only then, so it is asked twice.
fn read_now(source: &pipe::Receiver, buffer: &mut [u8]) -> rustix::io::Result<usize> {
    match retry_on_intr(|| read(source, &mut *buffer)) {
        Err(Errno::IO) => retry_on_intr(|| read(source, &mut *buffer)),
        other => other,
    }
}

/// Whether nobody has the other side open.
fn has_no_writer(source: &impl AsFd) -> bool {
    let mut interest = [PollFd::new(source, PollFlags::empty())];
    let at_once = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    poll(&mut interest, Some(&at_once)).is_ok() && interest[0].revents().contains(PollFlags::HUP)
}

/// A terminal that no process has open any more is an error to read (EIO): the end, as for a pipe that can't be read.
fn ended(error: &io::Error) -> Step {
    if Errno::from_io_error(error) != Some(Errno::IO) {
        tracing::debug!(%error, "reading a process's output");
    }
    Step::Ended
}

/// Whether a read only came too early.
fn is_nothing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

/// Reads on and throws away.
async fn discard(source: pipe::Receiver) {
    let mut buffer = vec![0; PIECE];
    while source.readable().await.is_ok() {
        match source.try_read(&mut buffer) {
            Ok(0) => return,
            Ok(_) => tokio::task::consume_budget().await,
            Err(error) if is_nothing(&error) => {}
            Err(_) => return,
        }
    }
}
