//! A file that gets its name when it is whole.
//!
//! Until then it has another one in the same directory, so that a transfer that fails leaves the old file as it was, and
//! a reader sees the old one or the new one. A transfer with an id keeps what arrived when its connection is lost: the next
//! request with that id goes on from there. One request at a time writes to it: it holds a lock on the file.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::num::NonZeroU64;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use podbay_protocol::agent::FileKind;
use podbay_protocol::agent::files::{TransferId, Written};
use podbay_protocol::hex::to_hex;
use rustix::fs::{
    Advice, AtFlags, CWD, FlockOperation, Mode, OFlags, fadvise, fchmod, flock, fstat, ftruncate, openat,
    renameat, statat, unlinkat,
};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use super::{AbsolutePath, Disk, FileError, PIECE, kind};

/// How many bytes the disk is told to write at once: few calls, and little that is left to write at the end. Whole pages, since one
/// that is on its way to the disk may hold up who writes to it.
const DISK_PIECE: u64 = 32 * 1024 * 1024;

/// What to write.
#[derive(Clone, Debug)]
pub struct Order {
    /// The file. A link that has the name is replaced, not followed.
    pub path: AbsolutePath,
    /// Its permissions. `None` is those of the file that it replaces, else what the umask leaves of 0666.
    pub mode: Option<u32>,
    /// When it was last modified, in seconds since 1970. `None` is now.
    pub modified: Option<u64>,
    /// The transfer that this is a part of.
    pub resumed: Option<Resumed>,
    /// The sender's hash of the whole file: lower-case hexadecimal SHA-256.
    pub sha256: Option<String>,
}

/// A part of a transfer.
#[derive(Clone, Debug)]
pub struct Resumed {
    /// The transfer.
    pub id: TransferId,
    /// Where the part begins. What the server has behind it is overwritten.
    pub offset: u64,
    /// Whether it is the last part: the file then gets its name.
    pub complete: bool,
}

/// A file being written. Dropped, it is gone, unless it is part of a transfer.
#[derive(Debug)]
pub struct Writing {
    disk: Disk,
    order: Order,
    /// Away while a thread has it.
    unfinished: Option<Unfinished>,
    /// Arrived and not written yet.
    pending: Vec<Bytes>,
    /// How many bytes these have.
    pending_bytes: usize,
}

/// A file under its temporary name.
#[derive(Debug)]
struct Unfinished {
    directory: OwnedFd,
    temporary: String,
    name: OsString,
    file: File,
    /// Bytes in it.
    length: u64,
    /// How many of these the disk has been told to take.
    sent_to_disk: u64,
    /// The hash of these; `None` if some were there before.
    hash: Option<Sha256>,
    /// Whether it stays when it is dropped.
    keep: bool,
}

impl Unfinished {
    /// Has the disk write while more arrives: by itself the system begins when a tenth of the memory waits to be written, and then the end
    /// of the transfer waits for all of it.
    fn send_to_disk(&mut self) {
        let whole = self.length - self.length % DISK_PIECE;
        let Some(length) = NonZeroU64::new(whole.saturating_sub(self.sent_to_disk)) else {
            return;
        };
        // Linux begins to write what is not on the disk yet, and takes from its cache what is (mm/fadvise.c); a filesystem without a disk
        // does nothing. Without the advice it only takes longer.
        let _ = fadvise(&self.file, self.sent_to_disk, Some(length), Advice::DontNeed);
        self.sent_to_disk = whole;
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.keep
            && let Err(error) = unlinkat(&self.directory, &self.temporary, AtFlags::empty())
        {
            tracing::warn!(%error, file = self.temporary, "a half-written file could not be removed");
        }
        // A child that another thread just forked has a copy of the descriptor until it executes its program, and a lock stays
        // as long as any copy does (flock(2)): the next request would find the transfer busy.
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}

impl Writing {
    /// Begins: whatever is wrong with the name shows here, before anything is sent.
    pub async fn begin(disk: &Disk, order: Order) -> Result<Self, FileError> {
        let for_thread = order.clone();
        let unfinished = disk.run(move || begin(&for_thread)).await??;
        Ok(Self {
            disk: disk.clone(),
            order,
            unfinished: Some(unfinished),
            pending: Vec::new(),
            pending_bytes: 0,
        })
    }

