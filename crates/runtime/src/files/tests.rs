//! Files of a session of this machine.

use std::sync::{Arc, Mutex};

use podbay_config::Config;
use podbay_protocol::ErrorCode;
use tokio::io::AsyncWriteExt as _;

use super::*;
use crate::{Backend, Podbay};

async fn files() -> (Box<dyn FileTransport>, Session) {
    let podbay = Podbay::builder(Config::default())
        .backend(Backend::Local)
        .in_this_process()
        .connect()
        .await
        .unwrap();
    let session = podbay.session("files").open().await.unwrap();
    (session.files(CancellationToken::new()).await.unwrap(), session)
}

/// A writer whose bytes can be looked at.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl AsyncWrite for Memory {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.lock().unwrap().extend(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn a_file_is_read_from_anywhere_to_anywhere() {
    let (files, session) = files().await;
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("-a 'file'");
    let content: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
    std::fs::write(&path, &content).unwrap();
    let end = content.len() as u64;
    for (from, length) in [
        (0, None),
        (1, None),
        (0, Some(10)),
        (399_990, Some(1000)),
        (end, None),
        (end + 5, Some(1)),
    ] {
        let memory = Memory::default();
        let range = ByteRange { from, length };
        let read = files
            .get(path.to_str().unwrap(), range, Box::new(memory.clone()))
            .await
            .unwrap();
        let wanted = &content[usize::try_from(from.min(end)).unwrap()..];
        let wanted = &wanted[..wanted
            .len()
            .min(length.map_or(usize::MAX, |length| usize::try_from(length).unwrap()))];
        assert!(*memory.0.lock().unwrap() == wanted, "{range:?}");
        assert_eq!(read, wanted.len() as u64, "{range:?}");
    }
    let missing = place.path().join("no");
    let error = files
        .get(
            missing.to_str().unwrap(),
            ByteRange::default(),
            Box::new(Memory::default()),
        )
        .await
        .unwrap_err();
    assert!(
        matches!(
            &error,
            TransportError::Files(FileError::Remote { program: "cat", .. })
        ),
        "{error:?}"
    );
    session.close().await.unwrap();
}

#[tokio::test]
async fn a_file_is_written_and_counted_and_not_gone_on_with() {
    let (files, session) = files().await;
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("f");
    let content = vec![7; 300_000];
    let path_text = path.to_str().unwrap();
    let written = files
        .put(
            path_text,
            PutOptions::default(),
            Box::new(io::Cursor::new(content.clone())),
        )
        .await
        .unwrap();
    assert_eq!(written, 300_000);
    assert!(std::fs::read(&path).unwrap() == content);
    assert!(!files.capabilities().put_from_offset);
    let resumed = PutOptions {
        transfer: "t".parse().ok(),
        ..PutOptions::default()
    };
    let with_mode = PutOptions {
        mode: Some(0o600),
        ..PutOptions::default()
    };
    for options in [resumed, with_mode] {
        let put = files.put(path_text, options, Box::new(tokio::io::empty()));
        let error = put.await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::Unsupported);
        assert!(
            matches!(error, TransportError::Files(FileError::NotPossible(_))),
            "{error:?}"
        );
    }
    assert!(std::fs::read(&path).unwrap() == content);
    let nowhere = place.path().join("no/f");
    let error = files
        .put(
            nowhere.to_str().unwrap(),
            PutOptions::default(),
            Box::new(tokio::io::empty()),
        )
        .await
        .unwrap_err();
    assert!(
        matches!(error, TransportError::Files(FileError::Remote { .. })),
        "{error:?}"
    );
    session.close().await.unwrap();
}

#[tokio::test]
async fn what_is_at_a_path_is_told() {
    let (files, session) = files().await;
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(at("f"), "abc").unwrap();
    std::fs::set_permissions(at("f"), std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
    std::os::unix::fs::symlink("nowhere", at("l")).unwrap();
    std::os::unix::fs::symlink(".", at("d")).unwrap();
    for (name, kind) in [
        ("d", FileKind::Directory),
        ("f", FileKind::File),
        ("l", FileKind::Other),
        ("new", FileKind::Missing),
        ("no/new", FileKind::NoDirectory),
    ] {
        assert_eq!(files.stat(&at(name)).await.unwrap().kind, kind, "{name}");
    }
    let file = files.stat(&at("f")).await.unwrap();
    assert_eq!((file.size, file.mode), (Some(3), Some(0o640)));
    assert_eq!(
        parse_stat("file - -\n").map(|stat| (stat.size, stat.mode)),
        Some((None, None))
    );
    assert_eq!(parse_stat("nonsense\n"), None);
    session.close().await.unwrap();
}

/// Output that was cut has no end word, and is never called a whole file.
#[tokio::test]
async fn output_without_its_end_is_not_complete() {
    for (pieces, written, complete) in [
        (&["conte", "ntE", "ND"][..], "content", true),
        (&["END"], "", true),
        (&["content"], "content", false),
        (&["contentEN"], "contentEN", false),
        (&[], "", false),
    ] {
        let (mut writer, receiver) = channel();
        let memory = Memory::default();
        let passing = pass_on(receiver, Box::new(memory.clone()), b"END");
        let sending = async {
            for piece in pieces {
                writer.write_all(piece.as_bytes()).await.unwrap();
            }
            drop(writer);
        };
        let ((), passed) = tokio::join!(sending, passing);
        assert_eq!(passed.unwrap(), (written.len() as u64, complete), "{pieces:?}");
        assert_eq!(*memory.0.lock().unwrap(), written.as_bytes());
    }
}

/// `dash` is the strictest shell there is in images.
#[test]
fn scripts_are_of_the_posix_shell() {
    for script in [STAT, GET, PUT, GET_TREE] {
        let checked = std::process::Command::new("/bin/sh")
            .args(["-n", "-c", script])
            .output()
            .unwrap();
        assert!(
            checked.status.success() && checked.stderr.is_empty(),
            "{checked:?}"
        );
    }
}
