//! A file's content, piece by piece.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;

use bytes::Bytes;
use podbay_protocol::hex::to_hex;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, Stat, fstat, openat, statat};
use sha2::{Digest as _, Sha256};
use tokio::task::JoinHandle;

use super::{AbsolutePath, ByteRange, Disk, FileError, PIECE, kind};

/// What a thread gives back.
type Reading = io::Result<(File, Sha256, Bytes)>;

/// The content of a file, or a range of it, as it is read.
#[derive(Debug)]
pub struct Content {
    disk: Disk,
    path: PathBuf,
    /// The file and the hash of what was read; away while a thread has them.
    reading: Option<(File, Sha256)>,
    /// The next piece, which is read while the last one is sent.
    coming: Option<JoinHandle<Result<Reading, FileError>>>,
    /// What was read before it was asked for.
    ahead: Option<Bytes>,
    /// The last two pieces, as they were given out: the memory of the first is for the next one, once it was sent.
    sent: [Option<Bytes>; 2],
    /// How many bytes come in all; `None` if only the end will show.
    length: Option<u64>,
    /// How many are yet to be read.
    left: Option<u64>,
    /// The whole file's size in bytes, where it is known.
    size: Option<u64>,
    /// The part that is read: its first byte and how many there are.
    range: Option<(u64, u64)>,
    /// Changes when the file does.
    tag: String,
}

impl Content {
    /// Opens a file. The hash is of what is read, or of all from the byte `hash_from` on to the end of what is read, for a client who
    /// has the rest already. `range` is given the file's tag and says what is wanted of this file; it is not kept where the
    /// file's size is not known before its end was read, which shows in [`Content::range`].
    pub async fn open(
        disk: &Disk,
        path: AbsolutePath,
        range: impl FnOnce(&str) -> Option<ByteRange> + Send + 'static,
        hash_from: Option<u64>,
    ) -> Result<Self, FileError> {
        let for_reads = disk.clone();
        disk.run(move || open(for_reads, &path, range, hash_from)).await?
    }

    /// How many bytes come, where that is known before they do.
    pub const fn length(&self) -> Option<u64> {
        self.length
    }

    /// The whole file's size, where it is known.
    pub const fn size(&self) -> Option<u64> {
        self.size
    }

    /// The first byte and the number of bytes of the range that is read; `None` if it is the whole file.
    pub const fn range(&self) -> Option<(u64, u64)> {
        self.range
    }

    /// Changes when the file does: as a strong entity tag (RFC 9110, 8.8.3), with its quotes.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// The next piece; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, FileError> {
        if let Some(ahead) = self.ahead.take() {
            return Ok(Some(ahead).filter(|ahead| !ahead.is_empty()));
        }
        if self.left == Some(0) {
            return Ok(None);
        }
        let coming = match self.coming.take() {
            Some(coming) => coming,
            None => self.read_ahead()?,
        };
        let read = coming.await.map_err(|_| FileError::Fault)??;
        let (file, hash, piece) = read.map_err(|error| failed(error, &self.path))?;
        self.reading = Some((file, hash));
        if let Some(left) = &mut self.left {
            if piece.is_empty() {
                return Err(FileError::Changed {
                    path: self.path.clone(),
                    expected: self.size.unwrap_or(0),
                });
            }
            *left -= piece.len() as u64;
        }
        if self.left != Some(0) && !piece.is_empty() {
            self.coming = Some(self.read_ahead()?);
            let [_, last] = std::mem::take(&mut self.sent);
            self.sent = [last, Some(piece.clone())];
        }
        Ok(Some(piece).filter(|piece| !piece.is_empty()))
    }

    /// Begins to read the next piece.
    fn read_ahead(&mut self) -> Result<JoinHandle<Result<Reading, FileError>>, FileError> {
        let (mut file, mut hash) = self.reading.take().ok_or(FileError::Fault)?;
        let most = self.left.map_or(PIECE, |left| piece(left, PIECE));
        let (disk, sent) = (self.disk.clone(), self.sent[0].take());
        Ok(tokio::spawn(async move {
            disk.run(move || {
                let piece = read_piece(&mut file, most, sent)?;
                hash.update(&piece);
                Ok((file, hash, piece))
            })
            .await
        }))
    }

    /// The hash of all that was given out: lower-case hexadecimal SHA-256.
    pub fn sha256(&mut self) -> String {
        self.reading
            .take()
            .map(|(_, hash)| to_hex(&hash.finalize()))
            .unwrap_or_default()
    }
}

