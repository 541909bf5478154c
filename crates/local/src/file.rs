//! What is written down of a session, as one file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// The version of the file's layout. Fields that a reader does not know are passed over.
const VERSION: u32 = 1;

/// What is written down of a session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionFile {
    /// The version of its layout.
    version: u32,
    /// Tells the session from others that have or had its name. It marks the session's processes, too.
    pub uid: String,
    /// The directory that its commands work in.
    pub files: PathBuf,
    /// The directory that its commands start in, below `files`.
    pub work_directory: PathBuf,
    /// Whether its end was begun.
    #[serde(default)]
    pub closing: bool,
    /// What its user's program keeps of it.
    pub record: serde_json::Value,
}

/// The version alone: of a newer file nothing else may be assumed.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

impl SessionFile {
    /// What is written down of a new session.
    pub(crate) const fn new(
        uid: String,
        files: PathBuf,
        work_directory: PathBuf,
        record: serde_json::Value,
    ) -> Self {
        Self {
            version: VERSION,
            uid,
            files,
            work_directory,
            closing: false,
            record,
        }
    }

    /// Reads one; `None` if there is no such file.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>, Error> {
        let bytes = match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(Error::system("reading", path))?,
        };
        let unreadable = |source| Error::Unreadable {
            path: path.to_owned(),
            source,
        };
        let Version { version } = serde_json::from_slice(&bytes).map_err(unreadable)?;
        if version > VERSION {
            return Err(Error::Newer {
                path: path.to_owned(),
                found: version,
                known: VERSION,
            });
        }
        serde_json::from_slice(&bytes).map(Some).map_err(unreadable)
    }

    /// Writes it so that a reader finds the old one or the new one, whole.
    pub(crate) fn write(&self, path: &Path) -> Result<(), Error> {
        let json = serde_json::to_vec(self).map_err(|source| Error::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        write_private(path, &json)
    }
}

/// Writes a file that this user alone can read. It gets its name when it is whole.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let unfinished = path.with_extension("new");
    let write = || {
        let mut file: File = OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&unfinished)?;
        file.write_all(bytes)?;
        fs::rename(&unfinished, path)
    };
    write().map_err(Error::system("writing", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_as_it_was_written_and_a_newer_one_refused() {
        let there = tempfile::tempdir().unwrap();
        let path = there.path().join("session.json");
        assert_eq!(SessionFile::read(&path).unwrap(), None);
        let record = serde_json::json!({"any": ["thing"]});
        let file = SessionFile::new("u".to_owned(), "/f".into(), "/f/w".into(), record);
        file.write(&path).unwrap();
        assert_eq!(SessionFile::read(&path).unwrap(), Some(file));
        fs::write(&path, r#"{"version": 2, "files": 7}"#).unwrap();
        assert!(matches!(
            SessionFile::read(&path),
            Err(Error::Newer { found: 2, .. })
        ));
        fs::write(&path, r#"{"version": 1"#).unwrap();
        assert!(matches!(SessionFile::read(&path), Err(Error::Unreadable { .. })));
    }
}
