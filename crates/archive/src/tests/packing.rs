//! What goes into an archive for a session.

use bytes::Bytes;
use std::os::unix::fs::symlink;

use crate::Error;
use crate::packing::{Closed, Packed, Sink, Source, Stopped};
use crate::policy::Limits;

const LIMITS: Limits = Limits {
    max_bytes: 1 << 30,
    max_entries: 100,
};

/// Runs something at the n-th piece, keeps nothing.
struct Meanwhile<F>(usize, F);

impl<F: FnMut()> Sink for Meanwhile<F> {
    fn send(&mut self, _: Bytes) -> Result<(), Closed> {
        self.0 = self.0.wrapping_sub(1);
        if self.0 == 0 {
            (self.1)();
        }
        Ok(())
    }
}

fn pack(path: &std::path::Path, limits: Limits, sink: &mut impl Sink) -> Result<Packed, Error> {
    Source::find(path)
        .unwrap()
        .pack(Some(b"name"), limits, false, sink)
        .map_err(|stopped| match stopped {
            Stopped::Failed(error) => error,
            Stopped::Closed => panic!("closed"),
        })
}

#[test]
fn a_file_that_changes_its_size_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("f");
    let resize = |size| {
        std::fs::File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(size)
            .unwrap();
    };
    for (before, after, expected) in [(1 << 20, 10, "fewer"), (1 << 20, 2 << 20, "more")] {
        std::fs::write(&path, vec![0; before]).unwrap();
        // The header first, then a piece of data.
        let error = pack(&path, LIMITS, &mut Meanwhile(2, || resize(after))).unwrap_err();
        let Error::Changed {
            expected: size,
            found,
            ..
        } = error
        else {
            panic!("{error:?}")
        };
        assert_eq!((size, found), (before as u64, expected));
    }
}

#[test]
fn what_can_not_be_copied_is_an_error_not_a_gap() {
    let directory = tempfile::tempdir().unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(directory.path().join("s")).unwrap();
    let mut sink = Meanwhile(0, || ());
    let error = pack(directory.path(), LIMITS, &mut sink).unwrap_err();
    assert!(matches!(error, Error::Kind { kind: "a socket", .. }), "{error:?}");
    assert!(matches!(
        Source::find(&directory.path().join("no")),
        Err(Error::Local { .. })
    ));
}

#[test]
fn limits_hold_on_the_way_in_too() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["a", "b"] {
        std::fs::write(directory.path().join(name), [0; 600]).unwrap();
    }
    let mut sink = Meanwhile(0, || ());
    let error = pack(
        directory.path(),
        Limits {
            max_bytes: 1000,
            ..LIMITS
        },
        &mut sink,
    )
    .unwrap_err();
    assert!(
        matches!(
            error,
            Error::OverLimit {
                limit: 1000,
                unit: "bytes"
            }
        ),
        "{error:?}"
    );
    let error = pack(
        directory.path(),
        Limits {
            max_entries: 2,
            ..LIMITS
        },
        &mut sink,
    )
    .unwrap_err();
    assert!(
        matches!(
            error,
            Error::OverLimit {
                limit: 2,
                unit: "entries"
            }
        ),
        "{error:?}"
    );
    assert!(
        pack(
            directory.path(),
            Limits {
                max_bytes: 1200,
                max_entries: 3
            },
            &mut sink
        )
        .is_ok()
    );
}

#[test]
fn links_are_kept_below_and_followed_at_the_top() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("d")).unwrap();
    symlink("nowhere", directory.path().join("d/l")).unwrap();
    symlink("d", directory.path().join("top")).unwrap();
    let packed = pack(&directory.path().join("top"), LIMITS, &mut Meanwhile(0, || ())).unwrap();
    assert_eq!(
        (packed.report.directories, packed.report.links, packed.members),
        (1, 1, 2)
    );
}