fn open(
    disk: Disk,
    path: &AbsolutePath,
    range: impl FnOnce(&str) -> Option<ByteRange>,
    hash_from: Option<u64>,
) -> Result<Content, FileError> {
    let path = path.as_path().to_owned();
    let system = |error| FileError::system("opening", &path, error);
    // To open a device does things to some; so it is looked at first, and again once it is open.
    let found = statat(CWD, &path, AtFlags::empty()).map_err(system)?;
    kind::only_regular(&found, &path)?;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let mut file = File::from(openat(CWD, &path, flags, Mode::empty()).map_err(system)?);
    let found = fstat(&file).map_err(system)?;
    kind::only_regular(&found, &path)?;
    let claimed = kind::from_system(&found).size;
    let tag = tag(&found);
    let range = range(&tag);
    let mut hash = Sha256::new();
    // What a small file claims may not be so (`/proc`, `/sys`): what is there is what counts.
    let (size, whole) = if claimed <= PIECE as u64 {
        let expected = if claimed == 0 {
            PIECE
        } else {
            piece(claimed, PIECE)
        };
        let mut first = read_piece(&mut file, expected, None).map_err(|error| failed(error, &path))?;
        let rest = read_piece(&mut file, 1, None).map_err(|error| failed(error, &path))?;
        if rest.is_empty() {
            (Some(first.len() as u64), Some(first))
        } else {
            first = [&first[..], &rest].concat().into();
            (None, Some(first))
        }
    } else {
        (Some(claimed), None)
    };
    let part = match (range, size) {
        (Some(range), Some(size)) => Some(range.of(size).ok_or_else(|| FileError::Range {
            path: path.clone(),
            size,
        })?),
        _ => None,
    };
    let (mut ahead, mut left) = (whole, size);
    if let Some((first, length)) = part {
        left = Some(length);
        let hash_from = hash_from.unwrap_or(first).min(first);
        if let Some(whole) = &mut ahead {
            hash.update(slice(whole, hash_from, first - hash_from));
            *whole = slice(whole, first, length);
        } else {
            let failed = |error| FileError::system("reading", &path, error);
            file.seek(SeekFrom::Start(hash_from)).map_err(failed)?;
            hash_part(&mut file, first - hash_from, &mut hash).map_err(failed)?;
            file.seek(SeekFrom::Start(first)).map_err(failed)?;
        }
    }
    let length = left;
    if let Some(ahead) = &ahead {
        hash.update(ahead);
        left = left.map(|left| left.saturating_sub(ahead.len() as u64));
    }
    Ok(Content {
        disk,
        path,
        reading: Some((file, hash)),
        coming: None,
        length,
        left,
        ahead,
        sent: [None, None],
        size,
        range: part,
        tag,
    })
}

/// Hashes the next so many bytes.
fn hash_part(file: &mut File, length: u64, hash: &mut Sha256) -> io::Result<()> {
    let (mut part, mut buffer) = (file.take(length), vec![0; PIECE]);
    loop {
        match part.read(&mut buffer)? {
            0 => return Ok(()),
            read => hash.update(&buffer[..read]),
        }
    }
}

/// A part of what is in memory.
fn slice(whole: &Bytes, first: u64, length: u64) -> Bytes {
    let first = piece(first, whole.len());
    let end = first + piece(length, whole.len() - first);
    whole.slice(first..end)
}

/// `count`, at most `most`.
fn piece(count: u64, most: usize) -> usize {
    usize::try_from(count).map_or(most, |count| count.min(most))
}