    /// Adds bytes.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), FileError> {
        self.pending_bytes += bytes.len();
        self.pending.push(bytes);
        if self.pending_bytes >= PIECE {
            self.flush().await?;
        }
        Ok(())
    }

    /// Says what the sender hashed, where that shows only at the end.
    pub fn expect(&mut self, sha256: String) {
        self.order.sha256 = Some(sha256);
    }

    async fn flush(&mut self) -> Result<(), FileError> {
        let pieces = std::mem::take(&mut self.pending);
        self.pending_bytes = 0;
        let mut unfinished = self.unfinished.take().ok_or(FileError::Fault)?;
        let path = self.order.path.as_path().to_owned();
        let (hash, to_hash) = (unfinished.hash.take(), pieces.clone());
        let is_read_back = hash.is_none();
        let written = self.disk.run(move || {
            for bytes in pieces {
                unfinished
                    .file
                    .write_all(&bytes)
                    .map_err(|error| FileError::system("writing", &path, error))?;
                unfinished.length += bytes.len() as u64;
            }
            if !is_read_back {
                unfinished.send_to_disk();
            }
            Ok(unfinished)
        });
        let hashed = self.disk.run(move || {
            hash.map(|mut hash| {
                for bytes in to_hash {
                    hash.update(&bytes);
                }
                hash
            })
        });
        // Both at the same time.
        let (written, hashed) = tokio::join!(written, hashed);
        let mut unfinished: Unfinished = written??;
        unfinished.hash = hashed?;
        self.unfinished = Some(unfinished);
        Ok(())
    }

    /// The body broke off: what arrived of a transfer is kept, all else is gone.
    pub async fn cut(mut self) {
        if self.order.resumed.is_some() && !self.pending.is_empty() {
            // The sender is not there any longer, and will ask how much arrived.
            let _ = self.flush().await;
        }
    }

    /// The body is whole. Checks the hash and gives the file its name, unless more of the transfer follows.
    pub async fn finish(mut self) -> Result<Written, FileError> {
        if !self.pending.is_empty() {
            self.flush().await?;
        }
        let mut unfinished = self.unfinished.take().ok_or(FileError::Fault)?;
        if self.order.resumed.as_ref().is_some_and(|part| !part.complete) {
            return Ok(Written::new(unfinished.length, None));
        }
        let hash = match unfinished.hash.take() {
            Some(hash) => hash,
            None => self.hash_again(&mut unfinished).await?,
        };
        let found = to_hex(&hash.finalize());
        if let Some(expected) = &self.order.sha256
            && *expected != found
        {
            // What is there can't become what was sent.
            unfinished.keep = false;
            return Err(FileError::Hash {
                path: self.order.path.as_path().to_owned(),
                expected: expected.clone(),
                found,
            });
        }
        let order = self.order.clone();
        let length = self.disk.run(move || complete(&order, unfinished)).await??;
        Ok(Written::new(length, Some(found)))
    }

    /// Reads what was written by this request and those before it.
    async fn hash_again(&self, unfinished: &mut Unfinished) -> Result<Sha256, FileError> {
        let path = self.order.path.as_path().to_owned();
        let failed = |error: std::io::Error| FileError::system("reading back", &path, error);
        let mut file = unfinished.file.try_clone().map_err(failed)?;
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
        let mut hash = Sha256::new();
        loop {
            // A part at a time, so that others get their turn.
            let read = self.disk.run(move || {
                let mut part = std::io::Read::take(&mut file, 64 * PIECE as u64);
                let mut buffer = vec![0; PIECE];
                let mut count = 0;
                loop {
                    let read = std::io::Read::read(&mut part, &mut buffer)?;
                    if read == 0 {
                        return std::io::Result::Ok((file, hash, count));
                    }
                    hash.update(&buffer[..read]);
                    count += read;
                }
            });
            let count;
            (file, hash, count) = read.await?.map_err(failed)?;
            if count == 0 {
                return Ok(hash);
            }
        }
    }
}

