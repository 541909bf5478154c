//! What files were before they were edited.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

/// Versions of one file, at most.
const VERSIONS: usize = 10;
/// Bytes of all versions of all files, at most: the oldest is dropped first.
const BYTES: usize = 16 << 20;

/// Versions of files, the oldest first.
#[derive(Debug, Default)]
pub(super) struct History {
    versions: VecDeque<(PathBuf, String)>,
    bytes: usize,
}

impl History {
    /// Keeps a version.
    pub(super) fn push(&mut self, path: &Path, text: String) {
        self.bytes += text.len();
        self.versions.push_back((path.to_owned(), text));
        if self.versions.iter().filter(|(other, _)| other == path).count() > VERSIONS
            && let Some(oldest) = self.versions.iter().position(|(other, _)| other == path)
        {
            self.remove(oldest);
        }
        while self.bytes > BYTES {
            self.remove(0);
        }
    }

    /// Takes the newest version of a file.
    pub(super) fn pop(&mut self, path: &Path) -> Option<String> {
        let newest = self.versions.iter().rposition(|(other, _)| other == path)?;
        self.remove(newest)
    }

    fn remove(&mut self, index: usize) -> Option<String> {
        let (_, text) = self.versions.remove(index)?;
        self.bytes -= text.len();
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_has_its_last_versions() {
        let (a, b) = (Path::new("/a"), Path::new("/b"));
        let mut history = History::default();
        for version in 0..12 {
            history.push(a, version.to_string());
        }
        history.push(b, "b".to_owned());
        assert_eq!(history.pop(a).as_deref(), Some("11"));
        assert_eq!(
            (2..11).rev().map(|_| history.pop(a).unwrap()).last().as_deref(),
            Some("2")
        );
        assert_eq!(history.pop(a), None);
        assert_eq!(history.pop(b).as_deref(), Some("b"));
        assert_eq!(history.bytes, 0);
    }

    #[test]
    fn memory_is_bounded() {
        let mut history = History::default();
        for number in 0..40 {
            history.push(Path::new(&format!("/{number}")), "x".repeat(1 << 20));
        }
        assert!(history.bytes <= BYTES);
        assert!(history.pop(Path::new("/0")).is_none());
        assert!(history.pop(Path::new("/39")).is_some());
    }
}
