//! The names in a directory, as a client's file browser shows them.

use std::path::Path;

/// The names: directories first, each with a `/` behind it, in alphabetical order whatever the case. None of what is no
/// directory, or can't be read.
pub(super) fn names(directory: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return Vec::new();
    };
    let (mut directories, mut files) = (Vec::new(), Vec::new());
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        // Of a link, what it leads to; one that leads nowhere is not shown.
        match std::fs::metadata(entry.path()) {
            Ok(found) if found.is_dir() => directories.push(format!("{name}/")),
            Ok(_) => files.push(name),
            Err(_) => {}
        }
    }
    for names in [&mut directories, &mut files] {
        names.sort_by_cached_key(|name| (name.to_lowercase(), name.clone()));
    }
    directories.extend(files);
    directories
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_come_first() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["b", "A.txt", "z", "C"] {
            std::fs::write(directory.path().join(name), "").unwrap();
        }
        std::fs::create_dir(directory.path().join("y")).unwrap();
        std::os::unix::fs::symlink("nowhere", directory.path().join("link")).unwrap();
        assert_eq!(names(directory.path()), ["y/", "A.txt", "b", "C", "z"]);
        assert!(names(&directory.path().join("b")).is_empty());
        assert!(names(Path::new("/no/such/directory")).is_empty());
    }
}
