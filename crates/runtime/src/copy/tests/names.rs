//! What a source and a destination mean, in both directions the same: what `docker cp` documents for files and directories,
//! destinations that exist and that don't, and slashes and dots at the ends.

use std::collections::BTreeMap;
use std::path::Path;

use super::sessions::open;
use crate::copy::CopyOptions;

/// What there is below a directory: the contents of files, and `/` for directories.
fn listing(root: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut todo = vec![root.to_owned()];
    while let Some(next) = todo.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            let metadata = std::fs::symlink_metadata(&path).unwrap();
            if metadata.is_dir() {
                todo.push(path);
                found.insert(name, "/".to_owned());
            } else if metadata.is_file() {
                found.insert(name, std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    found
}

/// The source has a file `f` and a directory `d` with `d/x` and `d/sub/y`; the destination a file `file`, a directory `dir` with
/// `dir/old`, and a link `link` to that directory.
fn prepare(place: &Path) {
    std::fs::create_dir_all(place.join("from/d/sub")).unwrap();
    std::fs::create_dir_all(place.join("to/dir")).unwrap();
    for (name, content) in [
        ("from/f", "f"),
        ("from/d/x", "x"),
        ("from/d/sub/y", "y"),
        ("to/file", "old"),
        ("to/dir/old", "old"),
    ] {
        std::fs::write(place.join(name), content).unwrap();
    }
    std::os::unix::fs::symlink("dir", place.join("to/link")).unwrap();
}

/// What a row of the table comes to: paths that are there afterwards and were not, or were other; or an error.
type Wanted = Option<&'static [(&'static str, &'static str)]>;

/// Source, destination, what becomes of it. The first column of the comments is docker's own sentence.
const TABLE: &[(&str, &str, Wanted)] = &[
    // "SRC_PATH specifies a file": "DEST_PATH does not exist: the file is saved to a file created at DEST_PATH".
    ("f", "new", Some(&[("new", "f")])),
    // "DEST_PATH does not exist and ends with /: Error condition: the destination directory must exist."
    ("f", "new/", None),
    ("f", "new/.", None),
    ("f", "no/new", None),
    // "DEST_PATH exists and is a file: the destination is overwritten with the source file's contents".
    ("f", "file", Some(&[("file", "f")])),
    ("f", "file/", None),
    ("f", "file/.", None),
    // "DEST_PATH exists and is a directory: the file is copied into this directory using the basename from SRC_PATH".
    ("f", "dir", Some(&[("dir/f", "f")])),
    ("f", "dir/", Some(&[("dir/f", "f")])),
    ("f", "dir/.", Some(&[("dir/f", "f")])),
    ("f", "link", Some(&[("dir/f", "f")])),
    // A file is not a directory, whoever says so.
    ("f/", "new", None),
    ("f/.", "new", None),
    ("f/", "dir", None),
    // "SRC_PATH specifies a directory": "DEST_PATH does not exist: DEST_PATH is created as a directory and the contents of the
    // source directory are copied into this directory".
    (
        "d",
        "new",
        Some(&[("new", "/"), ("new/x", "x"), ("new/sub", "/"), ("new/sub/y", "y")]),
    ),
    (
        "d/",
        "new",
        Some(&[("new", "/"), ("new/x", "x"), ("new/sub", "/"), ("new/sub/y", "y")]),
    ),
    (
        "d",
        "new/",
        Some(&[("new", "/"), ("new/x", "x"), ("new/sub", "/"), ("new/sub/y", "y")]),
    ),
    (
        "d",
        "new/.",
        Some(&[("new", "/"), ("new/x", "x"), ("new/sub", "/"), ("new/sub/y", "y")]),
    ),
    (
        "d/.",
        "new",
        Some(&[("new", "/"), ("new/x", "x"), ("new/sub", "/"), ("new/sub/y", "y")]),
    ),
    ("d", "no/new", None),
    // "DEST_PATH exists and is a file: Error condition: cannot copy a directory to a file".
    ("d", "file", None),
    ("d/.", "file", None),
    // "DEST_PATH exists and is a directory": "SRC_PATH does not end with /. : the source directory is copied into this directory".
    (
        "d",
        "dir",
        Some(&[
            ("dir/d", "/"),
            ("dir/d/x", "x"),
            ("dir/d/sub", "/"),
            ("dir/d/sub/y", "y"),
        ]),
    ),
    (
        "d/",
        "dir",
        Some(&[
            ("dir/d", "/"),
            ("dir/d/x", "x"),
            ("dir/d/sub", "/"),
            ("dir/d/sub/y", "y"),
        ]),
    ),
    (
        "d",
        "dir/",
        Some(&[
            ("dir/d", "/"),
            ("dir/d/x", "x"),
            ("dir/d/sub", "/"),
            ("dir/d/sub/y", "y"),
        ]),
    ),
    (
        "d",
        "dir/.",
        Some(&[
            ("dir/d", "/"),
            ("dir/d/x", "x"),
            ("dir/d/sub", "/"),
            ("dir/d/sub/y", "y"),
        ]),
    ),
    (
        "d",
        "link",
        Some(&[
            ("dir/d", "/"),
            ("dir/d/x", "x"),
            ("dir/d/sub", "/"),
            ("dir/d/sub/y", "y"),
        ]),
    ),
    // "SRC_PATH does end with /. : the content of the source directory is copied into this directory".
    (
        "d/.",
        "dir",
        Some(&[("dir/x", "x"), ("dir/sub", "/"), ("dir/sub/y", "y")]),
    ),
    (
        "d/.",
        "dir/",
        Some(&[("dir/x", "x"), ("dir/sub", "/"), ("dir/sub/y", "y")]),
    ),
    (
        "d/.",
        "dir/.",
        Some(&[("dir/x", "x"), ("dir/sub", "/"), ("dir/sub/y", "y")]),
    ),
    (
        "d/.",
        "link",
        Some(&[("dir/x", "x"), ("dir/sub", "/"), ("dir/sub/y", "y")]),
    ),
    // "The command requires SRC_PATH and DEST_PATH to exist according to the above rules."
    ("no", "new", None),
    ("no/.", "dir", None),
];

#[tokio::test]
async fn source_and_destination_mean_what_docker_cp_documents_both_ways() {
    let (session, _) = open().await;
    for inwards in [true, false] {
        for (source, destination, wanted) in TABLE {
            let place = tempfile::tempdir().unwrap();
            prepare(place.path());
            let mut expected = listing(&place.path().join("to"));
            let at = |side: &str, name: &str| format!("{}/{side}/{name}", place.path().display());
            let (from, to) = (at("from", source), at("to", destination));
            let copied = if inwards {
                session.copy_to(&from, &to, CopyOptions::default()).await
            } else {
                session.copy_from(&from, &to, CopyOptions::default()).await
            };
            let case = format!(
                "{source} to {destination}, {}",
                if inwards { "in" } else { "out" }
            );
            assert_eq!(copied.is_ok(), wanted.is_some(), "{case}: {copied:?}");
            let new = wanted.unwrap_or_default();
            expected.extend(
                new.iter()
                    .map(|&(name, content)| (name.to_owned(), content.to_owned())),
            );
            assert_eq!(listing(&place.path().join("to")), expected, "{case}");
        }
    }
    session.close().await.unwrap();
}
