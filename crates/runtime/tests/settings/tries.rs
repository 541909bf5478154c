//! Starts that are tried again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use podbay_fake_cluster::{ImageTrouble, Script, ScriptedCluster, Trouble};
use podbay_runtime::Config;
use tokio::time::Instant;

use crate::setup::{SESSION_ID, client};
use crate::support::plain;

effects! { paused:
    "kubernetes.start_retries" => start_retries;
    "podbay.start_retry_delay_seconds" => start_retry_delay_seconds;
    "sandbox.remote_runtime_enable_retries" => remote_runtime_enable_retries;
}

/// How many pods a start that always fails makes, and how long it takes.
async fn tried(change: impl FnOnce(&mut Config)) -> (usize, Duration) {
    let cluster = ScriptedCluster::new();
    let pods = Arc::<AtomicUsize>::default();
    let seen = Arc::clone(&pods);
    cluster.script_with(move |_| {
        seen.fetch_add(1, Ordering::Relaxed);
        Some(Script::stuck(Trouble::Image(ImageTrouble::NotFound)))
    });
    let podbay = client(&cluster, change);
    let begun = Instant::now();
    podbay
        .session(SESSION_ID)
        .request(plain())
        .open()
        .await
        .unwrap_err();
    (pods.load(Ordering::Relaxed), begun.elapsed())
}

fn twice(config: &mut Config) {
    config.kubernetes.start_retries = [("image_not_found".to_owned(), 2)].into();
}

async fn start_retries() {
    assert_eq!(tried(|_| {}).await.0, 1);
    assert_eq!(tried(twice).await.0, 3);
    let other = |config: &mut Config| config.kubernetes.start_retries = [("evicted".to_owned(), 2)].into();
    assert_eq!(tried(other).await.0, 1);
}

async fn start_retry_delay_seconds() {
    let mut took = Vec::new();
    for seconds in [10, 60] {
        let (pods, time) = tried(|config| {
            twice(config);
            config.podbay.start_retry_delay_seconds = seconds;
        })
        .await;
        assert_eq!(pods, 3);
        took.push(time.as_secs());
    }
    // Two waits of 50 s more each.
    assert!((took[1] - took[0]).abs_diff(100) <= 1, "{took:?}");
}

async fn remote_runtime_enable_retries() {
    let off = |config: &mut Config| {
        twice(config);
        config.sandbox.remote_runtime_enable_retries = false;
    };
    assert_eq!(tried(off).await.0, 1);
}
