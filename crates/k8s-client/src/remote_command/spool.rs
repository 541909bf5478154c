//! Where a queue overflows to: an unlinked temporary file, used as a ring.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::task;

/// A piece of the file that holds unread bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    /// Where it starts in the file.
    pub(super) offset: u64,
    /// Its bytes; never none.
    pub(super) len: u64,
}

/// The file. Nobody else can open it, and it is gone with the last handle, however the process ends.
#[derive(Clone, Debug)]
pub(super) struct Spool(Arc<File>);

/// Which bytes of the file are taken: a ring of `capacity` bytes. Extents are given out at its end and freed at
/// its start, in order.
#[derive(Debug)]
pub(super) struct Ring {
    capacity: u64,
    /// Where the next extent starts.
    end: u64,
    used: u64,
}

impl Spool {
    /// Makes the file in the system's directory for temporary files.
    pub(super) async fn create() -> io::Result<Self> {
        blocking(|| tempfile::tempfile().map(|file| Self(Arc::new(file)))).await
    }

    /// Writes `bytes` from `offset` on.
    pub(super) async fn write(&self, offset: u64, bytes: Bytes) -> io::Result<()> {
        let file = Arc::clone(&self.0);
        blocking(move || file.write_all_at(&bytes, offset)).await
    }

    /// Reads `len` bytes from `offset` on.
    pub(super) async fn read(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        let file = Arc::clone(&self.0);
        blocking(move || {
            let mut bytes = BytesMut::zeroed(len);
            file.read_exact_at(&mut bytes, offset)?;
            Ok(bytes.freeze())
        })
        .await
    }
}

/// Files block, whatever the runtime does; so they are used on its threads for blocking work.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    task::spawn_blocking(work).await.map_err(io::Error::other)?
}

impl Ring {
    pub(super) const fn new(capacity: u64) -> Self {
        Self {
            capacity,
            end: 0,
            used: 0,
        }
    }

    /// Where the next of at most `wanted` bytes may be written: as many as are free up to the file's end, none if
    /// the ring is full. They count as taken only after [`Ring::take`].
    pub(super) fn offer(&self, wanted: usize) -> Option<Extent> {
        let free = (self.capacity - self.used).min(self.capacity - self.end);
        let len = free.min(wanted as u64);
        (len > 0).then_some(Extent {
            offset: self.end,
            len,
        })
    }

    /// Takes what was offered.
    pub(super) const fn take(&mut self, extent: Extent) {
        self.used += extent.len;
        self.end = (extent.offset + extent.len) % self.capacity;
    }

    /// Frees the oldest `len` bytes.
    pub(super) const fn free(&mut self, len: u64) {
        self.used -= len;
    }
}

#[cfg(test)]
impl Spool {
    /// A file that refuses every write, as a full disk does.
    pub(super) fn that_refuses_writes() -> Self {
        Self(Arc::new(File::open("/dev/null").unwrap()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ring_wraps_and_never_gives_out_what_is_taken() {
        let mut ring = Ring::new(10);
        let first = ring.offer(7).unwrap();
        assert_eq!(first, Extent { offset: 0, len: 7 });
        ring.take(first);
        ring.free(4);
        let second = ring.offer(7).unwrap();
        assert_eq!(
            second,
            Extent { offset: 7, len: 3 },
            "no extent goes over the end"
        );
        ring.take(second);
        let third = ring.offer(7).unwrap();
        assert_eq!(third, Extent { offset: 0, len: 4 });
        ring.take(third);
        assert_eq!(ring.offer(1), None);
    }

    #[test]
    fn ring_without_capacity_gives_nothing() {
        assert_eq!(Ring::new(0).offer(1), None);
    }

    #[tokio::test]
    async fn file_gives_back_what_was_written() {
        let spool = Spool::create().await.unwrap();
        spool.write(5, Bytes::from_static(b"later")).await.unwrap();
        spool.write(0, Bytes::from_static(b"early")).await.unwrap();
        assert_eq!(spool.read(0, 10).await.unwrap(), "earlylater");
        assert!(
            spool.read(5, 6).await.is_err(),
            "reading past the end is an error, not zeros"
        );
    }
}
