//! Packs files of this side into an archive, piece by piece.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use rustix::fs::{CWD, FileType, Mode, OFlags, openat};

use crate::Report;
use crate::error::Error;
use crate::policy::Limits;
use crate::tar::{Member, MemberKind, Owner, end_of_archive, header, left_out, padding};
use crate::tree::kind;

/// Bytes of a file read at once: a few pieces of it are all that a copy holds in memory.
const PIECE: u64 = 128 * 1024;

/// Bytes that a file may have which claimed to have a piece at most. Those of `/proc` claim to have none, those of
/// `/sys` a page, and both have another number, so that small files are read before they are announced.
const UNANNOUNCED: u64 = 16 << 20;

/// Bytes of a header, and the unit of all else.
const HEADER: u64 = 512;

/// Permissions that are sent; set-user-ID and the like stay behind.
const PERMISSIONS: u32 = 0o777;

/// How to pack.
#[derive(Clone, Copy, Debug)]
pub struct Packing<'a> {
    /// What the source is called in the archive; `None` packs what is in it, under no name.
    pub name: Option<&'a [u8]>,
    /// Whether the source itself is followed if it is a link; links below never are.
    pub follow: bool,
    /// How much may go in.
    pub limits: Limits,
    /// Leaves links out.
    pub skip_links: bool,
    /// What becomes of what can't be packed.
    pub faults: Faults,
    /// Whose the members are.
    pub owner: Owner,
}

/// What becomes of what can't be read, or is neither a file nor a directory nor a link. What was asked for itself must be readable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Faults {
    /// It ends the copy.
    #[default]
    End,
    /// It is left out, and told in [`Report::left`].
    Leave,
    /// The same, and the archive tells it at its end to who reads it.
    Tell,
}

/// A file or directory of this side to be copied.
#[derive(Clone, Debug)]
pub struct Source {
    path: PathBuf,
    /// Whether it is a directory.
    pub is_directory: bool,
}

/// A regular file of this side, as it is read.
#[derive(Debug)]
pub struct SourceFile {
    path: PathBuf,
    file: File,
    read: u64,
    metadata: fs::Metadata,
}

impl SourceFile {
    /// What the system knew of it when it was opened.
    pub const fn metadata(&self) -> &fs::Metadata {
        &self.metadata
    }

    /// The permissions that are sent.
    pub fn mode(&self) -> u32 {
        self.metadata.mode() & PERMISSIONS
    }

    /// When it was last modified, in seconds since 1970.
    pub fn modified(&self) -> u64 {
        u64::try_from(self.metadata.mtime()).unwrap_or(0)
    }

    /// The next piece, of at most so many bytes; `None` at its end. That it became shorter or longer is an error; what is small may
    /// have claimed anything.
    pub fn next(&mut self, most: usize) -> Result<Option<Bytes>, Error> {
        let failed = |source: io::Error| local(&self.path, source);
        let mut piece = Vec::with_capacity(most);
        let mut part = (&mut self.file).take(most as u64);
        let read = part.read_to_end(&mut piece).map_err(failed)?;
        self.read += read as u64;
        let claimed = self.metadata.len();
        if claimed > PIECE && self.read > claimed {
            return Err(changed(&self.path, claimed, "more"));
        }
        if read > 0 {
            return Ok(Some(piece.into()));
        }
        if claimed > PIECE && self.read < claimed {
            return Err(changed(&self.path, claimed, "fewer"));
        }
        Ok(None)
    }
}

/// Where the archive goes; refuses when nobody reads it any longer.
pub trait Sink {
    /// Takes the next piece, and waits while the reader is slower.
    fn send(&mut self, piece: Bytes) -> Result<(), Closed>;
}

/// The archive is not read any longer: the reader knows why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

/// Why packing ended early.
#[derive(Debug)]
pub enum Stopped {
    /// It failed on this side.
    Failed(Error),
    /// The other side went.
    Closed,
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<Closed> for Stopped {
    fn from(Closed: Closed) -> Self {
        Self::Closed
    }
}

/// What was packed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Packed {
    /// What went in.
    pub report: Report,
    /// Members of the archive.
    pub members: u64,
    /// Newlines in their names: a `tar` that lists names as they are writes that many lines more.
    pub newlines: u64,
}

/// The name that a path ends with; `None` for `/` and for paths that end with `.` or `..`, whatever slashes follow: who writes
/// that means a directory.
pub fn name_of(path: &Path) -> Option<&OsStr> {
    // `Path` itself takes `a/.` and `a/./` for `a`.
    let bytes = path.as_os_str().as_bytes();
    let last = bytes.split(|&byte| byte == b'/').rfind(|part| !part.is_empty());
    if last == Some(b".") {
        None
    } else {
        path.file_name()
    }
}

impl Source {
    /// Looks at what is at `path`. A link that is named itself is followed.
    pub fn find(path: &Path) -> Result<Self, Error> {
        let metadata = fs::metadata(path).map_err(|source| local(path, source))?;
        Ok(Self {
            path: path.to_owned(),
            is_directory: metadata.is_dir(),
        })
    }

