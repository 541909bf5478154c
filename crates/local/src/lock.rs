//! A session's directory, while one process makes, changes or removes it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;
use tokio::time::Instant;

use crate::error::Error;
use crate::file::{SessionFile, write_private};

/// The pause between two tries to lock what another process has locked.
const PAUSE: Duration = Duration::from_millis(10);

/// A directory that this process has locked (flock(2)). The lock goes when it is dropped, and with this process.
#[derive(Debug)]
pub struct Locked {
    path: PathBuf,
    directory: Flock,
}

/// An open file that is locked.
///
/// It is unlocked before it is closed: a lock stays until the last copy of the descriptor is closed, and a child that another
/// thread just forked has one until it executes its program, `O_CLOEXEC` or not (flock(2)).
#[derive(Debug)]
pub(crate) struct Flock(File);

impl Flock {
    /// Locks the file, or fails with [`Errno::WOULDBLOCK`] if another has locked it in a way that `how` does not allow.
    pub(crate) fn now(file: File, how: FlockOperation) -> Result<Self, Errno> {
        flock(&file, how)?;
        Ok(Self(file))
    }
}

impl Drop for Flock {
    fn drop(&mut self) {
        // It can only fail for a descriptor that is none.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

/// Opens a directory itself, and none that a link leads to.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW;
    OpenOptions::new()
        .read(true)
        .custom_flags(i32::try_from(flags.bits()).unwrap_or_default())
        .open(path)
}

impl Locked {
    /// Locks a directory that was just made, and that nobody knows of yet.
    pub(crate) fn fresh(path: PathBuf) -> Result<Self, Error> {
        let locked = open(&path)
            .and_then(|directory| Ok(Flock::now(directory, FlockOperation::NonBlockingLockExclusive)?));
        match locked {
            Ok(directory) => Ok(Self { path, directory }),
            Err(source) => Err(Error::system("locking", path)(source)),
        }
    }

