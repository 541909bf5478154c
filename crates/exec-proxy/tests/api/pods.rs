//! Starts, failures, pauses and replicas on a cluster.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use podbay_config::WorkloadKind;
use podbay_exec_proxy::sessions::{ServiceSessions, Sessions as _};
use podbay_fake_cluster::{
    Fault, FaultyCluster, ImageTrouble, On, Operation, Script, ScriptedCluster, Trouble, When,
};
use podbay_k8s_client::Kind;
use podbay_manifests::RuntimeId;
use serde_json::json;
use tokio::time::Instant;

use crate::agents;
use crate::world::{World, stock};

const ID: &str = "Sid_1";
const IMAGE: &str = "debian:12";

/// A cluster with agents that answer, on which each pod does what `script` says.
fn cluster(script: Script) -> ScriptedCluster {
    let cluster = ScriptedCluster::new();
    cluster.script(|_| true, script);
    agents::answer(&cluster, || true);
    cluster
}

fn running() -> ScriptedCluster {
    cluster(Script::ready())
}

#[tokio::test(start_paused = true)]
async fn a_start_is_answered_at_once_whatever_the_image_and_seen_by_every_replica() {
    let slow =
        Script::ready().trouble_for(Trouble::Image(ImageTrouble::Unreachable), Duration::from_secs(15));
    let cluster = cluster(slow);
    let (one, other) = (World::on(&cluster, |_| {}), World::on(&cluster, |_| {}));
    let begun = Instant::now();
    let session = one.start(&stock(ID, IMAGE)).await;
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!(session["status"], "starting");
    assert!(session["session_api_key"].is_string() && session["url"].is_string());
    let id = session["runtime_id"].as_str().unwrap();
    for target in [format!("/sessions/{ID}"), format!("/runtime/{id}")] {
        let (status, seen) = other.get(&target).await;
        assert_eq!(
            (status, &seen["runtime_id"], &seen["session_api_key"]),
            (200, &session["runtime_id"], &session["session_api_key"])
        );
        assert_eq!(seen["status"], "starting", "{seen}");
    }
    let ready = one.until(ID, "running").await;
    assert_eq!(
        (&ready["pod_status"], &ready["runtime_id"]),
        (&json!("ready"), &session["runtime_id"])
    );
    // Who did not start it asks its agent.
    assert_eq!(other.until(ID, "running").await["url"], session["url"]);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_runs_is_not_running_before_its_server_answers() {
    let cluster = ScriptedCluster::new();
    let answers = Arc::new(AtomicBool::new(false));
    let listens = Arc::clone(&answers);
    agents::answer(&cluster, move || listens.load(Ordering::Relaxed));
    let world = World::on(&cluster, |_| {});
    world.start(&stock(ID, IMAGE)).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let (_, session) = world.get(&format!("/sessions/{ID}")).await;
    assert_eq!(session["status"], "starting", "{session}");
    answers.store(true, Ordering::Relaxed);
    world.until(ID, "running").await;
}

#[tokio::test(start_paused = true)]
async fn a_bad_image_is_told_with_its_reason_and_a_start_with_another_one_replaces_it() {
    let cluster = ScriptedCluster::new();
    agents::answer(&cluster, || true);
    cluster.script(
        |pod| {
            let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
            containers
                .filter_map(|container| container.image.as_deref())
                .any(|image| image.contains("none"))
        },
        Script::stuck(Trouble::Image(ImageTrouble::NotFound)),
    );
    let (world, other) = (World::on(&cluster, |_| {}), World::on(&cluster, |_| {}));
    let begun = world.start(&stock(ID, "registry.example/none:1")).await;
    let failed = world.until(ID, "error").await;
    assert_eq!(failed["pod_status"], "failed");
    assert!(
        failed["status_detail"]
            .as_str()
            .unwrap()
            .contains("image_not_found"),
        "{failed}"
    );
    // V0's client tells what stands in `detail`, of a status that is none of success.
    let target = format!("/runtime/{}", begun["runtime_id"].as_str().unwrap());
    for replica in [&world, &other] {
        let (status, body) = replica.get(&target).await;
        assert_eq!((status, &body["pod_status"]), (422, &json!("failed")), "{body}");
        assert_eq!(body["detail"], failed["status_detail"]);
    }
    assert_eq!(world.get("/list").await.1, json!({"runtimes": []}));
    let again = world.start(&stock(ID, IMAGE)).await;
    assert_ne!(again["runtime_id"], begun["runtime_id"]);
    assert_eq!(world.until(ID, "running").await["image"], again["image"]);
}

#[tokio::test(start_paused = true)]
async fn a_pause_frees_the_pod_and_a_resume_brings_the_same_session_back() {
    let cluster = running();
    let world = World::on(&cluster, |_| {});
    let begun = world.start(&stock(ID, IMAGE)).await;
    world.until(ID, "running").await;
    let id = json!({"runtime_id": begun["runtime_id"]});
    for _ in 0..2 {
        let (status, answer) = world.post("/pause", &id).await;
        assert_eq!((status, &answer["status"]), (200, &json!("paused")));
        let detail = answer["status_detail"].as_str().unwrap();
        assert!(detail.contains("installed outside of it"), "{detail}");
    }
    let paused = world.until(ID, "paused").await;
    assert_eq!(paused["pod_status"], "not found");
    assert!(
        paused["status_detail"]
            .as_str()
            .unwrap()
            .contains("workspace is kept")
    );
    assert_eq!(world.get("/list").await.1, json!({"runtimes": []}));
    for _ in 0..2 {
        let (status, resumed) = world.post("/resume", &id).await;
        assert_eq!(status, 200);
        for field in ["runtime_id", "session_api_key", "url", "session_id", "created_at"] {
            assert_eq!(resumed[field], begun[field], "{field}");
        }
    }
    world.until(ID, "running").await;
    // A start of a paused session brings it back, too.
    assert_eq!(world.post("/pause", &id).await.0, 200);
    world.until(ID, "paused").await;
    assert_eq!(
        world.start(&stock(ID, IMAGE)).await["runtime_id"],
        begun["runtime_id"]
    );
    world.until(ID, "running").await;
}

/// OpenHands' SDK looks right after a pause, while the watches of a busy API server are behind.
#[tokio::test(start_paused = true)]
async fn who_is_told_of_a_pause_finds_it_paused() {
    let cluster = running();
    let lagging = FaultyCluster::new(Arc::new(cluster.clone()));
    let lag = Fault::Lag(Duration::from_millis(500));
    lagging.inject(On::any().operation(Operation::Watch), lag);
    let world = World::by(Arc::new(lagging), &cluster, |_| {});
    let begun = world.start(&stock(ID, IMAGE)).await;
    world.until(ID, "running").await;
    let id = json!({"runtime_id": begun["runtime_id"]});
    assert_eq!(world.post("/pause", &id).await.0, 200);
    let (_, found) = world.get(&format!("/sessions/{ID}")).await;
    assert_eq!(
        (&found["status"], &found["pod_status"]),
        (&json!("paused"), &json!("not found"))
    );
    assert_eq!(world.get("/list").await.1, json!({"runtimes": []}));
}

#[tokio::test(start_paused = true)]
async fn a_session_without_a_claim_is_not_paused() {
    let world = World::on(&running(), |config| config.persistent = false);
    let begun = world.start(&stock(ID, IMAGE)).await;
    world.until(ID, "running").await;
    let (status, body) = world
        .post("/pause", &json!({"runtime_id": begun["runtime_id"]}))
        .await;
    assert_eq!(status, 409);
    assert!(
        body["detail"].as_str().unwrap().contains("would be lost"),
        "{body}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_asked_otherwise_is_told_of_a_session_that_is_there() {
    let world = World::on(&running(), |_| {});
    let begun = world.start(&stock(ID, IMAGE)).await;
    let running = world.until(ID, "running").await;
    assert_eq!(running["status_detail"], json!(null));
    let again = world.start(&stock(ID, "debian:13")).await;
    assert_eq!(
        (&again["runtime_id"], &again["image"]),
        (&begun["runtime_id"], &begun["image"])
    );
    let detail = again["status_detail"].as_str().unwrap();
    assert!(
        detail.contains("stays as it is") && detail.contains("debian:13"),
        "{detail}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_session_that_a_job_runs_is_reached_and_its_job_asked_for_once() {
    let cluster = ScriptedCluster::new();
    agents::answer(&cluster, || true);
    let counted = FaultyCluster::new(Arc::new(cluster.clone()));
    let world = World::made(
        Arc::new(counted.clone()),
        &cluster,
        |config| config.kubernetes.workload = WorkloadKind::Job,
        |_| {},
    );
    let begun = world.start(&stock("a", "debian:12")).await;
    world.until("a", "running").await;
    let id: RuntimeId = begun["runtime_id"].as_str().unwrap().parse().unwrap();
    let reads = || -> usize {
        let counts = counted.counts().into_iter();
        let of_jobs =
            counts.filter(|((operation, kind), _)| *operation == Operation::Get && *kind == Some(Kind::Job));
        of_jobs.map(|(_, count)| count).sum()
    };
    let before = reads();
    // Another replica has to ask.
    let other = World::made(
        Arc::new(counted.clone()),
        &cluster,
        |config| config.kubernetes.workload = WorkloadKind::Job,
        |_| {},
    );
    for _ in 0..20 {
        let route = other.sessions.route(&id).await.unwrap().unwrap();
        if let Some(address) = route.address {
            other
                .sessions
                .connect(&address, route.ports.server)
                .await
                .unwrap();
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let route = other.sessions.route(&id).await.unwrap().unwrap();
    assert!(route.address.is_some(), "{route:?}");
    assert_eq!(reads() - before, 1);
}

#[tokio::test(start_paused = true)]
async fn starts_at_once_on_two_replicas_are_one_session() {
    let cluster = running();
    let (one, other) = (World::on(&cluster, |_| {}), World::on(&cluster, |_| {}));
    let body = stock(ID, IMAGE);
    let starts = [&one, &other, &one, &other, &one].map(|world| world.start(&body));
    let sessions = futures::future::join_all(starts).await;
    for session in &sessions {
        for field in ["runtime_id", "session_api_key", "url"] {
            assert_eq!(session[field], sessions[0][field], "{field}");
        }
    }
    one.until(ID, "running").await;
    other.until(ID, "running").await;
    let (_, listed) = other.get("/list").await;
    assert_eq!(listed["runtimes"].as_array().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_starts_anew_knows_all_and_a_stop_leaves_nothing() {
    let cluster = running();
    let begun = World::on(&cluster, |_| {}).start(&stock(ID, IMAGE)).await;
    let world = World::on(&cluster, |_| {});
    let found = world.until(ID, "running").await;
    assert_eq!(found["session_api_key"], begun["session_api_key"]);
    assert_eq!(world.get("/list").await.1["runtimes"][0], found);
    assert_eq!(
        world
            .post("/stop", &json!({"runtime_id": begun["runtime_id"]}))
            .await
            .0,
        200
    );
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(world.get(&format!("/sessions/{ID}")).await.0, 404);
    let mut left = cluster.count("default");
    // Sessions share it.
    left.remove(&Kind::NetworkPolicy);
    assert!(left.values().all(|count| *count == 0), "{left:?}");
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_dies_at_any_write_of_a_start_leaves_nothing_that_another_can_not_finish() {
    for write in 1.. {
        for when in [When::Before, When::After] {
            let cluster = running();
            let faulty = FaultyCluster::new(Arc::new(cluster.clone()));
            faulty.inject(On::any().writes().nth(write), Fault::Crash(when));
            let (first, other) = (
                World::by(Arc::new(faulty.clone()), &cluster, |_| {}),
                World::on(&cluster, |_| {}),
            );
            let body = stock(ID, IMAGE);
            let begun = tokio::time::timeout(Duration::from_secs(5), first.start(&body)).await;
            if !faulty.crashed().is_cancelled() {
                assert!(begun.is_ok() && write > 3, "a start has {write} writes");
                return;
            }
            // Its client finds the session, or nothing, and may start it again.
            let (status, seen) = other.get(&format!("/sessions/{ID}")).await;
            if status == 404 {
                assert!(begun.is_err(), "{write} {when:?}");
            } else {
                tokio::time::sleep(Duration::from_secs(6)).await;
            }
            if begun.is_err() {
                other.start(&body).await;
            }
            let ready = other.until(ID, "running").await;
            if let Ok(begun) = begun {
                for field in ["runtime_id", "session_api_key"] {
                    assert_eq!(ready[field], begun[field], "{write} {when:?}");
                    assert_eq!(ready[field], seen[field], "{write} {when:?}");
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_session_goes_when_its_time_is_over() {
    let cluster = cluster(Script::stuck(Trouble::Image(ImageTrouble::NotFound)));
    let world = World::on(&cluster, |_| {});
    world.start(&stock(ID, IMAGE)).await;
    world.until(ID, "error").await;
    // Failures are marked with this machine's own time.
    let clock = move || Timestamp::now() + SignedDuration::try_from(cluster.age()).unwrap();
    let sessions = ServiceSessions::new(world.podbay.clone(), None)
        .unwrap()
        .with_clock(clock);
    for (seconds, status) in [(86_000, 200), (1000, 404)] {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        sessions.remove_expired().await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        let (found, body) = world.get(&format!("/sessions/{ID}")).await;
        assert_eq!(found, status, "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_stopped_is_gone_before_the_watch_tells() {
    let cluster = running();
    let faulty = FaultyCluster::new(Arc::new(cluster.clone()));
    let world = World::by(Arc::new(faulty.clone()), &cluster, |_| {});
    let begun = world.start(&stock(ID, IMAGE)).await;
    world.until(ID, "running").await;
    faulty.stall_watches(&On::any());
    let runtime_id = begun["runtime_id"].as_str().unwrap();
    assert_eq!(
        world.post("/stop", &json!({"runtime_id": runtime_id})).await.0,
        200
    );
    for target in [format!("/sessions/{ID}"), format!("/runtime/{runtime_id}")] {
        assert_eq!(world.get(&target).await.0, 404, "{target}");
    }
    assert_eq!(world.get("/list").await.1, json!({"runtimes": []}));
}
