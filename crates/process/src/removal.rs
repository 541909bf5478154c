//! Removing a directory with all in it, but nothing that is mounted there.
//!
//! Commands can mount what is precious below a directory that is ours, and a removal that goes by path would empty it.
//! So the tree is walked by descriptors: each directory is opened from the one above it in a way that fails at a
//! symbolic link and at a mount point (openat2(2), `RESOLVE_NO_XDEV`; a comparison of devices does not see a bind
//! mount of the same filesystem).

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags, Stat, fchmod, fstat, openat, unlinkat};
use rustix::io::Errno;

/// A directory, opened to be listed.
const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// What a removal could not remove.
#[derive(Debug, thiserror::Error)]
#[error("{} was not removed{}", path.display(), and_others(*others))]
pub struct LeftBehind {
    /// The first path that stays.
    pub path: PathBuf,
    /// How many others stay, but for the directories that hold them.
    pub others: usize,
    /// Why the first one stays.
    #[source]
    pub source: io::Error,
}

fn and_others(others: usize) -> String {
    if others == 0 {
        String::new()
    } else {
        format!(" (and {others} more)")
    }
}

/// Removes a directory with all in it; directories that were made read-only (build caches are) too. One that is not
/// there is removed already.
///
/// What is mounted below it is left as it is, and told as [`LeftBehind`] with all else that could not be removed; the
/// rest is removed nevertheless.
pub fn remove_tree(directory: &Path) -> Result<(), LeftBehind> {
    let (Some(parent), Some(name)) = (directory.parent(), directory.file_name()) else {
        return Err(LeftBehind {
            path: directory.to_owned(),
            others: 0,
            source: io::ErrorKind::InvalidInput.into(),
        });
    };
    let parent = if parent.as_os_str().is_empty() {
        Path::new(".")
    } else {
        parent
    };
    let mut left = Vec::new();
    if let Err(error) = walk(parent, name, &mut left) {
        left.push((directory.to_owned(), error.into()));
    }
    let others = left.len().saturating_sub(1);
    match left.into_iter().next() {
        None => Ok(()),
        Some((path, source)) => Err(LeftBehind { path, others, source }),
    }
}

/// A directory whose entries are being removed.
struct Level {
    name: OsString,
    /// Tells whether `..` of a directory below still leads here.
    stat: Stat,
    entries: Vec<OsString>,
    /// Whether something in it stays.
    keeps: bool,
}

/// Removes `name` in `parent`, from the leaves up, with one directory open at a time: a tree may be deeper than there
/// are descriptors. Fails only where it loses its way.
fn walk(parent: &Path, name: &OsStr, left: &mut Vec<(PathBuf, io::Error)>) -> rustix::io::Result<()> {
    let mut current = match openat(CWD, parent, DIRECTORY - OFlags::NOFOLLOW, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(()),
        opened => opened?,
    };
    let mut levels = vec![Level {
        name: parent.as_os_str().to_owned(),
        stat: fstat(&current)?,
        entries: vec![name.to_owned()],
        keeps: false,
    }];
    while let Some(level) = levels.last_mut() {
        if let Some(entry) = level.entries.pop() {
            match remove_entry(&current, &entry) {
                Ok(None) => {}
                Ok(Some(directory)) => {
                    levels.push(Level {
                        name: entry,
                        stat: fstat(&directory)?,
                        entries: list(&directory)?,
                        keeps: false,
                    });
                    current = directory;
                }
                Err(error) => {
                    level.keeps = true;
                    left.push((path(&levels, &entry), error));
                }
            }
            continue;
        }
        let Some(done) = levels.pop() else { break };
        let Some(above) = levels.last_mut() else { break };
        let up = permitted(&current, || openat(&current, "..", DIRECTORY, Mode::empty()))?;
        if !is_same(&fstat(&up)?, &above.stat) {
            return Err(Errno::STALE); // Moved elsewhere while we were in it: that place is not ours to empty.
        }
        current = up;
        if done.keeps {
            above.keeps = true;
        } else if let Err(error) = unlink(&current, &done.name, AtFlags::REMOVEDIR) {
            above.keeps = true;
            left.push((path(&levels, &done.name), error.into()));
        }
    }
    Ok(())
}

