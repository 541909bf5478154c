//! Faults on calls and watches.

use std::sync::Arc;
use std::time::Duration;

use futures::stream::BoxStream;
use futures::{FutureExt as _, StreamExt as _};
use podbay_fake_cluster::testing::config_map;
use podbay_fake_cluster::{Fault, FaultyCluster, On, Operation, Outcome, ScriptedCluster, When};
use podbay_k8s_client::{ClusterClient, DeleteOptions, Error, ErrorKind, Kind, WatchEvent, WatchPolicy};
use tokio::time::Instant;

use crate::harness::{NAMESPACE, exists, key, seconds};

const MAP: Kind = Kind::ConfigMap;

fn faulty() -> (ScriptedCluster, FaultyCluster) {
    let cluster = ScriptedCluster::new();
    let faulty = FaultyCluster::new(Arc::new(cluster.clone()));
    (cluster, faulty)
}

#[tokio::test(start_paused = true)]
async fn errors_come_before_or_after_the_effect() {
    let (cluster, faulty) = faulty();
    faulty.inject(On::any().name("a"), Fault::before(ErrorKind::Unreachable));
    faulty.inject(On::any().writes().nth(1), Fault::after(ErrorKind::Disconnected));
    let retry_after = Duration::from_secs(3);
    faulty.inject(
        On::any().operation(Operation::Get).times(1),
        Fault::too_many_requests(retry_after),
    );
    assert_eq!(
        faulty.create(config_map(NAMESPACE, "a")).await.unwrap_err().kind,
        ErrorKind::Unreachable
    );
    assert_eq!(
        faulty.create(config_map(NAMESPACE, "b")).await.unwrap_err().kind,
        ErrorKind::Disconnected
    );
    assert!(!exists(&cluster, MAP, "a").await);
    assert!(exists(&cluster, MAP, "b").await);
    let busy = faulty.get(&key(MAP, "b")).await.unwrap_err();
    let expected = ErrorKind::TooManyRequests {
        retry_after: Some(retry_after),
    };
    assert_eq!(busy.kind, expected);
    assert!(faulty.get(&key(MAP, "b")).await.unwrap().is_some());
    let outcomes: Vec<Outcome> = faulty.calls().into_iter().map(|call| call.outcome).collect();
    assert_eq!(
        outcomes,
        [
            Outcome::Faulted(ErrorKind::Unreachable),
            Outcome::Faulted(ErrorKind::Disconnected),
            Outcome::Faulted(expected),
            Outcome::Succeeded,
        ]
    );
    assert_eq!((faulty.writes(), faulty.reads()), (2, 2));
    assert_eq!(faulty.counts()[&(Operation::Create, Some(MAP))], 2);
}

#[tokio::test(start_paused = true)]
async fn latency_and_silence() {
    let (cluster, faulty) = faulty();
    faulty.inject(On::any().name("late"), Fault::Latency(Duration::from_secs(7)));
    faulty.inject(On::any().name("never"), Fault::Silence(When::After));
    let begun = Instant::now();
    faulty.create(config_map(NAMESPACE, "late")).await.unwrap();
    assert_eq!(begun.elapsed(), Duration::from_secs(7));
    let never = tokio::time::timeout(
        Duration::from_secs(3600),
        faulty.create(config_map(NAMESPACE, "never")),
    )
    .await;
    assert!(never.is_err());
    assert!(exists(&cluster, MAP, "never").await);
    assert_eq!(faulty.calls()[1].outcome, Outcome::Unanswered);
}

#[tokio::test(start_paused = true)]
async fn a_crash_stops_everything_that_comes_after() {
    for (when, first) in [(When::Before, false), (When::After, true)] {
        let (cluster, faulty) = faulty();
        faulty.inject(On::any().nth(1), Fault::Crash(when));
        let client = faulty.clone();
        let process = async move {
            for name in ["a", "b", "c"] {
                client.create(config_map(NAMESPACE, name)).await.unwrap();
            }
        };
        tokio::select! {
            () = process => panic!("it did not crash"),
            () = faulty.crashed().cancelled_owned() => {}
        }
        let late =
            tokio::time::timeout(Duration::from_secs(9), faulty.create(config_map(NAMESPACE, "c"))).await;
        assert!(late.is_err());
        assert!(exists(&cluster, MAP, "a").await);
        assert_eq!(exists(&cluster, MAP, "b").await, first, "{when:?}");
        assert!(!exists(&cluster, MAP, "c").await);
    }
}

