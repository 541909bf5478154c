//! Failed starts that are tried again, by the kind of the failure.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use podbay_fake_cluster::{ImageTrouble, Incident, Script, Trouble};
use podbay_protocol::Cause;
use podbay_runtime::{Config, Error};

use crate::scenario::{Shape, open};
use crate::watched_cluster::WatchedCluster;

/// A cluster on which the first `failing` pods of a session come to nothing.
fn failing(watched: &WatchedCluster, failing: usize, script: Script) -> Arc<AtomicUsize> {
    let pods = Arc::<AtomicUsize>::default();
    let seen = Arc::clone(&pods);
    watched.cluster.scripted.script_with(move |_| {
        let number = seen.fetch_add(1, Ordering::Relaxed);
        (number < failing).then(|| script.clone())
    });
    pods
}

fn config(cause: Cause, tries: u32) -> Config {
    let mut config = Config::default();
    config.kubernetes.start_retries = [(cause.to_string(), tries)].into();
    config.podbay.start_retry_delay_seconds = 3;
    config
}

fn evicted() -> Script {
    let message = "The node was low on resource: memory.".to_owned();
    Script::ready()
        .ready_after(Duration::from_secs(5))
        .start_for(Duration::from_secs(5))
        .then(Duration::ZERO, Incident::Evict { message })
}

#[tokio::test(start_paused = true)]
async fn a_start_is_tried_again_as_often_as_its_failure_may_be() {
    for shape in [Shape::Plain, Shape::Full] {
        for (tries, failures, succeeds) in [(2, 2, true), (1, 2, false), (0, 1, false)] {
            let watched = WatchedCluster::new();
            let stuck = Script::stuck(Trouble::Image(ImageTrouble::NotFound));
            let pods = failing(&watched, failures, stuck);
            let podbay = watched.client_with(config(Cause::ImageNotFound, tries));
            let began = tokio::time::Instant::now();
            let opened = open(&podbay, shape).await;
            assert_eq!(
                opened.is_ok(),
                succeeds,
                "{shape:?}: {tries} tries, {failures} failures: {opened:?}"
            );
            let made = pods.load(Ordering::Relaxed);
            assert_eq!(
                made,
                if succeeds {
                    failures + 1
                } else {
                    tries as usize + 1
                }
            );
            assert!(began.elapsed() >= Duration::from_secs(3 * u64::from(tries)));
            watched.is_left_empty("in the end").await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn another_failure_is_not_tried_again() {
    let watched = WatchedCluster::new();
    let pods = failing(&watched, 1, Script::stuck(Trouble::Image(ImageTrouble::Denied)));
    let podbay = watched.client_with(config(Cause::ImageNotFound, 5));
    let error = open(&podbay, Shape::Plain).await.unwrap_err();
    assert!(
        matches!(&error, Error::Start { verdict, .. } if verdict.cause == Cause::ImageDenied),
        "{error:?}"
    );
    assert_eq!(pods.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn an_eviction_during_the_start_is_survived() {
    let watched = WatchedCluster::new();
    let pods = failing(&watched, 1, evicted());
    let mut request = Shape::Plain.request();
    // A server that is slow to answer gives the eviction time to come first.
    request.server = Some(podbay_manifests::ServerKind::Image);
    let podbay = watched.client_with(config(Cause::Evicted, 1));
    podbay.session("s").request(request).open().await.unwrap();
    assert_eq!(pods.load(Ordering::Relaxed), 2);
    watched.is_left_empty("in the end").await;
}

#[tokio::test(start_paused = true)]
async fn a_cause_that_does_not_exist_is_refused_before_anything_is_made() {
    let watched = WatchedCluster::new();
    let mut config = Config::default();
    config.kubernetes.start_retries = [("evictions".to_owned(), 1)].into();
    let error = open(&watched.client_with(config), Shape::Plain)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("evicted"), "{error}");
    assert!(watched.cluster.counts().is_empty());
}
