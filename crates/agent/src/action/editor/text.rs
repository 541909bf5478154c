//! Files as text: what encoding they have, whether they are text at all, and how they are put back.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;

/// How much of a file is looked at to see whether it is text.
const SAMPLE: usize = 1024;

/// A text as it is in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileText {
    /// With `\n` at the ends of lines.
    pub(crate) text: String,
    form: Form,
}

/// What is not in the text itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Form {
    /// Each byte is a character: it is no UTF-8.
    latin1: bool,
    /// Each line ends with `\r\n`.
    crlf: bool,
}

impl FileText {
    /// What bytes say.
    pub(crate) fn decode(bytes: Vec<u8>) -> Self {
        let (text, latin1) = match String::from_utf8(bytes) {
            Ok(text) => (text, false),
            Err(error) => (
                error.as_bytes().iter().map(|byte| char::from(*byte)).collect(),
                true,
            ),
        };
        // Only where all lines have it: of a file that mixes them, what is not edited stays.
        let ends = text.matches('\n').count();
        let crlf = ends > 0 && text.matches("\r\n").count() == ends;
        let text = if crlf { text.replace("\r\n", "\n") } else { text };
        Self {
            text,
            form: Form { latin1, crlf },
        }
    }

    pub(crate) const fn form(&self) -> Form {
        self.form
    }
}

impl Form {
    /// The bytes of a text.
    pub(crate) fn encode(self, text: &str) -> Vec<u8> {
        let text = if self.crlf {
            text.replace('\n', "\r\n")
        } else {
            text.to_owned()
        };
        if self.latin1 {
            let bytes: Option<Vec<u8>> = text
                .chars()
                .map(|character| u8::try_from(character).ok())
                .collect();
            if let Some(bytes) = bytes {
                return bytes;
            }
        }
        text.into_bytes()
    }
}

/// Opens a regular file. A named pipe or a device is neither waited for nor read.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)?;
    let kind = file.metadata()?;
    if kind.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !kind.is_file() {
        return Err(io::Error::other("it is a named pipe, a socket or a device"));
    }
    Ok(file)
}

/// A file's bytes, at most so many; one more tells that there are more.
pub(crate) fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Whether a file looks like no text, by the rule of the Python package `binaryornot`: many control characters, or a NUL.
pub(crate) fn is_binary(path: &Path) -> bool {
    let Ok(file) = open(path) else {
        return false;
    };
    let mut sample = Vec::with_capacity(SAMPLE);
    if file.take(SAMPLE as u64).read_to_end(&mut sample).is_err() || sample.is_empty() {
        return false;
    }
    is_binary_sample(&sample)
}

fn is_binary_sample(sample: &[u8]) -> bool {
    let is_text = match std::str::from_utf8(sample) {
        Ok(_) => true,
        // The sample ends in the middle of a character.
        Err(error) => error.error_len().is_none(),
    };
    if is_text && !sample.is_ascii() {
        return false;
    }
    // In hundredths, without fractions.
    let share = |is: fn(&u8) -> bool| sample.iter().filter(|byte| is(byte)).count() * 100;
    let odd = share(|byte| !matches!(byte, b'\n' | b'\r' | b'\t' | 0x0c | 0x08 | b' '..=b'~'));
    let low = share(u8::is_ascii);
    let all = sample.len();
    (odd > 30 * all && low < 5 * all)
        || (odd > 80 * all && low > 80 * all)
        || sample.iter().any(|byte| matches!(byte, 0 | 0xff))
}

/// Puts content in a file's place: the old one is there until the new one is whole, wherever that is possible without
/// changing whose it is or what else leads to it.
pub(crate) fn store(path: &Path, content: &[u8], new_mode: u32) -> io::Result<()> {
    let Ok(real) = path.canonicalize() else {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(new_mode)
            .open(path)?;
        file.write_all(content)?;
        // Whatever the umask says.
        return file.set_permissions(std::fs::Permissions::from_mode(new_mode));
    };
    let old = open(&real)?.metadata()?;
    // Who may not write the file may not write it by way of its directory either.
    let mut in_place = OpenOptions::new().write(true).open(&real)?;
    let is_ours = old.uid() == rustix::process::geteuid().as_raw() && old.nlink() == 1;
    if is_ours && replace(&real, content, &old).is_ok() {
        return Ok(());
    }
    in_place.set_len(0)?;
    in_place.write_all(content)
}

fn replace(path: &Path, content: &[u8], old: &std::fs::Metadata) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // A name that is nearly too long gets none longer.
    let name: String = name.chars().take(32).collect();
    let temporary = path.with_file_name(format!(".{name}.{:016x}", rand::random::<u64>()));
    let written = (|| {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(content)?;
        std::os::unix::fs::fchown(&file, None, Some(old.gid()))?;
        file.set_permissions(old.permissions())?;
        std::fs::rename(&temporary, path)
    })();
    if written.is_err() {
        std::fs::remove_file(&temporary).ok(); // It may not be there.
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_goes_back_as_it_came() {
        for bytes in [
            &b"a\r\nb\r\n"[..],
            b"a\nb",
            "gr\u{fc}n\n".as_bytes(),
            b"gr\xfcn\r\n",
            b"a\r\nb\n",
        ] {
            let read = FileText::decode(bytes.to_vec());
            assert_eq!(read.form().encode(&read.text), bytes);
        }
        assert_eq!(FileText::decode(b"a\r\nb\r\n".to_vec()).text, "a\nb\n");
        // What the old encoding has no byte for.
        assert_eq!(
            FileText::decode(b"\xfc".to_vec()).form().encode("€"),
            "€".as_bytes()
        );
    }

    #[test]
    fn text_is_told_from_what_is_none() {
        for text in [
            &b"plain\n"[..],
            "grüße".as_bytes(),
            b"gr\xfc\xdfe from latin-1",
            b"\x1b[31m",
        ] {
            assert!(!is_binary_sample(text), "{text:?}");
        }
        let mut long = "ü".repeat(600).into_bytes();
        long.truncate(1023);
        assert!(!is_binary_sample(&long));
        for binary in [
            &b"a\0b"[..],
            b"\x7fELF\x02\x01\x01\0",
            b"\x89PNG\r\n\x1a\n\0\0",
            b"\xff\xfe\x00",
        ] {
            assert!(is_binary_sample(binary), "{binary:?}");
        }
    }

    #[test]
    fn what_stood_there_keeps_its_mode_and_its_links() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        std::fs::write(at("a"), "old").unwrap();
        std::fs::set_permissions(at("a"), std::fs::Permissions::from_mode(0o750)).unwrap();
        std::os::unix::fs::symlink("a", at("link")).unwrap();
        store(&at("link"), b"new", 0o664).unwrap();
        assert_eq!(std::fs::read(at("a")).unwrap(), b"new");
        assert!(at("link").is_symlink());
        assert_eq!(at("a").metadata().unwrap().mode() & 0o777, 0o750);
        std::fs::hard_link(at("a"), at("b")).unwrap();
        store(&at("b"), b"both", 0o664).unwrap();
        assert_eq!(std::fs::read(at("a")).unwrap(), b"both");
        store(&at("c"), b"c", 0o664).unwrap();
        assert_eq!(at("c").metadata().unwrap().mode() & 0o777, 0o664);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 4);
    }

    #[test]
    fn a_named_pipe_is_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &path,
            rustix::fs::FileType::Fifo,
            0o600.into(),
            0,
        )
        .unwrap();
        assert!(open(&path).is_err());
        assert!(!is_binary(&path));
    }
}
