//! What a session may send instead of an archive of what was asked for.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use proptest::prelude::*;

use super::archives::{Archive, header};
use crate::destination::Destination;
use crate::extraction::Extraction;
use crate::policy::{Limits, Links, Policy};
use crate::tar::Malformed;
use crate::{Error, Refusal, Report};

const LIMITS: Limits = Limits {
    max_bytes: 10_000,
    max_entries: 20,
};

/// Extracts an archive of `root` into `out/` of a directory, whose other files are to stay as they are.
fn extract(place: &Path, root: Option<&str>, skip_links: bool, archive: &[u8]) -> Result<Report, Error> {
    let destination = Destination::find(&place.join("out"), root.map(std::ffi::OsStr::new)).unwrap();
    let policy = Policy::new(
        root.map(str::as_bytes),
        LIMITS,
        if skip_links { Links::Skip } else { Links::Refuse },
    );
    let mut extraction = Extraction::new(policy, destination);
    for piece in archive.chunks(700) {
        extraction.feed(piece)?;
    }
    extraction.finish()?.commit()
}

fn place() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    std::fs::create_dir(place.path().join("out")).unwrap();
    std::fs::write(place.path().join("secret"), "untouched").unwrap();
    place
}

/// Every path below a directory, links not followed.
fn listing(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut todo = vec![directory.to_owned()];
    while let Some(next) = todo.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let entry = entry.unwrap();
            found.push(
                entry
                    .path()
                    .strip_prefix(directory)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned(),
            );
            if entry.file_type().unwrap().is_dir() {
                todo.push(entry.path());
            }
        }
    }
    found.sort();
    found
}

/// What `archive`, after a good directory and file, is refused for; nothing else was written.
fn refused(archive: impl FnOnce(Archive) -> Archive) -> Refusal {
    let place = place();
    let bytes = archive(Archive::default().directory("./src/").file("./src/good", b"good")).end();
    let error = extract(place.path(), Some("src"), false, &bytes).unwrap_err();
    assert_eq!(
        listing(place.path()),
        ["out", "out/src", "out/src/good", "secret"]
    );
    assert_eq!(std::fs::read(place.path().join("secret")).unwrap(), b"untouched");
    match error {
        Error::Refused { reason, .. } => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn links_are_refused() {
    let target = || "../../secret".to_owned();
    assert_eq!(
        refused(|a| a.link("src/l", b'2', "../../secret")),
        Refusal::Symlink { target: target() }
    );
    assert_eq!(
        refused(|a| a.link("src/l", b'1', "../../secret")),
        Refusal::HardLink { target: target() }
    );
    let long = |a: Archive| a.entry("k", b'K', b"/etc/shadow\0").link("src/l", b'2', "x");
    assert_eq!(
        refused(long),
        Refusal::Symlink {
            target: "/etc/shadow".to_owned()
        }
    );
}

#[test]
fn what_is_neither_file_nor_directory_is_refused() {
    assert_eq!(refused(|a| a.entry("src/d", b'3', b"")), Refusal::Device);
    assert_eq!(refused(|a| a.entry("src/d", b'4', b"")), Refusal::Device);
    assert_eq!(refused(|a| a.entry("src/p", b'6', b"")), Refusal::Fifo);
    assert_eq!(refused(|a| a.entry("src/s", b'S', b"")), Refusal::Sparse);
    assert_eq!(
        refused(|a| a.pax(b'x', &[("GNU.sparse.major", b"1")]).file("src/s", b"")),
        Refusal::Sparse
    );
    assert_eq!(refused(|a| a.entry("src/v", b'V', b"")), Refusal::Unknown(b'V'));
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    assert_eq!(refused(|a| a.file("/src/f", b"")), Refusal::Absolute);
    assert_eq!(refused(|a| a.file("src/../../secret", b"")), Refusal::Upwards);
    assert_eq!(refused(|a| a.file("..", b"")), Refusal::Upwards);
    assert_eq!(refused(|a| a.file("other", b"")), Refusal::Elsewhere);
    assert_eq!(refused(|a| a.file("srcs/f", b"")), Refusal::Elsewhere);
    assert_eq!(refused(|a| a.file(".", b"")), Refusal::Elsewhere);
    assert_eq!(
        refused(|a| a.pax(b'x', &[("path", b"src/../x")]).file("src/f", b"")),
        Refusal::Upwards
    );
    assert_eq!(
        refused(|a| a.entry("l", b'L', b"/abs\0").file("src/f", b"")),
        Refusal::Absolute
    );
    assert_eq!(
        refused(|a| a.pax(b'x', &[("path", b"src/a\0b")]).file("src/f", b"")),
        Refusal::NoName
    );
    assert_eq!(refused(|a| a.file("src/f/", b"")), Refusal::NoName);
    assert_eq!(
        refused(|a| a.entry("l", b'L', &[b'x'; 300]).file("src/f", b"")),
        Refusal::LongComponent
    );
    let deep = "src/".to_owned() + &"d/".repeat(256);
    assert_eq!(
        refused(|a| a.entry("l", b'L', deep.as_bytes()).directory("src/f")),
        Refusal::TooDeep
    );
}

#[test]
fn entries_that_do_not_fit_together_are_refused() {
    assert_eq!(refused(|a| a.file("src/good", b"again")), Refusal::Duplicate);
    assert_eq!(refused(|a| a.directory("src/good")), Refusal::Duplicate);
    assert_eq!(refused(|a| a.directory("src")), Refusal::Duplicate);
    assert_eq!(refused(|a| a.file("src/no/f", b"")), Refusal::NoParent);
    assert_eq!(refused(|a| a.file("src/good/f", b"")), Refusal::NoParent);
    assert_eq!(
        refused(|a| a.entry("src/d", b'5', b"data")),
        Refusal::Size { size: 4 }
    );
}

#[test]
fn skipped_links_lead_nowhere() {
    let place = place();
    let linked = Archive::default()
        .directory("src")
        .link("src/l", b'2', "../..")
        .link("src/h", b'1', "/etc/passwd")
        .file("src/f", b"f");
    let report = extract(place.path(), Some("src"), true, &Archive(linked.0.clone()).end()).unwrap();
    assert_eq!(
        (report.files, report.skipped),
        (1, vec!["src/l".to_owned(), "src/h".to_owned()])
    );
    let through = linked.file("src/l/secret", b"hacked").end();
    let error = extract(place.path(), Some("src"), true, &through).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Refused {
                reason: Refusal::NoParent,
                ..
            }
        ),
        "{error:?}"
    );
    let replaced = Archive::default()
        .directory("src")
        .link("src/l", b'2', "../..")
        .directory("src/l")
        .end();
    let error = extract(place.path(), Some("src"), true, &replaced).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Refused {
                reason: Refusal::Duplicate,
                ..
            }
        ),
        "{error:?}"
    );
    // What was asked for is not skipped.
    let only = Archive::default().link("src", b'2', "/etc").end();
    let error = extract(place.path(), Some("src"), true, &only).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Refused {
                reason: Refusal::Symlink { .. },
                ..
            }
        ),
        "{error:?}"
    );
}