/// How much of a transfer there is, in bytes; 0 if there is nothing of it.
pub fn transferred(path: &AbsolutePath, id: &TransferId) -> Result<u64, FileError> {
    let (parent, _) = path.split()?;
    match statat(CWD, parent.join(temporary(id)), AtFlags::SYMLINK_NOFOLLOW) {
        Ok(found) if kind::kind(&found) == FileKind::File => Ok(kind::from_system(&found).size),
        Ok(_) | Err(Errno::NOENT) => Ok(0),
        Err(error) => Err(FileError::system("looking at", path.as_path(), error)),
    }
}

/// Removes what there is of a transfer that will not be completed.
pub fn abandon_transfer(path: &AbsolutePath, id: &TransferId) -> Result<(), FileError> {
    let (parent, _) = path.split()?;
    match unlinkat(CWD, parent.join(temporary(id)), AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(FileError::system("removing", path.as_path(), error)),
    }
}

/// Removes what there is of a transfer that no request is at work on and of which nothing has arrived for `idle`.
pub fn expire_transfer(path: &AbsolutePath, id: &TransferId, idle: Duration) -> Result<(), FileError> {
    let (parent, _) = path.split()?;
    let part = parent.join(temporary(id));
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let system = |error| FileError::system("removing what is left of a transfer to", path.as_path(), error);
    let file = match openat(CWD, &part, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(()),
        opened => File::from(opened.map_err(system)?),
    };
    let found = file.metadata().map_err(|error| {
        FileError::system("removing what is left of a transfer to", path.as_path(), error)
    })?;
    let age = found.modified().ok().and_then(|time| time.elapsed().ok());
    if !found.is_file() || age.is_none_or(|age| age < idle) {
        return Ok(());
    }
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => abandon_transfer(path, id),
        Err(Errno::WOULDBLOCK) => Ok(()),
        Err(error) => Err(system(error)),
    }
}

/// The name of a transfer's file until it is whole.
fn temporary(id: &TransferId) -> String {
    format!(".podbay-{}.part", id.as_str())
}

/// Whether both names are in the same directory, whatever links lead there, is no question: it is opened once.
fn begin(order: &Order) -> Result<Unfinished, FileError> {
    let path = order.path.as_path();
    let (parent, name) = order.path.split()?;
    let system = |doing| move |error: Errno| FileError::system(doing, path, error);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = openat(CWD, parent, flags, Mode::empty()).map_err(system("opening the directory of"))?;
    existing_mode(&directory, name, path)?;
    match &order.resumed {
        None => new_file(directory, name, order).map_err(system("writing")),
        Some(part) => resume(directory, name, order, part),
    }
}

/// The permissions of the file that has the name; an error if something has it that a file does not replace.
fn existing_mode(directory: &OwnedFd, name: &OsStr, path: &Path) -> Result<Option<u32>, FileError> {
    match statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(FileError::system("looking at", path, error)),
        Ok(found) => match kind::kind(&found) {
            FileKind::File => Ok(Some(found.st_mode & 0o7777)),
            FileKind::Symlink => Ok(None),
            FileKind::Directory => Err(FileError::system("writing", path, Errno::ISDIR)),
            kind => Err(FileError::Special {
                path: path.to_owned(),
                kind,
            }),
        },
    }
}

/// The mode to create with: nobody may read what will not be for everybody, not even for a moment.
fn first_mode(order: &Order) -> Mode {
    Mode::from_raw_mode(if order.mode.is_some() { 0o600 } else { 0o666 })
}

fn new_file(directory: OwnedFd, name: &OsStr, order: &Order) -> Result<Unfinished, Errno> {
    let temporary = format!(".podbay-{:016x}.part", rand::random::<u64>());
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = openat(&directory, &temporary, flags, first_mode(order))?;
    Ok(Unfinished {
        directory,
        temporary,
        name: name.to_owned(),
        file: file.into(),
        length: 0,
        sent_to_disk: 0,
        hash: Some(Sha256::new()),
        keep: false,
    })
}

