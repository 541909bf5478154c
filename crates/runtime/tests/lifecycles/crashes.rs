//! A client dies at any call of any lifecycle, before the call took effect or after. Whoever comes next finds a session that
//! can be used and can be removed: no orphan, no second pod, no session lost.

use std::collections::BTreeMap;

use podbay_fake_cluster::{Fault, On, When};
use podbay_k8s_client::Kind;
use podbay_runtime::{Error, OpenMode, SessionState};

use crate::identity::the_record_tells_the_key;
use crate::scenario::{Lifecycle, Shape, open};
use crate::watched_cluster::{SESSION_ID, WatchedCluster};

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

    /// `fails` tells that a pod may be left that can't start.
    async fn go(self, watched: &WatchedCluster, shape: Shape, fails: bool, what: &str) {
        if fails {
            watched.starts_fail(false);
        }
        let podbay = watched.client();
        match self {
            Self::Open => {
                // A start that can't succeed fails for who joins it, as it would have for its own client. One that was
                // given up is started again.
                let failed = is_failed(&podbay).await;
                match open(&podbay, shape).await {
                    Ok(()) => {}
                    Err(Error::Start { .. }) if fails && !failed => {
                        let builder = podbay.session(SESSION_ID).request(shape.request());
                        builder.mode(OpenMode::Replace).open().await.unwrap();
                    }
                    Err(error) => panic!("{what}: {}", error.chain()),
                }
                assert_eq!(watched.cluster.live_pods(), 1 + others(&podbay).await, "{what}");
                let record = podbay
                    .list("")
                    .await
                    .unwrap()
                    .into_iter()
                    .find(|found| found.session == SESSION_ID);
                assert_eq!(record.unwrap().state, SessionState::Ready(None), "{what}");
                the_record_tells_the_key(watched, what).await;
                assert_eq!(exposed(watched), exposed_by(shape).await, "{what}");
            }
            Self::Delete => {}
            Self::CloseAll => {
                for closed in podbay.close_all("", true).await.unwrap() {
                    closed.unwrap();
                }
            }
        }
        let _ = podbay.delete("other", true).await.unwrap();
        watched.is_left_empty(what).await;
    }
}

/// Whether the session is there as a failed one.
async fn is_failed(podbay: &podbay_runtime::Podbay) -> bool {
    let sessions = podbay.list("").await.unwrap();
    sessions
        .iter()
        .any(|found| found.session == SESSION_ID && found.failure.is_some())
}

/// How many objects there are that make ports reachable, by kind.
fn exposed(watched: &WatchedCluster) -> BTreeMap<Kind, usize> {
    let mut counts = watched.cluster.counts();
    counts.retain(|kind, _| matches!(kind, Kind::Service | Kind::Ingress | Kind::HttpRoute));
    counts
}

/// How many an undisturbed start makes.
async fn exposed_by(shape: Shape) -> BTreeMap<Kind, usize> {
    let watched = WatchedCluster::new();
    open(&watched.client(), shape).await.unwrap();
    exposed(&watched)
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
    let watched = WatchedCluster::new();
    lifecycle.prepare(&watched, shape).await;
    let (podbay, faulty) = watched.faulty(lifecycle.config());
    lifecycle.go(&podbay, shape).await.unwrap();
    faulty.calls().len()
}

/// A client dies at each call of one lifecycle, before and after the call took effect, and each kind of client comes next.
async fn dies_at_any_call(lifecycle: Lifecycle, shape: Shape) {
    let calls = calls_of(lifecycle, shape).await;
    assert!(calls > 0, "{lifecycle:?} of {shape:?} makes no call");
    for call in 0..calls {
        for when in [When::Before, When::After] {
            for recovery in Recovery::ALL {
                let what = format!("{lifecycle:?} of {shape:?}, call {call}, {when:?}, then {recovery:?}");
                let watched = WatchedCluster::new();
                lifecycle.prepare(&watched, shape).await;
                let (podbay, faulty) = watched.faulty(lifecycle.config());
                faulty.inject(On::any().nth(call), Fault::Crash(when));
                let crashed = faulty.crashed();
                tokio::select! {
                    biased;
                    () = crashed.cancelled() => {}
                    done = lifecycle.go(&podbay, shape) => panic!("{what}: it went on: {done:?}"),
                }
                drop(podbay);
                if lifecycle.keeps_the_session() {
                    let known = watched.client().list("").await.unwrap();
                    assert!(
                        known.iter().any(|found| found.session == SESSION_ID),
                        "{what}: lost"
                    );
                }
                recovery.go(&watched, shape, lifecycle.fails(), &what).await;
            }
        }
    }
}

/// A test for each lifecycle of each shape, and their list.
macro_rules! crash_tests {
    ($($lifecycle:ident { $($test:ident: $shape:ident),+ $(,)? })+) => {
        /// What the tests below are about.
        const TESTED: &[(Lifecycle, Shape)] = &[$($((Lifecycle::$lifecycle, Shape::$shape)),+),+];

        $($(
            #[tokio::test(start_paused = true)]
            async fn $test() {
                dies_at_any_call(Lifecycle::$lifecycle, Shape::$shape).await;
            }
        )+)+
    };
}

crash_tests! {
    Open { open_plain: Plain, open_full: Full, open_job: Job }
    Attach { attach_plain: Plain, attach_full: Full, attach_job: Job }
    Replace { replace_plain: Plain, replace_full: Full, replace_job: Job }
    ReplaceEnded { replace_ended_plain: Plain, replace_ended_full: Full, replace_ended_job: Job }
    Run { run_plain: Plain, run_full: Full, run_job: Job }
    Close { close_plain: Plain, close_full: Full, close_job: Job }
    CloseAndWait { close_and_wait_plain: Plain, close_and_wait_full: Full, close_and_wait_job: Job }
    CloseAll { close_all_plain: Plain, close_all_full: Full, close_all_job: Job }
    Delete { delete_plain: Plain, delete_full: Full, delete_job: Job }
    Pause { pause_full: Full, pause_job: Job }
    PauseAndWait { pause_and_wait_full: Full, pause_and_wait_job: Job }
    Resume { resume_full: Full, resume_job: Job }
    OpenBeyondLimit {
        open_beyond_limit_plain: Plain,
        open_beyond_limit_full: Full,
        open_beyond_limit_job: Job,
    }
    FailAndKeep { fail_and_keep_plain: Plain, fail_and_keep_full: Full, fail_and_keep_job: Job }
    StartAgain { start_again_plain: Plain, start_again_full: Full, start_again_job: Job }
    FailAgain { fail_again_plain: Plain, fail_again_full: Full, fail_again_job: Job }
    ReplaceFailed { replace_failed_plain: Plain, replace_failed_full: Full, replace_failed_job: Job }
    RemoveExpired { remove_expired_plain: Plain, remove_expired_full: Full, remove_expired_job: Job }
}

#[tokio::test(start_paused = true)]
async fn every_lifecycle_of_every_shape_has_its_test() {
    let all: Vec<_> = Lifecycle::ALL
        .into_iter()
        .flat_map(|lifecycle| Shape::ALL.map(|shape| (lifecycle, shape)))
        .filter(|(lifecycle, shape)| lifecycle.fits(*shape))
        .collect();
    assert_eq!(TESTED, all);
    let mut calls = 0;
    for (lifecycle, shape) in all {
        calls += calls_of(lifecycle, shape).await;
    }
    println!(
        "{} lifecycles, {} crash points, each with {} recoveries",
        TESTED.len(),
        2 * calls,
        Recovery::ALL.len()
    );
    assert!(2 * calls >= 600, "{calls} calls: something is no longer covered");
}
