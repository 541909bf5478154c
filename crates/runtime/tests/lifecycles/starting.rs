//! A start as a handle: what is told while it goes on, and what is left when the handle is dropped, detached or cancelled at
//! any stage. And what another process tells of a start whose own process died.

use std::time::Duration;

use jiff::SignedDuration;
use podbay_fake_cluster::{EPOCH, Fault, FaultyCluster, ImageTrouble, On, Operation, Script, Trouble, When};
use podbay_k8s_client::Kind;
use podbay_manifests::SessionNames;
use podbay_protocol::Cause;
use podbay_runtime::{Config, Error, Podbay, SessionState, StartPhase};
use tokio_util::sync::CancellationToken;

use crate::scenario::Shape;
use crate::watched_cluster::{SESSION_ID, WatchedCluster};

/// Long enough for all that goes on in the background.
const AFTERWARDS: Duration = Duration::from_secs(60);

fn start(podbay: &Podbay, shape: Shape) -> podbay_runtime::Starting {
    let builder = podbay.session(SESSION_ID).request(shape.request());
    builder.start().unwrap()
}

/// How many calls a start makes.
async fn calls_of(shape: Shape) -> usize {
    let watched = WatchedCluster::new();
    let (podbay, faulty) = watched.faulty(Config::default());
    start(&podbay, shape).ready().await.unwrap();
    faulty.calls().len()
}

