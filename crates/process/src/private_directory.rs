//! A directory for one user and one purpose.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::removal::{LeftBehind, remove_tree};

/// Where temporary files go if the environment names no place: POSIX has it in every system.
const TEMPORARY: &str = "/tmp";

/// A directory for this user alone, whatever the umask: what processes write may be secret. It is removed with all in it
/// when dropped, but never what is mounted there.
#[derive(Debug)]
pub struct PrivateDirectory {
    /// Empty once it was removed.
    path: PathBuf,
}

impl PrivateDirectory {
    /// Makes one below `parent`, whose name begins with `prefix`.
    pub fn make_in(parent: &Path, prefix: &str) -> io::Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix(prefix)
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(parent)?;
        Ok(Self {
            path: directory.keep(),
        })
    }

    /// Makes one in the directory for temporary files (`TMPDIR`; `/tmp` if that is not set or empty).
    pub fn make(prefix: &str) -> io::Result<Self> {
        Self::make_in(&temporary(std::env::temp_dir()), prefix)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes it.
    pub fn remove(mut self) -> Result<(), LeftBehind> {
        remove_tree(&std::mem::take(&mut self.path))
    }
}

impl Drop for PrivateDirectory {
    fn drop(&mut self) {
        if !self.path.as_os_str().is_empty()
            && let Err(left) = remove_tree(&self.path)
        {
            tracing::warn!(error = %left.source, "{left}");
        }
    }
}

/// An empty path would mean the working directory.
fn temporary(named: PathBuf) -> PathBuf {
    if named.as_os_str().is_empty() {
        PathBuf::from(TEMPORARY)
    } else {
        named
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_tmpdir_is_none() {
        assert_eq!(temporary(PathBuf::new()), Path::new("/tmp"));
        assert_eq!(temporary(PathBuf::from("/t")), Path::new("/t"));
    }

    #[test]
    fn it_is_private_and_goes_when_dropped() {
        let directory = PrivateDirectory::make("podbay-test-").unwrap();
        let path = directory.path().to_owned();
        std::fs::write(path.join("file"), "x").unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        drop(directory);
        assert!(!path.exists());
    }
}
