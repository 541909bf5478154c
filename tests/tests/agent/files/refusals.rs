//! What is refused, whatever the way: with an error that says why, within seconds, and with nothing changed.

use std::os::unix::fs::symlink;
use std::time::Duration;

use podbay_runtime::Error;
use podbay_runtime::copy::{CopyError, CopyOptions};
use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::{Place, names};

#[tokio::test(flavor = "multi_thread")]
async fn by_the_agent() {
    suite(&Place::by_agent().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_commands_over_exec() {
    suite(&Place::by_exec().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_this_machine() {
    suite(&Place::on_this_machine().await).await;
}

async fn suite(place: &Place) {
    let suite = async {
        directories_and_files(place).await;
        special_files(place).await;
        links(place).await;
        what_may_not_be_written(place).await;
        limits(place).await;
    };
    tokio::time::timeout(Duration::from_secs(120), suite)
        .await
        .unwrap();
}

fn cause<T: std::fmt::Debug>(copied: Result<T, Error>) -> CopyError {
    match copied {
        Err(Error::Copy { source, .. }) => source,
        other => panic!("{other:?}"),
    }
}

async fn directories_and_files(place: &Place) {
    std::fs::write(place.outside("f"), "new").unwrap();
    std::fs::create_dir(place.outside("d")).unwrap();
    std::fs::create_dir_all(place.inside("d/f/x")).unwrap();
    std::fs::write(place.inside("file"), "old").unwrap();
    // A directory stands where the file would be, and a file where the directory would be.
    cause(place.copy_in("f", "d").await);
    cause(place.copy_in("d", "file").await);
    cause(place.copy_in("f", "file/").await);
    cause(place.copy_in("f", "no/f").await);
    cause(place.copy_in("f", "no/").await);
    cause(place.copy_in("no", "f").await);
    cause(place.copy_out("no", "o").await);
    cause(place.copy_out("file/", "o").await);
    cause(place.copy_out("file", "no/o").await);
    std::fs::create_dir_all(place.outside("o/file")).unwrap();
    cause(place.copy_out("file", "o").await);
    assert_eq!(std::fs::read(place.inside("file")).unwrap(), b"old");
    assert_eq!(names(&place.inside("d")), ["f"]);
    assert!(names(&place.outside("o/file")).is_empty());
}

async fn special_files(place: &Place) {
    for directory in [place.inside("special"), place.outside("special")] {
        std::fs::create_dir(&directory).unwrap();
        mknodat(
            CWD,
            directory.join("fifo"),
            FileType::Fifo,
            Mode::RUSR | Mode::WUSR,
            0,
        )
        .unwrap();
    }
    cause(place.copy_out("special/fifo", "x").await);
    cause(place.copy_out("special", "x").await);
    cause(place.copy_in("special/fifo", "x").await);
    cause(place.copy_in("special", "x").await);
    cause(
        Box::pin(
            place
                .session
                .copy_from("/dev/zero", place.outside("x"), CopyOptions::default()),
        )
        .await,
    );
    // Nor is one written to.
    std::fs::write(place.outside("fifo"), "x").unwrap();
    if place.is_by_agent().await {
        cause(place.copy_in("fifo", "special").await);
    }
    assert!(!place.outside("x").is_file());
}

async fn links(place: &Place) {
    std::fs::create_dir(place.inside("linked")).unwrap();
    symlink("/etc/passwd", place.inside("linked/l")).unwrap();
    cause(place.copy_out("linked", "y").await);
    cause(place.copy_out("linked/l", "y").await);
    assert!(!place.outside("y").is_file() && !place.outside("y/l").exists());
    // A link that has the name is replaced, and not written through.
    std::fs::write(place.inside("precious"), "precious").unwrap();
    symlink("precious", place.inside("name")).unwrap();
    std::fs::write(place.outside("name"), "new").unwrap();
    place.copy_in("name", "").await.unwrap();
    assert_eq!(std::fs::read(place.inside("precious")).unwrap(), b"precious");
    assert_eq!(std::fs::read(place.inside("name")).unwrap(), b"new");
}

async fn what_may_not_be_written(place: &Place) {
    std::fs::write(place.outside("f"), "f").unwrap();
    // Not even root makes files there.
    let to = "/sys/kernel/podbay-test";
    let error = cause(
        Box::pin(
            place
                .session
                .copy_to(place.outside("f"), to, CopyOptions::default()),
        )
        .await,
    );
    let text = podbay_chain(&error);
    assert!(
        ["ermission denied", "not permitted", "ead-only"]
            .iter()
            .any(|words| text.contains(words)),
        "{text}"
    );
}

async fn limits(place: &Place) {
    std::fs::create_dir(place.inside("many")).unwrap();
    for number in 0..20 {
        std::fs::write(place.inside(&format!("many/{number}")), vec![0; 1000]).unwrap();
    }
    let from = place.inside("many").display().to_string();
    for (max_bytes, max_entries) in [(10_000, 1000), (u64::MAX, 10)] {
        let options = CopyOptions {
            max_bytes,
            max_entries,
            ..CopyOptions::default()
        };
        let copied = Box::pin(place.session.copy_from(&from, place.outside("many"), options)).await;
        let error = cause(copied);
        assert!(podbay_chain(&error).contains("limited"), "{error:?}");
    }
    let options = CopyOptions {
        max_bytes: 10,
        ..CopyOptions::default()
    };
    std::fs::write(place.outside("large"), vec![0; 1000]).unwrap();
    let to = place.inside("large").display().to_string();
    cause(Box::pin(place.session.copy_to(place.outside("large"), &to, options)).await);
    assert!(!place.inside("large").exists());
}

/// An error with all its causes.
fn podbay_chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
