//! What is in a directory, as it is read.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use podbay_protocol::agent::NamedFile;
use rustix::fs::{CWD, Dir, Mode, OFlags, openat};
use rustix::io::Errno;

use super::{AbsolutePath, Disk, FileError, kind};

/// Entries that are read at once.
const BATCH: usize = 512;

/// A directory being read.
#[derive(Debug)]
pub struct Listing {
    disk: Disk,
    path: PathBuf,
    /// Away while a thread has it, and once all was read.
    open: Option<(OwnedFd, Dir)>,
}

impl Listing {
    /// Opens a directory.
    pub async fn open(disk: &Disk, path: AbsolutePath) -> Result<Self, FileError> {
        let path = path.as_path().to_owned();
        let open = {
            let path = path.clone();
            disk.run(move || {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
                let directory = openat(CWD, &path, flags, Mode::empty())?;
                let entries = Dir::read_from(&directory)?;
                rustix::io::Result::Ok((directory, entries))
            })
            .await?
        };
        let open = open.map_err(|error| FileError::system("listing", &path, error))?;
        Ok(Self {
            disk: disk.clone(),
            path,
            open: Some(open),
        })
    }

    /// Some more entries; `None` when there are no more. One that goes while it is looked at is left out.
    pub async fn next(&mut self) -> Result<Option<Vec<NamedFile>>, FileError> {
        let Some((directory, mut entries)) = self.open.take() else {
            return Ok(None);
        };
        let read = self.disk.run(move || {
            let mut batch = Vec::new();
            while batch.len() < BATCH {
                let Some(entry) = entries.next() else {
                    return Ok((None, batch));
                };
                let entry = entry?;
                let name = entry.file_name().to_bytes();
                if name == b"." || name == b".." {
                    continue;
                }
                match kind::of(&directory, OsStr::from_bytes(name), false) {
                    Ok(stat) => batch.push(NamedFile {
                        name: name.to_vec().into(),
                        stat,
                    }),
                    Err(Errno::NOENT) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok((Some((directory, entries)), batch))
        });
        let (open, batch) = read
            .await?
            .map_err(|error| FileError::system("listing", &self.path, error))?;
        self.open = open;
        Ok(Some(batch))
    }
}
