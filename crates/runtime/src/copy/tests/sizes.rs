//! Files whose size is not that of their contents.

use super::sessions::open;
use crate::copy::{CopyError, CopyOptions};
use crate::error::{Error, FileError};

const SYS: &str = "/sys/kernel/mm/transparent_hugepage/enabled";

#[tokio::test]
async fn files_of_proc_and_sys_come_out_with_what_they_have() {
    let (session, place) = open().await;
    for (path, first) in [("/proc/1/status", "Name:"), ("/proc/version", "Linux"), (SYS, "")] {
        if !std::path::Path::new(path).exists() {
            continue;
        }
        let out = place.path().join("out");
        let report = session
            .copy_from(path, &out, CopyOptions::default())
            .await
            .unwrap();
        let content = std::fs::read_to_string(&out).unwrap();
        assert!(
            !content.is_empty() && content.starts_with(first),
            "{path}: {content}"
        );
        assert!(!content.contains('\0'), "{path}: filled up with zeros");
        assert_eq!((report.files, report.bytes), (1, content.len() as u64), "{path}");
        // In again: its size is known by then.
        let back = place.path().join("in");
        session
            .copy_to(path, back.to_str().unwrap(), CopyOptions::default())
            .await
            .unwrap();
        assert!(
            std::fs::read_to_string(&back).unwrap().starts_with(first),
            "{path}"
        );
    }
    let limited = CopyOptions {
        max_bytes: 3,
        ..CopyOptions::default()
    };
    let out = place.path().join("limited");
    let error = session
        .copy_from("/proc/version", &out, limited)
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            Error::Copy {
                source: CopyError::Archive(_),
                ..
            }
        ),
        "{error:?}"
    );
    assert!(!out.exists());
    session.close().await.unwrap();
}

#[tokio::test]
async fn a_directory_with_files_without_sizes_is_refused_and_not_copied_empty() {
    let (session, place) = open().await;
    let out = place.path().join("out");
    // Below the root any file system of that kind may be the first that is met.
    for (path, below) in [
        ("/proc/1", "/proc"),
        ("/proc/sys/kernel/.", "/proc"),
        ("/sys/kernel/mm", "/sys"),
        ("/", "/"),
    ] {
        let error = session
            .copy_from(path, &out, CopyOptions::default())
            .await
            .unwrap_err();
        let Error::Copy {
            source: CopyError::Files(FileError::Sizeless { mount, .. }),
            ..
        } = &error
        else {
            panic!("{path}: {error:?}")
        };
        assert!(mount.starts_with(below), "{path}: {mount}");
        assert!(!out.exists(), "{path}");
    }
    session.close().await.unwrap();
}

#[tokio::test]
async fn an_empty_file_is_an_empty_file() {
    let (session, place) = open().await;
    std::fs::write(place.path().join("f"), "").unwrap();
    let from = place.path().join("f");
    let report = session
        .copy_from(
            from.to_str().unwrap(),
            place.path().join("out"),
            CopyOptions::default(),
        )
        .await
        .unwrap();
    assert_eq!((report.files, report.bytes), (1, 0));
    assert_eq!(std::fs::read(place.path().join("out")).unwrap(), b"");
    session.close().await.unwrap();
}
