//! What is in a directory, two levels deep.

use std::io;
use std::path::Path;

use super::show;

/// Entries that are looked at, at most; far more than are shown.
const ENTRIES: usize = 100_000;

/// What is there, without what is hidden. Links are followed.
pub(super) fn view(directory: &Path) -> io::Result<String> {
    let mut found = vec![directory.to_owned()];
    let mut hidden = 0;
    for entry in std::fs::read_dir(directory)?.take(ENTRIES) {
        let entry = entry?;
        if is_hidden(&entry) {
            hidden += 1;
            continue;
        }
        let path = entry.path();
        if path.is_dir() {
            // One that can't be read is shown as an empty one.
            let below = std::fs::read_dir(&path).into_iter().flatten().flatten();
            let room = ENTRIES.saturating_sub(found.len());
            found.extend(
                below
                    .filter(|entry| !is_hidden(entry))
                    .map(|entry| entry.path())
                    .take(room),
            );
        }
        found.push(path);
    }
    let mut found: Vec<_> = found
        .into_iter()
        .map(|path| (path.display().to_string(), path.is_dir()))
        .collect();
    found.sort_unstable();
    let list: Vec<String> = found
        .into_iter()
        .map(|(path, is_directory)| if is_directory { format!("{path}/") } else { path })
        .collect();
    let directory = directory.display();
    let mut text = format!(
        "Here's the files and directories up to 2 levels deep in {directory}, excluding hidden items:\n{}",
        show::list(&list.join("\n"))
    );
    if hidden > 0 {
        let notice = format!(
            "\n\n{hidden} hidden files/directories in this directory are excluded. You can use 'ls -la {directory}' to see \
             them."
        );
        text.push_str(&notice);
    }
    Ok(text)
}

fn is_hidden(entry: &std::fs::DirEntry) -> bool {
    entry.file_name().as_encoded_bytes().starts_with(b".")
}
