//! Reading a process's output.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use podbay_protocol::{EndRecord, Offsets, ReaderId, StreamName};
use tokio::time::Instant;

use super::entry::Entry;
use super::log::At;
use super::spool::SpoolFile;

/// The most that comes in one piece, in bytes.
const PIECE: usize = 96 * 1024;

/// A piece of what a process wrote, or how it ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// Bytes of an output. Each output comes in order and without a gap.
    Output {
        /// Which one.
        stream: StreamName,
        /// How many bytes came before these, from the beginning of the output.
        offset: u64,
        /// The bytes, at least one.
        bytes: Bytes,
    },
    /// Output was dropped before this reader took it. The last piece.
    Gone {
        /// Which output.
        stream: StreamName,
        /// The first byte that is kept.
        first: u64,
    },
    /// The process has ended, and all its output was read. The last piece.
    End(Box<EndRecord>),
}

/// Reads a process's output, live or after its end. While one with a reader's id exists, the process waits for it, if it
/// is one that waits.
pub struct OutputReader {
    entry: Arc<Entry>,
    reader: Option<ReaderId>,
    next: Offsets,
    /// Which output is looked at first: each in its turn, so that none starves the other.
    first: StreamName,
    is_over: bool,
}

/// What is to be done next.
enum Step {
    Piece(Piece),
    FromFile {
        stream: StreamName,
        file: Arc<SpoolFile>,
        position: u64,
        length: usize,
    },
    Wait,
}

impl OutputReader {
    pub(super) fn new(entry: Arc<Entry>, from: Offsets, reader: Option<ReaderId>) -> Self {
        if let Some(reader) = &reader {
            entry.lock().attendance.attach(reader.clone(), Instant::now());
            entry.tell_writers();
        }
        Self {
            entry,
            reader,
            next: from,
            first: StreamName::Stdout,
            is_over: false,
        }
    }

    /// The next piece; waits for one. `None` after the last. Nothing is lost if it is dropped while it waits.
    pub async fn next(&mut self) -> Option<Piece> {
        let entry = Arc::clone(&self.entry);
        while !self.is_over {
            let news = entry.news();
            match self.step() {
                Step::Piece(piece) => return Some(self.pass(piece)),
                Step::FromFile {
                    stream,
                    file,
                    position,
                    length,
                } => {
                    let read = tokio::task::spawn_blocking(move || file.read(position, length)).await;
                    let bytes = read.map_err(std::io::Error::other).and_then(|read| read);
                    let piece = match bytes {
                        Ok(bytes) => Piece::Output {
                            stream,
                            offset: self.offset(stream),
                            bytes: bytes.into(),
                        },
                        Err(error) => {
                            tracing::error!(%error, "reading a spool file");
                            let first = self.entry.lock().stream(stream).log.written();
                            Piece::Gone { stream, first }
                        }
                    };
                    return Some(self.pass(piece));
                }
                Step::Wait => news.await,
            }
        }
        None
    }

    fn step(&self) -> Step {
        let state = self.entry.lock();
        let other = match self.first {
            StreamName::Stdout => StreamName::Stderr,
            StreamName::Stderr => StreamName::Stdout,
        };
        for stream in [self.first, other] {
            let of = state.stream(stream);
            let offset = self.offset(stream);
            match of.log.at(offset, PIECE) {
                At::Bytes(bytes) => {
                    return Step::Piece(Piece::Output {
                        stream,
                        offset,
                        bytes,
                    });
                }
                At::File { position, length } => {
                    if let Some(file) = &of.file {
                        return Step::FromFile {
                            stream,
                            file: Arc::clone(file),
                            position,
                            length,
                        };
                    }
                    tracing::error!("an output in a file has no file");
                    let first = of.log.written();
                    return Step::Piece(Piece::Gone { stream, first });
                }
                At::Gone { first } => return Step::Piece(Piece::Gone { stream, first }),
                At::End | At::Ahead => {} // Nothing more yet; ahead nobody is who began where it is allowed.
            }
        }
        state.end().map_or(Step::Wait, |record| {
            Step::Piece(Piece::End(Box::new(record.to_record())))
        })
    }

    /// Notes what is handed out.
    fn pass(&mut self, piece: Piece) -> Piece {
        match &piece {
            Piece::Output {
                stream,
                offset,
                bytes,
            } => {
                let next = offset + bytes.len() as u64;
                (self.first, *self.offset_mut(*stream)) = match stream {
                    StreamName::Stdout => (StreamName::Stderr, next),
                    StreamName::Stderr => (StreamName::Stdout, next),
                };
            }
            Piece::Gone { .. } | Piece::End(_) => self.is_over = true,
        }
        piece
    }

    const fn offset(&self, stream: StreamName) -> u64 {
        match stream {
            StreamName::Stdout => self.next.stdout,
            StreamName::Stderr => self.next.stderr,
        }
    }

    const fn offset_mut(&mut self, stream: StreamName) -> &mut u64 {
        match stream {
            StreamName::Stdout => &mut self.next.stdout,
            StreamName::Stderr => &mut self.next.stderr,
        }
    }
}

impl Drop for OutputReader {
    fn drop(&mut self) {
        if let Some(reader) = &self.reader {
            self.entry.lock().attendance.detach(reader, Instant::now());
            self.entry.tell_writers();
        }
    }
}

impl fmt::Debug for OutputReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutputReader")
            .field("process", &self.entry.id)
            .field("reader", &self.reader)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}
