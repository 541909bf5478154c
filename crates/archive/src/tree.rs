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

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, fchmod, fstat, mkdirat, openat, renameat, statat, symlinkat, unlinkat,
};
use rustix::io::Errno;

use crate::destination::Destination;
use crate::error::Error;
use crate::member_path::MemberPath;
use crate::parts;
use crate::policy::Accepted;

/// What the owner needs to write into a directory.
const OWNER: u32 = 0o700;

/// A directory being opened for what is in it.
const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// A copy being written.
#[derive(Debug)]
pub(crate) struct Tree {
    destination: Destination,
    /// Open directories: the copy's own, if it has a name, and those down to where was last written.
    open: Vec<(OsString, OwnedFd)>,
    /// Directories that are not as writable as they have to be while they are filled, in order of creation.
    narrow: Vec<(MemberPath, u32)>,
    /// Whether the umask takes nothing off permissions.
    exact_modes: bool,
    /// The directory that was looked through last for what killed copies have left: its device and its number there.
    swept: Option<(u64, u64)>,
}

/// A file under its temporary name. Dropped, it is removed.
#[derive(Debug)]
pub(crate) struct Unfinished {
    directory: OwnedFd,
    temporary: String,
    name: OsString,
    /// For messages.
    path: String,
    file: File,
    modified: Option<u64>,
    /// The permissions it gets whatever the umask says.
    exact_mode: Option<u32>,
    finished: bool,
}

impl Tree {
    /// One that is written to `destination`.
    pub(crate) const fn new(destination: Destination) -> Self {
        Self {
            destination,
            open: Vec::new(),
            narrow: Vec::new(),
            exact_modes: false,
            swept: None,
        }
    }

    /// The umask takes nothing off permissions from here on.
    pub(crate) const fn exact_modes(&mut self) {
        self.exact_modes = true;
    }

