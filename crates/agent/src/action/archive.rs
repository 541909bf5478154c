//! Zip archives: what clients send to be unpacked, and directories that they take.

use std::fs::File;
use std::io::{self, Read as _, Write};
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use bytes::Bytes;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, mkdirat, openat, unlinkat};
use rustix::io::Errno;
use tokio::sync::mpsc;
use zip::write::{SimpleFileOptions, ZipWriter};
use zip::{CompressionMethod, ZipArchive};

/// Members of an archive, at most.
const MEMBERS: usize = 1_000_000;
/// How many times larger than the archive its content may be, besides [`ALLOWED`].
const RATIO: u64 = 100;
/// Bytes of content that any archive may have.
const ALLOWED: u64 = 1 << 30;
/// Bytes that are copied at once.
const PIECE: usize = 256 << 10;

/// Why an archive was not unpacked.
#[derive(Debug, thiserror::Error)]
pub(super) enum ArchiveError {
    /// It is none.
    #[error("{} is not a zip file", path.display())]
    NoArchive {
        /// What it was to be called.
        path: PathBuf,
    },
    /// A member's name leads out of the directory, or through a link.
    #[error("the archive has a member {name:?}, which leads out of the directory that it is unpacked to")]
    Outside {
        /// The name.
        name: String,
    },
    /// There is more in it than is accepted.
    #[error("the archive has more in it than is accepted: {limit}")]
    TooLarge {
        /// The limit.
        limit: String,
    },
    /// A member can't be read or written.
    #[error("unpacking {name:?}: {source}")]
    Member {
        /// Its name.
        name: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

impl ArchiveError {
    fn member(name: &str, source: impl Into<io::Error>) -> Self {
        Self::Member {
            name: name.to_owned(),
            source: source.into(),
        }
    }
}

/// Unpacks an archive below a directory. No link on the way is followed.
pub(super) fn unpack(archive: File, name: &Path, directory: &Path) -> Result<(), ArchiveError> {
    let none = || ArchiveError::NoArchive {
        path: name.to_owned(),
    };
    let size = archive.metadata().map_err(|_| none())?.len();
    let mut archive = ZipArchive::new(archive).map_err(|_| none())?;
    if archive.len() > MEMBERS {
        return Err(ArchiveError::TooLarge {
            limit: format!("{MEMBERS} members"),
        });
    }
    let limit = ALLOWED.saturating_add(size.saturating_mul(RATIO));
    let mut left = limit;
    let root = openat(CWD, directory, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|errno| ArchiveError::member(&directory.display().to_string(), errno))?;
    for index in 0..archive.len() {
        let unreadable = |error| ArchiveError::member(&format!("member {index}"), io::Error::from(error));
        let mut entry = archive.by_index(index).map_err(unreadable)?;
        let name = entry.name().map_err(unreadable)?.into_owned();
        let outside = || ArchiveError::Outside { name: name.clone() };
        let path = entry
            .enclosed_name()
            .filter(|_| !name.starts_with(['/', '\\']))
            .ok_or_else(outside)?;
        let mut parts = Vec::new();
        for part in path.components() {
            match part {
                Component::Normal(part) => parts.push(part.to_owned()),
                Component::CurDir => {}
                _ => return Err(outside()),
            }
        }
        let last = if entry.is_dir() { None } else { parts.pop() };
        let below = directory_below(&root, &parts).map_err(|errno| match errno {
            Errno::LOOP | Errno::NOTDIR => outside(),
            errno => ArchiveError::member(&name, errno),
        })?;
        let Some(last) = last else { continue };
        let mode = Mode::from_raw_mode(entry.unix_mode().map_or(0o666, |mode| mode & 0o777 | 0o600));
        // A link of that name is replaced, not followed.
        let open = || {
            let flags = OFlags::WRONLY
                | OFlags::CREATE
                | OFlags::TRUNC
                | OFlags::NOFOLLOW
                | OFlags::CLOEXEC
                | OFlags::NONBLOCK;
            openat(&below, &last, flags, mode)
        };
        let file = match open() {
            Err(Errno::LOOP) => unlinkat(&below, &last, AtFlags::empty()).and_then(|()| open()),
            other => other,
        };
        let failed = |errno| ArchiveError::member(&name, errno);
        let mut file = File::from(file.map_err(failed)?);
        let copied = io::copy(&mut entry.by_ref().take(left.saturating_add(1)), &mut file)
            .map_err(|error| ArchiveError::member(&name, error))?;
        left = left.checked_sub(copied).ok_or_else(|| ArchiveError::TooLarge {
            limit: format!("{limit} bytes, {RATIO} times its own size and {ALLOWED}"),
        })?;
    }
    Ok(())
}

/// Opens a directory below another one, and makes what is not there of it.
fn directory_below(root: &OwnedFd, parts: &[std::ffi::OsString]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut at = openat(root, ".", flags, Mode::empty())?;
    for part in parts {
        match mkdirat(&at, part, Mode::from_raw_mode(0o777)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
        at = openat(&at, part, flags, Mode::empty())?;
    }
    Ok(at)
}

/// Packs the files of a directory, as they are read, into pieces that are sent; nothing of what is no directory. Blocks.
pub(super) fn pack(directory: &Path, pieces: &mpsc::Sender<Bytes>) -> io::Result<()> {
    let mut writer = ZipWriter::new_stream(Pieces {
        pieces,
        buffer: Vec::with_capacity(PIECE),
    });
    let mut open = vec![PathBuf::new()];
    while let Some(below) = open.pop() {
        let Ok(entries) = std::fs::read_dir(directory.join(&below)) else {
            // What can't be read is not packed, as the walk of the server that this comes from does it.
            continue;
        };
        for entry in entries.flatten() {
            let name = below.join(entry.file_name());
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                open.push(name);
                continue;
            }
            // A link to a file is packed as the file.
            let path = directory.join(&name);
            if !std::fs::metadata(&path).is_ok_and(|found| found.is_file()) {
                continue;
            }
            let mut file = super::editor::text::open(&path)?;
            let found = file.metadata()?;
            let options = SimpleFileOptions::default()
                .compression_method(CompressionMethod::Stored)
                .unix_permissions(std::os::unix::fs::PermissionsExt::mode(&found.permissions()))
                .large_file(found.len() >= u64::from(u32::MAX));
            writer.start_file(name.to_string_lossy(), options)?;
            io::copy(&mut file, &mut writer)?;
        }
    }
    let mut last = writer.finish()?.into_inner();
    last.flush()
}

/// Sends what is written.
struct Pieces<'a> {
    pieces: &'a mpsc::Sender<Bytes>,
    buffer: Vec<u8>,
}

impl Write for Pieces<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let piece = Bytes::from(std::mem::replace(&mut self.buffer, Vec::with_capacity(PIECE)));
        self.pieces
            .blocking_send(piece)
            .map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::io::{Cursor, Seek as _};