    /// Locks a directory, once nobody else has it locked, for `patience` at most. `None` if there is none.
    pub(crate) async fn wait(path: &Path, patience: Duration) -> Result<Option<Self>, Error> {
        let deadline = Instant::now() + patience;
        loop {
            match Self::attempt(path)? {
                Attempt::Missing => return Ok(None),
                Attempt::Locked(locked) => return Ok(Some(locked)),
                Attempt::Held if Instant::now() >= deadline => {
                    return Err(Error::Busy {
                        path: path.to_owned(),
                        seconds: patience.as_secs(),
                    });
                }
                Attempt::Held => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    /// Whether another process has the directory locked.
    pub(crate) fn is_held(path: &Path) -> Result<bool, Error> {
        let failed = |source| Error::system("looking at", path)(source);
        let directory = match open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            opened => opened.map_err(failed)?,
        };
        // Shared, so that those who look are not in each other's way.
        match Flock::now(directory, FlockOperation::NonBlockingLockShared) {
            Ok(_) => Ok(false),
            Err(Errno::WOULDBLOCK) => Ok(true),
            Err(errno) => Err(failed(errno.into())),
        }
    }

    fn attempt(path: &Path) -> Result<Attempt, Error> {
        let failed = |source| Error::system("locking", path)(source);
        let directory = match open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Attempt::Missing),
            opened => opened.map_err(failed)?,
        };
        let directory = match Flock::now(directory, FlockOperation::NonBlockingLockExclusive) {
            Ok(locked) => locked,
            Err(Errno::WOULDBLOCK) => return Ok(Attempt::Held),
            Err(errno) => return Err(failed(errno.into())),
        };
        // It may have been removed, and made anew, before it was locked.
        let is_it = match fs::symlink_metadata(path) {
            Ok(found) => {
                let locked = directory.0.metadata().map_err(failed)?;
                (found.dev(), found.ino()) == (locked.dev(), locked.ino())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Attempt::Missing),
            Err(error) => return Err(failed(error)),
        };
        let path = path.to_owned();
        Ok(if is_it {
            Attempt::Locked(Self { path, directory })
        } else {
            Attempt::Held
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the directory another name; fails if there is one of that name.
    pub(crate) fn rename(&mut self, to: PathBuf) -> io::Result<()> {
        // That fails where there is anything of that name, unless it is an empty directory, and none of ours is empty.
        fs::rename(&self.path, &to)?;
        self.path = to;
        Ok(())
    }

    /// Writes down what the session is.
    pub fn write(&self, file: &SessionFile) -> Result<(), Error> {
        file.write(&session_file(&self.path))
    }

    /// Writes down what nobody else may know.
    pub(crate) fn write_secret(&self, secret: &[u8]) -> Result<(), Error> {
        write_private(&secret_file(&self.path), secret)
    }

    /// What is written down of the session; `None` if whoever made it did not get so far.
    pub fn read(&self) -> Result<Option<SessionFile>, Error> {
        SessionFile::read(&session_file(&self.path))
    }

    /// What nobody else may know.
    pub fn read_secret(&self) -> Result<Vec<u8>, Error> {
        read_secret(&self.path)
    }

    /// Unlocks it.
    pub fn unlock(self) {
        drop(self.directory);
    }
}

enum Attempt {
    Missing,
    Held,
    Locked(Locked),
}

/// The file of what is written down of a session, in its directory.
pub(crate) fn session_file(directory: &Path) -> PathBuf {
    directory.join("session.json")
}

/// The file of what nobody else may know.
fn secret_file(directory: &Path) -> PathBuf {
    directory.join("secret.json")
}

/// The file that a session's agent has locked.
pub(crate) fn agent_lock(directory: &Path) -> PathBuf {
    directory.join("lock")
}

/// Where a session's agent is reached.
pub(crate) fn socket(directory: &Path) -> PathBuf {
    directory.join("socket")
}

/// What a session's agent complains of.
pub(crate) fn log(directory: &Path) -> PathBuf {
    directory.join("log")
}

/// Reads what nobody else may know.
pub(crate) fn read_secret(directory: &Path) -> Result<Vec<u8>, Error> {
    let path = secret_file(directory);
    fs::read(&path).map_err(Error::system("reading", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_at_a_time_has_a_directory_and_a_removed_one_is_not_there() {
        let there = tempfile::tempdir().unwrap();
        let path = there.path().join("s");
        let soon = Duration::from_secs(1);
        assert!(Locked::wait(&path, soon).await.unwrap().is_none());
        fs::create_dir(&path).unwrap();
        let locked = Locked::fresh(path.clone()).unwrap();
        assert!(Locked::is_held(&path).unwrap());
        assert!(matches!(
            Locked::wait(&path, soon).await,
            Err(Error::Busy { seconds: 1, .. })
        ));
        let waiting = tokio::spawn({
            let path = path.clone();
            async move { Locked::wait(&path, Duration::from_secs(60)).await }
        });
        tokio::task::yield_now().await;
        fs::remove_dir(&path).unwrap();
        locked.unlock();
        assert!(waiting.await.unwrap().unwrap().is_none());
    }

    /// A copy of the descriptor is what a child has between fork and exec.
    #[test]
    fn a_copy_of_the_descriptor_does_not_keep_the_lock() {
        let there = tempfile::tempdir().unwrap();
        let path = there.path().to_owned();
        let locked = Locked::fresh(path.clone()).unwrap();
        let copy = locked.directory.0.try_clone().unwrap();
        assert!(Locked::is_held(&path).unwrap());
        locked.unlock();
        assert!(!Locked::is_held(&path).unwrap());
        drop(copy);
    }

    #[test]
    fn a_name_that_is_taken_is_not_taken_over() {
        let there = tempfile::tempdir().unwrap();
        let (one, other) = (there.path().join("one"), there.path().join("other"));
        fs::create_dir(&one).unwrap();
        fs::create_dir(&other).unwrap();
        fs::write(other.join("session.json"), "").unwrap();
        let mut locked = Locked::fresh(one).unwrap();
        assert!(locked.rename(other.clone()).is_err());
        fs::remove_file(other.join("session.json")).unwrap();
        locked.rename(other.clone()).unwrap();
        assert_eq!(locked.path(), other);
    }
}