    /// Its name; `None` for `/` and paths that end with `.` or `..`: what is in them is copied then.
    pub fn name(&self) -> Option<&OsStr> {
        name_of(&self.path)
    }

    /// Opens it by itself. Anything but a regular file is an error.
    pub fn open(&self) -> Result<SourceFile, Error> {
        let (file, metadata) = open(&self.path, true)?;
        Ok(SourceFile {
            path: self.path.clone(),
            file,
            read: 0,
            metadata,
        })
    }

    /// How many bytes an archive of it has, as far as that can be told from outside: for those who want to know how long it takes.
    pub fn measure(&self) -> u64 {
        let mut total = 0;
        let mut todo = vec![self.path.clone()];
        while let Some(path) = todo.pop() {
            let Ok(found) = fs::symlink_metadata(&path) else {
                continue;
            };
            let size = if found.is_file() { found.len() } else { 0 };
            total += HEADER + size.next_multiple_of(HEADER);
            if found.is_dir() {
                let entries = fs::read_dir(&path).into_iter().flatten().flatten();
                todo.extend(entries.map(|entry| entry.path()));
            }
        }
        total
    }

    /// Packs it into `sink`, to the end of an archive.
    pub fn pack(self, packing: &Packing<'_>, sink: &mut impl Sink) -> Result<Packed, Stopped> {
        let Packing {
            name,
            follow,
            limits,
            skip_links,
            faults,
            owner,
        } = *packing;
        let mut packer = Packer {
            sink,
            limits,
            skip_links,
            faults,
            owner,
            length: 0,
            packed: Packed::default(),
            directories: Vec::new(),
        };
        match name {
            Some(name) => packer.add(&self.path, name.to_vec(), follow)?,
            None => packer.open(&self.path, Vec::new())?,
        }
        while let Some((directory, member, names)) = packer.directories.last_mut() {
            let Some(name) = names.pop() else {
                packer.directories.pop();
                continue;
            };
            let path = directory.join(&name);
            let member = if member.is_empty() {
                name.as_bytes().to_vec()
            } else {
                [member.as_slice(), name.as_bytes()].join(&b'/')
            };
            packer.add_or_leave(&path, member)?;
        }
        if faults == Faults::Tell {
            let told = left_out(&packer.packed.report.left);
            packer.send(told.into())?;
        }
        let end = end_of_archive(packer.length);
        // A reader that has all members may leave before the end.
        let _ = packer.sink.send(end.into());
        Ok(packer.packed)
    }
}

/// Opens a regular file, and nothing else.
fn open(path: &Path, follow: bool) -> Result<(File, fs::Metadata), Error> {
    let failed = |source: io::Error| local(path, source);
    // It may have become a pipe or a link since it was looked at.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let flags = if follow { flags } else { flags | OFlags::NOFOLLOW };
    let opened = openat(CWD, path, flags, Mode::empty());
    let file = opened.map(File::from).map_err(|error| failed(error.into()))?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_file() {
        return Ok((file, metadata));
    }
    let kind = kind(FileType::from_raw_mode(metadata.mode()));
    Err(Error::Kind {
        path: path.display().to_string(),
        kind,
    })
}

struct Packer<'a, S> {
    sink: &'a mut S,
    limits: Limits,
    skip_links: bool,
    faults: Faults,
    owner: Owner,
    /// Bytes sent.
    length: u64,
    packed: Packed,
    /// The directories being walked through: path, member's name, and names in it yet to come, last first.
    directories: Vec<(PathBuf, Vec<u8>, Vec<OsString>)>,
}

