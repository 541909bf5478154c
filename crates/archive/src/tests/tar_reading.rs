//! The decoder: what other programs write, what our encoder writes, and what nobody should.

use proptest::prelude::*;

use super::archives::{Archive, header};
use crate::tar::{self, Decoder, Entry, EntryKind, Event, Malformed, Member, MemberKind, Owner};

/// All entries with their data, the archive being fed in pieces of so many bytes.
fn read(bytes: &[u8], piece: usize) -> Result<Vec<(Entry, Vec<u8>)>, Malformed> {
    let mut decoder = Decoder::default();
    let mut entries: Vec<(Entry, Vec<u8>)> = Vec::new();
    let mut ended = 0;
    for mut input in bytes.chunks(piece.max(1)) {
        while let Some(event) = decoder.next(&mut input)? {
            match event {
                Event::Entry(entry) => entries.push((entry, Vec::new())),
                Event::Data(data) => entries.last_mut().unwrap().1.extend(data),
                Event::EntryEnd => ended += 1,
            }
        }
        assert!(input.is_empty());
    }
    decoder.finish()?;
    assert_eq!(ended, entries.len());
    Ok(entries)
}

fn names(bytes: &[u8]) -> Vec<String> {
    let entries = read(bytes, usize::MAX).unwrap();
    entries
        .into_iter()
        .map(|(entry, _)| String::from_utf8(entry.name).unwrap())
        .collect()
}

#[test]
fn names_come_from_the_header_the_long_name_or_the_extension() {
    let long = "long/".repeat(30);
    let archive = Archive::default()
        .file("short", b"x")
        .entry("././@LongLink", b'L', format!("{long}\0").as_bytes())
        .file("cut", b"y")
        .pax(b'g', &[("comment", b"a commit")])
        .pax(b'x', &[("path", b"new\nline"), ("uid", b"7")])
        .file("ignored", b"z")
        .with("name", b'0', |header| {
            *header = tokio_tar::Header::new_ustar();
            header
                .set_path("prefix-of-many-bytes/".repeat(6) + "name")
                .unwrap();
            header.set_size(0);
            header.set_mode(0o644);
        })
        .end();
    let prefixed = "prefix-of-many-bytes/".repeat(6) + "name";
    assert_eq!(names(&archive), ["short", &long, "new\nline", &prefixed]);
}

#[test]
fn what_other_readers_could_take_differently_is_no_archive() {
    let malformed = |archive: Archive| read(&archive.end(), usize::MAX).unwrap_err();
    let long = || Archive::default().entry("l", b'L', b"name\0");
    assert_eq!(
        malformed(long().entry("l", b'L', b"other\0").file("a", b"")),
        Malformed::Extension("there is one too many")
    );
    let twice = Archive::default()
        .pax(b'x', &[("path", b"a")])
        .pax(b'x', &[("path", b"b")])
        .file("c", b"");
    assert_eq!(malformed(twice), Malformed::Extension("there is one too many"));
    let global = Archive::default().pax(b'g', &[("path", b"a")]).file("c", b"");
    assert!(matches!(malformed(global), Malformed::Extension(_)));
    let globals = (0..17).fold(Archive::default(), |archive, _| {
        archive.pax(b'g', &[("comment", b"x")])
    });
    assert!(matches!(malformed(globals), Malformed::Extension(_)));
    let broken = Archive::default().entry("x", b'x', b"99 path=a\n").file("c", b"");
    assert!(matches!(malformed(broken), Malformed::Extension(_)));
    let mut giant = header(b"g", b'L', u64::MAX / 2);
    giant.set_cksum();
    assert_eq!(
        malformed(Archive::default().raw(&giant, b"")),
        Malformed::ExtensionSize { size: u64::MAX / 2 }
    );
}

#[test]
fn numbers_that_lie_are_refused() {
    let size = |field: [u8; 12]| {
        let archive = Archive::default().with("f", b'0', |header| header.as_old_mut().size = field);
        read(&archive.end(), usize::MAX).unwrap_err()
    };
    assert!(matches!(size([0xff; 12]), Malformed::Header(_)));
    // 2^64 + 1: the last 8 bytes alone would be 1.
    assert!(matches!(
        size([0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1]),
        Malformed::Header(_)
    ));
    assert!(matches!(size(*b"-0000000001\0"), Malformed::Header(_)));
    assert!(matches!(size(*b"0000009\0\0\0\0\0"), Malformed::Header(_)));
    let mut sum = Archive::default().file("f", b"data").end();
    sum[0] ^= 1;
    assert_eq!(
        read(&sum, usize::MAX),
        Err(Malformed::Header("its checksum is wrong"))
    );
}

#[test]
fn an_archive_is_whole_or_it_is_not_one() {
    let archive = Archive::default().directory("d/").file("d/f", &[b'x'; 700]).end();
    for length in 0..archive.len() {
        assert_eq!(
            read(&archive[..length], usize::MAX),
            Err(Malformed::Truncated),
            "{length} bytes"
        );
    }
    let more = |byte: u8, count: usize| {
        read(&[archive.clone(), vec![byte; count]].concat(), 512).map(|read| read.len())
    };
    assert_eq!(more(0, 10_240), Ok(2));
    assert_eq!(more(1, 1), Err(Malformed::Trailing));
    assert_eq!(more(0, (1 << 20) + 1), Err(Malformed::Trailing));
    let lone = [vec![0; 512], archive].concat();
    assert!(matches!(read(&lone, usize::MAX), Err(Malformed::Header(_))));
}

