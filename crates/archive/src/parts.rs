//! Files under the names that they have until they are whole. Each is locked (flock(2)) by who writes it: one that nobody has locked was
//! left by a copy that was killed.

use std::fs::File;
use std::os::fd::BorrowedFd;

use rustix::fs::{AtFlags, Dir, FlockOperation, Mode, OFlags, flock, openat, unlinkat};

const BEGINS: &str = ".podbay-copy-";
const ENDS: &str = ".part";

/// A name that no other copy has.
pub(crate) fn name(random: u64) -> String {
    format!("{BEGINS}{random:016x}{ENDS}")
}

/// Says that somebody writes the file, for as long as it is open.
pub(crate) fn hold(file: &File) {
    // On a filesystem without locks nobody can find out that it was left, either.
    if let Err(error) = flock(file, FlockOperation::NonBlockingLockExclusive) {
        tracing::debug!(%error, "a file that is being written could not be locked");
    }
}

/// Removes from a directory what copies that were killed have left. One that can't be removed is in nobody's way.
pub(crate) fn sweep(directory: BorrowedFd<'_>) {
    let Ok(entries) = Dir::read_from(directory) else {
        return;
    };
    for entry in entries.flatten() {
        let Ok(name) = entry.file_name().to_str() else {
            continue;
        };
        let random = name.strip_prefix(BEGINS).and_then(|rest| rest.strip_suffix(ENDS));
        if random.is_some_and(|random| random.len() == 16 && u64::from_str_radix(random, 16).is_ok()) {
            remove_if_left(directory, name);
        }
    }
}

fn remove_if_left(directory: BorrowedFd<'_>, name: &str) {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::CLOEXEC;
    let Ok(file) = openat(directory, name, flags, Mode::empty()).map(File::from) else {
        return;
    };
    // One that was just made is not locked yet.
    let is_old = file
        .metadata()
        .and_then(|found| found.modified())
        .is_ok_and(|changed| changed.elapsed().is_ok_and(|age| age > JUST_MADE));
    if is_old
        && flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok()
        && let Err(error) = unlinkat(directory, name, AtFlags::empty())
    {
        tracing::debug!(%error, name, "what a copy has left could not be removed");
    }
}

/// How long it takes at most from the making of a file to its lock.
const JUST_MADE: std::time::Duration = std::time::Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn what_nobody_writes_any_longer_goes_and_all_else_stays() {
        let there = tempfile::tempdir().unwrap();
        let make = |name: &str, seconds| {
            let file = File::create(there.path().join(name)).unwrap();
            let changed = SystemTime::now() - std::time::Duration::from_secs(seconds);
            file.set_modified(changed).unwrap();
            file
        };
        let (left, held, young) = (name(1), name(2), name(3));
        drop(make(&left, 60));
        let writing = make(&held, 60);
        hold(&writing);
        drop(make(&young, 0));
        for other in [".podbay-0000000000000001.part", ".podbay-copy-1.part", "a"] {
            drop(make(other, 60));
        }
        let directory = File::open(there.path()).unwrap();
        sweep(directory.as_fd());
        assert!(!there.path().join(&left).exists());
        assert_eq!(std::fs::read_dir(there.path()).unwrap().count(), 5);
        drop(writing);
        sweep(directory.as_fd());
        assert!(!there.path().join(held).exists() && there.path().join(young).exists());
    }
}