impl<S: Sink> Packer<'_, S> {
    /// Adds what is at `path`, unless it can't be read.
    fn add_or_leave(&mut self, path: &Path, member: Vec<u8>) -> Result<(), Stopped> {
        let before = self.packed.members;
        match self.add(path, member, false) {
            // What was announced must come.
            Err(Stopped::Failed(error)) if self.packed.members == before => self.leave(path, error),
            added => added,
        }
    }

    fn leave(&mut self, path: &Path, error: Error) -> Result<(), Stopped> {
        let reason = match &error {
            _ if self.faults == Faults::End => return Err(error.into()),
            Error::Local { source, .. } => source.to_string(),
            Error::Kind { kind, .. } => format!("it is {kind}"),
            _ => return Err(error.into()),
        };
        self.packed.report.left.push(path.display().to_string(), reason);
        Ok(())
    }

    /// Adds what is at `path`; a directory is opened, to be walked through next.
    fn add(&mut self, path: &Path, member: Vec<u8>, follow: bool) -> Result<(), Stopped> {
        let metadata = if follow {
            fs::metadata(path)
        } else {
            fs::symlink_metadata(path)
        };
        let metadata = metadata.map_err(|source| local(path, source))?;
        let file_type = metadata.file_type();
        let (mode, modified) = (
            metadata.mode() & PERMISSIONS,
            u64::try_from(metadata.mtime()).unwrap_or(0),
        );
        if file_type.is_dir() {
            self.announce(&Member {
                name: &member,
                kind: MemberKind::Directory,
                mode,
                modified,
                owner: self.owner,
            })?;
            self.packed.report.directories += 1;
            match self.open(path, member) {
                // It is there, and what is in it is not.
                Err(Stopped::Failed(error)) if !self.directories.is_empty() => self.leave(path, error),
                opened => opened,
            }
        } else if file_type.is_symlink() && self.skip_links {
            self.packed.report.skipped.push(path.display().to_string());
            Ok(())
        } else if file_type.is_symlink() {
            let target = fs::read_link(path).map_err(|source| local(path, source))?;
            let kind = MemberKind::Symlink(target.as_os_str().as_bytes());
            self.announce(&Member {
                name: &member,
                kind,
                mode,
                modified,
                owner: self.owner,
            })?;
            self.packed.report.links += 1;
            Ok(())
        } else if file_type.is_file() {
            self.file(path, &member, follow)
        } else {
            let kind = kind(FileType::from_raw_mode(metadata.mode()));
            Err(Error::Kind {
                path: path.display().to_string(),
                kind,
            }
            .into())
        }
    }

    /// Reads the names in a directory, which come next, in the order of their bytes.
    fn open(&mut self, path: &Path, member: Vec<u8>) -> Result<(), Stopped> {
        let read = || {
            fs::read_dir(path)?
                .map(|entry| Ok(entry?.file_name()))
                .collect::<io::Result<Vec<_>>>()
        };
        let mut names = read().map_err(|source| local(path, source))?;
        names.sort_unstable_by(|a, b| b.cmp(a));
        self.directories.push((path.to_owned(), member, names));
        Ok(())
    }

    /// Sends a file. Its announced size is a promise: an archive with more or fewer bytes is another archive.
    fn file(&mut self, path: &Path, member: &[u8], follow: bool) -> Result<(), Stopped> {
        let (mut file, metadata) = open(path, follow)?;
        let claimed = metadata.len();
        // Whatever a small file claims: what is there is what is sent.
        let read_ahead = if claimed <= PIECE {
            Some(read_small(path, &mut file, claimed)?)
        } else {
            None
        };
        let size = read_ahead.as_ref().map_or(claimed, |read| read.len() as u64);
        self.limits
            .check(0, self.packed.report.bytes.saturating_add(size))?;
        let modified = u64::try_from(metadata.mtime()).unwrap_or(0);
        let mode = metadata.mode() & PERMISSIONS;
        self.announce(&Member {
            name: member,
            kind: MemberKind::File(size),
            mode,
            modified,
            owner: self.owner,
        })?;
        match read_ahead {
            Some(read) => self.send(read)?,
            None => self.stream(path, &mut file, size)?,
        }
        self.send(Bytes::from_static(padding(size)))?;
        self.packed.report.files += 1;
        self.packed.report.bytes += size;
        Ok(())
    }

    /// Sends a file piece by piece.
    fn stream(&mut self, path: &Path, file: &mut File, size: u64) -> Result<(), Stopped> {
        let failed = |source: io::Error| local(path, source);
        let mut left = size;
        while left > 0 {
            let mut piece = BytesMut::zeroed(usize::try_from(left.min(PIECE)).unwrap_or(usize::MAX));
            let read = file.read(&mut piece).map_err(failed)?;
            if read == 0 {
                return Err(changed(path, size, "fewer").into());
            }
            piece.truncate(read);
            left -= read as u64;
            self.send(piece.freeze())?;
        }
        if file.read(&mut [0]).map_err(failed)? > 0 {
            return Err(changed(path, size, "more").into());
        }
        Ok(())
    }

    fn announce(&mut self, member: &Member<'_>) -> Result<(), Stopped> {
        self.packed.members += 1;
        self.limits.check(self.packed.members, 0)?;
        self.packed.newlines += newlines(member.name);
        self.send(header(member).into())
    }

    fn send(&mut self, piece: Bytes) -> Result<(), Stopped> {
        self.length += piece.len() as u64;
        if piece.is_empty() {
            Ok(())
        } else {
            Ok(self.sink.send(piece)?)
        }
    }
}

/// How many newlines there are.
fn newlines(bytes: &[u8]) -> u64 {
    bytes.iter().map(|&byte| u64::from(byte == b'\n')).sum()
}

/// All of a file that claimed to be small.
fn read_small(path: &Path, file: &mut File, claimed: u64) -> Result<Bytes, Error> {
    let mut content = Vec::new();
    file.take(UNANNOUNCED + 1)
        .read_to_end(&mut content)
        .map_err(|source| local(path, source))?;
    if content.len() as u64 > UNANNOUNCED {
        return Err(changed(path, claimed, "more"));
    }
    Ok(content.into())
}

fn changed(path: &Path, expected: u64, found: &'static str) -> Error {
    Error::Changed {
        path: path.display().to_string(),
        expected,
        found,
    }
}

fn local(path: &Path, source: io::Error) -> Error {
    Error::Local {
        path: path.display().to_string(),
        source,
    }
}