/// Removes an entry that is no directory; opens one that is.
fn remove_entry(parent: &OwnedFd, name: &OsStr) -> io::Result<Option<OwnedFd>> {
    let refused = match unlink(parent, name, AtFlags::empty()) {
        Ok(()) => return Ok(None),
        // A directory is EISDIR on Linux and EPERM elsewhere (unlink(2)).
        Err(error @ (Errno::ISDIR | Errno::PERM)) => error,
        Err(error) => return Err(described(error)),
    };
    match permitted(parent, || open_below(parent, name, DIRECTORY)) {
        Ok(directory) => Ok(Some(directory)),
        Err(Errno::NOENT) => Ok(None),
        Err(Errno::NOTDIR | Errno::LOOP) => Err(described(refused)),
        Err(Errno::ACCESS) => {
            make_listable(parent, name).map_err(described)?;
            open_below(parent, name, DIRECTORY).map(Some).map_err(described)
        }
        Err(error) => Err(described(error)),
    }
}

fn unlink(parent: &OwnedFd, name: &OsStr, flags: AtFlags) -> rustix::io::Result<()> {
    match permitted(parent, || unlinkat(parent, name, flags)) {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

/// Does `work` in a directory; if its mode forbids that, changes the mode and does it once more.
fn permitted<T>(directory: &OwnedFd, work: impl Fn() -> rustix::io::Result<T>) -> rustix::io::Result<T> {
    match work() {
        Err(Errno::ACCESS) if fchmod(directory, Mode::RWXU).is_ok() => work(),
        other => other,
    }
}

/// Changes the mode of a directory below that can't be listed, unless it is a mount point.
fn make_listable(parent: &OwnedFd, name: &OsStr) -> rustix::io::Result<()> {
    #[cfg(target_os = "linux")]
    open_below(parent, name, DIRECTORY | OFlags::PATH)?;
    rustix::fs::chmodat(parent, name, Mode::RWXU, AtFlags::empty())
}

/// Opens a directory in another one; fails with EXDEV where something is mounted on it.
fn open_below(parent: &OwnedFd, name: &OsStr, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{ResolveFlags, openat2};
        match openat2(parent, name, flags, Mode::empty(), ResolveFlags::NO_XDEV) {
            // Linux before 5.6, and filters of system calls that do not know it.
            Err(Errno::NOSYS | Errno::PERM) => {}
            other => return other,
        }
    }
    let opened = openat(parent, name, flags, Mode::empty())?;
    if fstat(&opened)?.st_dev == fstat(parent)?.st_dev {
        Ok(opened)
    } else {
        Err(Errno::XDEV)
    }
}

/// Whether two looks were at the same file.
fn is_same(one: &Stat, other: &Stat) -> bool {
    (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
}

fn list(directory: &OwnedFd) -> rustix::io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let name = OsStr::from_bytes(entry?.file_name().to_bytes()).to_owned();
        if name != "." && name != ".." {
            names.push(name);
        }
    }
    Ok(names)
}

fn path(levels: &[Level], entry: &OsStr) -> PathBuf {
    let mut path: PathBuf = levels.iter().map(|level| &level.name).collect();
    path.push(entry);
    path
}

fn described(error: Errno) -> io::Error {
    match error {
        Errno::XDEV | Errno::BUSY => io::Error::new(
            io::ErrorKind::ResourceBusy,
            "something is mounted there, and is left as it is",
        ),
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn read_only_directories_go_and_what_links_lead_to_stays() {
        let outside = tempfile::tempdir().unwrap();
        let root = tempfile::tempdir().unwrap();
        let locked = root.path().join("a/b");
        fs::create_dir_all(locked.join("c")).unwrap();
        fs::write(locked.join("file"), "x").unwrap();
        std::os::unix::fs::symlink(outside.path(), root.path().join("link")).unwrap();
        fs::set_permissions(locked.join("c"), Permissions::from_mode(0o0)).unwrap();
        fs::set_permissions(&locked, Permissions::from_mode(0o500)).unwrap();
        remove_tree(root.path()).unwrap();
        assert!(!root.path().exists());
        assert!(outside.path().exists());
        remove_tree(root.path()).unwrap();
    }

    #[test]
    fn a_tree_deeper_than_there_are_descriptors_or_characters_in_a_path_goes() {
        let root = tempfile::tempdir().unwrap();
        let mut current = openat(CWD, root.path(), DIRECTORY, Mode::empty()).unwrap();
        for _ in 0..3000 {
            rustix::fs::mkdirat(&current, "deep", Mode::RWXU).unwrap();
            current = openat(&current, "deep", DIRECTORY, Mode::empty()).unwrap();
        }
        remove_tree(root.path()).unwrap();
        assert!(!root.path().exists());
    }
}
