//! A client dies at any call of any lifecycle, before the call took effect or after. Whoever comes next finds a session that
//! can be used and can be removed: no orphan, no second pod, no session lost.

use std::collections::BTreeMap;

use podbay_fake_cluster::{Fault, On, When};
use podbay_runtime::SessionState;

use crate::scenario::{Lifecycle, Shape, open};
use crate::world::{SESSION_ID, World};

/// What the next client does.
#[derive(Clone, Copy, Debug)]
enum Recovery {
    /// It wants the session.
    Open,
    /// It wants it gone.
    Delete,
    /// It wants all sessions gone, and knows of none.
    CloseAll,
}

impl Recovery {
    const ALL: [Self; 3] = [Self::Open, Self::Delete, Self::CloseAll];

    async fn go(self, world: &World, shape: Shape, what: &str) {
        let podbay = world.client();
        match self {
            Self::Open => {
                open(&podbay, shape)
                    .await
                    .unwrap_or_else(|error| panic!("{what}: {}", error.chain()));
                assert_eq!(world.living_pods().await, 1 + others(&podbay).await, "{what}");
                let record = podbay
                    .list("")
                    .await
                    .unwrap()
                    .into_iter()
                    .find(|found| found.session == SESSION_ID);
                assert_eq!(record.unwrap().state, SessionState::Ready(None), "{what}");
            }
            Self::Delete => {}
            Self::CloseAll => {
                for closed in podbay.close_all("", true).await.unwrap() {
                    closed.unwrap();
                }
            }
        }
        let _ = podbay.delete("other", true).await.unwrap();
        world.is_left_empty(what).await;
    }
}

/// The sessions besides the one that the test is about.
async fn others(podbay: &podbay_runtime::Podbay) -> usize {
    let sessions = podbay.list("").await.unwrap();
    sessions
        .iter()
        .filter(|found| found.session != SESSION_ID)
        .count()
}

/// How many calls a lifecycle makes when nothing goes wrong.
async fn calls_of(lifecycle: Lifecycle, shape: Shape) -> usize {
    let world = World::new();
    lifecycle.prepare(&world, shape).await;
    let (podbay, faulty) = world.faulty(lifecycle.config());
    lifecycle.go(&podbay, shape).await.unwrap();
    faulty.calls().len()
}

#[tokio::test(start_paused = true)]
async fn a_client_that_dies_at_any_call_leaves_nothing_that_the_next_cannot_use_or_remove() {
    let mut points = 0;
    let mut covered = BTreeMap::new();
    for lifecycle in Lifecycle::ALL {
        for shape in Shape::ALL.into_iter().filter(|shape| lifecycle.fits(*shape)) {
            let calls = calls_of(lifecycle, shape).await;
            assert!(calls > 0, "{lifecycle:?} of {shape:?} makes no call");
            covered.insert(format!("{lifecycle:?} of {shape:?}"), calls);
            for call in 0..calls {
                for when in [When::Before, When::After] {
                    points += 1;
                    for recovery in Recovery::ALL {
                        let what =
                            format!("{lifecycle:?} of {shape:?}, call {call}, {when:?}, then {recovery:?}");
                        let world = World::new();
                        lifecycle.prepare(&world, shape).await;
                        let (podbay, faulty) = world.faulty(lifecycle.config());
                        faulty.inject(On::any().nth(call), Fault::Crash(when));
                        let crashed = faulty.crashed();
                        tokio::select! {
                            biased;
                            () = crashed.cancelled() => {}
                            done = lifecycle.go(&podbay, shape) => panic!("{what}: it went on: {done:?}"),
                        }
                        drop(podbay);
                        if lifecycle.keeps_the_session() {
                            let known = world.client().list("").await.unwrap();
                            assert!(
                                known.iter().any(|found| found.session == SESSION_ID),
                                "{what}: lost"
                            );
                        }
                        recovery.go(&world, shape, &what).await;
                    }
                }
            }
        }
    }
    for (lifecycle, calls) in &covered {
        println!("{lifecycle}: {calls} calls");
    }
    println!(
        "{} lifecycles, {points} crash points, each with {} recoveries",
        covered.len(),
        Recovery::ALL.len()
    );
    assert_eq!(points, 2 * covered.values().sum::<usize>());
}
