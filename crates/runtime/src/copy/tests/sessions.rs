//! Sessions of this machine to copy with, and what goes wrong on their side.

use std::path::Path;

use podbay_config::Config;
use podbay_protocol::ErrorCode;
use tempfile::TempDir;

use podbay_archive::tar::{Member, MemberKind, Owner, header, padding};

use crate::copy::{ArchiveError, CopyError, CopyOptions, CopyReport};
use crate::error::FileError;
use crate::{Backend, Error, Podbay, Session};

/// A session, and a directory that both sides see.
pub(super) async fn open() -> (Session, TempDir) {
    let place = tempfile::tempdir().unwrap();
    (session(None).await, place)
}

async fn session(path: Option<&Path>) -> Session {
    let podbay = Podbay::builder(Config::default())
        .backend(Backend::Local)
        .in_this_process()
        .connect()
        .await
        .unwrap();
    let mut builder = podbay.session("copies");
    if let Some(path) = path {
        builder = builder.env("PATH", path.to_str().unwrap());
    }
    builder.open().await.unwrap()
}

/// A session whose `tar` is this script, if any.
async fn with_tar(script: Option<&str>) -> (Session, TempDir) {
    let place = tempfile::tempdir().unwrap();
    let programs = place.path().join("bin");
    std::fs::create_dir(&programs).unwrap();
    if let Some(script) = script {
        let script = format!("#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n");
        write_program(&programs.join("tar"), &script);
    }
    (session(Some(&programs)).await, place)
}

/// Another process writes the program itself: each thread that starts one at this moment has our open files for a while, and what is
/// open for writing can't be executed (execve(2), `ETXTBSY`).
fn write_program(path: &Path, text: &str) {
    let written = path.with_extension("text");
    std::fs::write(&written, text).unwrap();
    let mut install = std::process::Command::new("install");
    assert!(
        install
            .args(["-m", "755"])
            .args([&written, path])
            .status()
            .unwrap()
            .success()
    );
}

/// A file in an archive.
fn file(name: &str, data: &[u8]) -> Vec<u8> {
    let size = data.len() as u64;
    [&member(name, MemberKind::File(size)), data, padding(size)].concat()
}

/// A directory in an archive.
fn directory(name: &str) -> Vec<u8> {
    member(name, MemberKind::Directory)
}

fn member(name: &str, kind: MemberKind<'_>) -> Vec<u8> {
    header(&Member {
        name: name.as_bytes(),
        kind,
        mode: 0o755,
        modified: 0,
        owner: Owner::default(),
    })
}