    /// Makes a directory, or takes the one that is there, which keeps its mode.
    pub(crate) fn directory(&mut self, accepted: &Accepted) -> Result<(), Error> {
        let Some(name) = self.place(&accepted.path)? else {
            return Ok(());
        };
        let mode = accepted.mode | OWNER;
        let is_new = match mkdirat(self.last(), &name, Mode::from_raw_mode(mode)) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(error) => return Err(self.failed(&accepted.path, error)),
        };
        if is_new && mode != accepted.mode {
            self.narrow.push((accepted.path.clone(), mode & !accepted.mode));
        }
        self.enter(&accepted.path)?;
        if is_new && self.exact_modes {
            // What was entered is what was made: no link is followed, and it is one's own.
            fchmod(self.last(), Mode::from_raw_mode(mode))
                .map_err(|error| self.failed(&accepted.path, error))?;
        }
        Ok(())
    }

    /// Begins a file. `random` makes its temporary name.
    pub(crate) fn file(&mut self, accepted: &Accepted, random: u64) -> Result<Unfinished, Error> {
        let path = self.text(&accepted.path);
        let Some(name) = self.place(&accepted.path)? else {
            return Err(Error::Target {
                path,
                found: "a directory",
                wanted: "a file",
            });
        };
        if self.destination.directory_only && self.open.is_empty() {
            return Err(Error::NoDirectory { path });
        }
        self.may_replace(accepted, &name, "a file")?;
        self.sweep();
        let temporary = parts::name(random);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let failed = |source| Error::Local {
            path: path.clone(),
            source,
        };
        let directory = self.last().try_clone_to_owned().map_err(failed)?;
        // The mode may forbid writing: what is open already can be written all the same.
        let mode = Mode::from_raw_mode(accepted.mode);
        let file = openat(&directory, &temporary, flags, mode).map_err(|error| failed(error.into()))?;
        let (file, modified) = (File::from(file), accepted.modified);
        parts::hold(&file);
        Ok(Unfinished {
            directory,
            temporary,
            name,
            path,
            file,
            modified,
            exact_mode: self.exact_modes.then_some(accepted.mode),
            finished: false,
        })
    }

    /// Removes what a copy that was killed has left in the innermost open directory; once, as long as it is that one.
    fn sweep(&mut self) {
        let here = fstat(self.last()).ok().map(|stat| (stat.st_dev, stat.st_ino));
        if here.is_some() && here != self.swept {
            parts::sweep(self.last());
            self.swept = here;
        }
    }

    /// Makes a symbolic link to `target`, in place of any file or link that has its name. `random` makes its temporary name.
    pub(crate) fn symlink(&mut self, accepted: &Accepted, target: &[u8], random: u64) -> Result<(), Error> {
        const WANTED: &str = "a symbolic link";
        let Some(name) = self.place(&accepted.path)? else {
            return Err(Error::Target {
                path: self.text(&accepted.path),
                found: "a directory",
                wanted: WANTED,
            });
        };
        self.may_replace(accepted, &name, WANTED)?;
        let (directory, temporary) = (self.last(), parts::name(random));
        let made = symlinkat(target, directory, &temporary).and_then(|()| {
            renameat(directory, &temporary, directory, &name).inspect_err(|_| {
                // What went wrong is told; that a link to nowhere stays is not worse.
                let _ = unlinkat(directory, &temporary, AtFlags::empty());
            })
        });
        made.map_err(|error| self.failed(&accepted.path, error))
    }

    /// Whether `name` in the innermost open directory is free, or a file's or a link's, which are replaced.
    fn may_replace(&self, accepted: &Accepted, name: &OsStr, wanted: &'static str) -> Result<(), Error> {
        match statat(self.last(), name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => match FileType::from_raw_mode(stat.st_mode) {
                FileType::RegularFile | FileType::Symlink => Ok(()),
                found => Err(Error::Target {
                    path: self.text(&accepted.path),
                    found: kind(found),
                    wanted,
                }),
            },
            Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(self.failed(&accepted.path, error)),
        }
    }

    /// Gives directories the modes that would have been in the way, the deepest first.
    pub(crate) fn finish(mut self) -> Result<(), Error> {
        for (path, added) in std::mem::take(&mut self.narrow).into_iter().rev() {
            self.enter(&path)?;
            fstat(self.last())
                .and_then(|stat| fchmod(self.last(), Mode::from_raw_mode(stat.st_mode & 0o777 & !added)))
                .map_err(|error| self.failed(&path, error))?;
            // It may not be searchable any more.
            self.open.clear();
        }
        Ok(())
    }

    /// Makes the directory that `path` is in the innermost open one, and gives its name there; nothing for a
    /// destination that has none.
    fn place(&mut self, path: &MemberPath) -> Result<Option<OsString>, Error> {
        let Some((parent, name)) = path.split_last() else {
            self.open.clear();
            return Ok(self.destination.name.clone());
        };
        self.enter(&parent)?;
        Ok(Some(name.to_owned()))
    }

    /// Opens the directories down to `path`, those that are not open yet.
    fn enter(&mut self, path: &MemberPath) -> Result<(), Error> {
        let own = self.destination.name.clone();
        let wanted: Vec<&OsStr> = own
            .iter()
            .map(OsString::as_os_str)
            .chain(path.components())
            .collect();
        let common = self
            .open
            .iter()
            .zip(&wanted)
            .take_while(|((open, _), name)| open == *name)
            .count();
        self.open.truncate(common);
        for name in &wanted[common..] {
            match openat(self.last(), *name, DIRECTORY, Mode::empty()) {
                Ok(directory) => self.open.push(((*name).to_owned(), directory)),
                Err(error) => return Err(self.no_directory(path, name, error)),
            }
        }
        Ok(())
    }

    /// Why `name` on the way to `path` can't be opened as a directory.
    fn no_directory(&self, path: &MemberPath, name: &OsStr, error: Errno) -> Error {
        match statat(self.last(), name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if matches!(error, Errno::NOTDIR | Errno::LOOP) => Error::Target {
                path: self.text(path),
                found: kind(FileType::from_raw_mode(stat.st_mode)),
                wanted: "a directory",
            },
            _ => self.failed(path, error),
        }
    }

    /// The innermost open directory.
    fn last(&self) -> BorrowedFd<'_> {
        self.open
            .last()
            .map_or(self.destination.directory.as_fd(), |(_, directory)| {
                directory.as_fd()
            })
    }

    fn failed(&self, path: &MemberPath, error: Errno) -> Error {
        Error::Local {
            path: self.text(path),
            source: io::Error::from(error),
        }
    }

    /// A path for messages.
    fn text(&self, path: &MemberPath) -> String {
        let mut text = self.destination.target();
        text.extend(path.components());
        text.display().to_string()
    }
}

/// What a file of this side is.
pub(crate) const fn kind(file_type: FileType) -> &'static str {
    match file_type {
        FileType::RegularFile => "a file",
        FileType::Directory => "a directory",
        FileType::Symlink => "a symbolic link",
        FileType::Fifo => "a named pipe",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        FileType::Unknown => "of an unknown kind",
    }
}

impl Unfinished {
    /// Writes the next bytes.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file.write_all(bytes).map_err(|source| Error::Local {
            path: self.path.clone(),
            source,
        })
    }

    /// Gives it its name, in place of any file or link that has it.
    pub(crate) fn finish(mut self) -> Result<(), Error> {
        let rename = || -> io::Result<()> {
            if let Some(mode) = self.exact_mode {
                fchmod(&self.file, Mode::from_raw_mode(mode))?;
            }
            let since_epoch = self.modified.map(Duration::from_secs);
            if let Some(modified) = since_epoch.and_then(|since| SystemTime::UNIX_EPOCH.checked_add(since)) {
                self.file.set_modified(modified)?;
            }
            Ok(renameat(
                &self.directory,
                &self.temporary,
                &self.directory,
                &self.name,
            )?)
        };
        match rename() {
            Ok(()) => {
                self.finished = true;
                Ok(())
            }
            Err(source) => Err(Error::Local {
                path: self.path.clone(),
                source,
            }),
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
