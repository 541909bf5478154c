//! What stands under a name.

use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::path::Path;

use podbay_protocol::agent::{FileKind, FileStat};
use rustix::fs::{AtFlags, CWD, FileType, Stat, readlinkat, statat};

use super::{AbsolutePath, FileError};

/// What is known of a file; with `follow`, of what it leads to if it is a link.
pub fn stat(path: &AbsolutePath, follow: bool) -> Result<FileStat, FileError> {
    let path = path.as_path();
    of(CWD, path.as_os_str(), follow).map_err(|error| FileError::system("looking at", path, error))
}

/// What is known of `name` in a directory.
pub(super) fn of(directory: impl AsFd, name: &OsStr, follow: bool) -> rustix::io::Result<FileStat> {
    let flags = if follow {
        AtFlags::empty()
    } else {
        AtFlags::SYMLINK_NOFOLLOW
    };
    let found = statat(&directory, name, flags)?;
    let mut stat = from_system(&found);
    if stat.kind == FileKind::Symlink {
        // It may be gone, or something else, by now.
        let link = readlinkat(&directory, name, Vec::new()).ok();
        stat.link = link.map(|link| link.into_bytes().into());
    }
    Ok(stat)
}

/// The same in the system's words.
#[expect(
    clippy::unnecessary_cast,
    clippy::cast_sign_loss,
    clippy::cast_possible_truncation,
    reason = "the types differ between architectures; sizes are never negative, nanoseconds below a thousand millions"
)]
pub(super) fn from_system(found: &Stat) -> FileStat {
    let mut stat = FileStat::new(kind(found), found.st_size as u64);
    stat.mode = found.st_mode & 0o7777;
    stat.uid = found.st_uid;
    stat.gid = found.st_gid;
    stat.modified = found.st_mtime as i64;
    stat.modified_nanoseconds = found.st_mtime_nsec as u32;
    stat
}

/// What a file is.
pub(super) fn kind(found: &Stat) -> FileKind {
    match FileType::from_raw_mode(found.st_mode) {
        FileType::Directory => FileKind::Directory,
        FileType::Symlink => FileKind::Symlink,
        FileType::Fifo => FileKind::Fifo,
        FileType::Socket => FileKind::Socket,
        FileType::CharacterDevice => FileKind::CharacterDevice,
        FileType::BlockDevice => FileKind::BlockDevice,
        FileType::RegularFile | FileType::Unknown => FileKind::File,
    }
}

/// An error unless it is a regular file.
pub(super) fn only_regular(found: &Stat, path: &Path) -> Result<(), FileError> {
    match kind(found) {
        FileKind::File => Ok(()),
        FileKind::Directory => Err(FileError::system("reading", path, rustix::io::Errno::ISDIR)),
        kind => Err(FileError::Special {
            path: path.to_owned(),
            kind,
        }),
    }
}
