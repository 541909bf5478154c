//! Making directories, removing, moving.

use rustix::fs::{AtFlags, CWD, Mode, RenameFlags, mkdirat, renameat, renameat_with, statat, unlinkat};
use rustix::io::Errno;

use podbay_protocol::agent::FileKind;

use super::{AbsolutePath, FileError, kind};

/// Makes a directory. With `parents`, those above it too, and one that is there is as good.
pub fn make_directory(path: &AbsolutePath, mode: Option<u32>, parents: bool) -> Result<(), FileError> {
    let path = path.as_path();
    let mode = Mode::from_raw_mode(mode.unwrap_or(0o777) & 0o7777);
    let failed = |error: Errno| FileError::system("making the directory", path, error);
    if parents && let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)
            .map_err(|error| FileError::system("making the directories above", path, error))?;
    }
    match mkdirat(CWD, path, mode) {
        Err(Errno::EXIST) if parents => {
            let found = statat(CWD, path, AtFlags::empty()).map_err(failed)?;
            if kind::kind(&found) == FileKind::Directory {
                Ok(())
            } else {
                Err(failed(Errno::NOTDIR))
            }
        }
        other => other.map_err(failed),
    }
}

/// Removes a file, a link or an empty directory; with `recursive`, a directory with all in it but what is mounted
/// there.
pub fn remove(path: &AbsolutePath, recursive: bool) -> Result<(), FileError> {
    path.split()?;
    let named = path.as_path();
    let failed = |error: Errno| FileError::system("removing", named, error);
    let found = statat(CWD, named, AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
    if kind::kind(&found) != FileKind::Directory {
        return unlinkat(CWD, named, AtFlags::empty()).map_err(failed);
    }
    if recursive {
        return podbay_process::remove_tree(named).map_err(|source| FileError::LeftBehind {
            path: named.to_owned(),
            source,
        });
    }
    unlinkat(CWD, named, AtFlags::REMOVEDIR).map_err(|error| match error {
        // What rmdir(2) may say of a directory that is not empty.
        Errno::EXIST => failed(Errno::NOTEMPTY),
        other => failed(other),
    })
}

/// Gives a file or a directory another name in the same filesystem. Unless it may `replace` something, the name must be
/// free, and nobody else can take it in between.
pub fn rename(from: &AbsolutePath, to: &AbsolutePath, replace: bool) -> Result<(), FileError> {
    from.split()?;
    to.split()?;
    let moved = if replace {
        renameat(CWD, from.as_path(), CWD, to.as_path())
    } else {
        match renameat_with(CWD, from.as_path(), CWD, to.as_path(), RenameFlags::NOREPLACE) {
            // Filesystems that can't: then it is looked first.
            Err(Errno::INVAL | Errno::NOSYS) => match statat(CWD, to.as_path(), AtFlags::SYMLINK_NOFOLLOW) {
                Ok(_) => Err(Errno::EXIST),
                Err(Errno::NOENT) => renameat(CWD, from.as_path(), CWD, to.as_path()),
                Err(error) => Err(error),
            },
            other => other,
        }
    };
    moved.map_err(|error| FileError::system("moving", from.as_path(), error))
}
