//! What goes into an archive for a session.

use bytes::Bytes;
use std::os::unix::fs::symlink;

use crate::Error;
use crate::Faults;
use crate::packing::{Closed, Packed, Packing, Sink, Source, Stopped};
use crate::policy::Limits;
use crate::tar::Owner;

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

fn packing(limits: Limits) -> Packing<'static> {
    Packing {
        name: Some(b"name"),
        follow: true,
        limits,
        skip_links: false,
        faults: Faults::End,
        owner: Owner { uid: 1000, gid: 7 },
    }
}

fn pack(path: &std::path::Path, limits: Limits, sink: &mut impl Sink) -> Result<Packed, Error> {
    Source::find(path)
        .unwrap()
        .pack(&packing(limits), sink)
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

/// An archive in memory.
struct Memory(Vec<u8>);

impl Sink for Memory {
    fn send(&mut self, piece: Bytes) -> Result<(), Closed> {
        self.0.extend(piece);
        Ok(())
    }
}

/// `/proc` claims no bytes, `/sys` a page, and both have others.
#[test]
fn files_that_claim_another_size_are_packed_with_what_they_have() {
    let mut tried = 0;
    for path in [
        "/proc/self/status",
        "/proc/cpuinfo",
        "/sys/kernel/mm/transparent_hugepage/enabled",
    ] {
        let Ok(metadata) = std::fs::metadata(path) else {
            continue;
        };
        let content = std::fs::read(path).unwrap();
        assert_ne!(
            metadata.len(),
            content.len() as u64,
            "{path} is no case of it here"
        );
        let mut archive = Memory(Vec::new());
        let packed = pack(std::path::Path::new(path), LIMITS, &mut archive).unwrap();
        assert!(packed.report.bytes > 0, "{path}");
        let size = usize::try_from(packed.report.bytes).unwrap();
        // Figures in it change from moment to moment; its first line does not.
        let line = content.split_inclusive(|&byte| byte == b'\n').next().unwrap();
        assert!(archive.0[512..512 + size].starts_with(line), "{path}");
        tried += 1;
    }
    assert!(tried > 0);
}

#[test]
fn members_belong_to_whom_the_caller_says() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("f"), "f").unwrap();
    let mut archive = Memory(Vec::new());
    pack(directory.path(), LIMITS, &mut archive).unwrap();
    for block in [0, 512] {
        let header = tokio_tar::Header::from_byte_slice(&archive.0[block..block + 512]);
        assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (1000, 7));
    }
}

#[test]
fn a_path_that_ends_with_a_dot_stands_for_what_is_in_the_directory() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("d")).unwrap();
    let name = |path: &str| {
        let source = Source::find(&directory.path().join(path)).unwrap();
        source.name().map(|name| name.to_str().unwrap().to_owned())
    };
    assert_eq!(name("d").as_deref(), Some("d"));
    assert_eq!(name("d/").as_deref(), Some("d"));
    for contents in ["d/.", "d/./", "d/.//", "d/./.", "d/..", "d/../"] {
        assert_eq!(name(contents), None, "{contents}");
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