#[tokio::test(start_paused = true)]
async fn watches_fall_silent_miss_events_and_start_over() {
    let (cluster, faulty) = faulty();
    let mut watch = faulty.watch(MAP, NAMESPACE, "", WatchPolicy::FailFast);
    let names = |event: Option<Result<WatchEvent, podbay_k8s_client::Error>>| match event.unwrap().unwrap() {
        WatchEvent::Reset(objects) => objects.iter().map(|object| object.key().name).collect(),
        WatchEvent::Applied(object) => format!("+{}", object.key().name),
        WatchEvent::Deleted(object) => format!("-{}", object.key().name),
        event => panic!("{event:?} of a watch that fails fast"),
    };
    assert_eq!(names(watch.next().await), "");
    faulty.stall_watches(&On::any().kind(MAP));
    cluster.create(config_map(NAMESPACE, "a")).await.unwrap();
    cluster.create(config_map(NAMESPACE, "b")).await.unwrap();
    cluster
        .delete(&key(MAP, "b"), DeleteOptions::default())
        .await
        .unwrap();
    assert!(watch.next().now_or_never().is_none());
    faulty.resume_watches();
    assert_eq!(names(watch.next().await), "a");
    cluster.create(config_map(NAMESPACE, "c")).await.unwrap();
    assert_eq!(names(watch.next().await), "+c");
    faulty.lose_watch_events(&On::any(), 1);
    cluster
        .delete(&key(MAP, "c"), DeleteOptions::default())
        .await
        .unwrap();
    assert_eq!(names(watch.next().await), "a");
    faulty.fail_watches(&On::any(), ErrorKind::Forbidden);
    assert_eq!(
        watch.next().await.unwrap().unwrap_err().kind,
        ErrorKind::Forbidden
    );
    assert!(watch.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_partition_cuts_everything_off_until_it_is_healed() {
    let (cluster, faulty) = faulty();
    let mut watch = faulty.watch(MAP, NAMESPACE, "", WatchPolicy::FailFast);
    watch.next().await.unwrap().unwrap();
    faulty.partition();
    assert_eq!(
        faulty.create(config_map(NAMESPACE, "a")).await.unwrap_err().kind,
        ErrorKind::Unreachable
    );
    let mut second = faulty.watch(MAP, NAMESPACE, "", WatchPolicy::FailFast);
    cluster.create(config_map(NAMESPACE, "b")).await.unwrap();
    seconds(100).await;
    assert!(watch.next().now_or_never().is_none());
    assert!(second.next().now_or_never().is_none());
    faulty.heal();
    for watch in [&mut watch, &mut second] {
        let event = watch.next().await.unwrap().unwrap();
        assert!(matches!(event, WatchEvent::Reset(objects) if objects.len() == 1));
    }
    faulty.create(config_map(NAMESPACE, "a")).await.unwrap();
}

/// What a watch has told that was not read yet, in short.
fn read(watch: &mut BoxStream<'static, Result<WatchEvent, Error>>) -> Vec<String> {
    let mut told = Vec::new();
    while let Some(Some(event)) = watch.next().now_or_never() {
        told.push(match event.unwrap() {
            WatchEvent::Reset(objects) => format!("reset {}", objects.len()),
            WatchEvent::Applied(object) => format!("+{}", object.key().name),
            WatchEvent::Deleted(object) => format!("-{}", object.key().name),
            WatchEvent::Interrupted(interruption) => format!("interrupted {:?}", interruption.kind),
            WatchEvent::Resumed => "resumed".to_owned(),
        });
    }
    told
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_persists_outlives_an_error_that_stands() {
    let (cluster, faulty) = faulty();
    // Refused at first, and again while it runs.
    let refused = On::any().operation(Operation::Watch).times(3);
    faulty.inject(refused, Fault::forbidden("not yet"));
    let mut watch = faulty.watch(MAP, NAMESPACE, "", WatchPolicy::Persist);
    assert_eq!(read(&mut watch), ["interrupted Forbidden"]);
    let event = watch.next().await.unwrap().unwrap();
    assert!(matches!(event, WatchEvent::Reset(_)), "{event:?}");
    assert_eq!(faulty.calls().len(), 4);
    faulty.fail_watches(&On::any(), ErrorKind::Unauthorized);
    let before = Instant::now();
    let Some(Ok(WatchEvent::Interrupted(interruption))) = watch.next().await else {
        panic!("not interrupted")
    };
    assert_eq!(
        (interruption.kind, interruption.since),
        (ErrorKind::Unauthorized, before)
    );
    cluster.create(config_map(NAMESPACE, "a")).await.unwrap();
    seconds(3600).await;
    assert!(read(&mut watch).is_empty());
    faulty.resume_watches();
    assert_eq!(read(&mut watch), ["reset 1"]);
    faulty.partition();
    assert_eq!(read(&mut watch), ["interrupted Unreachable"]);
    faulty.heal();
    assert_eq!(read(&mut watch), ["reset 1"]);
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_lags_tells_each_change_later_and_in_order() {
    let (cluster, faulty) = faulty();
    let lag = Duration::from_secs(3);
    faulty.inject(On::any().operation(Operation::Watch).kind(MAP), Fault::Lag(lag));
    cluster.create(config_map(NAMESPACE, "before")).await.unwrap();
    let mut watch = faulty.watch(MAP, NAMESPACE, "", WatchPolicy::FailFast);
    assert_eq!(read(&mut watch), ["reset 1"], "a list is of the moment");
    cluster.create(config_map(NAMESPACE, "a")).await.unwrap();
    assert!(read(&mut watch).is_empty());
    seconds(2).await;
    cluster.create(config_map(NAMESPACE, "b")).await.unwrap();
    assert!(read(&mut watch).is_empty());
    seconds(1).await;
    assert_eq!(read(&mut watch), ["+a"]);
    seconds(2).await;
    assert_eq!(read(&mut watch), ["+b"]);
    cluster.create(config_map(NAMESPACE, "c")).await.unwrap();
    assert!(read(&mut watch).is_empty());
    // What starts over lists, and knows all that was held back.
    faulty.expire_watches(&On::any());
    assert_eq!(read(&mut watch), ["reset 4"]);
    seconds(10).await;
    assert!(read(&mut watch).is_empty());
}
