//! Where the key comes from.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, openat};
use secrecy::SecretString;

use super::{LENGTH_LIMIT, SessionKey};

/// The variables that may hold the key: OpenHands' V0 servers have the first, V1 ones the second. The first that is there
/// counts.
pub const VARIABLES: [&str; 2] = ["SESSION_API_KEY", "OH_SESSION_API_KEYS_0"];

/// The key can't be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// What is there is no key.
    #[error("the session's key is not 1 to {LENGTH_LIMIT} printable characters of ASCII")]
    Invalid,
    /// The file can't be read.
    #[error("the session's key can't be read from {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file was read and can't be removed, and the caller wanted it to be.
    #[error("the file {} with the session's key can't be removed", path.display())]
    Unlink {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The key did not come through standard input.
    #[error("the session's key can't be read from standard input")]
    Stdin {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The process could not be replaced by one without the key in its environment.
    #[error("this process can't be replaced by one without the session's key in its environment")]
    HandOver {
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Reads the key from a file and removes the file, so that nobody reads it after us. That it can't be removed (it is in a
/// mounted Secret) is an error: whoever put it there should know that it stays readable.
pub fn from_file(path: &Path) -> Result<SessionKey, KeyError> {
    let read = || -> io::Result<SecretString> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(openat(CWD, path, flags, Mode::empty())?);
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "it is not a regular file",
            ));
        }
        read_bounded(&mut file)
    };
    let text = read().map_err(|source| KeyError::File {
        path: path.to_owned(),
        source,
    })?;
    std::fs::remove_file(path).map_err(|source| KeyError::Unlink {
        path: path.to_owned(),
        source,
    })?;
    SessionKey::new(&text)
}

/// The key of an environment; `None` if it has none. A variable that is there and empty is none.
pub fn from_environment(variable: impl Fn(&str) -> Option<OsString>) -> Result<Option<SessionKey>, KeyError> {
    let value = VARIABLES
        .iter()
        .filter_map(|name| variable(name))
        .find(|value| !value.is_empty());
    let Some(value) = value else { return Ok(None) };
    let text = value.into_string().map_err(|_| KeyError::Invalid)?;
    SessionKey::new(&text.into()).map(Some)
}

/// Reads a key, and refuses what is too long for one.
pub(super) fn read_bounded(reader: &mut impl Read) -> io::Result<SecretString> {
    // Never grown, so that no copy stays behind in memory that was given back.
    let mut text = String::with_capacity(LENGTH_LIMIT + 8);
    reader.take(LENGTH_LIMIT as u64 + 2).read_to_string(&mut text)?;
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_gone_once_it_was_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        std::fs::write(&path, "abc\n").unwrap();
        assert!(from_file(&path).unwrap().is(b"abc"));
        assert!(!path.exists());
        assert!(matches!(from_file(&path), Err(KeyError::File { .. })));
    }

    #[test]
    fn what_is_no_file_of_a_key_is_refused_and_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        std::fs::write(at("long"), "x".repeat(LENGTH_LIMIT + 2)).unwrap();
        std::fs::write(at("empty"), "").unwrap();
        std::os::unix::fs::symlink(at("long"), at("link")).unwrap();
        rustix::fs::mknodat(CWD, at("fifo"), rustix::fs::FileType::Fifo, Mode::RWXU, 0).unwrap();
        for name in ["long", "empty", "link", "fifo", "none", "."] {
            assert!(from_file(&at(name)).is_err(), "{name}");
        }
    }

    #[test]
    fn the_first_variable_that_has_something_counts() {
        let key = |variables: &[(&str, &str)]| {
            from_environment(|name| {
                let found = variables.iter().find(|(variable, _)| *variable == name);
                found.map(|(_, value)| value.into())
            })
        };
        assert!(key(&[]).unwrap().is_none());
        assert!(key(&[("SESSION_API_KEY", "")]).unwrap().is_none());
        let both = key(&[("OH_SESSION_API_KEYS_0", "b"), ("SESSION_API_KEY", "a")]);
        assert!(both.unwrap().unwrap().is(b"a"));
        let second = key(&[("OH_SESSION_API_KEYS_0", "b"), ("SESSION_API_KEY", "")]);
        assert!(second.unwrap().unwrap().is(b"b"));
        assert!(matches!(
            key(&[("SESSION_API_KEY", "a b")]),
            Err(KeyError::Invalid)
        ));
    }
}
