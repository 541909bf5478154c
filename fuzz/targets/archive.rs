//! The reader of archives from a session: decoder, policy and the writing of files.
//!
//! Options: `r` the archive should be of `src`, else of a directory's contents; `k` links are skipped, `l` kept; a number,
//! the size of pieces; `B` what follows is an archive as it is, but for checksums that are set right, else a script (see
//! `tar_writer.rs`).

#![no_main]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};

use libfuzzer_sys::fuzz_target;
use peak_alloc::PeakAlloc;
use podbay_archive::{AcceptedKind, Links};
use podbay_fuzz::archive_reader::{Found, Terms, Written, decode, extract, judge};
use podbay_fuzz::script::Script;
use podbay_fuzz::tar_writer::{self, Archive, Entry};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Of files, in bytes.
const MAX_BYTES: u64 = 20_000;
const MAX_ENTRIES: u64 = 24;
/// What reading may need beyond a few times what was read: a header's worth of everything.
const ALLOWANCE: usize = 32 * 1024;
/// How many times what was read: the data as they are gathered here in a growing vector, names, entries.
const TIMES: usize = 8;

/// Decodes, and shows that claims alone cost no memory.
fn decode_bounded(bytes: &[u8], piece: usize) -> (Vec<Found>, bool) {
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    let (found, result) = decode(bytes.chunks(piece));
    let grown = MEMORY.peak_usage().saturating_sub(before);
    assert!(
        grown <= TIMES * bytes.len() + ALLOWANCE,
        "{grown} bytes of memory for {} of archive",
        bytes.len()
    );
    (found, result.is_ok())
}

fn check_entries(found: &[Found], is_whole: bool, entries: &[Entry]) {
    assert!(is_whole, "an archive with nothing wrong is refused");
    assert_eq!(found.len(), entries.len());
    for (found, entry) in found.iter().zip(entries) {
        let kind = match entry.flag {
            b'0' => "File",
            b'2' => "Symlink",
            _ => "Directory",
        };
        assert_eq!(
            (&found.name, found.kind.as_str(), &found.link),
            (&entry.name, kind, &entry.link)
        );
        assert!(found.data == entry.data && found.ended, "other data");
    }
}

fn is_directory(entry: &Written) -> bool {
    entry.kind == AcceptedKind::Directory
}

fn is_file(entry: &Written) -> bool {
    entry.kind == AcceptedKind::File
}

/// Nothing accepted leads elsewhere, has special bits, comes twice or without its directory, or is over the limits.
fn check_written(written: &[Written], found: &[Found]) {
    let mut seen: BTreeMap<PathBuf, bool> = BTreeMap::new();
    for entry in written {
        let path: PathBuf = entry.components.iter().collect();
        assert_eq!(path.components().count(), entry.components.len(), "{path:?}");
        assert!(
            path.components().all(|part| matches!(part, Component::Normal(_))),
            "{path:?}"
        );
        assert!(entry.components.len() <= 256 && entry.components.iter().all(|part| part.len() <= 255));
        assert_eq!(entry.mode & !0o777, 0, "{path:?}");
        assert!(entry.kind == AcceptedKind::File || entry.size == 0, "{path:?}");
        if let Some(parent) = path.parent() {
            assert_eq!(seen.get(parent), Some(&true), "{path:?} without its directory");
        }
        assert_eq!(
            seen.insert(path.clone(), is_directory(entry)),
            None,
            "{path:?} twice"
        );
    }
    let bytes: u64 = written.iter().map(|entry| entry.size).sum();
    assert!(bytes <= MAX_BYTES && written.len() as u64 <= MAX_ENTRIES);
    let plain = found
        .iter()
        .filter(|entry| ["File", "Directory", "Symlink"].contains(&entry.kind.as_str()));
    assert!(written.len() <= plain.count());
}

/// Everything below a directory, links not followed; leaves it so that it can be removed.
fn listing(directory: &Path) -> BTreeMap<PathBuf, fs::Metadata> {
    let mut found = BTreeMap::new();
    let mut todo = vec![directory.to_owned()];
    while let Some(next) = todo.pop() {
        for entry in fs::read_dir(next).expect("a directory") {
            let path = entry.expect("an entry").path();
            let metadata = fs::symlink_metadata(&path).expect("it is there");
            if metadata.is_dir() {
                fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).expect("it is ours");
                todo.push(path.clone());
            }
            found.insert(path, metadata);
        }
    }
    found
}