#[test]
fn gnu_tars_own_formats_are_read() {
    let directory = tempfile::tempdir().unwrap();
    let long = "n".repeat(200);
    std::fs::create_dir_all(directory.path().join("d").join(&long)).unwrap();
    std::fs::write(directory.path().join("d").join(&long).join("fül"), b"content").unwrap();
    for format in ["--format=gnu", "--format=posix", "--format=oldgnu"] {
        let output = std::process::Command::new("tar")
            .args([
                "-C",
                directory.path().to_str().unwrap(),
                format,
                "-cf",
                "-",
                "./d",
            ])
            .output()
            .unwrap();
        let entries = read(&output.stdout, 4096).unwrap();
        let found: Vec<_> = entries
            .iter()
            .map(|(entry, data)| (entry.kind, entry.name.len(), data.len()))
            .collect();
        let directory = |length| (EntryKind::Directory, length, 0);
        assert_eq!(
            found,
            [directory(4), directory(205), (EntryKind::File, 209, 7)],
            "{format}"
        );
    }
}

/// A member's name, content, link target and which kind it is.
type Made = (Vec<u8>, Vec<u8>, Vec<u8>, u8);

/// Members with names and contents of any bytes, at the borders of the format's fields too.
fn members() -> impl Strategy<Value = Vec<Made>> {
    let name = prop_oneof![
        proptest::collection::vec(1_u8.., 1..40),
        (95_usize..=105).prop_map(|length| vec![b'n'; length]),
        (500_usize..=520).prop_map(|length| vec![b'n'; length]),
    ];
    let data = proptest::collection::vec(any::<u8>(), 0..1500);
    proptest::collection::vec((name.clone(), data, name, 0_u8..3), 0..6)
}

proptest! {
    #[test]
    fn what_is_written_is_read(members in members(), piece in 1_usize..2000) {
        let mut bytes = Vec::new();
        for (name, data, link, kind) in &members {
            let kind = match kind {
                0 => MemberKind::File(data.len() as u64),
                1 => MemberKind::Directory,
                _ => MemberKind::Symlink(link),
            };
            bytes.extend(tar::header(&Member { name, kind, mode: 0o754, modified: 12, owner: Owner { uid: 1000, gid: 7 } }));
            if let MemberKind::File(size) = kind {
                bytes.extend(data);
                bytes.extend(tar::padding(size));
            }
        }
        bytes.extend(tar::end_of_archive(bytes.len() as u64));
        prop_assert_eq!(bytes.len() % 10_240, 0);
        let read = read(&bytes, piece).unwrap();
        prop_assert_eq!(read.len(), members.len());
        for ((entry, content), (name, data, link, kind)) in read.iter().zip(&members) {
            prop_assert_eq!((entry.mode, entry.modified), (0o754, Some(12)));
            let (kind, name, link, data) = match kind {
                0 => (EntryKind::File, name.clone(), &b""[..], &data[..]),
                1 => (EntryKind::Directory, [name, &b"/"[..]].concat(), &b""[..], &b""[..]),
                _ => (EntryKind::Symlink, name.clone(), &link[..], &b""[..]),
            };
            prop_assert_eq!((entry.kind, &entry.name, &entry.link[..]), (kind, &name, link));
            prop_assert_eq!(&content[..], data);
        }
    }

    #[test]
    fn no_bytes_break_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..4096), piece in 1_usize..600) {
        let _ = read(&bytes, piece);
    }

    /// Headers with a right checksum get further in.
    #[test]
    fn no_header_breaks_the_reader(
        changes in proptest::collection::vec((0_usize..500, any::<u8>()), 0..20),
        entry_type in any::<u8>(),
        data in proptest::collection::vec(any::<u8>(), 0..1200),
        piece in 1_usize..600,
    ) {
        let mut header = header(b"name", entry_type, data.len() as u64);
        for (at, byte) in changes {
            header.as_mut_bytes()[at] = byte;
        }
        header.set_cksum();
        let bytes = Archive::default().raw(&header, &data).file("next", b"x").end();
        let whole = read(&bytes, usize::MAX);
        prop_assert_eq!(read(&bytes, piece), whole);
    }
}

#[test]
fn a_size_beyond_eight_gibibytes_survives() {
    let size = 10 << 30;
    let member = Member {
        name: b"big",
        kind: MemberKind::File(size),
        mode: 0o644,
        modified: 0,
        owner: Owner::default(),
    };
    let bytes = tar::header(&member);
    let mut input = bytes.as_slice();
    let Ok(Some(Event::Entry(entry))) = Decoder::default().next(&mut input) else {
        panic!("no entry")
    };
    assert_eq!(entry.size, size);
}
