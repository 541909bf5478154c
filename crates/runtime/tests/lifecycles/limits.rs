//! The limit on concurrent sessions, counted by clients whose watches are behind: never more than allowed, and no request
//! more than needed.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use podbay_fake_cluster::{Fault, FaultyCluster, On, Operation};
use podbay_k8s_client::{ErrorKind, Kind};
use podbay_runtime::{Config, Error, Podbay, WatchScope};
use proptest::prelude::*;

use crate::scenario::Shape;
use crate::watched_cluster::WatchedCluster;

fn config(limit: u32) -> Config {
    let mut config = Config::default();
    config.kubernetes.max_sessions = Some(limit);
    config
}

/// Opens a session, or is told that it is one too many.
async fn is_let_in(podbay: &Podbay, id: &str) -> bool {
    match podbay.session(id).request(Shape::Full.request()).open().await {
        Ok(_) => true,
        Err(Error::TooManySessions { .. }) => false,
        Err(error) => panic!("{id}: {}", error.chain()),
    }
}

fn records() -> On {
    On::any().operation(Operation::Watch).kind(Kind::ConfigMap)
}

fn lists(faulty: &FaultyCluster) -> usize {
    let counts = faulty.counts();
    let lists = counts.get(&(Operation::List, Some(Kind::ConfigMap)));
    lists.copied().unwrap_or(0)
}

#[tokio::test(start_paused = true)]
async fn sessions_are_counted_without_a_list() {
    let watched = WatchedCluster::new();
    let (podbay, faulty) = watched.faulty(config(2));
    for (id, let_in) in [("one", true), ("two", true), ("three", false)] {
        assert_eq!(is_let_in(&podbay, id).await, let_in, "{id}");
    }
    podbay.pause("one", true).await.unwrap();
    assert!(is_let_in(&podbay, "three").await);
    let error = podbay.resume("one").await.unwrap_err();
    assert!(matches!(error, Error::TooManySessions { .. }), "{error:?}");
    podbay.close("two", true).await.unwrap();
    podbay.resume("one").await.unwrap();
    assert_eq!(lists(&faulty), 0, "{:?}", faulty.counts());
    let watches = faulty.counts()[&(Operation::Watch, Some(Kind::ConfigMap))];
    assert_eq!(watches, 1);
}

#[tokio::test(start_paused = true)]
async fn without_a_limit_records_are_not_watched() {
    let watched = WatchedCluster::new();
    let (podbay, faulty) = watched.faulty(Config::default());
    assert!(is_let_in(&podbay, "one").await);
    let counts = faulty.counts();
    assert_eq!(
        counts.get(&(Operation::Watch, Some(Kind::ConfigMap))),
        None,
        "{counts:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_client_that_may_not_watch_records_lists_them() {
    for scope in [WatchScope::Namespace, WatchScope::Session] {
        let watched = WatchedCluster::new();
        let faulty = watched.cluster.faulty();
        // A Role of an earlier version has no such right.
        faulty.inject(records(), Fault::before(ErrorKind::Forbidden));
        let builder = Podbay::builder(config(1)).watch_scope(scope);
        let podbay = builder.with_client(Arc::new(faulty.clone()));
        let began = tokio::time::Instant::now();
        assert!(is_let_in(&podbay, "one").await, "{scope:?}");
        assert!(!is_let_in(&podbay, "two").await, "{scope:?}");
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "it waited for what can't come"
        );
        assert_eq!(lists(&faulty), 2, "{scope:?}: {:?}", faulty.counts());
    }
}

#[tokio::test(start_paused = true)]
async fn an_index_that_is_behind_for_too_long_is_not_waited_for() {
    let watched = WatchedCluster::new();
    let (podbay, faulty) = watched.faulty(config(1));
    assert!(is_let_in(&podbay, "one").await);
    faulty.stall_watches(&On::any().kind(Kind::ConfigMap));
    let began = tokio::time::Instant::now();
    assert!(!is_let_in(&podbay, "two").await);
    let waited = began.elapsed();
    assert!(
        waited >= Duration::from_secs(5) && waited < Duration::from_secs(7),
        "{waited:?}"
    );
    assert_eq!(lists(&faulty), 1);
}

/// Two clients, each with a watch of its own that is behind by some time, begin at once or one soon after the other.
fn at_once(delays: [u64; 2], behind: [u64; 2], begin: [u64; 2], resume: bool) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let watched = WatchedCluster::new();
        if resume {
            let podbay = watched.client();
            for id in ["s0", "s1"] {
                assert!(is_let_in(&podbay, id).await);
                podbay.pause(id, true).await.unwrap();
            }
        }
        let clients = (0..2).map(|number| {
            let (podbay, faulty) = watched.faulty(config(1));
            faulty.inject(records(), Fault::Lag(Duration::from_millis(behind[number])));
            faulty.inject(
                On::any().writes(),
                Fault::Latency(Duration::from_millis(delays[number])),
            );
            async move {
                // Begun before there is anything to see, so that all that follows is told late.
                let index = podbay.index().unwrap();
                index.synced().await.unwrap();
                tokio::time::sleep(Duration::from_millis(begin[number])).await;
                let id = format!("s{number}");
                if resume {
                    match podbay.resume(&id).await {
                        Ok(_) => true,
                        Err(Error::TooManySessions { .. }) => false,
                        Err(error) => panic!("{}", error.chain()),
                    }
                } else {
                    is_let_in(&podbay, &id).await
                }
            }
        });
        let let_in: Vec<bool> = join_all(clients).await;
        let count = let_in.iter().filter(|let_in| **let_in).count();
        assert!(count <= 1, "both were let in");
        if !resume {
            assert_eq!(count, 1, "neither was let in");
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn of_two_that_come_at_once_never_both_are_let_in(
        delays in [0..200_u64, 0..200_u64],
        behind in [0..8000_u64, 0..8000_u64],
        begin in [0..1500_u64, 0..1500_u64],
        resume in any::<bool>(),
    ) {
        at_once(delays, behind, begin, resume);
    }
}