fn resume(directory: OwnedFd, name: &OsStr, order: &Order, part: &Resumed) -> Result<Unfinished, FileError> {
    let path: PathBuf = order.path.as_path().to_owned();
    let system = |error: Errno| FileError::system("going on with a transfer to", &path, error);
    let temporary = temporary(&part.id);
    let flags = OFlags::RDWR
        | OFlags::CREATE
        | OFlags::NONBLOCK
        | OFlags::NOCTTY
        | OFlags::NOFOLLOW
        | OFlags::CLOEXEC;
    let file = openat(&directory, &temporary, flags, first_mode(order)).map_err(system)?;
    let found = fstat(&file).map_err(system)?;
    kind::only_regular(&found, &path)?;
    if found.st_nlink > 1 {
        // Somebody gave a file of his the name, by a hard link: writing would change that one.
        return Err(system(Errno::EXIST));
    }
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => return Err(FileError::TransferBusy { path }),
        Err(error) => return Err(system(error)),
    }
    // An earlier request may have completed the transfer since the file was opened.
    let found = fstat(&file).map_err(system)?;
    let have = kind::from_system(&found).size;
    let mut unfinished = Unfinished {
        directory,
        temporary,
        name: name.to_owned(),
        file: file.into(),
        length: part.offset,
        sent_to_disk: part.offset,
        hash: (part.offset == 0).then(Sha256::new),
        keep: true,
    };
    if found.st_nlink == 0 {
        return Err(FileError::TransferBusy { path });
    }
    if part.offset > have {
        unfinished.keep = have > 0;
        return Err(FileError::TransferGap {
            path,
            have,
            offset: part.offset,
        });
    }
    ftruncate(&unfinished.file, part.offset).map_err(system)?;
    unfinished
        .file
        .seek(SeekFrom::Start(part.offset))
        .map_err(|error| FileError::system("going on with a transfer to", &path, error))?;
    Ok(unfinished)
}

/// Gives the file its permissions and its name; what was there is then replaced, on the disk too.
fn complete(order: &Order, mut unfinished: Unfinished) -> Result<u64, FileError> {
    let path = order.path.as_path();
    let system = |error: Errno| FileError::system("writing", path, error);
    let existing = existing_mode(&unfinished.directory, &unfinished.name, path)?;
    if let Some(mode) = order.mode.or(existing) {
        fchmod(&unfinished.file, Mode::from_raw_mode(mode & 0o7777)).map_err(system)?;
    }
    if let Some(modified) = order
        .modified
        .and_then(|seconds| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)))
    {
        let set = unfinished.file.set_modified(modified);
        set.map_err(|error| FileError::system("writing", path, error))?;
    }
    unfinished
        .file
        .sync_all()
        .map_err(|error| FileError::system("writing", path, error))?;
    let directory = &unfinished.directory;
    renameat(directory, &unfinished.temporary, directory, &unfinished.name).map_err(system)?;
    unfinished.keep = true;
    // Some filesystems can't; the file is whole and has its name all the same.
    if let Err(error) = rustix::fs::fsync(directory) {
        tracing::debug!(%error, path = %path.display(), "a directory could not be written through");
    }
    Ok(unfinished.length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(directory: &Path, offset: u64) -> Order {
        Order {
            path: AbsolutePath::parse(directory.join("file").into_os_string().into_encoded_bytes()).unwrap(),
            mode: None,
            modified: None,
            resumed: Some(Resumed {
                id: "one".parse().unwrap(),
                offset,
                complete: false,
            }),
            sha256: None,
        }
    }

    /// A copy of the descriptor is what a child has between fork and exec.
    #[test]
    fn a_copy_of_the_descriptor_does_not_keep_a_transfer_busy() {
        let there = tempfile::tempdir().unwrap();
        let unfinished = begin(&part(there.path(), 0)).unwrap();
        let copy = unfinished.file.try_clone().unwrap();
        let second = begin(&part(there.path(), 0));
        assert!(matches!(second, Err(FileError::TransferBusy { .. })));
        drop(unfinished);
        begin(&part(there.path(), 0)).unwrap();
        drop(copy);
    }
}
