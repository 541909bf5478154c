//! Sessions whose start has failed and that stay as failed ones: what is left of them, how they are started again, and who may
//! get into whose way.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join;
use jiff::{SignedDuration, Timestamp};
use podbay_config::CleanupPolicy;
use podbay_fake_cluster::{Fault, FaultyCluster, On, Operation, When};
use podbay_k8s_client::{ClusterClient as _, ErrorKind, Kind, Object};
use podbay_manifests::{Record, SessionNames};
use podbay_protocol::{Cause, StartFailure};
use podbay_runtime::{Config, Error, OpenMode, Podbay, Session, SessionState};
use serde_json::json;

use crate::scenario::{Shape, fail, open};
use crate::support::NAMESPACE;
use crate::watched_cluster::{SESSION_ID, WatchedCluster};

/// Long enough for all that goes on in the background.
const AFTERWARDS: Duration = Duration::from_secs(60);

/// A cluster with a failed session.
async fn with_failed(shape: Shape) -> WatchedCluster {
    let watched = WatchedCluster::new();
    fail(&watched, shape).await;
    watched
}

fn names() -> SessionNames {
    SessionNames::of(None, &SESSION_ID.parse().unwrap())
}

/// The session's record, if it is there.
fn record(watched: &WatchedCluster) -> Option<Record> {
    let found = watched.cluster.find(Kind::ConfigMap, names().object())?;
    Some(Record::parse(&found.into_config_map().unwrap()).unwrap())
}

fn failure(watched: &WatchedCluster) -> Option<StartFailure> {
    record(watched)?.last_failure.map(|failure| *failure)
}

/// What the session's Secret holds.
fn secret(watched: &WatchedCluster) -> BTreeMap<String, Vec<u8>> {
    let found = watched.cluster.get(Kind::Secret, names().secret());
    let data = found.into_secret().unwrap().data.unwrap();
    data.into_iter().map(|(name, value)| (name, value.0)).collect()
}

/// Checks that an error says what the scripted start fails of.
#[track_caller]
fn is_not_found(error: &Error) {
    assert!(
        matches!(error, Error::Start { verdict, .. } if verdict.cause == Cause::ImageNotFound),
        "{error:?}"
    );
}

async fn attach(podbay: &Podbay) -> Result<Session, Error> {
    podbay.session(SESSION_ID).mode(OpenMode::Attach).open().await
}

fn with_limit(limit: u32) -> Config {
    let mut config = Config::default();
    config.kubernetes.max_sessions = Some(limit);
    config
}

