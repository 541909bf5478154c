//! Connections that break on the way, and copies that are given up.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use podbay_runtime::transport::PutOptions;
use tokio::io::{AsyncRead, ReadBuf};
use tokio_util::sync::CancellationToken;

use super::{Place, content, names, sha256};
use crate::faults::{Class, Faults};

/// Each connection ends after some tens of kilobytes: a copy takes many.
#[tokio::test(flavor = "multi_thread")]
async fn copies_survive_the_connections_they_were_begun_by() {
    let place = Place::by_agent_with(Faults::seeded(
        &[Class::Reset, Class::Stall, Class::Slice],
        120_000,
        11,
    ))
    .await;
    std::fs::write(place.outside("file"), content(250_000)).unwrap();
    std::fs::create_dir_all(place.outside("tree/d")).unwrap();
    std::fs::write(place.outside("tree/large"), content(100_000)).unwrap();
    for number in 0..20 {
        std::fs::write(place.outside(&format!("tree/d/{number}")), content(number * 100)).unwrap();
    }
    place.copy_in("file", "file").await.unwrap();
    assert_eq!(sha256(&place.inside("file")), sha256(&place.outside("file")));
    place.copy_out("file", "back").await.unwrap();
    assert_eq!(sha256(&place.outside("back")), sha256(&place.outside("file")));
    let copied = place.copy_in("tree", "tree").await.unwrap();
    assert_eq!(copied.files, 21);
    let copied = place.copy_out("tree", "tree-back").await.unwrap();
    assert_eq!(copied.files, 21);
    for at in ["large", "d/19", "d/1"] {
        let (there, back) = (
            place.inside(&format!("tree/{at}")),
            place.outside(&format!("tree-back/{at}")),
        );
        let original = sha256(&place.outside(&format!("tree/{at}")));
        assert_eq!(
            (sha256(&there), sha256(&back)),
            (original.clone(), original),
            "{at}"
        );
    }
    assert_eq!(names(place.inside.path()), ["file", "tree"]);
    let broken = place.faults().counts().total();
    println!("{broken} connections broken");
    assert!(broken >= 5, "only {broken} of the connections broke");
}

/// What a program does that was killed in the midst of a copy: nothing more.
struct Stops {
    first: Option<Bytes>,
    reached: CancellationToken,
}

impl AsyncRead for Stops {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let Some(mut first) = self.first.take() else {
            self.reached.cancel();
            return Poll::Pending;
        };
        let taken = first.split_to(first.len().min(buffer.remaining()));
        buffer.put_slice(&taken);
        self.first = Some(first).filter(|rest| !rest.is_empty());
        Poll::Ready(Ok(()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_killed_leaves_the_old_file_and_is_gone_on_with() {
    let place = Place::by_agent().await;
    let path = place.inside("file").display().to_string();
    std::fs::write(&path, "old").unwrap();
    let all = content(2_000_000);
    let files = Box::pin(place.session.files(CancellationToken::new()))
        .await
        .unwrap();
    let mut options = PutOptions::default();
    options.transfer = "killed".parse().ok();
    let reached = CancellationToken::new();
    let content = Stops {
        first: Some(all[..1_500_000].to_vec().into()),
        reached: reached.clone(),
    };
    tokio::select! {
        put = files.put(&path, options.clone(), Box::new(content)) => panic!("{put:?}"),
        () = async {
            reached.cancelled().await;
            // Until some of it is there.
            while std::fs::metadata(place.inside(".podbay-killed.part")).map_or(0, |part| part.len()) < 1_000_000 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        } => {}
    }
    assert_eq!(std::fs::read(&path).unwrap(), b"old");
    let put = files
        .put(&path, options, Box::new(std::io::Cursor::new(all.clone())))
        .await;
    assert_eq!(put.unwrap(), 2_000_000);
    assert!(std::fs::read(&path).unwrap() == all);
    assert_eq!(names(place.inside.path()), ["file"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_cancelled_leaves_nothing() {
    let place = Place::by_agent().await;
    let path = place.inside("file").display().to_string();
    let (cancel, reached) = (CancellationToken::new(), CancellationToken::new());
    let files = Box::pin(place.session.files(cancel.clone())).await.unwrap();
    let content = Stops {
        first: Some(content(1_000_000).into()),
        reached: reached.clone(),
    };
    let stopping = async {
        reached.cancelled().await;
        cancel.cancel();
    };
    let (put, ()) = tokio::join!(
        files.put(&path, PutOptions::default(), Box::new(content)),
        stopping
    );
    assert!(put.is_err());
    // Its last request may still be at it.
    while !names(place.inside.path()).is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Copies of one file to one place at the same time: each is whole, whichever is last.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_copy_at_the_same_time_is_no_harm() {
    let place = Place::by_agent().await;
    std::fs::write(place.outside("file"), content(3_000_000)).unwrap();
    let copies = (0..4).map(|_| place.copy_in("file", "file"));
    for copied in futures::future::join_all(copies).await {
        copied.unwrap();
    }
    assert_eq!(sha256(&place.inside("file")), sha256(&place.outside("file")));
    assert_eq!(names(place.inside.path()), ["file"]);
}

/// A copy of the same file to the same place is no transfer that is gone on with: what was there may be gone, or another.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_copy_is_made_again_whatever_became_of_the_first() {
    let place = Place::by_agent().await;
    for size in [0, 1, 700_000] {
        std::fs::write(place.outside("file"), content(size)).unwrap();
        let inside = place.inside("file");
        let _ = std::fs::remove_file(&inside);
        for round in ["first", "changed", "gone", "there"] {
            match round {
                "changed" => std::fs::write(&inside, "another").unwrap(),
                "gone" => std::fs::remove_file(&inside).unwrap(),
                _ => {}
            }
            place.copy_in("file", "file").await.unwrap();
            assert_eq!(sha256(&inside), sha256(&place.outside("file")), "{size} {round}");
        }
    }
    assert_eq!(names(place.inside.path()), ["file"]);
}
