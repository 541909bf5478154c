//! Copies over real processes, with the machine's own tar.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use tokio_util::sync::CancellationToken;

use super::sessions::open;
use crate::copy::{CopyError, CopyOptions};
use crate::error::FileError;

/// Everything below a directory: mode, and content, target or nothing.
fn tree(root: &Path) -> BTreeMap<OsString, (u32, Option<Vec<u8>>)> {
    let mut found = BTreeMap::new();
    let mut todo = vec![root.to_owned()];
    while let Some(path) = todo.pop() {
        let metadata = std::fs::symlink_metadata(&path).unwrap();
        let content = if metadata.is_dir() {
            todo.extend(
                std::fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
            None
        } else if metadata.is_symlink() {
            Some(
                std::fs::read_link(&path)
                    .unwrap()
                    .into_os_string()
                    .into_encoded_bytes(),
            )
        } else {
            Some(std::fs::read(&path).unwrap())
        };
        let name = path.strip_prefix(root).unwrap().as_os_str().to_owned();
        found.insert(name, (metadata.permissions().mode(), content));
    }
    found
}

fn mixed(root: &Path) {
    let long = "l".repeat(150);
    for directory in ["empty", "nested/a/b", "with space", &long] {
        std::fs::create_dir_all(root.join(directory)).unwrap();
    }
    let binary: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    for (name, content) in [
        ("nothing", b"".as_slice()),
        ("nested/a/b/binary", &binary),
        ("with space/grüße ✓", b"unicode"),
        ("new\nline", b"n"),
        ("-rf", b"dash"),
        ("block", &[7; 512]),
        (&format!("{long}/{long}"), b"long"),
    ] {
        std::fs::write(root.join(name), content).unwrap();
    }
    for (name, mode) in [
        ("nothing", 0o600),
        ("block", 0o755),
        ("-rf", 0o444),
        ("empty", 0o500),
    ] {
        std::fs::set_permissions(root.join(name), std::fs::Permissions::from_mode(mode)).unwrap();
    }
}

#[tokio::test]
async fn a_directory_comes_back_as_it_went() {
    let (session, place) = open().await;
    let at = |name: &str| place.path().join(name);
    mixed(&at("src"));
    for directory in ["in", "out"] {
        std::fs::create_dir(at(directory)).unwrap();
    }
    let remote = at("in");
    let sent = session
        .copy_to(at("src"), remote.to_str().unwrap(), CopyOptions::default())
        .await
        .unwrap();
    assert_eq!(tree(&at("src")), tree(&at("in/src")));
    let remote = at("in/src/");
    let received = session
        .copy_from(
            remote.to_str().unwrap(),
            at("out/renamed"),
            CopyOptions::default(),
        )
        .await
        .unwrap();
    assert_eq!(tree(&at("src")), tree(&at("out/renamed")));
    assert_eq!(
        (sent.files, sent.directories, sent.bytes),
        (7, 7, 100_000 + 512 + 16)
    );
    assert_eq!(
        (received.files, received.directories, received.bytes),
        (7, 7, 100_000 + 512 + 16)
    );
    // Once more, over what is there.
    session
        .copy_from(
            remote.to_str().unwrap(),
            at("out/renamed/../renamed"),
            CopyOptions::default(),
        )
        .await
        .unwrap();
    assert_eq!(tree(&at("src")), tree(&at("out/renamed/src")));
    session.close().await.unwrap();
}

#[tokio::test]
async fn contents_go_where_they_are_told() {
    let (session, place) = open().await;
    let at = |name: &str| place.path().join(name);
    std::fs::create_dir_all(at("src/sub")).unwrap();
    std::fs::write(at("src/sub/f"), "f").unwrap();
    std::fs::create_dir(at("in")).unwrap();
    let (source, target) = (at("src/sub/.."), at("in"));
    session
        .copy_to(source, target.to_str().unwrap(), CopyOptions::default())
        .await
        .unwrap();
    assert_eq!(tree(&at("src")), tree(&at("in")));
    let source = at("in/.");
    session
        .copy_from(source.to_str().unwrap(), at("out"), CopyOptions::default())
        .await
        .unwrap();
    assert_eq!(tree(&at("src")), tree(&at("out")));
    session.close().await.unwrap();
}

#[tokio::test]
async fn a_file_gets_the_name_it_is_given() {
    let (session, place) = open().await;
    let at = |name: &str| place.path().join(name);
    std::fs::write(at("-f"), "content").unwrap();
    for (remote, local) in [("renamed", "back"), ("-x", "y")] {
        let remote = at(remote);
        let remote = remote.to_str().unwrap();
        session
            .copy_to(at("-f"), remote, CopyOptions::default())
            .await
            .unwrap();
        let report = session
            .copy_from(remote, at(local), CopyOptions::default())
            .await
            .unwrap();
        assert_eq!((report.files, report.bytes), (1, 7));
        assert_eq!(std::fs::read(at(local)).unwrap(), b"content");
    }
    // An existing file is replaced, and nothing else is left.
    std::fs::write(at("back"), "a longer content than before").unwrap();
    session
        .copy_from(at("-f").to_str().unwrap(), at("back"), CopyOptions::default())
        .await
        .unwrap();
    assert_eq!(std::fs::read(at("back")).unwrap(), b"content");
    assert_eq!(tree(place.path()).len(), 6);
    session.close().await.unwrap();
}

#[tokio::test]
async fn links_within_a_copy_are_kept_and_others_are_left_out_and_told() {
    let (session, place) = open().await;
    let at = |name: &str| place.path().join(name);
    std::fs::create_dir_all(at("src/d")).unwrap();
    std::fs::write(at("src/f"), "f").unwrap();
    symlink("f", at("src/l")).unwrap();
    symlink("../f", at("src/d/up")).unwrap();
    let copy = at("copy");
    let remote = copy.to_str().unwrap();
    let sent = session
        .copy_to(at("src"), remote, CopyOptions::default())
        .await
        .unwrap();
    assert_eq!((sent.links, tree(&at("src")) == tree(&at("copy"))), (2, true));
    let received = session
        .copy_from(remote, at("back"), CopyOptions::default())
        .await
        .unwrap();
    assert_eq!((received.links, tree(&at("src")) == tree(&at("back"))), (2, true));
    // What leads out is not written, and the rest is.
    symlink("/etc/passwd", at("copy/absolute")).unwrap();
    symlink("../../src", at("copy/d/out")).unwrap();
    let error = session
        .copy_from(remote, at("out"), CopyOptions::default())
        .await
        .unwrap_err();
    let said = error.chain();
    let crate::Error::Copy { source, .. } = error else {
        panic!("{error:?}")
    };
    let CopyError::LeftOut { left, files: 1, .. } = &source else {
        panic!("{source:?}")
    };
    let named: Vec<&str> = left.named().iter().map(|left| left.entry.as_str()).collect();
    assert_eq!(left.total(), 2);
    assert!(
        named
            .iter()
            .all(|name| name.ends_with("/absolute") || name.ends_with("/d/out")),
        "{named:?}"
    );
    assert!(
        said.contains("\"/etc/passwd\", which leads out of what is copied"),
        "{said}"
    );
    assert_eq!(tree(&at("src")), tree(&at("out")));
    let skip = || CopyOptions {
        skip_links: true,
        ..CopyOptions::default()
    };
    let received = session.copy_from(remote, at("none"), skip()).await.unwrap();
    assert_eq!(
        (received.files, received.links, received.skipped.len()),
        (1, 0, 4)
    );
    let sent = session
        .copy_to(at("src"), at("in").to_str().unwrap(), skip())
        .await
        .unwrap();
    assert_eq!((sent.files, sent.links, sent.skipped.len()), (1, 0, 2));
    assert!(!at("in/l").exists() && !at("none/l").exists());
    session.close().await.unwrap();
}

/// One that can't be read is left out the same way; who runs the tests may be one who reads all.
#[tokio::test]
async fn what_can_not_be_copied_in_is_told_and_the_rest_is_copied() {
    let (session, place) = open().await;
    let at = |name: &str| place.path().join(name);
    std::fs::create_dir_all(at("src/d")).unwrap();
    for name in ["src/a", "src/d/b", "src/z"] {
        std::fs::write(at(name), name).unwrap();
    }
    let listener = std::os::unix::net::UnixListener::bind(at("src/d/socket")).unwrap();
    let copy = at("copy");
    let error = session
        .copy_to(at("src"), copy.to_str().unwrap(), CopyOptions::default())
        .await
        .unwrap_err();
    assert!(
        error.chain().contains("src/d/socket (it is a socket)"),
        "{}",
        error.chain()
    );
    drop(listener);
    std::fs::remove_file(at("src/d/socket")).unwrap();
    assert_eq!(tree(&at("src")), tree(&copy));
    session.close().await.unwrap();
}

#[tokio::test]
async fn a_large_file_streams() {
    // Much more than the channels, the pipes and the pieces in between hold.
    const SIZE: usize = 24 << 20;
    let (session, place) = open().await;
    let at = |name: &str| place.path().join(name);
    let content: Vec<u8> = (0..SIZE)
        .map(|at| (at ^ (at >> 8) ^ (at >> 16)).to_le_bytes()[0])
        .collect();
    std::fs::write(at("big"), &content).unwrap();
    let copy = at("copy");
    session
        .copy_to(at("big"), copy.to_str().unwrap(), CopyOptions::default())
        .await
        .unwrap();
    session
        .copy_from(copy.to_str().unwrap(), at("back"), CopyOptions::default())
        .await
        .unwrap();
    assert!(std::fs::read(at("back")).unwrap() == content);
    session.close().await.unwrap();
}

#[tokio::test]
async fn a_cancelled_copy_leaves_nothing_here() {
    let (session, place) = open().await;
    let at = |name: &str| place.path().join(name);
    std::fs::write(at("f"), "f").unwrap();
    std::fs::create_dir(at("out")).unwrap();
    let cancel = CancellationToken::new();
    cancel.cancel();
    let options = CopyOptions {
        cancel,
        ..CopyOptions::default()
    };
    let error = session
        .copy_from(at("f").to_str().unwrap(), at("out"), options.clone())
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            crate::Error::Copy {
                source: CopyError::Files(FileError::Cancelled),
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(tree(&at("out")).len(), 1);
    let error = session
        .copy_to(at("f"), at("in").to_str().unwrap(), options)
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            crate::Error::Copy {
                source: CopyError::Files(FileError::Cancelled),
                ..
            }
        ),
        "{error:?}"
    );
    session.close().await.unwrap();
}