fn cause(copied: Result<CopyReport, Error>) -> CopyError {
    match copied {
        Err(Error::Copy { source, .. }) => source,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let (session, place) = open().await;
    let at = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(at("f"), "f").unwrap();
    let options = CopyOptions::default;
    let error = cause(session.copy_from(&at("no"), at("out"), options()).await);
    let CopyError::Files(FileError::Remote {
        program: "tar",
        code: 2,
        words,
    }) = &error
    else {
        panic!("{error:?}")
    };
    assert!(words.contains("No such file or directory"), "{words}");
    let error = cause(session.copy_to(at("no"), &at("in"), options()).await);
    assert!(
        matches!(&error, CopyError::Archive(ArchiveError::Local { path, .. }) if *path == at("no")),
        "{error:?}"
    );
    let error = cause(session.copy_to(at("f"), &at("no/in"), options()).await);
    assert!(
        matches!(&error, CopyError::NoRemoteDirectory { path } if *path == at("no")),
        "{error:?}"
    );
    assert_eq!(error.code(), ErrorCode::InvalidRequest);
    let error = cause(session.copy_to(at("f"), &at("no/"), options()).await);
    assert!(
        matches!(&error, CopyError::NoRemoteDirectory { path } if *path == at("no")),
        "{error:?}"
    );
    let error = cause(session.copy_to(place.path(), &at("f"), options()).await);
    assert!(
        matches!(&error, CopyError::RemoteNotDirectory { path } if *path == at("f")),
        "{error:?}"
    );
    let error = cause(session.copy_from(&at("f"), at("no/out"), options()).await);
    assert!(
        matches!(&error, CopyError::Archive(ArchiveError::NoDirectory { path }) if *path == at("no")),
        "{error:?}"
    );
    let error = cause(session.copy_from(&at("f"), at("new/"), options()).await);
    assert!(
        matches!(error, CopyError::Archive(ArchiveError::NoDirectory { .. })),
        "{error:?}"
    );
    session.close().await.unwrap();
}

#[tokio::test]
async fn an_image_without_tar_is_said_to_be_one() {
    let (session, place) = with_tar(None).await;
    std::fs::write(place.path().join("f"), "f").unwrap();
    let remote = place.path().to_str().unwrap();
    for error in [
        cause(
            session
                .copy_from("/etc/hostname", place.path(), CopyOptions::default())
                .await,
        ),
        cause(
            session
                .copy_to(place.path().join("f"), remote, CopyOptions::default())
                .await,
        ),
    ] {
        assert!(
            matches!(error, CopyError::Files(FileError::NoTar { .. })),
            "{error:?}"
        );
        assert_eq!(error.code(), ErrorCode::Unsupported);
    }
    session.close().await.unwrap();
}

#[tokio::test]
async fn a_tar_that_takes_less_than_all_is_not_believed() {
    for script in [
        "exit 0",
        "cat >/dev/null; echo d/",
        "head -c 1000 >/dev/null; echo d/; echo d/f; echo d/g; exit 0",
    ] {
        let (session, place) = with_tar(Some(script)).await;
        std::fs::create_dir(place.path().join("d")).unwrap();
        for name in ["d/f", "d/g"] {
            std::fs::write(place.path().join(name), vec![0; 4 << 20]).unwrap();
        }
        let remote = place.path().to_str().unwrap();
        let error = cause(
            session
                .copy_to(place.path().join("d"), remote, CopyOptions::default())
                .await,
        );
        assert!(
            matches!(
                error,
                CopyError::Files(FileError::NotAllTaken { .. } | FileError::EndedEarly)
            ),
            "{script}: {error:?}"
        );
        session.close().await.unwrap();
    }
}

#[tokio::test]
async fn the_words_of_a_tar_that_fails_are_kept() {
    let (session, place) = with_tar(Some("echo 'tar: disk full' >&2; exit 2")).await;
    std::fs::write(place.path().join("f"), vec![0; 4 << 20]).unwrap();
    let remote = place.path().to_str().unwrap();
    let error = cause(
        session
            .copy_to(place.path().join("f"), remote, CopyOptions::default())
            .await,
    );
    assert!(
        matches!(&error, CopyError::Files(FileError::Remote { code: 2, words, .. }) if words == "tar: disk full"),
        "{error:?}"
    );
    session.close().await.unwrap();
}

#[tokio::test]
async fn a_tar_that_fails_after_its_output_ended_is_heard_out() {
    let script = "exec >&-; n=0; while [ $n -lt 100000 ]; do n=$((n+1)); done; echo why >&2; exit 2";
    let (session, place) = with_tar(Some(script)).await;
    let error = cause(
        session
            .copy_from("/f", place.path(), CopyOptions::default())
            .await,
    );
    assert!(
        matches!(&error, CopyError::Files(FileError::Remote { code: 2, words, .. }) if words == "why"),
        "{error:?}"
    );
    session.close().await.unwrap();
}

#[tokio::test]
async fn a_file_is_not_replaced_unless_tar_ended_well() {
    let archive = [file("./f", b"new"), vec![0; 1024]].concat();
    for (end, cut) in [("exit 1", 0), ("kill -9 $$", 0), ("exit 0", 1024)] {
        let (session, place) =
            with_tar(Some(&format!("cat \"${{0%/*}}/archive\"; echo why >&2; {end}"))).await;
        std::fs::write(place.path().join("bin/archive"), &archive[..archive.len() - cut]).unwrap();
        std::fs::write(place.path().join("f"), "old").unwrap();
        let error = cause(
            session
                .copy_from("/f", place.path(), CopyOptions::default())
                .await,
        );
        assert!(!matches!(error, CopyError::Partial { .. }), "{end}: {error:?}");
        assert_eq!(std::fs::read(place.path().join("f")).unwrap(), b"old", "{end}");
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 2, "{end}");
        session.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_refused_archive_ends_the_tar_that_sends_it() {
    // It would go on for ever.
    let script = "cat \"${0%/*}/archive\"; while :; do echo more; done";
    let (session, place) = with_tar(Some(script)).await;
    let archive = [directory("d"), file("d/f", b"good"), file("../evil", b"bad")].concat();
    std::fs::write(place.path().join("bin/archive"), archive).unwrap();
    let out = place.path().join("out");
    std::fs::create_dir(&out).unwrap();
    let error = cause(session.copy_from("/d", &out, CopyOptions::default()).await);
    assert!(
        matches!(
            error,
            CopyError::Partial {
                files: 1,
                bytes: 4,
                ..
            }
        ),
        "{error:?}"
    );
    assert!(
        matches!(error.root(), CopyError::Archive(ArchiveError::Refused { .. })),
        "{error:?}"
    );
    assert_eq!(std::fs::read(out.join("d/f")).unwrap(), b"good");
    assert!(!place.path().join("evil").exists());
    session.close().await.unwrap();
}
