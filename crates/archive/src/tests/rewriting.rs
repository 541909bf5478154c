//! Archives that are passed on.

use std::path::Path;

use bytes::Bytes;

use super::archives::Archive;
use crate::destination::Destination;
use crate::extraction::Extraction;
use crate::packing::{Closed, Sink, Stopped};
use crate::policy::{Limits, Links, Policy};
use crate::rewriting::Rewriting;
use crate::tar::Owner;
use crate::{Error, Refusal, Report};

const LIMITS: Limits = Limits {
    max_bytes: 10_000,
    max_entries: 20,
};

struct Memory(Vec<u8>);

impl Sink for Memory {
    fn send(&mut self, piece: Bytes) -> Result<(), Closed> {
        self.0.extend(piece);
        Ok(())
    }
}

fn rewrite(archive: &[u8], root: &str, name: Option<&str>, links: Links) -> Result<(Report, Vec<u8>), Error> {
    let policy = Policy::new(Some(root.as_bytes()), LIMITS, links);
    let name = name.map(|name| name.as_bytes().to_vec());
    let mut rewriting = Rewriting::new(policy, name, Owner::default());
    let mut sink = Memory(Vec::new());
    let run = || {
        for piece in archive.chunks(700) {
            rewriting.feed(piece, &mut sink)?;
        }
        rewriting.finish(&mut sink)
    };
    match run() {
        Ok(report) => Ok((report, sink.0)),
        Err(Stopped::Failed(error)) => Err(error),
        Err(Stopped::Closed) => panic!("closed"),
    }
}

fn extract(into: &Path, archive: &[u8]) -> Report {
    let policy = Policy::below_directory(LIMITS, Links::Refuse);
    let mut extraction = Extraction::new(policy, Destination::find(into, None).unwrap());
    extraction.feed(archive).unwrap();
    extraction.finish().unwrap().commit().unwrap()
}

#[test]
fn what_is_accepted_comes_out_under_its_new_name() {
    let archive = Archive::default()
        .directory("src")
        .file("src/f", &[7; 700])
        .link("src/l", b'2', "f")
        .directory("src/d")
        .file("src/d/g", b"")
        .end();
    for (name, at) in [(Some("new"), "new/"), (None, "")] {
        let place = tempfile::tempdir().unwrap();
        let (report, out) = rewrite(&archive, "src", name, Links::Skip).unwrap();
        assert_eq!((report.files, report.directories, report.bytes), (2, 2, 700));
        assert_eq!(report.skipped, ["src/l"]);
        let extracted = extract(place.path(), &out);
        assert_eq!((extracted.files, extracted.bytes), (2, 700));
        assert_eq!(
            std::fs::read(place.path().join(format!("{at}f"))).unwrap(),
            [7; 700]
        );
        assert!(place.path().join(format!("{at}d/g")).is_file());
    }
}

#[test]
fn what_is_refused_or_cut_does_not_come_out_whole() {
    let escaping = Archive::default().directory("src").file("src/../f", b"x").end();
    let linked = Archive::default().directory("src").link("src/l", b'2', "f").end();
    for archive in [escaping, linked] {
        let error = rewrite(&archive, "src", Some("new"), Links::Refuse).unwrap_err();
        assert!(
            matches!(
                error,
                Error::Refused {
                    reason: Refusal::Upwards | Refusal::Symlink { .. },
                    ..
                }
            ),
            "{error:?}"
        );
    }
    let whole = Archive::default().directory("src").file("src/f", &[7; 700]).end();
    for length in [0, 512, 1024, 1500, 2048] {
        let error = rewrite(&whole[..length], "src", Some("new"), Links::Refuse).unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{length}: {error:?}");
    }
    let nothing = Archive::default().end();
    assert!(rewrite(&nothing, "src", Some("new"), Links::Refuse).is_err());
}