#[tokio::test(start_paused = true)]
async fn who_does_not_ask_for_it_leaves_nothing() {
    for shape in Shape::ALL {
        let watched = WatchedCluster::new();
        watched.starts_fail(true);
        is_not_found(&open(&watched.client(), shape).await.unwrap_err());
        tokio::time::sleep(AFTERWARDS).await;
        watched.cluster.assert_empty("after a failed start");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_session_stays_without_its_pod() {
    for shape in Shape::ALL {
        let whole = {
            let watched = WatchedCluster::new();
            open(&watched.client(), shape).await.unwrap();
            watched.cluster.counts()
        };
        let watched = with_failed(shape).await;
        tokio::time::sleep(AFTERWARDS).await;
        let mut left = watched.cluster.counts();
        for workload in [Kind::Pod, Kind::Job] {
            assert_eq!(
                left.insert(workload, whole.get(&workload).copied().unwrap_or(0)),
                None
            );
        }
        left.retain(|_, count| *count > 0);
        // Whatever the workload made besides its Services was never made.
        for (kind, count) in &left {
            assert!(
                whole.get(kind) >= Some(count),
                "{shape:?}: {left:?}, not {whole:?}"
            );
        }
        for kind in [Kind::ConfigMap, Kind::Secret, Kind::PersistentVolumeClaim] {
            assert_eq!(left.get(&kind), whole.get(&kind), "{shape:?}");
        }

        let podbay = watched.client();
        let listed = podbay.list("").await.unwrap().remove(0);
        let told = listed.failure.clone().unwrap();
        assert_eq!((told.attempt, told.verdict.cause), (1, Cause::ImageNotFound));
        assert_eq!(listed.state, SessionState::Failed(told.verdict.clone()));
        let session = podbay.existing(SESSION_ID).unwrap();
        let described = session.describe().await.unwrap();
        assert_eq!(described.verdict, Some(told.verdict));
        assert_eq!(described.summary.failure, listed.failure);
        is_not_found(&session.exec(["true"]).await.unwrap_err());
        session.session_key().await.unwrap();
        let index = podbay.index().unwrap();
        index.synced().await.unwrap();
        let seen = index.get(&names()).state(Timestamp::now());
        assert_eq!(seen, Some(listed.state));
        watched.is_left_empty("in the end").await;
    }
}

#[tokio::test(start_paused = true)]
async fn it_is_started_again_with_the_same_environment_and_key_by_who_knows_neither() {
    for shape in Shape::ALL {
        let watched = WatchedCluster::new();
        watched.starts_fail(true);
        let builder = watched.client().session(SESSION_ID).request(shape.request());
        let failing = builder.env("TOKEN", "hunter2".to_owned()).keep_failed(true);
        is_not_found(&failing.open().await.unwrap_err());
        let (before, first) = (secret(&watched), record(&watched).unwrap());
        assert!(before.values().any(|value| value == b"hunter2"), "{shape:?}");
        watched.starts_fail(false);

        let podbay = watched.client();
        let session = attach(&podbay).await.unwrap();
        let report = session.report();
        assert!(report.started_again && report.attached, "{report:?}");
        assert!(!report.recreated && !report.resumed, "{report:?}");
        session.exec(["true"]).await.unwrap();
        assert_eq!(secret(&watched), before, "{shape:?}");
        let now = record(&watched).unwrap();
        assert_eq!(
            (&now.uid, &now.runtime_id, &now.key_hash),
            (&first.uid, &first.runtime_id, &first.key_hash)
        );
        assert_eq!(now.last_failure, None);
        assert_eq!(podbay.list("").await.unwrap()[0].state, SessionState::Ready(None));
        watched.is_left_empty("in the end").await;
    }
}

#[tokio::test(start_paused = true)]
async fn it_fails_again_and_stays_whoever_started_it() {
    for shape in Shape::ALL {
        let watched = with_failed(shape).await;
        for attempt in 2..=3 {
            // This one does not ask for it: the session is another's.
            is_not_found(&open(&watched.client(), shape).await.unwrap_err());
            assert_eq!(failure(&watched).unwrap().attempt, attempt, "{shape:?}");
        }
        tokio::time::sleep(AFTERWARDS).await;
        assert_eq!(watched.cluster.live_pods(), 0);
        let before = record(&watched).unwrap();
        watched.starts_fail(false);
        let builder = watched.client().session(SESSION_ID).request(shape.request());
        let session = builder.mode(OpenMode::Replace).open().await.unwrap();
        assert!(!session.report().attached);
        let replaced = record(&watched).unwrap();
        assert_ne!(
            (&replaced.uid, &replaced.runtime_id),
            (&before.uid, &before.runtime_id)
        );
        assert_eq!(replaced.last_failure, None);
        watched.is_left_empty("in the end").await;
    }
}

#[tokio::test(start_paused = true)]
async fn tries_are_counted_and_a_start_that_is_tried_again_may_succeed() {
    let mut config = Config::default();
    config.kubernetes.start_retries = [(Cause::ImageNotFound.to_string(), 2)].into();
    let watched = WatchedCluster::new();
    watched.starts_fail(true);
    let builder = watched.client_with(config.clone()).session(SESSION_ID);
    let failing = builder.request(Shape::Plain.request()).keep_failed(true);
    is_not_found(&failing.open().await.unwrap_err());
    assert_eq!(failure(&watched).unwrap().attempt, 3);
    // Started again, it is tried as often, and says so in between.
    let podbay = watched.client_with(config);
    let opening = tokio::spawn(async move { attach(&podbay).await.map(drop) });
    while failure(&watched).is_none_or(|failure| failure.attempt < 5) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    watched.starts_fail(false);
    opening.await.unwrap().unwrap();
    assert_eq!(failure(&watched), None);
    watched.is_left_empty("in the end").await;
}

#[tokio::test(start_paused = true)]
async fn a_failed_session_holds_no_place_and_needs_one_to_be_started_again() {
    let watched = with_failed(Shape::Full).await;
    watched.starts_fail(false);
    let podbay = watched.client_with(with_limit(1));
    let other = podbay.session("other").request(Shape::Plain.request());
    other.open().await.unwrap();
    let before = failure(&watched);
    let error = attach(&podbay).await.unwrap_err();
    assert!(matches!(error, Error::TooManySessions { .. }), "{error:?}");
    assert_eq!(failure(&watched), before, "refused is not failed");
    assert_eq!(watched.cluster.live_pods(), 1);
    podbay.close("other", true).await.unwrap();
    attach(&podbay).await.unwrap();
    let error = open_other(&podbay).await.unwrap_err();
    assert!(matches!(error, Error::TooManySessions { .. }), "{error:?}");
    watched.is_left_empty("in the end").await;
}

async fn open_other(podbay: &Podbay) -> Result<(), Error> {
    let builder = podbay.session("other").request(Shape::Plain.request());
    builder.open().await.map(drop)
}

/// A session refused for want of a place has not failed: it holds nothing worth keeping.
#[tokio::test(start_paused = true)]
async fn a_session_beyond_the_limit_is_not_kept() {
    let watched = WatchedCluster::new();
    let podbay = watched.client_with(with_limit(1));
    open_other(&podbay).await.unwrap();
    let builder = podbay.session(SESSION_ID).request(Shape::Plain.request());
    let error = builder.keep_failed(true).open().await.unwrap_err();
    assert!(matches!(error, Error::TooManySessions { .. }), "{error:?}");
    assert!(record(&watched).is_none());
}

#[tokio::test(start_paused = true)]
async fn it_goes_as_any_session_does() {
    for shape in Shape::ALL {
        let claims = usize::from(shape.is_persistent());
        let watched = with_failed(shape).await;
        let closed = watched.client().close(SESSION_ID, true).await.unwrap();
        assert_eq!(
            (closed.existed, closed.claim.is_some()),
            (true, shape.is_persistent())
        );
        assert_eq!(watched.cluster.counts().values().sum::<usize>(), claims, "closed");

        let watched = with_failed(shape).await;
        let closed = watched.client().close_all("", true).await.unwrap();
        assert_eq!(closed.len(), 1);
        assert_eq!(
            watched.cluster.counts().values().sum::<usize>(),
            claims,
            "all closed"
        );

        let watched = with_failed(shape).await;
        watched.client().delete(SESSION_ID, true).await.unwrap();
        watched.cluster.assert_empty("deleted");
    }
}

#[tokio::test(start_paused = true)]
async fn its_pod_stays_where_the_policy_says_so_until_it_is_started_again() {
    for policy in [CleanupPolicy::KeepOnFailure, CleanupPolicy::AlwaysKeep] {
        for shape in Shape::ALL {
            let mut config = Config::default();
            config.kubernetes.cleanup_policy = policy;
            let watched = WatchedCluster::new();
            watched.starts_fail(true);
            let builder = watched.client_with(config).session(SESSION_ID);
            let failing = builder.request(shape.request()).keep_failed(true);
            let error = failing.open().await.unwrap_err();
            assert!(matches!(error, Error::Start { kept: true, .. }), "{error:?}");
            tokio::time::sleep(AFTERWARDS).await;
            assert_eq!(watched.cluster.live_pods(), 1, "{policy}, {shape:?}");
            let podbay = watched.client();
            let listed = podbay.list("").await.unwrap().remove(0);
            assert!(matches!(listed.state, SessionState::Failed(_)), "{listed:?}");
            // It is looked at, and has no place.
            watched.starts_fail(false);
            open_other(&watched.client_with(with_limit(1))).await.unwrap();
            podbay.close("other", true).await.unwrap();

            let left = record(&watched).unwrap();
            assert!(attach(&podbay).await.unwrap().report().started_again);
            assert_eq!(record(&watched).unwrap().uid, left.uid);
            watched.is_left_empty("in the end").await;
        }
    }
}

/// A client of the watched cluster, each call of which takes some time.
fn slow(watched: &WatchedCluster, each: Duration) -> (Podbay, FaultyCluster) {
    let (podbay, faulty) = watched.faulty(Config::default());
    faulty.inject(On::any(), Fault::Latency(each));
    (podbay, faulty)
}

#[tokio::test(start_paused = true)]
async fn of_two_that_start_it_again_both_get_the_same_session() {
    for shape in Shape::ALL {
        for fails in [false, true] {
            for policy in [CleanupPolicy::AlwaysClean, CleanupPolicy::KeepOnFailure] {
                for behind in (0..200).step_by(5) {
                    let what = format!("{shape:?}, fails {fails}, {policy}, {behind} ms behind");
                    let watched = WatchedCluster::new();
                    watched.starts_fail(true);
                    let mut config = Config::default();
                    config.kubernetes.cleanup_policy = policy;
                    let builder = watched.client_with(config).session(SESSION_ID);
                    let failing = builder.request(shape.request()).keep_failed(true);
                    is_not_found(&failing.open().await.unwrap_err());
                    let first = record(&watched).unwrap();
                    watched.starts_fail(fails);
                    let (one, _) = slow(&watched, Duration::from_millis(10));
                    let (other, _) = slow(&watched, Duration::from_millis(13));
                    let late = async {
                        tokio::time::sleep(Duration::from_millis(behind)).await;
                        attach(&other).await.map(drop)
                    };
                    let (one, other) = join(open(&one, shape), late).await;
                    for opened in [one, other] {
                        match opened {
                            Ok(()) => assert!(!fails, "{what}"),
                            Err(error) => {
                                assert!(fails, "{what}: {}", error.chain());
                                is_not_found(&error);
                            }
                        }
                    }
                    let now = record(&watched).unwrap();
                    assert_eq!(now.uid, first.uid, "{what}");
                    assert_eq!(now.last_failure.is_some(), fails, "{what}");
                    if !fails {
                        assert_eq!(watched.cluster.live_pods(), 1, "{what}");
                    }
                    watched.is_left_empty(&what).await;
                }
            }
        }
    }
}

/// A client has read the record of a failed session, and by the time it looks for the workload another has started the session
/// again: what it finds is not what is left of the failed start.
#[tokio::test(start_paused = true)]
async fn the_pod_of_a_new_start_is_not_taken_for_what_is_left_of_the_last_one() {
    for shape in Shape::ALL {
        let watched = with_failed(shape).await;
        watched.starts_fail(false);
        let workload = if shape == Shape::Job { Kind::Job } else { Kind::Pod };
        let (late, faulty) = watched.faulty(Config::default());
        faulty.inject(
            On::any().operation(Operation::Get).kind(workload).nth(0),
            Fault::Latency(Duration::from_secs(30)),
        );
        let other = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            attach(&watched.client()).await.unwrap();
            watched.cluster.get(workload, names().object()).uid().to_owned()
        };
        let (joined, started) = join(attach(&late), other).await;
        assert!(!joined.unwrap().report().started_again, "{shape:?}");
        let found = watched.cluster.get(workload, names().object());
        assert_eq!(found.uid(), started, "{shape:?}");
        watched.is_left_empty("in the end").await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_marks_it_and_dies_leaves_a_failed_session_that_the_next_one_frees() {
    for shape in Shape::ALL {
        let watched = WatchedCluster::new();
        watched.starts_fail(true);
        let (podbay, faulty) = watched.faulty(Config::default());
        faulty.inject(On::any().operation(Operation::Delete), Fault::Crash(When::Before));
        let builder = podbay.session(SESSION_ID).request(shape.request());
        let starting = builder.keep_failed(true).start().unwrap();
        faulty.crashed().cancelled().await;
        drop(starting);
        assert_eq!(watched.cluster.live_pods(), 1, "{shape:?}");
        let podbay = watched.client();
        let listed = podbay.list("").await.unwrap().remove(0);
        assert!(matches!(listed.state, SessionState::Failed(_)), "{listed:?}");
        // Still to start: the pod that is left is none of this start's.
        watched.starts_fail(false);
        let session = attach(&podbay).await.unwrap();
        assert!(session.report().started_again);
        session.exec(["true"]).await.unwrap();
        assert_eq!(watched.cluster.live_pods(), 1);
        watched.is_left_empty("in the end").await;
    }
}

/// Another client has found the session unfinished, and makes the pod only after its creator has given the start up.
#[tokio::test(start_paused = true)]
async fn a_pod_that_is_made_too_late_goes_again() {
    for shape in Shape::ALL {
        let workload = if shape == Shape::Job { Kind::Job } else { Kind::Pod };
        let makes = On::any().operation(Operation::Create).kind(workload);
        let watched = WatchedCluster::new();
        watched.starts_fail(true);
        let (creator, faulty) = watched.faulty(Config::default());
        faulty.inject(makes.clone(), Fault::Latency(Duration::from_secs(2)));
        let builder = creator.session(SESSION_ID).request(shape.request());
        let starting = builder.keep_failed(true).start().unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let (joining, faulty) = watched.faulty(Config::default());
        faulty.inject(makes, Fault::Latency(Duration::from_secs(120)));
        let (created, joined) = join(starting.ready(), open(&joining, shape)).await;
        is_not_found(&created.unwrap_err());
        is_not_found(&joined.unwrap_err());
        let made = faulty.counts().contains_key(&(Operation::Create, Some(workload)));
        assert!(made, "it was not late");
        tokio::time::sleep(AFTERWARDS).await;
        assert_eq!(watched.cluster.live_pods(), 0, "{shape:?}");
        assert!(failure(&watched).is_some());
        watched.is_left_empty("in the end").await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_lost_changes_nothing() {
    let patches = || On::any().operation(Operation::Patch).kind(Kind::ConfigMap);
    for shape in Shape::ALL {
        for fault in [
            Fault::after(ErrorKind::Disconnected),
            Fault::before(ErrorKind::Conflict),
        ] {
            let watched = WatchedCluster::new();
            watched.starts_fail(true);
            let (podbay, faulty) = watched.faulty(Config::default());
            faulty.inject(patches().nth(0), fault.clone());
            let builder = podbay.session(SESSION_ID).request(shape.request());
            is_not_found(&builder.keep_failed(true).open().await.unwrap_err());
            assert_eq!(failure(&watched).unwrap().attempt, 1, "{shape:?}, {fault:?}");
            watched.starts_fail(false);
            let (podbay, faulty) = watched.faulty(Config::default());
            faulty.inject(patches().nth(0), fault.clone());
            let session = attach(&podbay).await.unwrap();
            assert!(session.report().started_again, "{shape:?}, {fault:?}");
            assert_eq!(failure(&watched), None);
            watched.is_left_empty("in the end").await;
        }
    }
}

/// Where the record can't be marked, nothing stays: nobody could tell it from one that is still starting.
#[tokio::test(start_paused = true)]
async fn what_can_not_be_marked_is_removed() {
    let watched = WatchedCluster::new();
    watched.starts_fail(true);
    let (podbay, faulty) = watched.faulty(Config::default());
    faulty.inject(
        On::any().operation(Operation::Patch),
        Fault::before(ErrorKind::Forbidden),
    );
    let builder = podbay.session(SESSION_ID).request(Shape::Full.request());
    is_not_found(&builder.keep_failed(true).open().await.unwrap_err());
    tokio::time::sleep(AFTERWARDS).await;
    watched.cluster.assert_empty("after a failed start");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_closed_or_paused_while_it_fails_is_that() {
    let watched = WatchedCluster::new();
    watched.starts_fail(true);
    let (podbay, faulty) = watched.faulty(Config::default());
    faulty.inject(
        On::any().operation(Operation::Patch),
        Fault::Latency(Duration::from_secs(5)),
    );
    let start = || {
        let builder = podbay.session(SESSION_ID).request(Shape::Full.request());
        builder.keep_failed(true).start().unwrap().ready()
    };
    let asked = async || {
        while !faulty
            .counts()
            .contains_key(&(Operation::Patch, Some(Kind::ConfigMap)))
        {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        faulty.forget_calls();
    };
    let pausing = async {
        asked().await;
        watched.client().pause(SESSION_ID, true).await.unwrap();
    };
    let (opened, ()) = join(start(), pausing).await;
    assert!(matches!(opened, Err(Error::Paused { .. })), "{opened:?}");
    assert_eq!(
        watched.client().list("").await.unwrap()[0].state,
        SessionState::Paused
    );
    watched.client().delete(SESSION_ID, true).await.unwrap();

    let closing = async {
        asked().await;
        watched.client().close(SESSION_ID, true).await.unwrap();
    };
    let (opened, ()) = join(start(), closing).await;
    is_not_found(&opened.unwrap_err());
    assert!(record(&watched).is_none());
    tokio::time::sleep(AFTERWARDS).await;
    watched.cluster.assert_empty("closed while it failed");
}

#[tokio::test(start_paused = true)]
async fn a_paused_failed_session_is_resumed_by_a_start() {
    let watched = with_failed(Shape::Full).await;
    let podbay = watched.client();
    podbay.pause(SESSION_ID, true).await.unwrap();
    assert_eq!(podbay.list("").await.unwrap()[0].state, SessionState::Paused);
    watched.starts_fail(false);
    podbay.resume(SESSION_ID).await.unwrap();
    let now = record(&watched).unwrap();
    assert!(!now.paused && now.last_failure.is_none());
    watched.is_left_empty("in the end").await;
}

/// Waits until so many calls were made, or no more come.
async fn made(faulty: &FaultyCluster, calls: usize) {
    let mut waited = 0;
    while faulty.calls().len() < calls && waited < 1_000 {
        tokio::time::sleep(Duration::from_millis(1)).await;
        waited += 1;
    }
}

/// How many calls a start makes that fails and is kept.
async fn calls_until_failed(shape: Shape, prepare: bool) -> usize {
    let watched = WatchedCluster::new();
    if prepare {
        fail(&watched, shape).await;
    }
    watched.starts_fail(true);
    let (podbay, faulty) = watched.faulty(Config::default());
    let builder = podbay.session(SESSION_ID).request(shape.request());
    is_not_found(&builder.keep_failed(true).open().await.unwrap_err());
    faulty.calls().len()
}

#[tokio::test(start_paused = true)]
async fn a_start_that_is_dropped_or_cancelled_has_not_failed() {
    for shape in Shape::ALL {
        let calls = calls_until_failed(shape, false).await;
        let mut left = BTreeMap::<&str, usize>::new();
        for call in 0..=calls {
            for cancel in [false, true] {
                let what = format!("{shape:?}, call {call}, cancelled {cancel}");
                let watched = WatchedCluster::new();
                watched.starts_fail(true);
                let (podbay, faulty) = slow(&watched, Duration::from_millis(10));
                let builder = podbay.session(SESSION_ID).request(shape.request());
                let starting = builder.keep_failed(true).start().unwrap();
                made(&faulty, call).await;
                let failed = if cancel {
                    match starting.cancel().await {
                        Ok(()) => false,
                        Err(error) => {
                            is_not_found(&error);
                            true
                        }
                    }
                } else {
                    drop(starting);
                    tokio::time::sleep(AFTERWARDS).await;
                    failure(&watched).is_some()
                };
                tokio::time::sleep(AFTERWARDS).await;
                // Either it was being given up already, or nothing stays of it.
                *left.entry(if failed { "failed" } else { "nothing" }).or_default() += 1;
                assert_eq!(failure(&watched).is_some(), failed, "{what}");
                assert_eq!(watched.cluster.counts().is_empty(), !failed, "{what}");
                assert_eq!(watched.cluster.live_pods(), 0, "{what}");
                watched.is_left_empty(&what).await;
            }
        }
        assert_eq!(left.len(), 2, "{shape:?}: {left:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_start_that_is_dropped_or_cancelled_leaves_the_session() {
    for shape in Shape::ALL {
        for fails in [false, true] {
            for call in 0..=calls_until_failed(shape, true).await {
                for cancel in [false, true] {
                    let what = format!("{shape:?}, fails {fails}, call {call}, cancelled {cancel}");
                    let watched = with_failed(shape).await;
                    let before = record(&watched).unwrap();
                    watched.starts_fail(fails);
                    let (podbay, faulty) = slow(&watched, Duration::from_millis(10));
                    let builder = podbay.session(SESSION_ID).request(shape.request());
                    let starting = builder.start().unwrap();
                    made(&faulty, call).await;
                    if cancel {
                        let _ = starting.cancel().await;
                    } else {
                        drop(starting);
                    }
                    tokio::time::sleep(AFTERWARDS).await;
                    assert_eq!(record(&watched).unwrap().uid, before.uid, "{what}");
                    watched.starts_fail(false);
                    if !fails {
                        attach(&watched.client()).await.unwrap();
                        assert_eq!(watched.cluster.live_pods(), 1, "{what}");
                    }
                    watched.is_left_empty(&what).await;
                }
            }
        }
    }
}

/// So long after the failure that a session goes if it is not kept for another reason.
fn after_a_day() -> Timestamp {
    Timestamp::now() + SignedDuration::from_hours(25)
}

#[tokio::test(start_paused = true)]
async fn it_goes_after_its_time_and_its_claim_stays() {
    for shape in Shape::ALL {
        let watched = with_failed(shape).await;
        watched.starts_fail(false);
        let podbay = watched.client();
        open_other(&podbay).await.unwrap();
        let soon = Timestamp::now() + SignedDuration::from_hours(23);
        assert!(podbay.remove_expired(soon).await.unwrap().is_empty());
        assert!(failure(&watched).is_some());
        let mut removed = podbay.remove_expired(after_a_day()).await.unwrap();
        let closed = removed.remove(0).unwrap();
        assert_eq!((closed.session.as_str(), closed.existed), (SESSION_ID, true));
        assert_eq!(
            closed.claim.map(|claim| claim.deleted),
            shape.is_persistent().then_some(false)
        );
        assert!(removed.is_empty(), "others stay");
        assert!(podbay.remove_expired(after_a_day()).await.unwrap().is_empty());
        podbay.delete("other", true).await.unwrap();
        tokio::time::sleep(AFTERWARDS).await;
        let claims = usize::from(shape.is_persistent());
        assert_eq!(
            watched.cluster.counts().values().sum::<usize>(),
            claims,
            "{shape:?}"
        );
        assert_eq!(
            watched
                .cluster
                .counts()
                .contains_key(&Kind::PersistentVolumeClaim),
            claims == 1
        );
        watched.is_left_empty("in the end").await;
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_is_paused_or_of_another_owner_does_not_go() {
    let watched = with_failed(Shape::Full).await;
    let podbay = watched.client();
    let of_another = podbay.for_owner("alice").unwrap();
    assert!(of_another.remove_expired(after_a_day()).await.unwrap().is_empty());
    podbay.pause(SESSION_ID, true).await.unwrap();
    assert!(podbay.remove_expired(after_a_day()).await.unwrap().is_empty());
    assert!(failure(&watched).is_some());
    watched.is_left_empty("in the end").await;
}

/// Between the list and the deletion the session is started again, changed, or replaced by another of its name.
#[tokio::test(start_paused = true)]
async fn one_that_is_another_by_the_time_it_is_to_go_stays() {
    for change in ["started again", "labelled", "replaced"] {
        let watched = with_failed(Shape::Full).await;
        watched.starts_fail(false);
        let (podbay, faulty) = watched.faulty(Config::default());
        faulty.inject(
            On::any().operation(Operation::Delete),
            Fault::Latency(Duration::from_secs(30)),
        );
        let changing = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            match change {
                "started again" => drop(attach(&watched.client()).await.unwrap()),
                "labelled" => {
                    let key = record_key(&watched);
                    let patch = json!({"metadata": {"labels": {"team": "x"}}});
                    watched.cluster.scripted.patch(&key, patch).await.unwrap();
                }
                _ => {
                    watched.client().close(SESSION_ID, true).await.unwrap();
                    open(&watched.client(), Shape::Full).await.unwrap();
                }
            }
        };
        let (removed, ()) = join(podbay.remove_expired(after_a_day()), changing).await;
        assert!(removed.unwrap().is_empty(), "{change}");
        assert!(record(&watched).is_some(), "{change}");
        watched.is_left_empty(change).await;
    }
}

fn record_key(watched: &WatchedCluster) -> podbay_k8s_client::ObjectKey {
    let objects = watched.cluster.objects();
    let record = objects.iter().find(|object| object.kind() == Kind::ConfigMap);
    record.map(Object::key).unwrap()
}

/// Its record is all that is known of a session whose Secret was lost: who knows the environment starts it again, and who does
/// not is told why it failed.
#[tokio::test(start_paused = true)]
async fn without_its_secret_it_needs_who_knows_the_environment() {
    let watched = WatchedCluster::new();
    watched.starts_fail(true);
    let token = |podbay: Podbay| {
        let builder = podbay.session(SESSION_ID).request(Shape::Plain.request());
        builder.env("TOKEN", "hunter2".to_owned())
    };
    let failing = token(watched.client()).keep_failed(true);
    is_not_found(&failing.open().await.unwrap_err());
    watched.starts_fail(false);
    let secrets = watched.cluster.scripted.list(Kind::Secret, NAMESPACE, "");
    let secret = secrets.await.unwrap().remove(0);
    watched.cluster.remove(&secret.key());
    is_not_found(&attach(&watched.client()).await.unwrap_err());
    assert_eq!(failure(&watched).unwrap().attempt, 1, "nothing was tried");
    assert!(
        token(watched.client())
            .open()
            .await
            .unwrap()
            .report()
            .started_again
    );
    crate::identity::the_record_tells_the_key(&watched, "another key").await;
    watched.is_left_empty("in the end").await;
}