#[test]
fn bombs_are_refused_before_they_go_off() {
    let place = place();
    let many = (0..20)
        .fold(Archive::default().directory("src"), |a, n| {
            a.file(format!("src/{n}"), b"")
        })
        .end();
    let error = extract(place.path(), Some("src"), false, &many).unwrap_err();
    assert!(
        matches!(
            error,
            Error::OverLimit {
                limit: 20,
                unit: "entries"
            }
        ),
        "{error:?}"
    );
    let large = Archive::default().raw(&header(b"src", b'0', 10_001), b"").0;
    let error = extract(place.path(), Some("src"), false, &large).unwrap_err();
    assert!(
        matches!(
            error,
            Error::OverLimit {
                limit: 10_000,
                unit: "bytes"
            }
        ),
        "{error:?}"
    );
    let overflowing = Archive::default()
        .directory("src")
        .file("src/a", b"a")
        .pax(b'x', &[("size", b"18446744073709551615")])
        .file("src/b", b"")
        .end();
    let error = extract(place.path(), Some("src"), false, &overflowing).unwrap_err();
    assert!(
        matches!(error, Error::OverLimit { unit: "bytes", .. }),
        "{error:?}"
    );
    let nothing = extract(place.path(), Some("src"), false, &Archive::default().end()).unwrap_err();
    assert!(
        matches!(
            nothing,
            Error::Malformed {
                source: Malformed::Empty
            }
        ),
        "{nothing:?}"
    );
}

#[test]
fn a_cut_archive_leaves_no_half_file() {
    let place = place();
    let archive = Archive::default()
        .directory("src")
        .file("src/a", b"whole")
        .file("src/b", &[b'x'; 2000])
        .0;
    let error = extract(place.path(), Some("src"), false, &archive[..archive.len() - 1000]).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Malformed {
                source: Malformed::Truncated
            }
        ),
        "{error:?}"
    );
    assert_eq!(listing(&place.path().join("out")), ["src", "src/a"]);
    // A single file: whole, but not the archive.
    std::fs::write(place.path().join("out/f"), "before").unwrap();
    let archive = Archive::default().file("f", b"after").0;
    extract(place.path(), Some("f"), false, &archive).unwrap_err();
    assert_eq!(std::fs::read(place.path().join("out/f")).unwrap(), b"before");
    assert_eq!(listing(&place.path().join("out")), ["f", "src", "src/a"]);
}

