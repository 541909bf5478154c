//! A lock that tells others that this process lives.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use tokio::time::Instant;

/// How often it is looked whether the file is still there.
const LOOK: Duration = Duration::from_secs(5);
/// How long the lock is tried for: whoever looks whether it is held holds it for a moment.
const TRIED_FOR: Duration = Duration::from_secs(1);
/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(10);

/// A locked file (flock(2)). The lock goes with this process, however that ends: no process that it starts has the descriptor.
#[derive(Debug)]
pub(super) struct Life {
    file: File,
    path: PathBuf,
}

impl Life {
    /// Locks the file, which is made if it is not there. Fails if another process has it locked.
    pub(super) async fn take(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path)?;
        let deadline = Instant::now() + TRIED_FOR;
        while let Err(errno) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
            if errno != Errno::WOULDBLOCK || Instant::now() >= deadline {
                return Err(errno.into());
            }
            tokio::time::sleep(PAUSE).await;
        }
        let path = path.to_owned();
        Ok(Self { file, path })
    }

    /// Writes down what the paths of this process's cgroups begin with: who finds that it was killed removes them.
    pub(super) fn tell_cgroups(&self, prefix: &Path) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.write_all_at(prefix.as_os_str().as_bytes(), 0)
    }

    /// Waits until the file is no longer at its path: whoever removed it wants nothing of this process any more.
    pub(super) async fn is_over(&self) {
        while self.is_there() {
            tokio::time::sleep(LOOK).await;
        }
    }

    fn is_there(&self) -> bool {
        let same = || {
            let (own, there) = (self.file.metadata()?, std::fs::metadata(&self.path)?);
            io::Result::Ok((own.dev(), own.ino()) == (there.dev(), there.ino()))
        };
        same().unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_lock_is_one_process_s_until_its_file_goes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let life = Life::take(&path).await.unwrap();
        assert_eq!(
            Life::take(&path).await.unwrap_err().kind(),
            io::ErrorKind::WouldBlock
        );
        assert!(life.is_there());
        std::fs::remove_file(&path).unwrap();
        life.is_over().await;
        // Another file of its name is not it.
        let other = Life::take(&path).await.unwrap();
        assert!(!life.is_there() && other.is_there());
        drop(other);
        Life::take(&path).await.unwrap();
    }
}
