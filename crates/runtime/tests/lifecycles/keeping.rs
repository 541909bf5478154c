//! What is kept and what is refused: the clean-up policy, the limit on sessions, attaching only.

use podbay_config::CleanupPolicy;
use podbay_fake_cluster::{ImageTrouble, Script, Trouble};
use podbay_runtime::{Config, Error, OpenMode, SessionState};

use crate::scenario::{Shape, open};
use crate::watched_cluster::{SESSION_ID, WatchedCluster};

fn with_policy(policy: CleanupPolicy) -> Config {
    let mut config = Config::default();
    config.kubernetes.cleanup_policy = policy;
    config
}

#[tokio::test(start_paused = true)]
async fn a_failed_start_is_kept_where_the_policy_says_so() {
    for (policy, kept) in [
        (CleanupPolicy::AlwaysClean, false),
        (CleanupPolicy::KeepOnFailure, true),
        (CleanupPolicy::AlwaysKeep, true),
    ] {
        let watched = WatchedCluster::new();
        let stuck = Script::stuck(Trouble::Image(ImageTrouble::NotFound));
        watched.cluster.script(stuck);
        let error = open(&watched.client_with(with_policy(policy)), Shape::Plain)
            .await
            .unwrap_err();
        assert!(
            matches!(error, Error::Start { kept: told, .. } if told == kept),
            "{policy}: {error:?}"
        );
        assert_eq!(
            error.hint().unwrap().to_string().contains("were kept"),
            kept,
            "{policy}"
        );
        tokio::time::sleep(std::time::Duration::from_secs(5)).await;
        assert_eq!(!watched.cluster.counts().is_empty(), kept, "{policy}");
        watched.is_left_empty(policy.as_str()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_done_is_closed_or_kept_by_its_policy() {
    for (policy, after_success, after_failure) in [
        (CleanupPolicy::AlwaysClean, false, false),
        (CleanupPolicy::KeepOnFailure, false, true),
        (CleanupPolicy::AlwaysKeep, true, true),
    ] {
        for (succeeded, kept) in [(true, after_success), (false, after_failure)] {
            let watched = WatchedCluster::new();
            let podbay = watched.client_with(with_policy(policy));
            let session = podbay
                .session(SESSION_ID)
                .image("debian:12")
                .open()
                .await
                .unwrap();
            let closed = session.finish(succeeded).await.unwrap();
            assert_eq!(closed.is_none(), kept, "{policy}, succeeded {succeeded}");
            let known = podbay.list("").await.unwrap();
            assert_eq!(known.len(), usize::from(kept), "{policy}, succeeded {succeeded}");
            watched.is_left_empty(policy.as_str()).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn openhands_word_for_keeping_sessions_is_heard() {
    let watched = WatchedCluster::new();
    let mut config = Config::default();
    config.sandbox.keep_runtime_alive = true;
    let podbay = watched.client_with(config);
    let session = podbay
        .session(SESSION_ID)
        .image("debian:12")
        .open()
        .await
        .unwrap();
    assert!(session.finish(true).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn the_one_too_many_is_refused_and_paused_ones_do_not_count() {
    let watched = WatchedCluster::new();
    let mut config = Config::default();
    config.max_concurrent_conversations = Some(7);
    config.kubernetes.max_sessions = Some(2);
    let podbay = watched.client_with(config);
    let open = async |id: &str| {
        podbay
            .session(id)
            .request(Shape::Full.request())
            .open()
            .await
            .map(drop)
    };
    open("one").await.unwrap();
    open("two").await.unwrap();
    let error = open("three").await.unwrap_err();
    assert!(
        matches!(error, Error::TooManySessions { limit: 2, .. }),
        "{error:?}"
    );
    // One that is there is no new one.
    open("one").await.unwrap();
    podbay.pause("one", true).await.unwrap();
    open("three").await.unwrap();
    let error = podbay.resume("one").await.unwrap_err();
    assert!(matches!(error, Error::TooManySessions { .. }), "{error:?}");
    podbay.close("two", true).await.unwrap();
    podbay.resume("one").await.unwrap();
    for id in ["one", "two", "three"] {
        podbay.delete(id, true).await.unwrap();
    }
    watched.is_left_empty("in the end").await;
}

#[tokio::test(start_paused = true)]
async fn of_many_at_once_as_many_as_allowed_are_opened() {
    let watched = WatchedCluster::new();
    let mut config = Config::default();
    config.max_concurrent_conversations = Some(3);
    let opening = (0..8).map(|number| {
        let podbay = watched.client_with(config.clone());
        async move {
            podbay
                .session(format!("s{number}"))
                .image("debian:12")
                .open()
                .await
        }
    });
    let opened = futures::future::join_all(opening).await;
    assert_eq!(opened.iter().filter(|opened| opened.is_ok()).count(), 3);
    for error in opened.into_iter().filter_map(Result::err) {
        assert!(
            matches!(error, Error::TooManySessions { limit: 3, .. }),
            "{error:?}"
        );
    }
    assert_eq!(watched.cluster.live_pods(), 3);
}

#[tokio::test(start_paused = true)]
async fn attaching_makes_nothing() {
    let watched = WatchedCluster::new();
    let podbay = watched.client();
    let attach = || podbay.session(SESSION_ID).mode(OpenMode::Attach).open();
    assert!(matches!(attach().await, Err(Error::NotFound { .. })));
    assert!(watched.cluster.counts().is_empty());
    open(&podbay, Shape::Plain).await.unwrap();
    assert!(attach().await.unwrap().report().attached);
}

#[tokio::test(start_paused = true)]
async fn a_paused_session_says_so_and_comes_back_with_what_it_is_made_of() {
    for shape in [Shape::Full, Shape::Job] {
        let watched = WatchedCluster::new();
        let podbay = watched.client();
        open(&podbay, shape).await.unwrap();
        let whole = watched.cluster.counts();
        podbay.pause(SESSION_ID, true).await.unwrap();
        podbay.pause(SESSION_ID, true).await.unwrap();
        assert_eq!(watched.cluster.live_pods(), 0);
        assert_eq!(podbay.list("").await.unwrap()[0].state, SessionState::Paused);
        let session = podbay.existing(SESSION_ID).unwrap();
        let error = session.exec(["true"]).await.unwrap_err();
        assert!(matches!(error, Error::Paused { .. }), "{shape:?}: {error:?}");
        let session = podbay.resume(SESSION_ID).await.unwrap();
        assert!(session.report().resumed && !session.report().recreated);
        session.exec(["true"]).await.unwrap();
        assert_eq!(watched.cluster.counts(), whole, "{shape:?}");
        watched.is_left_empty("in the end").await;
    }
    let watched = WatchedCluster::new();
    open(&watched.client(), Shape::Plain).await.unwrap();
    let error = watched.client().pause(SESSION_ID, true).await.unwrap_err();
    assert!(matches!(error, Error::NothingToKeep { .. }), "{error:?}");
}
