//! Spool files: output that does not stay in memory.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where spool files are made, and how much they may hold.
#[derive(Debug)]
pub(super) struct Spool {
    directory: Option<PathBuf>,
    /// How many bytes all files may hold together.
    limit: u64,
    /// How many one may hold.
    file_limit: u64,
    used: AtomicU64,
}

/// A spool file. It has no name: its space is free once nobody holds it any more, whatever happens to this program.
#[derive(Debug)]
pub(super) struct SpoolFile {
    file: File,
    length: AtomicU64,
    spool: Arc<Spool>,
}

impl Spool {
    pub(super) fn new(directory: Option<PathBuf>, limit: u64, file_limit: u64) -> Arc<Self> {
        Arc::new(Self {
            directory,
            limit,
            file_limit,
            used: AtomicU64::new(0),
        })
    }

    /// Makes a file that begins with `bytes`. None if these are too many, or no file can be had.
    pub(super) fn create(self: &Arc<Self>, bytes: &[u8]) -> Option<SpoolFile> {
        let directory = self.directory.as_deref()?;
        let file = match tempfile::tempfile_in(directory) {
            Ok(file) => file,
            Err(error) => {
                tracing::warn!(%error, directory = %directory.display(), "making a spool file");
                return None;
            }
        };
        let file = SpoolFile {
            file,
            length: AtomicU64::new(0),
            spool: Arc::clone(self),
        };
        (file.append(bytes) == bytes.len()).then_some(file)
    }

    /// Takes up to `count` bytes of the limit.
    fn reserve(&self, count: u64) -> u64 {
        let mut granted = 0;
        // The closure never refuses.
        let _ = self
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                granted = count.min(self.limit.saturating_sub(used));
                Some(used + granted)
            });
        granted
    }

    fn give_back(&self, count: u64) {
        self.used.fetch_sub(count, Ordering::Relaxed);
    }

    /// How many bytes all files hold now.
    #[cfg(test)]
    fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }
}

impl SpoolFile {
    /// Appends what there is room for. How many bytes that was: fewer than all means that there is no more room. By one
    /// writer at a time.
    pub(super) fn append(&self, bytes: &[u8]) -> usize {
        let length = self.length.load(Ordering::Acquire);
        let room = self.spool.file_limit.saturating_sub(length);
        let granted = self.spool.reserve(room.min(bytes.len() as u64));
        let count = usize::try_from(granted).map_or(bytes.len(), |granted| granted.min(bytes.len()));
        match self.file.write_all_at(&bytes[..count], length) {
            Ok(()) => {
                self.length.fetch_add(granted, Ordering::Release);
                count
            }
            Err(error) => {
                // The disk is full: the limit was set too high for it.
                tracing::warn!(%error, "writing a spool file");
                self.spool.give_back(granted);
                0
            }
        }
    }

    /// Reads `length` bytes, which were appended.
    pub(super) fn read(&self, position: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, position)?;
        Ok(bytes)
    }
}

impl Drop for SpoolFile {
    fn drop(&mut self) {
        self.spool.give_back(*self.length.get_mut());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_have_no_name_and_give_their_room_back() {
        let directory = tempfile::tempdir().unwrap();
        let spool = Spool::new(Some(directory.path().to_owned()), 10, 6);
        let first = spool.create(b"abc").unwrap();
        assert_eq!(first.append(b"defgh"), 3); // Its own limit.
        assert_eq!(first.read(1, 4).unwrap(), b"bcde");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
        let second = spool.create(b"1234").unwrap();
        assert_eq!((second.append(b"5"), spool.used()), (0, 10)); // Everybody's.
        assert!(spool.create(b"x").is_none());
        drop(first);
        assert_eq!((second.append(b"5"), spool.used()), (1, 5));
    }

    #[test]
    fn files_of_several_agents_in_one_directory_are_not_in_each_others_way() {
        let directory = tempfile::tempdir().unwrap();
        // In containers all of them are PID 1; here they are even one process.
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let spool = Spool::new(Some(directory.path().to_owned()), 10, 10);
                    for _ in 0..500 {
                        assert!(spool.create(b"x").is_some());
                    }
                });
            }
        });
    }

    #[test]
    fn without_a_directory_there_are_none() {
        assert!(Spool::new(None, 10, 10).create(b"").is_none());
        let gone = Spool::new(Some("/no/such/directory".into()), 10, 10);
        assert!(gone.create(b"x").is_none());
    }
}
