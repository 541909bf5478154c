//! Files, read and written as a whole or by lines.

use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::editor::text;
use super::observation::Observation;
use super::python_text::universal_newlines;
use super::request::{Read, Write};

/// The size of a file that is read, at most, in bytes: all of it stands in the answer.
const LARGEST: u64 = 32 << 20;
/// The permissions of a file that is made, as agents of different users in one sandbox expect them.
const MODE: u32 = 0o664;

/// The file that a path means, seen from a directory.
pub(super) fn resolve(path: &str, directory: &Path) -> PathBuf {
    directory.join(path)
}

/// Reads a file. Pictures, films and documents come as a data URI.
pub(super) fn read(read: &Read, directory: &Path) -> Observation {
    let path = resolve(&read.path, directory);
    let shown = path.display().to_string();
    let observed = |content| Observation::Read {
        content,
        path: shown.clone(),
        by_editor: false,
    };
    let kind = media_type(&shown);
    if kind.is_none() && text::is_binary(&path) {
        return Observation::Error("ERROR_BINARY_FILE".to_owned());
    }
    let bytes = match text::read(&path, LARGEST) {
        Ok(bytes) if bytes.len() as u64 > LARGEST => {
            return Observation::Error(format!(
                "File is too large: {shown} has more than {} MiB. Read a part of it by a command.",
                LARGEST >> 20
            ));
        }
        Ok(bytes) => bytes,
        Err(error) => return Observation::Error(unreadable(&error, &shown, directory)),
    };
    if let Some(kind) = kind {
        return observed(format!("data:{kind};base64,{}", STANDARD.encode(bytes)));
    }
    match String::from_utf8(bytes) {
        Ok(text) => observed(lines(&universal_newlines(&text), read.start, read.end)),
        Err(_) => Observation::Error(format!("File could not be decoded as utf-8: {shown}.")),
    }
}

fn unreadable(error: &io::Error, shown: &str, directory: &Path) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => {
            format!(
                "File not found: {shown}. Your current working directory is {}.",
                directory.display()
            )
        }
        io::ErrorKind::IsADirectory => format!("Path is a directory: {shown}. You can only read files"),
        _ => format!("File could not be read: {shown}: {error}."),
    }
}

fn media_type(path: &str) -> Option<&'static str> {
    let (_, extension) = path.rsplit_once('.')?;
    Some(match extension.to_lowercase().as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "bmp" => "image/bmp",
        "gif" => "image/gif",
        "pdf" => "application/pdf",
        "mp4" => "video/mp4",
        "webm" => "video/webm",
        "ogg" => "audio/ogg",
        _ => return None,
    })
}

/// Lines from `start` up to and without `end`, as the server that this comes from counts them
/// (`openhands/runtime/utils/files.py`): there is at least one, and the last two are given together.
fn lines(text: &str, start: i64, end: i64) -> String {
    let all: Vec<&str> = text.split_inclusive('\n').collect();
    let count = i64::try_from(all.len()).unwrap_or(i64::MAX);
    let start = start.clamp(0, count);
    let end = if end == -1 { -1 } else { end.max(0) }.min(count);
    let slice = |from: i64, to: i64| -> String {
        let index = |place: i64| usize::try_from(place).unwrap_or(0);
        all.iter().take(index(to)).skip(index(from)).copied().collect()
    };
    if end == -1 {
        return slice(start, count);
    }
    let begin = start.min(count - 2).max(0);
    slice(begin, end.max(begin + 1))
}

/// Writes a file, or some lines of it.
pub(super) fn write(write: &Write, directory: &Path) -> Observation {
    let path = resolve(&write.path, directory);
    let shown = path.display().to_string();
    let failed = |error: &io::Error| {
        Observation::Error(match error.kind() {
            io::ErrorKind::NotFound => format!("File not found: {shown}"),
            io::ErrorKind::IsADirectory => {
                format!("Path is a directory: {shown}. You can only write to files")
            }
            _ => format!("File could not be written: {shown}: {error}"),
        })
    };
    if path.is_dir() {
        return failed(&io::ErrorKind::IsADirectory.into());
    }
    if let Some(parent) = path.parent()
        && let Err(error) = std::fs::create_dir_all(parent)
    {
        return failed(&error);
    }
    // What was written ends with a line's end, and with one.
    let mut content = write.content.clone();
    if !content.is_empty() && !content.ends_with('\n') {
        content.push('\n');
    }
    if path.exists() {
        let old = match text::read(&path, LARGEST) {
            Ok(old) => old,
            Err(error) => return failed(&error),
        };
        if write.start != 0 || write.end != -1 {
            let Ok(old) = String::from_utf8(old) else {
                return Observation::Error(format!("File could not be decoded as utf-8: {shown}"));
            };
            content = between(&old, write.start, write.end, &content);
        }
    }
    match text::store(&path, content.as_bytes(), MODE) {
        Ok(()) => Observation::Write { path: shown },
        Err(error) => failed(&error),
    }
}

/// The old lines before `start`, the new text, and the old lines from `end` on; numbers as in Python's slices.
fn between(old: &str, start: i64, end: i64, new: &str) -> String {
    let all: Vec<&str> = old.split_inclusive('\n').collect();
    let index = |place: i64| {
        let count = i64::try_from(all.len()).unwrap_or(i64::MAX);
        let place = if place < 0 {
            count.saturating_add(place)
        } else {
            place
        };
        usize::try_from(place.clamp(0, count)).unwrap_or(0)
    };
    let before: String = all[..index(start)].concat();
    let end_of_line = if before.is_empty() || before.ends_with('\n') {
        ""
    } else {
        "\n"
    };
    let after: String = if end == -1 {
        String::new()
    } else {
        all[index(end)..].concat()
    };
    format!("{before}{end_of_line}{new}{after}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_as_there() {
        let text = "0\n1\n2\n3\n4\n";
        for (start, end, expected) in [
            (0, -1, text),
            (3, -1, "3\n4\n"),
            (9, -1, ""),
            (1, 3, "1\n2\n"),
            (3, 1, "3\n"),
            (4, 5, "3\n4\n"),
            (0, 99, text),
            (-5, 1, "0\n"),
        ] {
            assert_eq!(lines(text, start, end), expected, "{start} {end}");
        }
    }

    #[test]
    fn lines_are_replaced() {
        assert_eq!(between("a\nb\nc\n", 1, 2, "X\n"), "a\nX\nc\n");
        assert_eq!(between("a\nb\nc\n", 1, -1, "X\n"), "a\nX\n");
        assert_eq!(between("a", 1, -1, "X\n"), "a\nX\n");
        assert_eq!(between("a\nb\n", -1, 9, "X\n"), "a\nX\n");
    }

    #[test]
    fn what_ends_with_a_line_end_gains_none() {
        let directory = tempfile::tempdir().unwrap();
        for (content, expected) in [("a", "a\n"), ("a\n", "a\n"), ("a\n\n", "a\n\n"), ("", "")] {
            let asked = Write {
                path: "d/f".to_owned(),
                content: content.to_owned(),
                start: 0,
                end: -1,
            };
            write(&asked, directory.path());
            assert_eq!(
                std::fs::read_to_string(directory.path().join("d/f")).unwrap(),
                expected
            );
        }
    }
}