/// Waits until so many calls were made.
async fn made(faulty: &FaultyCluster, calls: usize) {
    while faulty.calls().len() < calls {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_is_followed_from_its_first_step_to_ready() {
    let watched = WatchedCluster::new();
    let slow = Script::ready()
        .start_for(Duration::from_secs(5))
        .pull_for(Duration::from_secs(5));
    watched.cluster.script(slow);
    let starting = start(&watched.client(), Shape::Plain);
    assert_eq!(starting.id(), SESSION_ID);
    let mut state = starting.state();
    let mut told = vec![state.borrow_and_update().clone()];
    let opening = tokio::spawn(starting.ready());
    while state.changed().await.is_ok() {
        told.push(state.borrow_and_update().clone());
    }
    assert_eq!(told.first(), Some(&SessionState::Starting(StartPhase::Creating)));
    assert_eq!(told.last(), Some(&SessionState::Ready(None)));
    assert!(
        told.contains(&SessionState::Starting(StartPhase::Starting)),
        "{told:?}"
    );
    opening.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_start_that_fails_tells_why_and_its_error_has_the_same() {
    let watched = WatchedCluster::new();
    watched
        .cluster
        .script(Script::stuck(Trouble::Image(ImageTrouble::NotFound)));
    let starting = start(&watched.client(), Shape::Plain);
    let state = starting.state();
    let error = starting.ready().await.unwrap_err();
    let SessionState::Failed(verdict) = state.borrow().clone() else {
        panic!("{state:?}");
    };
    assert_eq!(verdict.cause, Cause::ImageNotFound);
    assert_eq!(error.verdict(), Some(&verdict));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_made_of_what_is_not_valid() {
    let watched = WatchedCluster::new();
    let (podbay, faulty) = watched.faulty(Config::default());
    let error = podbay.session("s").image("-").start().unwrap_err();
    assert!(matches!(error, Error::Spec { .. }), "{error:?}");
    assert!(faulty.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_start_that_is_dropped_at_any_call_leaves_nothing() {
    for shape in Shape::ALL {
        for call in 0..=calls_of(shape).await {
            let watched = WatchedCluster::new();
            let slow = Script::ready().start_for(Duration::from_secs(5));
            watched.cluster.script(slow);
            let (podbay, faulty) = watched.faulty(Config::default());
            faulty.inject(On::any(), Fault::Latency(Duration::from_millis(10)));
            let starting = start(&podbay, shape);
            made(&faulty, call).await;
            drop(starting);
            tokio::time::sleep(AFTERWARDS).await;
            assert_eq!(
                watched.cluster.counts(),
                std::collections::BTreeMap::new(),
                "{shape:?}, call {call}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_that_is_detached_at_any_call_goes_on() {
    for shape in Shape::ALL {
        for call in 0..=calls_of(shape).await {
            let watched = WatchedCluster::new();
            let (podbay, faulty) = watched.faulty(Config::default());
            faulty.inject(On::any(), Fault::Latency(Duration::from_millis(10)));
            let starting = start(&podbay, shape);
            made(&faulty, call).await;
            starting.detach();
            tokio::time::sleep(AFTERWARDS).await;
            let known = watched.client().list("").await.unwrap();
            assert_eq!(
                known[0].state,
                SessionState::Ready(None),
                "{shape:?}, call {call}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_that_is_cancelled_at_any_call_is_removed_when_that_is_told() {
    for shape in Shape::ALL {
        for call in 0..=calls_of(shape).await {
            let watched = WatchedCluster::new();
            let (podbay, faulty) = watched.faulty(Config::default());
            faulty.inject(On::any(), Fault::Latency(Duration::from_millis(10)));
            let starting = start(&podbay, shape);
            let state = starting.state();
            made(&faulty, call).await;
            starting.cancel().await.unwrap();
            assert!(
                watched.client().list("").await.unwrap().is_empty(),
                "{shape:?}, call {call}"
            );
            // What is ready is closed as ever, which keeps a claim.
            let is_over = matches!(*state.borrow(), SessionState::Ready(_));
            assert!(
                is_over || *state.borrow() == SessionState::Stopping,
                "{shape:?}, call {call}: {state:?}"
            );
            tokio::time::sleep(AFTERWARDS).await;
            let left = watched.cluster.counts();
            assert!(left.is_empty() || is_over, "{shape:?}, call {call}: {left:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_ready_or_was_there_outlives_the_handle() {
    let watched = WatchedCluster::new();
    let podbay = watched.client();
    let starting = start(&podbay, Shape::Plain);
    let mut state = starting.state();
    state
        .wait_for(|state| matches!(state, SessionState::Ready(_)))
        .await
        .unwrap();
    drop(starting);
    drop(start(&podbay, Shape::Plain));
    start(&podbay, Shape::Plain).cancel().await.unwrap();
    tokio::time::sleep(AFTERWARDS).await;
    let known = podbay.list("").await.unwrap();
    assert_eq!(known[0].state, SessionState::Ready(None));
    // One that is ready and was created by the start that is cancelled is closed.
    podbay.close(SESSION_ID, true).await.unwrap();
    let starting = start(&podbay, Shape::Plain);
    let mut state = starting.state();
    state
        .wait_for(|state| matches!(state, SessionState::Ready(_)))
        .await
        .unwrap();
    starting.cancel().await.unwrap();
    assert!(podbay.list("").await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn dropping_one_start_cancels_no_other_of_the_same_token() {
    let watched = WatchedCluster::new();
    let podbay = watched.client();
    let token = CancellationToken::new();
    let start = |id: &str| {
        let builder = podbay.session(id).image("debian:12");
        builder.cancel_on(token.clone()).start().unwrap()
    };
    let (one, other) = (start("one"), start("other"));
    drop(one);
    other.ready().await.unwrap();
    assert!(!token.is_cancelled());
    let third = start("third");
    token.cancel();
    assert!(matches!(third.ready().await, Err(Error::Cancelled { .. })));
}

/// What another process tells of the session, by its own watches, at the cluster's time.
async fn told_by_another(watched: &WatchedCluster) -> Option<SessionState> {
    let podbay = watched.client();
    let index = podbay.index().unwrap();
    index.synced().await.unwrap();
    let age = SignedDuration::try_from(watched.cluster.scripted.age()).unwrap();
    let names = SessionNames::of(None, &SESSION_ID.parse().unwrap());
    index.get(&names).state(EPOCH + age)
}

/// A start whose opener is killed at each of its calls, on a cluster where it would succeed or fail.
async fn opener_is_killed(script: Option<Script>, whole: impl Fn(&SessionState) -> bool) {
    let (mut with_pod, mut without) = (0, 0);
    for shape in Shape::ALL {
        for call in 0..calls_of(shape).await {
            for when in [When::Before, When::After] {
                let what = format!("{shape:?}, call {call}, {when:?}");
                let watched = WatchedCluster::new();
                if let Some(script) = &script {
                    watched.cluster.script(script.clone());
                }
                let (podbay, faulty) = watched.faulty(Config::default());
                faulty.inject(On::any().nth(call), Fault::Crash(when));
                let starting = start(&podbay, shape);
                faulty.crashed().cancelled().await;
                let at_once = told_by_another(&watched).await;
                // All that goes on in the cluster, which the opener no longer sees, and the time that a creator may take.
                tokio::time::sleep(AFTERWARDS).await;
                let told = told_by_another(&watched).await;
                match (
                    watched.cluster.counts().is_empty(),
                    watched.cluster.live_pods(),
                    &told,
                ) {
                    (true, _, None) => assert_eq!(at_once, None, "{what}"),
                    (false, 0, Some(SessionState::Lost(verdict))) => {
                        without += 1;
                        assert_eq!(verdict.cause, Cause::Deleted, "{what}");
                        let begins = Some(SessionState::Starting(StartPhase::Creating));
                        assert_eq!(at_once, begins, "{what}");
                    }
                    (false, 1, Some(state)) => {
                        with_pod += 1;
                        assert!(whole(state), "{what}: {state:?}");
                        let session = watched.client().existing(SESSION_ID).unwrap();
                        let described = session.describe().await.unwrap();
                        assert!(whole(&described.summary.state), "{what}: {described:?}");
                        assert_eq!(described.verdict.as_ref(), described.summary.state.verdict());
                    }
                    // A claim alone is none of a session's that is there.
                    other => panic!("{what}: {other:?}"),
                }
                drop(starting);
            }
        }
    }
    assert!(
        with_pod > 0 && without > 0,
        "{with_pod} with a pod, {without} without"
    );
}

#[tokio::test(start_paused = true)]
async fn another_process_tells_the_state_of_a_start_whose_opener_is_killed_at_any_call() {
    opener_is_killed(None, |state| *state == SessionState::Ready(None)).await;
}

#[tokio::test(start_paused = true)]
async fn another_process_tells_the_verdict_of_a_start_whose_opener_is_killed_at_any_call() {
    let stuck = Script::stuck(Trouble::Image(ImageTrouble::NotFound));
    opener_is_killed(
        Some(stuck),
        |state| matches!(state, SessionState::Failed(verdict) if verdict.cause == Cause::ImageNotFound),
    )
    .await;
}

/// So that whoever has asked for one of many is answered soon, and another process can carry each on.
#[tokio::test(start_paused = true)]
async fn of_many_starts_all_are_stored_before_most_create_their_pods() {
    const SLOW: Duration = Duration::from_secs(10);
    let watched = WatchedCluster::new();
    let (podbay, faulty) = watched.faulty(Config::default());
    let creates_pods = On::any().operation(Operation::Create).kind(Kind::Pod);
    faulty.inject(creates_pods, Fault::Latency(SLOW));
    let begun = tokio::time::Instant::now();
    let starts = (0..100).map(|number| {
        let session = podbay.session(format!("many-{number}"));
        session.request(Shape::Plain.request()).start().unwrap()
    });
    let starts: Vec<_> = starts.collect();
    for starting in &starts {
        starting.stored().wait_for(Option::is_some).await.unwrap();
    }
    tokio::time::sleep_until(begun + Duration::from_millis(500)).await;
    let creating = || {
        let calls = faulty.calls().into_iter();
        let calls = calls.filter(|call| (call.operation, call.kind) == (Operation::Create, Some(Kind::Pod)));
        calls.map(|call| call.name).collect::<Vec<_>>()
    };
    let making = creating();
    let (mut waiting, mut starts): (Vec<_>, Vec<_>) = starts.into_iter().partition(|starting| {
        let names = SessionNames::of(None, &starting.id().parse().unwrap());
        !making.contains(&names.object())
    });
    assert_eq!((starts.len(), waiting.len()), (32, 68));
    // One that waits for its turn ends at once.
    waiting.pop().unwrap().cancel().await.unwrap();
    assert!(begun.elapsed() < SLOW / 2);
    // Those whose turns take long keep nobody from theirs.
    tokio::time::sleep_until(begun + SLOW / 2).await;
    assert_eq!(creating().len(), 99);
    starts.extend(waiting);
    let ready = starts.into_iter().map(podbay_runtime::Starting::ready);
    let ready = futures::future::try_join_all(ready).await.unwrap();
    assert_eq!((ready.len(), creating().len()), (99, 99));
}

#[tokio::test(start_paused = true)]
async fn one_that_is_paused_while_it_waits_for_its_turn_has_no_pod() {
    for shape in [Shape::Full, Shape::Job] {
        let watched = WatchedCluster::new();
        let (podbay, faulty) = watched.faulty(Config::default());
        let creates_pods = On::any().operation(Operation::Create).kind(Kind::Pod);
        faulty.inject(creates_pods, Fault::Latency(Duration::from_secs(10)));
        let others: Vec<_> = (0..32)
            .map(|number| {
                let session = podbay.session(format!("other-{number}"));
                session.request(Shape::Plain.request()).start().unwrap()
            })
            .collect();
        for starting in &others {
            starting.stored().wait_for(Option::is_some).await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        let waiting = start(&podbay, shape);
        waiting.stored().wait_for(Option::is_some).await.unwrap();
        podbay.pause(SESSION_ID, true).await.unwrap();
        let error = waiting.ready().await.map(drop).unwrap_err();
        assert!(matches!(error, Error::Paused { .. }), "{shape:?}: {error:?}");
        let others = others.into_iter().map(podbay_runtime::Starting::ready);
        futures::future::try_join_all(others).await.unwrap();
        assert_eq!(watched.cluster.live_pods(), 32, "{shape:?}");
        let listed = podbay.list("").await.unwrap();
        let paused = listed
            .iter()
            .filter(|listed| listed.state == SessionState::Paused);
        assert_eq!(paused.count(), 1);
        podbay.resume(SESSION_ID).await.unwrap();
        assert_eq!(watched.cluster.live_pods(), 33, "{shape:?}");
    }
}
