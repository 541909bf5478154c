//! One output of a process: what is kept of it, and where.

use bytes::Bytes;
use podbay_protocol::Retention;

use super::blocks::Blocks;

/// Output that goes to a file anyway stays in memory up to here: most processes write less, and need no file then.
const SMALL: usize = 64 * 1024;
/// What is kept in memory of a stream whose process has ended, in bytes.
const SMALL_ENDED: usize = 4 * 1024;

/// The log of one output.
///
/// Its bytes are in memory until they are moved to a file; then all that is kept, and all that comes, is in the file.
#[derive(Debug)]
pub(crate) struct StreamLog {
    retention: Retention,
    window: usize,
    /// How many bytes there are, from the first to the last that was kept.
    written: u64,
    /// How many of them the reader that is waited for has taken.
    acknowledged: u64,
    kept: Kept,
    truncated: bool,
    /// Whether the process no longer waits for a reader, since none was there.
    went_on: bool,
}

#[derive(Debug)]
enum Kept {
    /// The last bytes.
    Memory(Blocks),
    /// All bytes from this one on.
    File { first: u64 },
    /// None.
    Nothing,
}

/// Where the next bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// To [`StreamLog::append`].
    Memory,
    /// To the end of the file, and then to [`StreamLog::appended_to_file`].
    File,
    /// The kept bytes are to be moved to a file first: [`StreamLog::memory`], [`StreamLog::moved_to_file`].
    NewFile,
    /// Nowhere: the stream is truncated.
    Nowhere,
}

/// What is in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Memory {
    /// The offset of the first byte.
    pub(crate) first: u64,
    pub(crate) bytes: Bytes,
}

/// What there is at an offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum At {
    /// These bytes.
    Bytes(Bytes),
    /// Bytes in the file.
    File {
        /// Where they begin in it.
        position: u64,
        /// How many there are, up to what was asked for.
        length: usize,
    },
    /// Nothing yet: it is the end of what was written.
    End,
    /// It is no longer kept.
    Gone {
        /// The first byte that is.
        first: u64,
    },
    /// So much was not written yet.
    Ahead,
}

impl StreamLog {
    /// An empty one that keeps `window` bytes in memory.
    pub(crate) const fn new(retention: Retention, window: usize) -> Self {
        Self {
            retention,
            window,
            written: 0,
            acknowledged: 0,
            kept: Kept::Memory(Blocks::new()),
            truncated: false,
            went_on: false,
        }
    }

    /// How many bytes were written and counted.
    pub(crate) const fn written(&self) -> u64 {
        self.written
    }

    /// Whether bytes came that were not kept.
    pub(crate) const fn is_truncated(&self) -> bool {
        self.truncated
    }

    /// Whether the process went on without the reader it should wait for.
    pub(crate) const fn went_on(&self) -> bool {
        self.went_on
    }

    /// The first byte that is kept.
    pub(crate) fn first(&self) -> u64 {
        match &self.kept {
            Kept::Memory(bytes) => self.written - bytes.len() as u64,
            Kept::File { first } => *first,
            Kept::Nothing => self.written,
        }
    }

    /// How many bytes the process may write now; 0 if it is to wait for its reader.
    pub(crate) fn room(&self) -> usize {
        if self.retention != Retention::Backpressure || self.went_on || self.truncated {
            return usize::MAX;
        }
        let ahead = self.written - self.acknowledged;
        usize::try_from(ahead).map_or(0, |ahead| self.window.saturating_sub(ahead))
    }

    /// The process no longer waits for a reader: none was there.
    pub(crate) const fn go_on(&mut self) {
        self.went_on = true;
    }

    /// Where the next `length` bytes go.
    pub(crate) fn place(&self, length: usize) -> Place {
        let goes_to_file = self.retention == Retention::Spool || self.went_on;
        match &self.kept {
            _ if self.truncated => Place::Nowhere,
            Kept::Nothing => Place::Nowhere,
            Kept::File { .. } => Place::File,
            Kept::Memory(bytes) => {
                let limit = if self.went_on {
                    self.window
                } else {
                    SMALL.min(self.window)
                };
                if goes_to_file && bytes.len() + length > limit {
                    Place::NewFile
                } else {
                    Place::Memory
                }
            }
        }
    }

    /// Takes bytes in. What a reader may still need stays; of the rest, as much as the window holds.
    pub(crate) fn append(&mut self, piece: &[u8]) {
        let Kept::Memory(bytes) = &mut self.kept else {
            self.truncated |= !piece.is_empty();
            return;
        };
        bytes.extend(piece);
        self.written += piece.len() as u64;
        let surplus = bytes.len().saturating_sub(self.window);
        let droppable = match self.retention {
            Retention::Tail => surplus,
            Retention::Backpressure if !self.went_on => {
                let first = self.written - bytes.len() as u64;
                let taken = self.acknowledged.saturating_sub(first);
                surplus.min(usize::try_from(taken).unwrap_or(usize::MAX))
            }
            Retention::Backpressure | Retention::Spool => 0,
        };
        bytes.drop_front(droppable);
    }

    /// What is in memory, to be moved to a file.
    pub(crate) fn memory(&self) -> Memory {
        let Kept::Memory(bytes) = &self.kept else {
            return Memory {
                first: self.written,
                bytes: Bytes::new(),
            };
        };
        Memory {
            first: self.first(),
            bytes: bytes.copy(0, bytes.len()),
        }
    }

