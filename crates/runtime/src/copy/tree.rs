//! Writes files below a directory of this side, and nowhere else.
//!
//! Each name is looked up in the open directory that it is in, and links are not followed, so a link that is
//! there (or is put there meanwhile) can't lead a write elsewhere. Files get their name only when they are
//! whole; until then they have one of their own.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, fchmod, fstat, mkdirat, openat, renameat, statat, unlinkat};
use rustix::io::Errno;

use super::destination::Destination;
use super::error::CopyError;
use super::member_path::MemberPath;
use super::policy::Accepted;

/// What the owner needs to write into a directory.
const OWNER: u32 = 0o700;

/// A directory being opened for what is in it.
const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// A copy being written.
#[derive(Debug)]
pub(super) struct Tree {
    destination: Destination,
    /// Open directories: the copy's own, if it has a name, and those down to where was last written.
    open: Vec<(OsString, OwnedFd)>,
    /// Directories that are not as writable as they have to be while they are filled, in order of creation.
    narrow: Vec<(MemberPath, u32)>,
}

/// A file under its temporary name. Dropped, it is removed.
#[derive(Debug)]
pub(super) struct Unfinished {
    directory: OwnedFd,
    temporary: String,
    name: OsString,
    /// For messages.
    path: String,
    file: File,
    modified: Option<u64>,
    finished: bool,
}

impl Tree {
    /// One that is written to `destination`.
    pub(super) const fn new(destination: Destination) -> Self {
        Self { destination, open: Vec::new(), narrow: Vec::new() }
    }

    /// Makes a directory, or takes the one that is there.
    pub(super) fn directory(&mut self, accepted: &Accepted) -> Result<(), CopyError> {
        let Some((parent, name)) = self.place(&accepted.path)? else { return Ok(()) };
        let mode = accepted.mode | OWNER;
        match mkdirat(parent, &name, Mode::from_raw_mode(mode)) {
            Ok(()) if mode != accepted.mode => self.narrow.push((accepted.path.clone(), mode & !accepted.mode)),
            Ok(()) => {}
            // It keeps its mode.
            Err(Errno::EXIST) => self.expect_directory(parent, &name, &accepted.path)?,
            Err(error) => return Err(self.failed(&accepted.path, error)),
        }
        self.enter(&accepted.path)
    }

    /// Begins a file. `random` makes its temporary name.
    pub(super) fn file(&mut self, accepted: &Accepted, random: u64) -> Result<Unfinished, CopyError> {
        let path = self.text(&accepted.path);
        let Some((parent, name)) = self.place(&accepted.path)? else {
            return Err(CopyError::LocalTarget { path, found: "a directory", wanted: "a file" });
        };
        if self.destination.directory_only && self.open.is_empty() {
            return Err(CopyError::NoLocalDirectory { path });
        }
        match statat(parent, &name, AtFlags::SYMLINK_NOFOLLOW).map(|stat| FileType::from_raw_mode(stat.st_mode)) {
            Ok(FileType::RegularFile | FileType::Symlink) | Err(Errno::NOENT) => {}
            Ok(found) => return Err(CopyError::LocalTarget { path, found: kind(found), wanted: "a file" }),
            Err(error) => return Err(self.failed(&accepted.path, error)),
        }
        let temporary = format!(".podbay-{random:016x}.part");
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = || -> rustix::io::Result<_> {
            let directory = parent.try_clone_to_owned().map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
            // Writable by us even where the file is not to be; an open file stays so.
            let file = openat(&directory, &temporary, flags, Mode::from_raw_mode(accepted.mode))?;
            Ok((directory, File::from(file)))
        };
        let (directory, file) = open().map_err(|error| self.failed(&accepted.path, error))?;
        Ok(Unfinished { directory, temporary, name, path, file, modified: accepted.modified, finished: false })
    }

    /// Gives directories the modes that would have been in the way, the deepest first.
    pub(super) fn finish(mut self) -> Result<(), CopyError> {
        for (path, added) in std::mem::take(&mut self.narrow).into_iter().rev() {
            self.enter(&path)?;
            let narrow = |directory: BorrowedFd<'_>| {
                let mode = fstat(directory)?.st_mode & 0o777;
                fchmod(directory, Mode::from_raw_mode(mode & !added))
            };
            if let Some((_, directory)) = self.open.last() {
                narrow(directory.as_fd()).map_err(|error| self.failed(&path, error))?;
            }
            // Not searchable any more, perhaps.
            self.open.clear();
        }
        Ok(())
    }

    /// The open directory that `path` is in and its name there; nothing for the destination itself.
    fn place(&mut self, path: &MemberPath) -> Result<Option<(BorrowedFd<'_>, OsString)>, CopyError> {
        match path.split_last() {
            Some((parent, name)) => {
                let name = name.to_owned();
                self.enter(&parent)?;
                Ok(Some((self.last(), name)))
            }
            None => {
                self.open.clear();
                Ok(self.destination.name.clone().map(|name| (self.destination.directory.as_fd(), name)))
            }
        }
    }

    /// Opens the directories down to `path`, those that are not open yet.
    fn enter(&mut self, path: &MemberPath) -> Result<(), CopyError> {
        let own = self.destination.name.clone();
        let wanted: Vec<&OsStr> = own.iter().map(OsString::as_os_str).chain(path.components()).collect();
        let common = self.open.iter().zip(&wanted).take_while(|((open, _), name)| open == *name).count();
        self.open.truncate(common);
        for name in &wanted[common..] {
            let opened = openat(self.last(), *name, DIRECTORY, Mode::empty());
            let directory = opened.map_err(|error| self.failed(path, error))?;
            self.open.push(((*name).to_owned(), directory));
        }
        Ok(())
    }

    /// The innermost open directory.
    fn last(&self) -> BorrowedFd<'_> {
        self.open.last().map_or(self.destination.directory.as_fd(), |(_, directory)| directory.as_fd())
    }

    fn failed(&self, path: &MemberPath, error: Errno) -> CopyError {
        CopyError::Local { path: self.text(path), source: io::Error::from(error) }
    }

    /// A path for messages.
    fn text(&self, path: &MemberPath) -> String {
        let mut text = self.destination.target();
        text.extend(path.components());
        text.display().to_string()
    }
}

/// What a file of this side is.
pub(super) const fn kind(file_type: FileType) -> &'static str {
    match file_type {
        FileType::RegularFile => "a file",
        FileType::Directory => "a directory",
        FileType::Symlink => "a symbolic link",
        FileType::Fifo => "a named pipe",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        _ => "of an unknown kind",
    }
}

impl Unfinished {
    /// Writes the next bytes.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), CopyError> {
        self.file.write_all(bytes).map_err(|source| CopyError::Local { path: self.path.clone(), source })
    }

    /// Gives it its name, in place of any file or link that has it.
    pub(super) fn finish(mut self) -> Result<(), CopyError> {
        let rename = || -> io::Result<()> {
            if let Some(modified) = self.modified.and_then(|seconds| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))) {
                self.file.set_modified(modified)?;
            }
            Ok(renameat(&self.directory, &self.temporary, &self.directory, &self.name)?)
        };
        match rename() {
            Ok(()) => {
                self.finished = true;
                Ok(())
            }
            Err(source) => Err(CopyError::Local { path: self.path.clone(), source }),
        }
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.finished
            && let Err(error) = unlinkat(&self.directory, &self.temporary, AtFlags::empty())
        {
            tracing::warn!(%error, file = self.temporary, beside = self.path, "a half-written file could not be removed");
        }
    }
}