    use super::*;

    fn archive(members: &[(&str, &[u8])]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        let mut writer = ZipWriter::new(&mut file);
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .unix_permissions(0o755);
        for (name, content) in members {
            writer.start_file(*name, options).unwrap();
            writer.write_all(content).unwrap();
        }
        writer.finish().unwrap();
        file.rewind().unwrap();
        file
    }

    fn unpacked(members: &[(&str, &[u8])], directory: &Path) -> Result<(), ArchiveError> {
        unpack(archive(members), Path::new("a.zip"), directory)
    }

    #[test]
    fn what_is_packed_is_unpacked() {
        use std::os::unix::fs::PermissionsExt as _;

        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        unpacked(
            &[("a/b/c.txt", b"c"), ("d.txt", b"d"), ("e", &vec![7; 700_000])],
            from.path(),
        )
        .unwrap();
        assert_eq!(
            from.path().join("d.txt").metadata().unwrap().permissions().mode() & 0o777,
            0o755
        );
        std::os::unix::fs::symlink("d.txt", from.path().join("link")).unwrap();
        std::os::unix::fs::symlink("/", from.path().join("root")).unwrap();
        std::os::unix::fs::symlink("nowhere", from.path().join("broken")).unwrap();
        let (send, mut receive) = mpsc::channel(100);
        pack(from.path(), &send).unwrap();
        drop(send);
        let mut bytes = Vec::new();
        while let Ok(piece) = receive.try_recv() {
            bytes.extend_from_slice(&piece);
        }
        let mut read = ZipArchive::new(Cursor::new(&bytes)).unwrap();
        let names: BTreeSet<String> = (0..read.len())
            .map(|index| read.by_index(index).unwrap().name().unwrap().into_owned())
            .collect();
        assert_eq!(
            names.iter().collect::<Vec<_>>(),
            ["a/b/c.txt", "d.txt", "e", "link"]
        );
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        unpack(file, Path::new("x.zip"), to.path()).unwrap();
        assert_eq!(std::fs::read(to.path().join("e")).unwrap(), vec![7; 700_000]);
        assert_eq!(std::fs::read(to.path().join("link")).unwrap(), b"d");
    }

    #[test]
    fn nothing_is_written_outside() {
        let outer = tempfile::tempdir().unwrap();
        let (inner, other) = (outer.path().join("inner"), outer.path().join("other"));
        std::fs::create_dir_all(&inner).unwrap();
        std::fs::create_dir_all(&other).unwrap();
        std::fs::write(other.join("kept"), "kept").unwrap();
        std::os::unix::fs::symlink(&other, inner.join("way")).unwrap();
        std::os::unix::fs::symlink(other.join("kept"), inner.join("file")).unwrap();
        for name in ["../other/x", "a/../../other/x", "/etc/podbay-x", "way/x"] {
            let error = unpacked(&[(name, b"x")], &inner).unwrap_err();
            assert!(matches!(error, ArchiveError::Outside { .. }), "{name}: {error}");
        }
        // The link itself is replaced.
        unpacked(&[("file", b"new")], &inner).unwrap();
        assert_eq!(std::fs::read(inner.join("file")).unwrap(), b"new");
        let left: Vec<_> = std::fs::read_dir(&other)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(left, ["kept"]);
        assert_eq!(std::fs::read(other.join("kept")).unwrap(), b"kept");
    }

    #[test]
    fn what_is_no_archive_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"no zip").unwrap();
        let error = unpack(file, Path::new("/x/bad.zip"), directory.path()).unwrap_err();
        assert_eq!(error.to_string(), "/x/bad.zip is not a zip file");
    }
}
