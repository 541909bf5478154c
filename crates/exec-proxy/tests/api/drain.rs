//! What runs in a session is waited for before it is paused.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use podbay_fake_cluster::ScriptedCluster;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::agents;
use crate::world::{World, pods, stock};

/// A session whose agent answers an action while the switch says so; and what is asked to pause it.
async fn busy(world: &World) -> Value {
    let begun = world.start(&stock("s", "debian:12")).await;
    world.until("s", "running").await;
    json!({"runtime_id": begun["runtime_id"]})
}

fn cluster(is_busy: &Arc<AtomicBool>) -> ScriptedCluster {
    let cluster = ScriptedCluster::new();
    let is_busy = Arc::clone(is_busy);
    agents::answer_busy(&cluster, || true, move || is_busy.load(Ordering::Relaxed));
    cluster
}

#[tokio::test(start_paused = true)]
async fn an_action_ends_before_the_pod_goes() {
    let is_busy = Arc::new(AtomicBool::new(true));
    let cluster = cluster(&is_busy);
    let world = World::on(&cluster, |config| config.pause_drain_seconds = 60);
    let id = busy(&world).await;
    let ends = async {
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert_eq!(pods(&cluster), 1, "the pod went first");
        is_busy.store(false, Ordering::Relaxed);
    };
    let begun = Instant::now();
    let ((status, answer), ()) = tokio::join!(world.post("/pause", &id), ends);
    let took = begun.elapsed().as_secs();
    assert!(status == 200 && (20..22).contains(&took), "{took} s: {answer}");
    assert!(
        !answer["status_detail"].as_str().unwrap().contains("was ended"),
        "{answer}"
    );
    world.until("s", "paused").await;
}

#[tokio::test(start_paused = true)]
async fn one_that_does_not_end_is_ended_and_that_is_said() {
    for (seconds, told) in [(3, true), (0, false)] {
        let cluster = cluster(&Arc::new(AtomicBool::new(true)));
        let world = World::on(&cluster, |config| config.pause_drain_seconds = seconds);
        let id = busy(&world).await;
        let begun = Instant::now();
        let (status, answer) = world.post("/pause", &id).await;
        let took = begun.elapsed().as_secs();
        assert!(
            status == 200 && (seconds..seconds + 2).contains(&took),
            "{took} s: {answer}"
        );
        let detail = answer["status_detail"].as_str().unwrap();
        assert_eq!(detail.contains("still ran after 3 s was ended"), told, "{detail}");
        world.until("s", "paused").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_does_nothing_is_paused_at_once() {
    let cluster = cluster(&Arc::new(AtomicBool::new(false)));
    let world = World::on(&cluster, |config| config.pause_drain_seconds = 60);
    let id = busy(&world).await;
    let begun = Instant::now();
    assert_eq!(world.post("/pause", &id).await.0, 200);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}
