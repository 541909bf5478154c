//! Archives in and out.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use bytes::Bytes;
use podbay_archive::{
    Closed, Destination, Extraction, Faults, Limits, Links, Policy, Report, Sink, Source, Stopped, tar::Owner,
};
use podbay_protocol::agent::files::TreeWritten;
use podbay_protocol::hex::to_hex;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use super::{AbsolutePath, Disk, FileError, PIECE};

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

/// What to pack.
#[derive(Clone, Debug)]
pub struct PackOrder {
    /// A directory or a file.
    pub path: AbsolutePath,
    /// The name of the archive's first member; without one, what is in the directory is packed, as `tar -C path .` does.
    pub name: Option<Vec<u8>>,
    /// Whether what is at the path is packed as a link if it is one; else the link is followed. Those below never are.
    pub keep_link: bool,
    /// Whether links are left out.
    pub skip_links: bool,
    /// Whether what can't be read is left out, and told at the end of the archive; else it ends that.
    pub tell_left: bool,
    /// How much of the archive the reader has, in bytes, and its hash: lower-case hexadecimal SHA-256.
    pub resumed: Option<(u64, String)>,
}

/// Packs a tree into an archive, the same one each time as long as the tree is the same. What can be told before the first byte is
/// an error here.
pub async fn pack(disk: &Disk, order: PackOrder) -> Result<Packing, FileError> {
    let PackOrder {
        path,
        name,
        keep_link,
        skip_links,
        tell_left,
        resumed,
    } = order;
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
            skip: resumed,
            mismatch: false,
        };
        let packing = podbay_archive::Packing {
            // With an entry for the directory itself before what is in it: those who extract expect it.
            name: Some(name.as_deref().unwrap_or(b".")),
            follow: !keep_link,
            limits: LIMITS,
            skip_links,
            faults: if tell_left { Faults::Tell } else { Faults::End },
            owner: Owner::default(),
        };
        let last = match source.pack(&packing, &mut sink) {
            // It ended before the part that the reader has.
            Ok(_) if sink.skip.is_some() => Some(Err(FileError::OtherTree { path })),
            Ok(packed) => Some(Ok(Packed::End {
                sha256: to_hex(&sink.hash.finalize()),
                members: packed.members,
            })),
            Err(Stopped::Failed(error)) => Some(Err(failed(&path, error))),
            Err(Stopped::Closed) if sink.mismatch => Some(Err(FileError::OtherTree { path })),
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
    /// Bytes that the reader has, less those that were packed, and their hash.
    skip: Option<(u64, String)>,
    /// Whether what the reader has is of another archive.
    mismatch: bool,
}

impl Pieces {
    /// Passes over what the reader has, and returns the rest of the piece.
    fn after_skipped(&mut self, mut piece: Bytes) -> Result<Bytes, Closed> {
        if let Some((left, expected)) = &mut self.skip {
            let skipped =
                piece.split_to(usize::try_from(*left).map_or(piece.len(), |left| left.min(piece.len())));
            self.hash.update(&skipped);
            *left -= skipped.len() as u64;
            if *left == 0 {
                if to_hex(&self.hash.clone().finalize()) != *expected {
                    self.mismatch = true;
                    return Err(Closed);
                }
                self.skip = None;
            }
        }
        Ok(piece)
    }
}

impl Sink for Pieces {
    fn send(&mut self, piece: Bytes) -> Result<(), Closed> {
        let piece = self.after_skipped(piece)?;
        if piece.is_empty() {
            return Ok(());
        }
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
    /// Away while a thread has them.
    state: Option<(Extraction, Sha256)>,
    /// How much of the archive there was, in bytes.
    taken: u64,
    /// Arrived and not written yet, and how many bytes these are.
    pending: Vec<Bytes>,
    pending_bytes: usize,
}

/// Where to unpack, and what is accepted.
#[derive(Clone, Debug)]
pub struct UnpackOrder {
    /// The directory.
    pub path: AbsolutePath,
    /// The name of the archive's only root, which goes where `cp -r` would put it: into the directory, or under that name if
    /// nothing is there. Without one, what is in the archive goes into the directory; an entry `./` for it may be there.
    pub name: Option<Vec<u8>>,
    /// What becomes of links.
    pub links: Links,
}

impl Unpacking {
    /// Begins: what is wrong with the directory shows here.
    pub async fn begin(disk: &Disk, order: UnpackOrder) -> Result<Self, FileError> {
        let UnpackOrder { path, name, links } = order;
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
        let policy = match &name {
            Some(name) => Policy::new(Some(name), LIMITS, links),
            None => Policy::below_directory(LIMITS, links),
        };
        let extraction = Extraction::new(policy, destination).with_exact_modes();
        Ok(Self {
            disk: disk.clone(),
            path,
            state: Some((extraction, Sha256::new())),
            taken: 0,
            pending: Vec::new(),
            pending_bytes: 0,
        })
    }

    /// How much of the archive there was, in bytes.
    pub const fn taken(&self) -> u64 {
        self.taken
    }

    /// Takes a piece of the archive.
    pub async fn write(&mut self, piece: Bytes) -> Result<(), FileError> {
        self.taken += piece.len() as u64;
        self.pending_bytes += piece.len();
        self.pending.push(piece);
        if self.pending_bytes >= PIECE {
            self.flush().await?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), FileError> {
        let pieces = std::mem::take(&mut self.pending);
        self.pending_bytes = 0;
        let (mut extraction, mut hash) = self.state.take().ok_or(FileError::Fault)?;
        let fed = self.disk.run(move || {
            for piece in pieces {
                hash.update(&piece);
                extraction.feed(&piece)?;
            }
            Ok((extraction, hash))
        });
        self.state = Some(fed.await?.map_err(|error| self.failed(error))?);
        Ok(())
    }

    /// The body is whole: so must the archive be, and what its sender hashed, if it says so.
    pub async fn finish(mut self, expected: Option<String>) -> Result<TreeWritten, FileError> {
        self.flush().await?;
        let (extraction, hash) = self.state.take().ok_or(FileError::Fault)?;
        let found = to_hex(&hash.finalize());
        if let Some(expected) = expected
            && expected != found
        {
            return Err(FileError::TreeHash {
                path: self.path.clone(),
                expected,
                found,
            });
        }
        let finished = self.disk.run(move || extraction.finish()?.commit());
        let report = finished.await?.map_err(|error| self.failed(error))?;
        let Report {
            files,
            directories,
            links,
            bytes,
            skipped,
            // Whoever packed it has told it.
            left: _,
        } = report;
        Ok(TreeWritten {
            files,
            directories,
            links,
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