#[test]
fn links_that_are_there_are_not_written_through() {
    let place = place();
    let out = place.path().join("out");
    std::fs::create_dir(out.join("src")).unwrap();
    symlink(place.path(), out.join("src/d")).unwrap();
    symlink("../../secret", out.join("src/f")).unwrap();
    let file = Archive::default().directory("src").file("src/f", b"new").end();
    extract(place.path(), Some("src"), false, &file).unwrap();
    assert_eq!(std::fs::read(out.join("src/f")).unwrap(), b"new");
    assert!(std::fs::symlink_metadata(out.join("src/f")).unwrap().is_file());
    let directory = Archive::default()
        .directory("src")
        .directory("src/d")
        .file("src/d/secret", b"new")
        .end();
    let error = extract(place.path(), Some("src"), false, &directory).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Target {
                found: "a symbolic link",
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(std::fs::read(place.path().join("secret")).unwrap(), b"untouched");
    // A link in place of the copy itself.
    std::fs::remove_dir_all(out.join("src")).unwrap();
    symlink(place.path(), out.join("src")).unwrap();
    let error = extract(place.path(), Some("src"), false, &file).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Target {
                found: "a symbolic link",
                ..
            }
        ),
        "{error:?}"
    );
}

#[test]
fn what_stands_in_the_way_is_not_replaced() {
    let place = place();
    std::fs::create_dir_all(place.path().join("out/f")).unwrap();
    let error = extract(
        place.path(),
        Some("f"),
        false,
        &Archive::default().file("f", b"").end(),
    )
    .unwrap_err();
    assert!(
        matches!(
            error,
            Error::Target {
                found: "a directory",
                ..
            }
        ),
        "{error:?}"
    );
    std::fs::write(place.path().join("out/d"), "file").unwrap();
    let error = extract(
        place.path(),
        Some("d"),
        false,
        &Archive::default().directory("d").end(),
    )
    .unwrap_err();
    assert!(
        matches!(error, Error::Target { found: "a file", .. }),
        "{error:?}"
    );
    let socket = std::os::unix::net::UnixListener::bind(place.path().join("out/s")).unwrap();
    let error = extract(
        place.path(),
        Some("s"),
        false,
        &Archive::default().file("s", b"").end(),
    )
    .unwrap_err();
    assert!(
        matches!(
            error,
            Error::Target {
                found: "a socket",
                ..
            }
        ),
        "{error:?}"
    );
    drop(socket);
}

#[test]
fn special_bits_and_owners_stay_behind() {
    let place = place();
    let archive = Archive::default()
        .with("src", b'5', |header| header.set_mode(0o7555))
        .with("src/f", b'0', |header| header.set_mode(0o106_755))
        .with("src/r", b'0', |header| header.set_mode(0o400))
        .end();
    extract(place.path(), Some("src"), false, &archive).unwrap();
    let mode = |name: &str| {
        let path = place.path().join("out").join(name);
        std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
    };
    // The umask of those who run this may take more.
    assert_eq!(mode("src") & 0o7700, 0o500);
    assert_eq!(mode("src/f") & 0o7700, 0o700);
    assert_eq!(mode("src/r"), 0o400);
    let modified = std::fs::metadata(place.path().join("out/src/r"))
        .unwrap()
        .modified()
        .unwrap();
    let since = modified
        .duration_since(std::time::SystemTime::UNIX_EPOCH)
        .unwrap();
    assert_eq!(since.as_secs(), 1_700_000_000);
    std::fs::set_permissions(
        place.path().join("out/src"),
        std::fs::Permissions::from_mode(0o755),
    )
    .unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Names made of what path handling goes wrong with, all types, any order: nothing is changed outside.
    #[test]
    fn nothing_accepted_escapes(
        entries in proptest::collection::vec(
            (proptest::collection::vec(prop_oneof!["src", "\\.\\.", "\\.", "", "a", "l", "out"], 0..5), any::<bool>(), 0_usize..9),
            0..8,
        ),
        skip_links in any::<bool>(),
        root in prop_oneof![Just(Some("src")), Just(None)],
    ) {
        let place = place();
        symlink("..", place.path().join("out/l")).unwrap();
        let mut archive = Archive::default().directory("src");
        for (components, absolute, kind) in entries {
            let name = format!("{}{}", if absolute { "/" } else { "" }, components.join("/"));
            archive = match b"0123567LS"[kind] {
                link @ (b'1' | b'2') => archive.link(&name, link, "../.."),
                b'L' => archive.entry("l", b'L', name.as_bytes()),
                kind => archive.entry(&name, kind, b""),
            };
        }
        let _ = extract(place.path(), root, skip_links, &archive.end());
        let outside: Vec<_> = listing(place.path()).into_iter().filter(|path| !path.starts_with("out")).collect();
        prop_assert_eq!(outside, ["secret"]);
        prop_assert_eq!(std::fs::read(place.path().join("secret")).unwrap(), b"untouched");
        for path in listing(place.path()).iter().filter(|path| *path != "out/l") {
            let metadata = std::fs::symlink_metadata(place.path().join(path)).unwrap();
            prop_assert!(metadata.is_file() || metadata.is_dir(), "{}", path);
            prop_assert!(!path.contains(".podbay-"), "{}", path);
        }
    }
}
