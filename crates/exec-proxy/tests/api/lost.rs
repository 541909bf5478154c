//! Sessions whose pod was lost: told with why, brought back where the policy says so, and told of when another pod has taken its place.

use podbay_fake_cluster::ScriptedCluster;
use podbay_runtime::Config;
use serde_json::{Value, json};

use crate::agents;
use crate::world::{World, pods, stock};

const ID: &str = "s";

fn cluster() -> ScriptedCluster {
    let cluster = ScriptedCluster::new();
    agents::answer(&cluster, || true);
    cluster
}

fn recovering(config: &mut Config) {
    config.kubernetes.start_retries = [("evicted".to_owned(), 1)].into();
}

/// Has the session's pod evicted.
async fn evict(cluster: &ScriptedCluster, world: &World, session: &Value) {
    let id = session["runtime_id"].as_str().unwrap().parse().unwrap();
    let record = world.podbay.look_for(&id).await.unwrap().unwrap().record;
    cluster.evict("default", &record.spec.names().object()).unwrap();
}

fn tells_of_loss(session: &Value) -> bool {
    let detail = session["status_detail"].as_str().unwrap_or_default();
    let reasons = session["restart_reasons"].to_string();
    detail.contains("its pod was lost at ")
        && detail.contains("evicted")
        && detail.contains("its workspace is kept")
        && reasons.contains("pod lost at ")
}

#[tokio::test(start_paused = true)]
async fn one_that_is_resumed_says_that_its_pod_was_lost_and_why_on_every_replica() {
    let cluster = cluster();
    let (world, other) = (World::on(&cluster, |_| {}), World::on(&cluster, |_| {}));
    let begun = world.start(&stock(ID, "debian:12")).await;
    let running = world.until(ID, "running").await;
    assert_eq!(
        (&running["status_detail"], &running["restart_count"]),
        (&json!(null), &json!(0))
    );
    evict(&cluster, &world, &begun).await;
    let lost = world.until(ID, "error").await;
    let told = lost["status_detail"].as_str().unwrap();
    assert!(told.contains("evicted") && !told.contains("::"), "{told}");
    let named = json!({"runtime_id": begun["runtime_id"]});
    let (status, resumed) = world.post("/resume", &named).await;
    assert_eq!((status, &resumed["runtime_id"]), (200, &begun["runtime_id"]));
    assert!(tells_of_loss(&resumed), "{resumed}");
    for replica in [&world, &other, &World::on(&cluster, |_| {})] {
        let running = replica.until(ID, "running").await;
        assert!(tells_of_loss(&running), "{running}");
        assert_eq!(running["restart_count"], 1);
    }
    // What comes after a pause is another story.
    assert_eq!(world.post("/pause", &named).await.0, 200);
    assert_eq!(world.post("/resume", &named).await.0, 200);
    let running = world.until(ID, "running").await;
    assert_eq!(
        (&running["status_detail"], &running["restart_count"]),
        (&json!(null), &json!(0))
    );
}

#[tokio::test(start_paused = true)]
async fn where_the_policy_says_so_it_comes_back_when_somebody_asks_as_often_as_that_says() {
    let cluster = cluster();
    let world = World::configured(&cluster, recovering);
    let begun = world.start(&stock(ID, "debian:12")).await;
    world.until(ID, "running").await;
    evict(&cluster, &world, &begun).await;
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    let running = world.until(ID, "running").await;
    assert_eq!(running["runtime_id"], begun["runtime_id"]);
    assert!(tells_of_loss(&running), "{running}");
    assert_eq!(pods(&cluster), 1);
    evict(&cluster, &world, &begun).await;
    for _ in 0..3 {
        tokio::time::sleep(std::time::Duration::from_secs(60)).await;
        let (_, lost) = world.get(&format!("/sessions/{ID}")).await;
        assert_eq!(lost["status"], "error", "{lost}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_claim_or_a_policy_nothing_is_brought_back() {
    let cluster = cluster();
    let plain = World::on(&cluster, |_| {});
    let without_claim = World::made(
        std::sync::Arc::new(cluster.clone()),
        &cluster,
        recovering,
        |config| config.persistent = false,
    );
    for (id, world) in [("a", &plain), ("b", &without_claim)] {
        let begun = world.start(&stock(id, "debian:12")).await;
        world.until(id, "running").await;
        evict(&cluster, world, &begun).await;
        world.until(id, "error").await;
        tokio::time::sleep(std::time::Duration::from_secs(60)).await;
        assert_eq!(world.get(&format!("/sessions/{id}")).await.1["status"], "error");
    }
}
