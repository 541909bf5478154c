//! One suite of files and copies for the agent, for commands over exec, and for this machine.

use std::ffi::OsStr;
use std::fs::Permissions;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use podbay_runtime::copy::CopyOptions;
use podbay_runtime::transport::{ByteRange, FileKind, Integrity, PutOptions};
use tokio_util::sync::CancellationToken;

use super::{Place, content, names, sha256};

#[tokio::test(flavor = "multi_thread")]
async fn by_the_agent() {
    let place = Place::by_agent().await;
    let capabilities = place.capabilities().await;
    assert_eq!(
        (capabilities.transport, capabilities.integrity),
        ("the agent", Integrity::Hashed)
    );
    assert!(capabilities.put_is_atomic && capabilities.put_from_offset && capabilities.get_from_offset);
    suite(&place).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_commands_over_exec() {
    let place = Place::by_exec().await;
    let capabilities = place.capabilities().await;
    assert_eq!(
        (capabilities.transport, capabilities.integrity),
        ("exec", Integrity::Counted)
    );
    assert!(!capabilities.put_is_atomic && !capabilities.put_from_offset);
    suite(&place).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_this_machine() {
    let place = Place::on_this_machine().await;
    suite(&place).await;
    place.session.close().await.unwrap();
}

async fn suite(place: &Place) {
    files_of_all_sizes(place).await;
    names_and_slashes(place).await;
    trees(place).await;
    files_without_a_size(place).await;
    parts_and_looks(place).await;
}

async fn files_of_all_sizes(place: &Place) {
    for size in [0, 1, 100_000, 10 << 20] {
        std::fs::write(place.outside("file"), content(size)).unwrap();
        let copied = place.copy_in("file", "file").await.unwrap();
        assert_eq!((copied.files, copied.bytes), (1, size as u64));
        assert_eq!(
            sha256(&place.inside("file")),
            sha256(&place.outside("file")),
            "{size}"
        );
        let copied = place.copy_out("file", "back").await.unwrap();
        assert_eq!((copied.files, copied.bytes), (1, size as u64));
        assert_eq!(
            sha256(&place.outside("back")),
            sha256(&place.outside("file")),
            "{size}"
        );
    }
    // Sparse: what is read is what counts.
    let sparse = std::fs::File::create(place.outside("sparse")).unwrap();
    sparse.set_len(5 << 20).unwrap();
    place.copy_in("sparse", "sparse").await.unwrap();
    place.copy_out("sparse", "sparse-back").await.unwrap();
    assert_eq!(
        sha256(&place.outside("sparse-back")),
        sha256(&place.outside("sparse"))
    );
    // Permissions and times are the file's.
    let script = place.outside("script");
    std::fs::write(&script, "#!/bin/sh\n").unwrap();
    std::fs::set_permissions(&script, Permissions::from_mode(0o750)).unwrap();
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_500_000_000);
    std::fs::File::options()
        .write(true)
        .open(&script)
        .unwrap()
        .set_modified(time)
        .unwrap();
    place.copy_in("script", "").await.unwrap();
    place.copy_out("script", "script-back").await.unwrap();
    for copy in [place.inside("script"), place.outside("script-back")] {
        let found = std::fs::metadata(copy).unwrap();
        assert_eq!((found.mode() & 0o7777, found.mtime()), (0o750, 1_500_000_000));
    }
    // No half-written file stays.
    assert!(
        names(place.inside.path())
            .iter()
            .all(|name| !name.starts_with('.'))
    );
}

async fn names_and_slashes(place: &Place) {
    std::fs::create_dir(place.outside("d")).unwrap();
    std::fs::write(place.outside("d/f"), "f").unwrap();
    std::fs::create_dir(place.inside("there")).unwrap();
    for (from, to, at) in [
        ("d", "new", "new/f"),
        ("d", "there", "there/d/f"),
        ("d/.", "there", "there/f"),
        ("d/.", "new2", "new2/f"),
        ("d/", "there/", "there/d/f"),
        ("d/f", "there/", "there/f"),
        ("d/f", "there/g", "there/g"),
        ("d", "new3/", "new3/f"),
    ] {
        place.copy_in(from, to).await.unwrap();
        assert_eq!(std::fs::read(place.inside(at)).unwrap(), b"f", "{from} to {to}");
    }
    std::fs::create_dir(place.outside("here")).unwrap();
    for (from, to, at) in [
        ("there/d", "o1", "o1/f"),
        ("there/d", "here", "here/d/f"),
        ("there/d/.", "here", "here/f"),
        ("there/d/", "here/", "here/d/f"),
        ("there/g", "here/", "here/g"),
        ("there/g", "here/h", "here/h"),
    ] {
        place.copy_out(from, to).await.unwrap();
        assert_eq!(std::fs::read(place.outside(at)).unwrap(), b"f", "{from} to {to}");
    }
    // A relative path is so to where commands start.
    let relative = format!("{}/rel", relative_to_start(place).await);
    let (session, options) = (&place.session, CopyOptions::default);
    Box::pin(session.copy_to(place.outside("d/f"), &relative, options()))
        .await
        .unwrap();
    assert_eq!(std::fs::read(place.inside("rel")).unwrap(), b"f");
    Box::pin(session.copy_from(&relative, place.outside("rel"), options()))
        .await
        .unwrap();
    assert_eq!(std::fs::read(place.outside("rel")).unwrap(), b"f");
}

/// The sandbox's directory, as seen from the one that commands start in.
async fn relative_to_start(place: &Place) -> String {
    let outcome = Box::pin(place.session.exec(["pwd"])).await.unwrap();
    let start = outcome.stdout_content.text().trim().to_owned();
    let up: String = Path::new(&start).components().skip(1).map(|_| "../").collect();
    format!(
        "{}{}",
        if up.is_empty() { "./" } else { &up },
        &place.inside.path().display().to_string()[1..]
    )
}

async fn trees(place: &Place) {
    let tree = place.outside("tree");
    let deep: std::path::PathBuf = std::iter::repeat_n("deep", 100).collect();
    std::fs::create_dir_all(tree.join(&deep)).unwrap();
    std::fs::write(tree.join(&deep).join("bottom"), "bottom").unwrap();
    std::fs::create_dir(tree.join("empty")).unwrap();
    std::fs::write(tree.join("large"), content(3_000_000)).unwrap();
    let odd = OsStr::from_bytes(b"odd \xff'\"");
    std::fs::write(tree.join(odd), "odd").unwrap();
    symlink("large", tree.join("link")).unwrap();
    symlink("/nowhere/at/all", tree.join("dangling")).unwrap();
    for number in 0..300 {
        std::fs::write(tree.join(format!("{number}")), format!("{number}")).unwrap();
    }
    let copied = place.copy_in("tree", "tree").await.unwrap();
    assert_eq!((copied.files, copied.links), (303, 2));
    assert_eq!(copied.directories, 102);
    let inside = place.inside("tree");
    assert_eq!(
        std::fs::read(inside.join(&deep).join("bottom")).unwrap(),
        b"bottom"
    );
    assert_eq!(std::fs::read(inside.join(odd)).unwrap(), b"odd");
    assert!(inside.join("empty").is_dir());
    assert_eq!(
        std::fs::read_link(inside.join("link")).unwrap(),
        Path::new("large")
    );
    assert_eq!(
        std::fs::read_link(inside.join("dangling")).unwrap(),
        Path::new("/nowhere/at/all")
    );
    assert_eq!(sha256(&inside.join("large")), sha256(&tree.join("large")));
    assert_eq!(std::fs::read(inside.join("299")).unwrap(), b"299");
    // Out again, without links; onto what is there, too.
    for _ in 0..2 {
        let options = CopyOptions {
            skip_links: true,
            ..CopyOptions::default()
        };
        let (from, to) = (inside.display().to_string(), place.outside("tree-back"));
        let to = if to.exists() {
            place.outside("tree-back/..")
        } else {
            to
        };
        let from = if to.ends_with("..") {
            format!("{from}/../tree/.")
        } else {
            from
        };
        let to = if to.ends_with("..") {
            place.outside("tree-back")
        } else {
            to
        };
        let copied = Box::pin(place.session.copy_from(&from, to, options))
            .await
            .unwrap();
        assert_eq!((copied.files, copied.skipped.len()), (303, 2));
    }
    let back = place.outside("tree-back");
    assert_eq!(std::fs::read(back.join(&deep).join("bottom")).unwrap(), b"bottom");
    assert_eq!(std::fs::read(back.join(odd)).unwrap(), b"odd");
    assert_eq!(sha256(&back.join("large")), sha256(&tree.join("large")));
    // A single file with a name that is no text.
    let odd_file = place.outside.path().join(OsStr::from_bytes(b"\xff"));
    std::fs::write(&odd_file, "odd").unwrap();
    let to = format!("{}/", place.inside.path().display());
    Box::pin(place.session.copy_to(&odd_file, &to, CopyOptions::default()))
        .await
        .unwrap();
    assert_eq!(
        std::fs::read(place.inside.path().join(OsStr::from_bytes(b"\xff"))).unwrap(),
        b"odd"
    );
}

async fn files_without_a_size(place: &Place) {
    for file in ["/proc/cpuinfo", "/proc/self/status"] {
        let to = place.outside("proc");
        let copied = Box::pin(place.session.copy_from(file, &to, CopyOptions::default()))
            .await
            .unwrap();
        assert!(copied.bytes > 0, "{file}");
        assert_eq!(std::fs::metadata(&to).unwrap().len(), copied.bytes);
    }
}

async fn parts_and_looks(place: &Place) {
    let files = Box::pin(place.session.files(CancellationToken::new()))
        .await
        .unwrap();
    let all = content(700_000);
    let path = place.inside("part").display().to_string();
    let put = Box::pin(files.put(
        &path,
        PutOptions::default(),
        Box::new(std::io::Cursor::new(all.clone())),
    ))
    .await;
    assert_eq!(put.unwrap(), 700_000);
    for (from, length) in [
        (0, None),
        (1, None),
        (0, Some(10)),
        (699_990, Some(1000)),
        (262_144, Some(262_145)),
        (700_000, None),
        (700_005, Some(1)),
    ] {
        let (mut reader, writer) = tokio::io::duplex(1 << 16);
        let range = ByteRange { from, length };
        let mut found = Vec::new();
        let (read, _) = tokio::join!(
            files.get(&path, range, Box::new(writer)),
            tokio::io::AsyncReadExt::read_to_end(&mut reader, &mut found)
        );
        let first = usize::try_from(from).unwrap().min(all.len());
        let last = length.map_or(all.len(), |length: u64| {
            (first + usize::try_from(length).unwrap()).min(all.len())
        });
        assert_eq!(read.unwrap(), (last - first) as u64, "{range:?}");
        assert!(found == all[first..last], "{range:?}");
    }
    symlink("nowhere", place.inside("to-nowhere")).unwrap();
    symlink("part", place.inside("to-part")).unwrap();
    for (name, kind) in [
        ("", FileKind::Directory),
        ("part", FileKind::File),
        ("to-part", FileKind::File),
        ("to-nowhere", FileKind::Other),
        ("nothing", FileKind::Missing),
        ("no/new", FileKind::NoDirectory),
        ("part/new", FileKind::NoDirectory),
    ] {
        let found = files
            .stat(&place.inside(name).display().to_string())
            .await
            .unwrap();
        assert_eq!(found.kind, kind, "{name}");
    }
}
