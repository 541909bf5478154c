//! Where a copy goes on this side, and what it is called there.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, openat};

use crate::error::Error;

/// A directory of this side, and a name in it.
#[derive(Debug)]
pub struct Destination {
    /// The directory.
    pub directory: OwnedFd,
    /// Its path, for messages.
    pub path: PathBuf,
    /// What the copy is called there; none if it is the directory itself.
    pub name: Option<OsString>,
    /// Whether only a directory can be put there: the path ended with a slash, and nothing was there.
    pub directory_only: bool,
}

impl Destination {
    /// Finds it as `cp` does: an existing directory (or a link to one) is copied into, under the source's name,
    /// everything else is the copy's new name, and the directory that it is in must be there. `source_name` is
    /// none when what is in a directory is copied.
    pub fn find(local: &Path, source_name: Option<&OsStr>) -> Result<Self, Error> {
        let (path, name, directory_only) = if local.is_dir() {
            (local.to_owned(), source_name.map(OsStr::to_owned), false)
        } else {
            let name = local.file_name().map(OsStr::to_owned);
            let parent = match local.parent() {
                Some(parent) if parent != Path::new("") => parent.to_owned(),
                _ => PathBuf::from("."),
            };
            // `a/..` where there is no `a`.
            if name.is_none() {
                return Err(Error::NoDirectory {
                    path: local.display().to_string(),
                });
            }
            let text = local.as_os_str().as_bytes();
            (parent, name, text.ends_with(b"/") || text.ends_with(b"/."))
        };
        // The user's own path: its links are followed.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match openat(CWD, &path, flags, Mode::empty()) {
            Ok(directory) => Ok(Self {
                directory,
                path,
                name,
                directory_only,
            }),
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => Err(Error::NoDirectory {
                path: path.display().to_string(),
            }),
            Err(error) => Err(Error::Local {
                path: path.display().to_string(),
                source: io::Error::from(error),
            }),
        }
    }

    /// The path of the copy.
    pub fn target(&self) -> PathBuf {
        self.name
            .as_ref()
            .map_or_else(|| self.path.clone(), |name| self.path.join(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(local: &Path, source: Option<&str>) -> Result<(PathBuf, bool), Error> {
        let found = Destination::find(local, source.map(OsStr::new))?;
        Ok((found.target(), found.directory_only))
    }

    #[test]
    fn a_directory_is_copied_into_and_everything_else_is_a_new_name() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        std::fs::write(at("file"), "").unwrap();
        std::os::unix::fs::symlink(".", at("link")).unwrap();
        assert_eq!(target(directory.path(), Some("a")).unwrap(), (at("a"), false));
        assert_eq!(target(&at("link"), Some("a")).unwrap(), (at("link/a"), false));
        assert_eq!(
            target(directory.path(), None).unwrap(),
            (directory.path().to_owned(), false)
        );
        assert_eq!(target(&at("new"), Some("a")).unwrap(), (at("new"), false));
        for directory in ["new/", "new/."] {
            assert_eq!(target(&at(directory), Some("a")).unwrap(), (at("new"), true));
        }
        assert_eq!(target(&at("file"), Some("a")).unwrap(), (at("file"), false));
        for nowhere in ["no/new", "file/new", "no/.."] {
            let error = target(&at(nowhere), Some("a")).unwrap_err();
            assert!(matches!(error, Error::NoDirectory { .. }), "{nowhere}: {error}");
        }
    }
}