/// Reads until there are `most` bytes or the file ends, into the memory of `sent` if nobody has that any more. Memory of this size that
/// is given back and taken again costs more than what is read into it: each page of it is a fault.
fn read_piece(file: &mut File, most: usize, sent: Option<Bytes>) -> io::Result<Bytes> {
    let mut piece = sent.and_then(|sent| sent.try_into_mut().ok()).unwrap_or_default();
    piece.resize(most, 0);
    let mut filled = 0;
    while filled < most {
        match file.read(&mut piece[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    piece.truncate(filled);
    Ok(piece.freeze())
}

fn failed(error: io::Error, path: &std::path::Path) -> FileError {
    if error.kind() == io::ErrorKind::WouldBlock {
        FileError::WouldWait {
            path: path.to_owned(),
        }
    } else {
        FileError::system("reading", path, error)
    }
}

/// Where the file is, how large it is and when it was changed.
fn tag(found: &Stat) -> String {
    let stat = kind::from_system(found);
    format!(
        "\"{:x}-{:x}-{:x}-{:x}.{:x}\"",
        found.st_dev, found.st_ino, stat.size, stat.modified, stat.modified_nanoseconds
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(
        path: &std::path::Path,
        range: Option<ByteRange>,
        hash_from: Option<u64>,
    ) -> Result<(Vec<u8>, Content), FileError> {
        let path = AbsolutePath::parse(path.as_os_str().as_encoded_bytes().to_vec()).unwrap();
        let mut content = Content::open(&Disk::default(), path, move |_| range, hash_from).await?;
        let length = content.length();
        let mut all = Vec::new();
        while let Some(piece) = content.next().await? {
            all.extend(piece);
        }
        assert!(
            length.is_none_or(|length| length == all.len() as u64),
            "{length:?}"
        );
        Ok((all, content))
    }

    /// Each is memory of its own while somebody has it.
    #[test]
    fn the_memory_of_a_piece_that_was_sent_is_used_again() {
        let mut file = tempfile::tempfile().unwrap();
        io::Write::write_all(&mut file, b"abcdefghij").unwrap();
        file.rewind().unwrap();
        let first = read_piece(&mut file, 4, None).unwrap();
        let second = read_piece(&mut file, 4, Some(first.clone())).unwrap();
        assert_eq!((&first[..], &second[..]), (&b"abcd"[..], &b"efgh"[..]));
        let memory = first.as_ptr();
        let last = read_piece(&mut file, 4, Some(first)).unwrap();
        assert_eq!((&last[..], last.as_ptr()), (&b"ij"[..], memory));
        assert_eq!(read_piece(&mut file, 4, Some(last)).unwrap(), "");
    }

    #[tokio::test]
    async fn files_of_any_size_and_their_ranges() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        for size in [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 7] {
            let all: Vec<u8> = (0..=250).cycle().take(size).collect();
            std::fs::write(&path, &all).unwrap();
            let (found, mut content) = read(&path, None, None).await.unwrap();
            assert!(found == all, "{size}");
            assert_eq!(content.sha256(), to_hex(&Sha256::digest(&all)));
            let (first, last) = (size as u64 / 3, size as u64 / 2);
            let range = ByteRange::From {
                first,
                last: Some(last),
            };
            let part = read(&path, Some(range), None).await;
            if size == 0 {
                assert!(matches!(part, Err(FileError::Range { size: 0, .. })));
            } else {
                let expected = &all[size / 3..(size / 2 + 1).min(size)];
                let (found, mut content) = part.unwrap();
                assert!(found == expected, "{size}");
                assert_eq!(content.sha256(), to_hex(&Sha256::digest(expected)));
                let (found, mut content) = read(&path, Some(range), Some(0)).await.unwrap();
                assert!(found == expected, "{size}");
                let all = &all[..(size / 2 + 1).min(size)];
                assert_eq!(content.sha256(), to_hex(&Sha256::digest(all)));
            }
        }
    }

    #[tokio::test]
    async fn files_without_a_size_are_read_to_their_end() {
        for path in ["/proc/self/maps", "/proc/cpuinfo", "/proc/sys/kernel/ostype"] {
            let (found, _) = read(path.as_ref(), None, None).await.unwrap();
            assert!(!found.is_empty(), "{path}");
        }
    }

    #[tokio::test]
    async fn a_file_that_shrinks_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, vec![0; 3 * PIECE]).unwrap();
        let named = AbsolutePath::parse(path.as_os_str().as_encoded_bytes().to_vec()).unwrap();
        let mut content = Content::open(&Disk::default(), named, |_| None, None)
            .await
            .unwrap();
        content.next().await.unwrap();
        std::fs::write(&path, "").unwrap();
        // One piece may have been read ahead.
        let second = content.next().await;
        let told = if second.is_ok() {
            content.next().await
        } else {
            second
        };
        assert!(matches!(told, Err(FileError::Changed { .. })));
    }
}
