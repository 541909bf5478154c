//! How much one owner and one key may have: sessions at once, starts in a minute, wakes.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use podbay_exec_proxy::sessions::{NotWoken, ServiceSessions, Sessions as _};
use podbay_fake_cluster::{FaultyCluster, ScriptedCluster};
use podbay_k8s_client::Kind;
use podbay_manifests::RuntimeId;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::agents;
use crate::world::{ALICE, BOB, World, pods, stock};

const IMAGE: &str = "debian:12";

fn cluster() -> ScriptedCluster {
    let cluster = ScriptedCluster::new();
    agents::answer(&cluster, || true);
    cluster
}

fn named(session: &Value) -> Value {
    json!({"runtime_id": session["runtime_id"]})
}

fn runtime_id(session: &Value) -> RuntimeId {
    session["runtime_id"].as_str().unwrap().parse().unwrap()
}

/// This machine's time, which marks are written with, as the test's goes on.
fn clock() -> impl Fn() -> Timestamp + Send + Sync + 'static {
    let (now, begun) = (Timestamp::now(), Instant::now());
    move || now + SignedDuration::try_from(begun.elapsed()).unwrap()
}

/// Sessions of their own process, as another replica has them, with the limit.
fn replica(world: &World, limit: Option<u32>) -> ServiceSessions {
    let sessions = ServiceSessions::new(world.podbay.clone(), None).unwrap();
    sessions.with_owner_limit(limit)
}

#[tokio::test(start_paused = true)]
async fn an_owner_has_so_many_sessions_at_once_and_a_paused_one_is_none() {
    let cluster = cluster();
    let world = World::on(&cluster, |config| config.max_sessions_per_owner = Some(2));
    let first = world.start(&stock("a", IMAGE)).await;
    world.start(&stock("b", IMAGE)).await;
    world.until("a", "running").await;
    world.until("b", "running").await;
    let (status, body) = world.post("/start", &stock("c", IMAGE)).await;
    let detail = body["detail"].as_str().unwrap_or_default();
    assert!(
        status == 503 && detail.contains("2 sessions that its owner may have"),
        "{status} {body}"
    );
    assert_eq!(world.get("/sessions/c").await.0, 404);
    // Again what is there, and another owner.
    world.start(&stock("a", IMAGE)).await;
    let (status, _) = world
        .ask("POST", "/start", &[BOB], &stock("c", IMAGE).to_string())
        .await;
    assert_eq!(status, 200);
    // A pause makes room, and a resume takes it.
    assert_eq!(world.post("/pause", &named(&first)).await.0, 200);
    world.until("a", "paused").await;
    world.start(&stock("c", IMAGE)).await;
    world.until("c", "running").await;
    let (status, body) = world.post("/resume", &named(&first)).await;
    assert!(
        status == 503 && body["detail"].as_str().unwrap().contains("its owner"),
        "{status} {body}"
    );
    world.until("a", "paused").await;
    // So does a wake, which is refused like a start.
    let sessions = replica(&world, Some(2)).with_clock(clock());
    tokio::time::sleep(Duration::from_secs(6)).await;
    let refused = sessions.wake(&runtime_id(&first)).await.unwrap_err();
    assert!(
        matches!(&refused, NotWoken::Refused(why) if why.contains("its owner")),
        "{refused}"
    );
}

#[tokio::test(start_paused = true)]
async fn of_starts_at_once_on_two_replicas_no_more_than_the_limit_stay() {
    let cluster = cluster();
    let worlds = [(); 2].map(|()| World::on(&cluster, |config| config.max_sessions_per_owner = Some(3)));
    let bodies: Vec<Value> = (0..10)
        .map(|number| stock(&format!("s{number}"), IMAGE))
        .collect();
    let starts = bodies
        .iter()
        .enumerate()
        .map(|(at, body)| worlds[at % 2].post("/start", body));
    let answers = join_all(starts).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    let (_, listed) = worlds[0].get("/list").await;
    let running = listed["runtimes"].as_array().unwrap().len();
    assert_eq!(running, 3, "{answers:?}");
    assert_eq!(pods(&cluster), 3);
}

#[tokio::test(start_paused = true)]
async fn on_this_machine_the_limit_holds_too() {
    let world = World::here(|config| config.max_sessions_per_owner = Some(1)).await;
    world.start(&stock("a", "host")).await;
    let (status, body) = world.post("/start", &stock("b", "host")).await;
    assert!(
        status == 503 && body["detail"].as_str().unwrap().contains("its owner"),
        "{status} {body}"
    );
    world.start(&stock("a", "host")).await;
}

