//! From one session to another.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use podbay_runtime::Error;
use podbay_runtime::copy::{CopyError, CopyOptions, CopyReport};

use super::{Place, content, names, sha256};

async fn across(from: &Place, path: &str, to: &Place, destination: &str) -> Result<CopyReport, Error> {
    let (path, destination) = (
        format!("{}/{path}", from.inside.path().display()),
        format!("{}/{destination}", to.inside.path().display()),
    );
    Box::pin(
        from.session
            .copy_across(&path, &to.session, &destination, CopyOptions::default()),
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn files_and_trees_go_from_any_session_to_any() {
    let (agent, exec) = (Place::by_agent().await, Place::by_exec().await);
    let other = Place::by_agent().await;
    for (number, (from, to)) in [(&agent, &other), (&agent, &exec), (&exec, &agent)]
        .into_iter()
        .enumerate()
    {
        let name = |name: &str| format!("{number}-{name}");
        std::fs::write(from.inside(&name("file")), content(3_000_000)).unwrap();
        std::fs::set_permissions(from.inside(&name("file")), std::fs::Permissions::from_mode(0o750)).unwrap();
        std::fs::create_dir_all(from.inside(&name("tree/a"))).unwrap();
        std::fs::write(from.inside(&name("tree/a/f")), "f").unwrap();
        std::fs::write(from.inside(&name("tree/large")), content(1_000_000)).unwrap();
        let copied = across(from, &name("file"), to, &name("copy")).await.unwrap();
        assert_eq!((copied.files, copied.bytes), (1, 3_000_000));
        assert_eq!(
            sha256(&to.inside(&name("copy"))),
            sha256(&from.inside(&name("file")))
        );
        let mode = |place: &Place, file: &str| std::fs::metadata(place.inside(&name(file))).unwrap().mode();
        assert_eq!(mode(to, "copy"), mode(from, "file"));
        let copied = across(from, &name("tree"), to, &name("new")).await.unwrap();
        assert_eq!((copied.files, copied.bytes), (2, 1_000_001));
        let copied = across(from, &name("tree/."), to, &name("new")).await.unwrap();
        assert_eq!(copied.files, 2);
        across(from, &name("tree"), to, "").await.unwrap();
        for at in ["new/a/f", "tree/a/f"] {
            assert_eq!(std::fs::read(to.inside(&name(at))).unwrap(), b"f", "{at}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_or_left_out_leaves_nothing() {
    let (from, to) = (Place::by_agent().await, Place::by_agent().await);
    let exec = Place::by_exec().await;
    std::fs::create_dir(from.inside("d")).unwrap();
    symlink("/etc/passwd", from.inside("d/l")).unwrap();
    for to in [&to, &exec] {
        for (path, destination) in [("no", "x"), ("d", "x"), ("d/l", "x"), ("d", "no/x")] {
            let error = match across(&from, path, to, destination).await {
                Err(Error::Copy { source, .. }) => source,
                other => panic!("{other:?}"),
            };
            let expected = match path {
                "no" => matches!(error, CopyError::NoRemoteSource { .. }),
                _ if destination == "no/x" => matches!(error, CopyError::NoRemoteDirectory { .. }),
                // Of a directory the rest is copied.
                "d" => matches!(error, CopyError::LeftOut { .. }),
                _ => matches!(error, CopyError::Archive(_)),
            };
            assert!(expected, "{path}: {error:?}");
        }
        assert!(!to.inside("x").is_file() && !to.inside("x/l").exists());
    }
    assert!(names(from.inside.path()) == ["d"]);
}