    /// All that was in [`StreamLog::memory`] is in a file now.
    pub(crate) fn moved_to_file(&mut self) {
        let first = self.first();
        self.kept = Kept::File { first };
    }

    /// There is no file for it, so that what comes is dropped.
    pub(crate) const fn truncate(&mut self) {
        self.truncated = true;
    }

    /// So many of `offered` bytes are in the file now.
    pub(crate) const fn appended_to_file(&mut self, kept: usize, offered: usize) {
        self.written += kept as u64;
        self.truncated |= kept < offered;
    }

    /// What there is at an offset, up to `limit` bytes.
    pub(crate) fn at(&self, offset: u64, limit: usize) -> At {
        let first = self.first();
        if offset > self.written {
            return At::Ahead;
        }
        if offset == self.written {
            return At::End;
        }
        if offset < first {
            return At::Gone { first };
        }
        let length = usize::try_from(self.written - offset).map_or(limit, |left| left.min(limit));
        let position = offset - first;
        match &self.kept {
            Kept::Memory(bytes) => {
                At::Bytes(bytes.copy(usize::try_from(position).unwrap_or(usize::MAX), length))
            }
            Kept::File { .. } => At::File { position, length },
            Kept::Nothing => At::Gone { first },
        }
    }

    /// The reader that is waited for has taken all before `offset` for good.
    pub(crate) fn acknowledge(&mut self, offset: u64) {
        self.acknowledged = self.acknowledged.max(offset.min(self.written));
    }

    /// The process has ended: drops what its reader has taken, unless it is little. Whether what is left should go to a
    /// file.
    pub(crate) fn settle(&mut self) -> bool {
        let is_taken = self.acknowledged == self.written;
        match &mut self.kept {
            Kept::Memory(bytes) if bytes.len() > SMALL_ENDED && is_taken => {
                self.kept = Kept::Nothing;
                false
            }
            Kept::Memory(bytes) => {
                bytes.shrink();
                bytes.len() > SMALL_ENDED && !self.truncated
            }
            Kept::File { .. } if is_taken => {
                self.kept = Kept::Nothing;
                false
            }
            Kept::File { .. } | Kept::Nothing => false,
        }
    }

    /// Whether it needs its file.
    pub(crate) const fn is_in_file(&self) -> bool {
        matches!(self.kept, Kept::File { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_ahead_of_its_reader_by_the_window_at_most() {
        let mut log = StreamLog::new(Retention::Backpressure, 10);
        log.append(&[1; 10]);
        assert_eq!((log.room(), log.place(1)), (0, Place::Memory));
        log.acknowledge(4);
        assert_eq!(log.room(), 4);
        log.append(&[2; 4]);
        // What was taken is dropped, and only that.
        assert_eq!((log.first(), log.written()), (4, 14));
        assert_eq!(log.at(3, 9), At::Gone { first: 4 });
        assert_eq!(log.at(8, 4), At::Bytes(Bytes::from_static(&[1, 1, 2, 2])));
        assert_eq!((log.at(14, 9), log.at(15, 9)), (At::End, At::Ahead));
    }

    #[test]
    fn what_was_taken_stays_as_long_as_there_is_room() {
        let mut log = StreamLog::new(Retention::Backpressure, 10);
        log.append(&[1; 10]);
        log.acknowledge(10);
        assert_eq!((log.room(), log.first()), (10, 0));
    }

    #[test]
    fn without_its_reader_it_goes_on_into_a_file() {
        let mut log = StreamLog::new(Retention::Backpressure, 10);
        log.append(&[1; 10]);
        log.go_on();
        assert_eq!((log.room(), log.place(5)), (usize::MAX, Place::NewFile));
        let memory = log.memory();
        assert_eq!((memory.first, memory.bytes.len()), (0, 10));
        log.moved_to_file();
        log.appended_to_file(5, 5);
        assert_eq!(
            log.at(8, 100),
            At::File {
                position: 8,
                length: 7
            }
        );
        log.appended_to_file(2, 5);
        assert_eq!((log.written(), log.is_truncated()), (17, true));
        assert_eq!((log.place(1), log.room()), (Place::Nowhere, usize::MAX));
    }

    #[test]
    fn little_output_needs_no_file() {
        let mut log = StreamLog::new(Retention::Spool, 1 << 20);
        assert_eq!(log.place(SMALL), Place::Memory);
        log.append(&vec![0; SMALL]);
        assert_eq!(log.place(1), Place::NewFile);
    }

    #[test]
    fn a_tail_is_the_last_bytes() {
        let mut log = StreamLog::new(Retention::Tail, 4);
        log.append(b"abcdef");
        assert_eq!((log.first(), log.written(), log.is_truncated()), (2, 6, false));
        assert_eq!(log.at(2, 9), At::Bytes(Bytes::from_static(b"cdef")));
    }

    #[test]
    fn after_the_end_only_what_was_not_taken_is_kept() {
        let mut taken = StreamLog::new(Retention::Backpressure, 1 << 20);
        taken.append(&[0; 5000]);
        assert!(taken.settle());
        taken.acknowledge(5000);
        assert!(!taken.settle());
        assert_eq!(
            (taken.first(), taken.at(0, 1), taken.at(5000, 1)),
            (5000, At::Gone { first: 5000 }, At::End)
        );
        let mut little = StreamLog::new(Retention::Backpressure, 1 << 20);
        little.append(&[0; 100]);
        little.acknowledge(100);
        assert!(!little.settle());
        assert_eq!(little.first(), 0);
    }
}