#[tokio::test(start_paused = true)]
async fn a_key_that_starts_too_often_is_told_to_try_again() {
    let cluster = cluster();
    let world = World::on(&cluster, |config| config.starts_per_minute = Some(2));
    for id in ["a", "b", "a", "b"] {
        world.start(&stock(id, IMAGE)).await;
        world.until(id, "running").await;
    }
    let (status, body) = world
        .ask("POST", "/start", &[ALICE], &stock("c", IMAGE).to_string())
        .await;
    assert!(
        status == 429 && body["detail"].as_str().unwrap().contains("try again in"),
        "{body}"
    );
    // Another key has its own count, and questions have none.
    let (status, _) = world
        .ask("POST", "/start", &[BOB], &stock("c", IMAGE).to_string())
        .await;
    assert_eq!(status, 200);
    assert_eq!(world.get("/sessions/a").await.0, 200);
    tokio::time::sleep(Duration::from_secs(61)).await;
    world.start(&stock("c", IMAGE)).await;
}

#[tokio::test(start_paused = true)]
async fn a_key_may_have_limits_of_its_own() {
    let cluster = cluster();
    let world = World::on(&cluster, |config| {
        config.max_sessions_per_owner = Some(1);
        config.starts_per_minute = Some(9);
        config.keys[0].max_sessions = Some(2);
        config.keys[0].starts_per_minute = Some(3);
    });
    let begun = world.start(&stock("a", IMAGE)).await;
    world.until("a", "running").await;
    world.start(&stock("b", IMAGE)).await;
    world.until("b", "running").await;
    let (status, body) = world.post("/start", &stock("c", IMAGE)).await;
    let detail = body["detail"].as_str().unwrap_or_default();
    assert!(
        status == 503 && detail.contains("2 sessions that its owner may have"),
        "{body}"
    );
    // That was the third in this minute.
    let (status, body) = world.post("/start", &stock("c", IMAGE)).await;
    assert_eq!(status, 429, "{body}");
    // A key without any has the settings'.
    let start_of_bob = async |id| {
        let body = stock(id, IMAGE).to_string();
        world.ask("POST", "/start", &[BOB], &body).await
    };
    assert_eq!(start_of_bob("a").await.0, 200);
    tokio::time::sleep(Duration::from_secs(30)).await;
    let (status, body) = start_of_bob("b").await;
    let detail = body["detail"].as_str().unwrap_or_default();
    assert!(
        status == 503 && detail.contains("1 sessions that its owner may have"),
        "{body}"
    );
    // A request that wakes one comes without a key: what the owner's keys allow holds for it.
    assert_eq!(world.post("/pause", &named(&begun)).await.0, 200);
    world.until("a", "paused").await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    world.sessions.wake(&runtime_id(&begun)).await.unwrap();
    world.until("a", "running").await;
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_requests_wakes_a_session_once() {
    let cluster = cluster();
    let counted = FaultyCluster::new(Arc::new(cluster.clone()));
    let world = World::by(Arc::new(counted.clone()), &cluster, |_| {});
    let begun = world.start(&stock("a", IMAGE)).await;
    world.until("a", "running").await;
    assert_eq!(world.post("/pause", &named(&begun)).await.0, 200);
    world.until("a", "paused").await;
    let sessions = replica(&world, None);
    let id = runtime_id(&begun);
    // Right after the pause nothing wakes, and on no replica: what arrives was on its way before.
    assert_eq!(sessions.wake(&id).await, Err(NotWoken::JustPaused));
    let sessions = sessions.with_clock(clock());
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(pods(&cluster), 0);
    let woken = join_all((0..500).map(|_| sessions.wake(&id))).await;
    assert!(woken.iter().all(Result::is_ok), "{woken:?}");
    world.until("a", "running").await;
    assert_eq!(pods(&cluster), 1);
    let creations: usize = counted
        .counts()
        .iter()
        .filter(|((operation, kind), _)| {
            *operation == podbay_fake_cluster::Operation::Create && *kind == Some(Kind::Pod)
        })
        .map(|(_, count)| *count)
        .sum();
    assert_eq!(creations, 2);
}

#[tokio::test(start_paused = true)]
async fn pauses_and_resumes_at_once_leave_one_state_on_every_replica() {
    let cluster = cluster();
    let worlds = [(); 2].map(|()| World::on(&cluster, |_| {}));
    let begun = worlds[0].start(&stock("a", IMAGE)).await;
    worlds[0].until("a", "running").await;
    for round in 0..10 {
        let body = named(&begun);
        let (paused, resumed) = tokio::join!(
            worlds[round % 2].post("/pause", &body),
            worlds[(round + 1) % 2].post("/resume", &body)
        );
        for (status, answer) in [&paused, &resumed] {
            assert!([200, 409].contains(status), "{status} {answer}");
        }
        tokio::time::sleep(Duration::from_secs(40)).await;
        let states = join_all(worlds.iter().map(|world| world.get("/sessions/a"))).await;
        assert_eq!(states[0].1["status"], states[1].1["status"]);
        let status = states[0].1["status"].as_str().unwrap();
        assert_eq!(pods(&cluster), usize::from(status == "running"), "{states:?}");
        if status != "running" {
            assert_eq!(worlds[0].post("/resume", &body).await.0, 200);
            worlds[0].until("a", "running").await;
        }
    }
}
