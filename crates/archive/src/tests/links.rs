//! Archives of somebody who may write links, into a directory that is there.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use super::archives::Archive;
use crate::destination::Destination;
use crate::extraction::Extraction;
use crate::policy::{Limits, Links, Policy};
use crate::{Error, Refusal, Report};

const LIMITS: Limits = Limits {
    max_bytes: 10_000,
    max_entries: 20,
};

fn extract(into: &Path, archive: &[u8]) -> Result<Report, Error> {
    let policy = Policy::below_directory(LIMITS, Links::Keep);
    let destination = Destination::find(into, None)?;
    let mut extraction = Extraction::new(policy, destination).with_exact_modes();
    for piece in archive.chunks(700) {
        extraction.feed(piece)?;
    }
    extraction.finish()?.commit()
}

#[test]
fn links_are_written_as_links_with_or_without_an_entry_for_the_directory() {
    for prefix in ["", "./"] {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        std::fs::write(at("old"), "old").unwrap();
        symlink("nowhere", at("older")).unwrap();
        let mut archive = Archive::default();
        if !prefix.is_empty() {
            archive = archive.directory("./");
        }
        let archive = archive
            .file(format!("{prefix}f"), b"f")
            .file(format!("{prefix}g"), b"g")
            .directory(format!("{prefix}d"))
            .link(&format!("{prefix}d/link"), b'2', "../f")
            .link(&format!("{prefix}old"), b'2', "/etc/passwd")
            .link(&format!("{prefix}older"), b'2', "f")
            .end();
        let report = extract(place.path(), &archive).unwrap();
        assert_eq!((report.files, report.links), (2, 3), "{report:?}");
        assert_eq!(std::fs::read(at("d/link")).unwrap(), b"f");
        assert_eq!(std::fs::read_link(at("old")).unwrap(), Path::new("/etc/passwd"));
        assert_eq!(std::fs::read_link(at("older")).unwrap(), Path::new("f"));
    }
}

#[test]
fn no_member_goes_through_a_link_of_the_archive_or_one_that_is_there() {
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    std::fs::create_dir(at("out")).unwrap();
    std::fs::create_dir(at("elsewhere")).unwrap();
    let through = Archive::default()
        .link("l", b'2', "../elsewhere")
        .file("l/f", b"x")
        .end();
    let error = extract(&at("out"), &through).unwrap_err();
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
    let hard = Archive::default().link("h", b'1', "../elsewhere").end();
    let error = extract(&at("out"), &hard).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Refused {
                reason: Refusal::HardLink { .. },
                ..
            }
        ),
        "{error:?}"
    );
    symlink("../elsewhere", at("out/there")).unwrap();
    let through = Archive::default().directory("there").file("there/f", b"x").end();
    let error = extract(&at("out"), &through).unwrap_err();
    assert!(matches!(error, Error::Target { .. }), "{error:?}");
    std::fs::create_dir(at("out/d")).unwrap();
    let over = Archive::default().link("d", b'2', "x").end();
    let error = extract(&at("out"), &over).unwrap_err();
    assert!(matches!(error, Error::Target { .. }), "{error:?}");
    assert_eq!(std::fs::read_dir(at("elsewhere")).unwrap().count(), 0);
}

#[test]
fn nothing_may_be_in_it_and_modes_are_the_archives() {
    let place = tempfile::tempdir().unwrap();
    let report = extract(place.path(), &Archive::default().end()).unwrap();
    assert_eq!(report, Report::default());
    let archive = Archive::default()
        .with("d", b'5', |header| header.set_mode(0o777))
        .with("d/f", b'0', |header| header.set_mode(0o666))
        .end();
    extract(place.path(), &archive).unwrap();
    let mode = |name: &str| {
        let metadata = std::fs::metadata(place.path().join(name)).unwrap();
        metadata.permissions().mode() & 0o7777
    };
    assert_eq!((mode("d"), mode("d/f")), (0o777, 0o666));
}

/// Links that lead to what is in the copy, in whatever order they come and wherever other links lead to.
#[test]
fn a_link_is_inside_if_it_goes_up_no_further_than_the_copy_s_root_and_only_at_first() {
    for (name, target, inside) in [
        ("r/l", "f", true),
        ("r/l", "./d//f", true),
        ("r/l", ".", true),
        ("r/d/l", "../f", true),
        ("r/d/e/l", "../../f", true),
        ("r/l", "nowhere/at/all", true),
        ("r/l", "/etc/passwd", false),
        ("r/l", "..", false),
        ("r/l", "../r/f", false),
        ("r/d/l", "../../f", false),
        // Where `up` is a link to the directory above, this leads out of the copy.
        ("r/l", "d/up/../../x", false),
        ("r/d/l", "../d/../f", false),
        ("r/l", "", false),
    ] {
        let place = tempfile::tempdir().unwrap();
        let archive = Archive::default()
            .directory("r")
            .directory("r/d")
            .directory("r/d/e")
            .file("r/f", b"f")
            .link(name, b'2', target)
            .file("r/z", b"z")
            .end();
        let policy = Policy::new(Some(b"r"), LIMITS, Links::Inside);
        let destination = Destination::find(&place.path().join("to"), Some("r".as_ref())).unwrap();
        let mut extraction = Extraction::new(policy, destination);
        extraction.feed(&archive).unwrap();
        let report = extraction.finish().unwrap().commit().unwrap();
        assert_eq!(
            (report.links == 1, report.left.is_empty()),
            (inside, inside),
            "{name} {target}"
        );
        assert_eq!(report.files, 2, "what comes after it is copied");
        let at = place.path().join("to").join(name.strip_prefix("r/").unwrap());
        assert_eq!(at.is_symlink(), inside, "{name} {target}");
    }
}

#[test]
fn what_was_asked_for_itself_is_no_link() {
    let place = tempfile::tempdir().unwrap();
    let archive = Archive::default().link("r", b'2', "f").end();
    let policy = Policy::new(Some(b"r"), LIMITS, Links::Inside);
    let destination = Destination::find(&place.path().join("to"), Some("r".as_ref())).unwrap();
    let error = Extraction::new(policy, destination).feed(&archive).unwrap_err();
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
