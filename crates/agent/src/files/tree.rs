//! Archives in and out.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use bytes::Bytes;
use podbay_archive::{
    Closed, Destination, Extraction, Limits, Policy, Report, Sink, Source, Stopped, tar::Owner,
};
use podbay_protocol::agent::files::TreeWritten;
use podbay_protocol::agent::raw_text::to_hex;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use super::{AbsolutePath, Disk, FileError};

/// Entries of an archive, at most: what it says of each is kept until its end (32 MB for so many).
const ENTRIES: u64 = 1_000_000;
/// Bytes of its files: as many as the disk holds.
const LIMITS: Limits = Limits {
    max_bytes: u64::MAX,
    max_entries: ENTRIES,
};

/// What comes of a tree that is packed.
#[derive(Debug)]
pub enum Packed {
    /// A piece of the archive.
    Piece(Bytes),
    /// The archive is whole.
    End {
        /// Lower-case hexadecimal SHA-256 of it.
        sha256: String,
        /// How many members it has.
        members: u64,
    },
}

/// A tree being packed.
#[derive(Debug)]
pub struct Packing {
    first: Option<Packed>,
    rest: mpsc::Receiver<Result<Packed, FileError>>,
}

/// Packs what is at `path` into an archive, with `name` as the name of its first member; without one, what is in the
/// directory, as `tar -C path .` does. What can be told before the first byte is an error here.
pub async fn pack(
    disk: &Disk,
    path: AbsolutePath,
    name: Option<Vec<u8>>,
    skip_links: bool,
) -> Result<Packing, FileError> {
    let permit = disk.packer().await?;
    let path = path.as_path().to_owned();
    let source = {
        let path = path.clone();
        disk.run(move || Source::find(&path)).await?
    };
    let failed = |path: &PathBuf, source| FileError::Archive {
        path: path.clone(),
        source,
    };
    let source = source.map_err(|error| failed(&path, error))?;
    if name.is_none() && !source.is_directory {
        return Err(FileError::system(
            "packing what is in",
            &path,
            rustix::io::Errno::NOTDIR,
        ));
    }
    // The archive waits in the reader's windows, not here.
    let (sender, mut rest) = mpsc::channel(1);
    tokio::task::spawn_blocking(move || {
        let mut sink = Pieces {
            sender,
            hash: Sha256::new(),
        };
        let packing = podbay_archive::Packing {
            // With an entry for the directory itself before what is in it: those who extract expect it.
            name: Some(name.as_deref().unwrap_or(b".")),
            limits: LIMITS,
            skip_links,
            owner: Owner::default(),
        };
        let last = match source.pack(&packing, &mut sink) {
            Ok(packed) => Some(Ok(Packed::End {
                sha256: to_hex(&sink.hash.finalize()),
                members: packed.members,
            })),
            Err(Stopped::Failed(error)) => Some(Err(failed(&path, error))),
            Err(Stopped::Closed) => None,
        };
        if let Some(last) = last {
            // Nobody listens any longer: nobody needs it.
            let _ = sink.sender.blocking_send(last);
        }
        drop(permit);
    });
    let first = rest.recv().await.ok_or(FileError::Fault)??;
    Ok(Packing {
        first: Some(first),
        rest,
    })
}

impl Packing {
    /// What comes next; the last is the archive's end or an error. Packing ends when this is dropped.
    pub async fn next(&mut self) -> Result<Packed, FileError> {
        if let Some(first) = self.first.take() {
            return Ok(first);
        }
        // The thread says how it ended, unless it ended by a fault.
        self.rest.recv().await.unwrap_or(Err(FileError::Fault))
    }
}

struct Pieces {
    sender: mpsc::Sender<Result<Packed, FileError>>,
    hash: Sha256,
}

impl Sink for Pieces {
    fn send(&mut self, piece: Bytes) -> Result<(), Closed> {
        self.hash.update(&piece);
        self.sender
            .blocking_send(Ok(Packed::Piece(piece)))
            .map_err(|_| Closed)
    }
}

/// An archive being written to a directory.
#[derive(Debug)]
pub struct Unpacking {
    disk: Disk,
    path: PathBuf,
    /// Away while a thread has it.
    extraction: Option<Extraction>,
}

impl Unpacking {
    /// Begins: with a `name`, the archive's only root has to have it, and goes where `cp -r` would put it: into the
    /// directory `path`, or under that name if nothing is there. Without one, what is in the archive goes into `path`;
    /// it begins with an entry `./`, as `tar -C path .` makes it.
    pub async fn begin(
        disk: &Disk,
        path: AbsolutePath,
        name: Option<Vec<u8>>,
        skip_links: bool,
    ) -> Result<Self, FileError> {
        let path = path.as_path().to_owned();
        let found = {
            let (path, name) = (path.clone(), name.clone().map(OsString::from_vec));
            disk.run(move || {
                if name.is_none() && !path.is_dir() {
                    return Err(podbay_archive::Error::NoDirectory {
                        path: path.display().to_string(),
                    });
                }
                Destination::find(&path, name.as_deref())
            })
            .await?
        };
        let destination = found.map_err(|source| FileError::Archive {
            path: path.clone(),
            source,
        })?;
        let policy = Policy::new(name.as_deref(), LIMITS, skip_links);
        Ok(Self {
            disk: disk.clone(),
            path,
            extraction: Some(Extraction::new(policy, destination)),
        })
    }

    /// Takes a piece of the archive.
    pub async fn write(&mut self, piece: Bytes) -> Result<(), FileError> {
        let mut extraction = self.extraction.take().ok_or(FileError::Fault)?;
        let fed = self.disk.run(move || {
            extraction.feed(&piece)?;
            Ok(extraction)
        });
        self.extraction = Some(fed.await?.map_err(|error| self.failed(error))?);
        Ok(())
    }

    /// The body is whole: so must the archive be.
    pub async fn finish(mut self) -> Result<TreeWritten, FileError> {
        let extraction = self.extraction.take().ok_or(FileError::Fault)?;
        let finished = self.disk.run(move || extraction.finish()?.commit());
        let report = finished.await?.map_err(|error| self.failed(error))?;
        let Report {
            files,
            directories,
            links: _,
            bytes,
            skipped,
        } = report;
        Ok(TreeWritten {
            files,
            directories,
            bytes,
            skipped_links: skipped.len() as u64,
        })
    }

    fn failed(&self, source: podbay_archive::Error) -> FileError {
        FileError::Archive {
            path: self.path.clone(),
            source,
        }
    }
}