fn check_extraction(bytes: &[u8], piece: usize, terms: &Terms, written: &[Written], found: &[Found]) {
    let place = tempfile::tempdir().expect("a directory");
    let out = place.path().join("out");
    fs::create_dir(&out).expect("a directory");
    fs::write(place.path().join("secret"), "untouched").expect("a file");
    let result = extract(bytes.chunks(piece), terms, &out);

    let target = terms
        .root
        .as_ref()
        .map_or_else(|| out.clone(), |root| out.join(root));
    let mut allowed: BTreeMap<PathBuf, &Written> = BTreeMap::new();
    for entry in written {
        // `join` of nothing would end with a slash.
        let path = target
            .iter()
            .chain(entry.components.iter().map(AsRef::as_ref))
            .collect();
        allowed.insert(path, entry);
    }
    let mut listed = listing(place.path());
    assert!(listed.remove(&out).is_some_and(|out| out.is_dir()));
    listed.remove(&place.path().join("secret")).expect("it was there");
    assert_eq!(
        fs::read(place.path().join("secret")).expect("a file"),
        b"untouched"
    );
    for (path, metadata) in &listed {
        let entry = allowed
            .get(path)
            .unwrap_or_else(|| panic!("{path:?} was not accepted"));
        match &entry.kind {
            AcceptedKind::Directory => assert!(metadata.is_dir(), "{path:?}"),
            AcceptedKind::File => {
                assert!(metadata.is_file(), "{path:?}");
                assert_eq!(metadata.len(), entry.size, "{path:?} is not whole");
            }
            AcceptedKind::Symlink(target) => {
                let leads_to = fs::read_link(path).expect("a link");
                assert_eq!(leads_to.as_os_str().as_bytes(), target, "{path:?}");
                continue;
            }
        }
        assert_eq!(metadata.permissions().mode() & 0o7000, 0, "{path:?}");
    }

    let Ok(report) = result else { return };
    let expected: BTreeSet<&PathBuf> = allowed.keys().filter(|path| **path != out).collect();
    assert_eq!(
        listed.keys().collect::<BTreeSet<_>>(),
        expected,
        "not all was written"
    );
    let files = || written.iter().filter(|entry| is_file(entry));
    let directories = written.iter().filter(|entry| is_directory(entry));
    assert_eq!(report.files, files().count() as u64);
    assert_eq!(report.directories, directories.count() as u64);
    assert_eq!(
        report.files + report.directories + report.links,
        written.len() as u64
    );
    assert_eq!(report.bytes, files().map(|entry| entry.size).sum::<u64>());
    let on_disk: Vec<Vec<u8>> = allowed
        .iter()
        .filter(|(_, entry)| is_file(entry))
        .map(|(path, _)| fs::read(path).expect("a file"))
        .collect();
    let mut on_disk: Vec<&[u8]> = on_disk.iter().map(Vec::as_slice).collect();
    let mut sent: Vec<&[u8]> = found
        .iter()
        .filter(|entry| entry.kind == "File")
        .map(|entry| entry.data.as_slice())
        .collect();
    on_disk.sort_unstable();
    sent.sort_unstable();
    assert!(on_disk == sent, "other contents");
}

fuzz_target!(|data: &[u8]| {
    let script = Script::new(data);
    let Archive { bytes, entries } = if script.has(b'B') {
        let mut bytes = script.rest.to_vec();
        tar_writer::repair_checksums(&mut bytes);
        Archive { bytes, entries: None }
    } else {
        tar_writer::write(&script)
    };
    // Any piece gives the same; tiny ones of a long archive take too long.
    let piece = script.number().max(1 + bytes.len() / 2000);
    let whole = decode_bounded(&bytes, bytes.len().max(1));
    let (found, is_whole) = decode_bounded(&bytes, piece);
    assert!(
        (&found, is_whole) == (&whole.0, whole.1),
        "pieces of {piece} bytes tell something else"
    );
    for entry in &found {
        assert!(
            entry.ended == (entry.data.len() as u64 == entry.size) || !is_whole,
            "{}",
            entry.size
        );
        assert!(entry.data.len() as u64 <= entry.size);
    }
    if let Some(entries) = entries {
        check_entries(&found, is_whole, &entries);
    }

    let terms = Terms {
        root: script.has(b'r').then(|| "src".into()),
        max_bytes: MAX_BYTES,
        max_entries: MAX_ENTRIES,
        links: match (script.has(b'k'), script.has(b'l')) {
            (_, true) => Links::Keep,
            (true, false) => Links::Skip,
            (false, false) => Links::Refuse,
        },
    };
    // Before anything is written: what is accepted in error could be written anywhere.
    let written = judge(&bytes, &terms);
    check_written(&written, &found);
    if !written.is_empty() {
        check_extraction(&bytes, piece, &terms, &written, &found);
    }
});
