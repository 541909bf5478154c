//! What a sandbox may try while its agent writes, and archives that would break out.

use std::os::unix::fs::symlink;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use podbay_fake_cluster::ScriptedCluster;
use podbay_runtime::copy::CopyOptions;
use podbay_runtime::transport::{FileTransport, Ownership, TransportError};
use tokio_util::sync::CancellationToken;

use super::{Place, names};
use crate::faults::Faults;
use crate::sandbox::sandbox_with;

/// A header of tar, and what follows it.
fn member(name: &str, kind: u8, link: &str, size: u64, data: &[u8]) -> Vec<u8> {
    let mut block = vec![0; 512];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[100..107].copy_from_slice(b"0000755");
    block[108..115].copy_from_slice(b"0000000");
    block[116..123].copy_from_slice(b"0000000");
    block[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
    block[136..147].copy_from_slice(b"00000000000");
    block[156] = kind;
    block[157..157 + link.len()].copy_from_slice(link.as_bytes());
    block[257..265].copy_from_slice(b"ustar\x0000");
    block[148..156].copy_from_slice(b"        ");
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    block.extend(data);
    block.resize(block.len().next_multiple_of(512), 0);
    block
}

fn archive(members: &[Vec<u8>]) -> Vec<u8> {
    [members.concat(), vec![0; 1024]].concat()
}

async fn put(files: &dyn FileTransport, place: &Place, archive: Vec<u8>) -> Result<(), TransportError> {
    let directory = place.inside("out").display().to_string();
    files
        .put_tree(
            &directory,
            Box::new(std::io::Cursor::new(archive)),
            Ownership::Session,
        )
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn archives_that_would_break_out_change_nothing_outside() {
    for place in [Place::by_agent().await, Place::by_exec().await] {
        std::fs::create_dir(place.inside("out")).unwrap();
        std::fs::create_dir(place.inside("elsewhere")).unwrap();
        std::fs::write(place.inside("precious"), "precious").unwrap();
        let files = Box::pin(place.session.files(CancellationToken::new()))
            .await
            .unwrap();
        let elsewhere = place.inside("elsewhere").display().to_string();
        let absolute = format!("{elsewhere}/f");
        for (what, members) in [
            ("upwards", vec![member("../precious", b'0', "", 4, b"evil")]),
            (
                "upwards later",
                vec![
                    member("a/", b'5', "", 0, b""),
                    member("a/../../precious", b'0', "", 4, b"evil"),
                ],
            ),
            ("absolute", vec![member(&absolute, b'0', "", 4, b"evil")]),
            (
                "through its own link",
                vec![
                    member("l", b'2', &elsewhere, 0, b""),
                    member("l/f", b'0', "", 4, b"evil"),
                ],
            ),
            (
                "a hard link",
                vec![
                    member("h", b'1', "../precious", 0, b""),
                    member("h", b'0', "", 4, b"evil"),
                ],
            ),
        ] {
            // What tar makes of it is its own matter, as long as nothing outside is touched.
            let written = put(&*files, &place, archive(&members)).await;
            if place.is_by_agent().await {
                assert!(written.is_err(), "{what}");
            }
            assert_eq!(
                std::fs::read(place.inside("precious")).unwrap(),
                b"precious",
                "{what}"
            );
            assert!(names(&place.inside("elsewhere")).is_empty(), "{what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn archives_that_would_be_too_much_are_refused_by_the_agent() {
    let place = Place::by_agent().await;
    std::fs::create_dir(place.inside("out")).unwrap();
    let files = Box::pin(place.session.files(CancellationToken::new()))
        .await
        .unwrap();
    let deep: Vec<_> = (1..=300)
        .map(|depth| {
            // Names of 300 components are longer than a header: each is said ahead.
            let name = format!("{}\0", vec!["d"; depth].join("/"));
            [
                member("././@LongLink", b'L', "", name.len() as u64, name.as_bytes()),
                member("d/", b'5', "", 0, b""),
            ]
            .concat()
        })
        .collect();
    for (what, bytes, words) in [
        ("a device", archive(&[member("dev", b'3', "", 0, b"")]), "device"),
        ("a pipe", archive(&[member("fifo", b'6', "", 0, b"")]), "pipe"),
        (
            "a sparse file",
            archive(&[member("s", b'S', "", 0, b"")]),
            "sparse",
        ),
        (
            "a name of a gigabyte",
            archive(&[member("n", b'L', "", 1 << 30, b"x")]),
            "extended header",
        ),
        ("more depth than there may be", archive(&deep), "components"),
        (
            "less than was promised",
            archive(&[member("f", b'0', "", 1 << 30, b"x")]),
            "ends in the middle",
        ),
        ("no archive", vec![7; 4096], "header"),
    ] {
        let error = put(&*files, &place, bytes).await.unwrap_err();
        let causes = std::iter::successors(std::error::Error::source(&error), |cause| cause.source());
        let text = causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"));
        assert!(text.contains(words), "{what}: {text}");
        assert!(
            names(&place.inside("out")).iter().all(|name| name == "d"),
            "{what}"
        );
    }
}

/// A process of the sandbox changes a directory for a link and back while a tree is written below it: not one file lands where the
/// link leads.
#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_becomes_a_link_leads_nowhere() {
    let place = Place::by_agent().await;
    std::fs::create_dir(place.inside("out")).unwrap();
    std::fs::create_dir(place.inside("elsewhere")).unwrap();
    std::fs::create_dir(place.outside("out")).unwrap();
    std::fs::create_dir(place.outside("out/d")).unwrap();
    for number in 0..200 {
        std::fs::write(place.outside(&format!("out/d/{number}")), "evil").unwrap();
    }
    let stop = Arc::new(AtomicBool::new(false));
    let swapping = {
        let (stop, real, aside) = (Arc::clone(&stop), place.inside("out/d"), place.inside("aside"));
        let elsewhere = place.inside("elsewhere");
        std::thread::spawn(move || {
            let mut swaps = 0_u32;
            while !stop.load(Ordering::Relaxed) {
                if std::fs::rename(&real, &aside).is_ok() {
                    let linked = symlink(&elsewhere, &real).is_ok();
                    std::thread::yield_now();
                    if linked {
                        let _ = std::fs::remove_file(&real);
                        swaps += 1;
                    }
                    let _ = std::fs::rename(&aside, &real);
                }
            }
            swaps
        })
    };
    for _ in 0..30 {
        // It may fail: that is the sandbox's own doing.
        let _ = place.copy_in("out/.", "out").await;
    }
    stop.store(true, Ordering::Relaxed);
    let swaps = swapping.join().unwrap();
    println!("{swaps} swaps");
    assert!(swaps > 0);
    assert!(names(&place.inside("elsewhere")).is_empty());
}

/// A disk that is full is told as such, and the old file stays. Needs root, for a disk of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_and_the_old_file_stays() {
    if !rustix::process::geteuid().is_root() {
        println!("not root: no disk can be made that is full");
        return;
    }
    let disk = tempfile::tempdir().unwrap();
    let mount = disk.path().to_owned();
    let sandbox = sandbox_with(&ScriptedCluster::new(), Faults::none(), |program| {
        let mut command = Command::new("unshare");
        let script = "mount -t tmpfs -o size=1m none \"$1\" && shift && exec \"$@\"";
        command
            .args(["--mount", "sh", "-c", script, "sh"])
            .arg(&mount)
            .arg(program);
        command
    })
    .await;
    let outside = tempfile::tempdir().unwrap();
    let at = |name: &str| outside.path().join(name);
    std::fs::write(at("small"), "old").unwrap();
    std::fs::write(at("large"), vec![7; 4 << 20]).unwrap();
    std::fs::create_dir(at("tree")).unwrap();
    std::fs::write(at("tree/large"), vec![7; 4 << 20]).unwrap();
    let session = &sandbox.session;
    let target = |name: &str| format!("{}/{name}", mount.display());
    Box::pin(session.copy_to(at("small"), &target("f"), CopyOptions::default()))
        .await
        .unwrap();
    for from in ["large", "tree"] {
        let to = target(if from == "tree" { "t" } else { "f" });
        let error = Box::pin(session.copy_to(at(from), &to, CopyOptions::default()))
            .await
            .unwrap_err();
        assert!(
            error.chain().contains("No space left"),
            "{from}: {}",
            error.chain()
        );
    }
    Box::pin(session.copy_from(&target("f"), at("back"), CopyOptions::default()))
        .await
        .unwrap();
    assert_eq!(std::fs::read(at("back")).unwrap(), b"old");
    // What arrived of it takes no room any longer.
    std::fs::write(at("half"), vec![7; 700_000]).unwrap();
    Box::pin(session.copy_to(at("half"), &target("half"), CopyOptions::default()))
        .await
        .unwrap();
}
