//! Keys with a namespace: where their sessions are, and who sees them.

use podbay_config::ApiKeyEntry;
use podbay_exec_proxy::keys::{ApiKeys, Sources};
use podbay_exec_proxy::sessions::{AllSessions, ServiceSessions, Sessions as _};
use podbay_fake_cluster::ScriptedCluster;
use podbay_k8s_client::Kind;
use podbay_manifests::RuntimeId;
use podbay_runtime::{Backend, Config, Podbay, SessionState};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::agents;
use crate::world::{ALICE, World, keys, stock};

/// Another key of the owner alice, for the namespace `ci`.
const ALICE_IN_CI: &str = "key of alice in ci";
const IMAGE: &str = "debian:12";

fn in_ci() -> ApiKeyEntry {
    ApiKeyEntry {
        name: "ci".to_owned(),
        owner: "alice".to_owned(),
        sha256: format!("{:x}", Sha256::digest(ALICE_IN_CI)),
        namespace: Some("ci".to_owned()),
        ..ApiKeyEntry::default()
    }
}

fn world(cluster: &ScriptedCluster) -> World {
    World::on(cluster, |config| config.keys.push(in_ci()))
}

fn pods(cluster: &ScriptedCluster, namespace: &str) -> usize {
    let counted = cluster.count(namespace);
    counted.get(&Kind::Pod).copied().unwrap_or_default()
}

fn id_of(session: &Value) -> RuntimeId {
    session["runtime_id"].as_str().unwrap().parse().unwrap()
}

async fn running(world: &World, key: &str, id: &str) -> Value {
    loop {
        let (status, session) = world.ask("GET", &format!("/sessions/{id}"), &[key], "").await;
        assert_eq!(status, 200, "{session}");
        if session["status"] == "running" {
            return session;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_s_sessions_are_in_its_namespace_and_it_sees_no_others() {
    let cluster = ScriptedCluster::new();
    agents::answer(&cluster, || true);
    let world = world(&cluster);
    let body = stock("one", IMAGE).to_string();
    for key in [ALICE, ALICE_IN_CI] {
        let (status, session) = world.ask("POST", "/start", &[key], &body).await;
        assert_eq!(status, 200, "{session}");
    }
    let (own, other) = (
        running(&world, ALICE, "one").await,
        running(&world, ALICE_IN_CI, "one").await,
    );
    assert_eq!((pods(&cluster, "default"), pods(&cluster, "ci")), (1, 1));
    assert_ne!(own["runtime_id"], other["runtime_id"]);
    // Neither key sees the session of the other namespace, though both are the owner's.
    for (key, seen, hidden) in [(ALICE, &own, &other), (ALICE_IN_CI, &other, &own)] {
        let (_, listed) = world.ask("GET", "/list", &[key], "").await;
        assert_eq!(listed["runtimes"].as_array().unwrap().len(), 1, "{listed}");
        assert_eq!(listed["runtimes"][0]["runtime_id"], seen["runtime_id"]);
        let hidden = hidden["runtime_id"].as_str().unwrap();
        let (status, _) = world.ask("GET", &format!("/runtime/{hidden}"), &[key], "").await;
        assert_eq!(status, 404);
    }
    // A URL leads to either, and a connection to the pod of that namespace.
    for (session, namespace) in [(&own, "default"), (&other, "ci")] {
        let route = world.sessions.route(&id_of(session)).await.unwrap().unwrap();
        let address = route.address.unwrap();
        assert_eq!(address.namespace(), namespace);
        world
            .sessions
            .connect(&address, route.ports.server)
            .await
            .unwrap();
    }
    let unknown = RuntimeId::from_random([7; 16]);
    assert!(world.sessions.route(&unknown).await.unwrap().is_none());
    let (states, _) = world.sessions.figures().unwrap();
    assert_eq!(states["Ready"], 2);
    // What is done with one key leaves the other namespace alone.
    let named = json!({"runtime_id": own["runtime_id"]}).to_string();
    let (status, _) = world.ask("POST", "/stop", &[ALICE_IN_CI], &named).await;
    assert_eq!((status, pods(&cluster, "default")), (200, 1));
    assert_eq!(world.ask("POST", "/stop", &[ALICE], &named).await.0, 200);
    tokio::time::sleep(std::time::Duration::from_secs(40)).await;
    assert_eq!((pods(&cluster, "default"), pods(&cluster, "ci")), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_session_of_a_key_s_namespace_is_woken_by_its_url_on_a_replica_that_did_not_start_it() {
    let cluster = ScriptedCluster::new();
    agents::answer(&cluster, || true);
    let starter = world(&cluster);
    let (status, _) = starter
        .ask("POST", "/start", &[ALICE_IN_CI], &stock("one", IMAGE).to_string())
        .await;
    assert_eq!(status, 200);
    let session = running(&starter, ALICE_IN_CI, "one").await;
    let named = json!({"runtime_id": session["runtime_id"]}).to_string();
    assert_eq!(starter.ask("POST", "/pause", &[ALICE_IN_CI], &named).await.0, 200);
    tokio::time::sleep(std::time::Duration::from_secs(40)).await;
    assert_eq!(pods(&cluster, "ci"), 0);
    let other = world(&cluster);
    let id = id_of(&session);
    other.sessions.wake(&id).await.unwrap();
    let mut route = other.sessions.route(&id).await.unwrap().unwrap();
    while !matches!(route.state, SessionState::Ready(_)) {
        other.sessions.changed(&route).await;
        route = other.sessions.route(&id).await.unwrap().unwrap();
    }
    assert_eq!((pods(&cluster, "default"), pods(&cluster, "ci")), (0, 1));
}

#[tokio::test]
async fn sessions_of_this_machine_have_no_namespaces() {
    let podbay = Podbay::builder(Config::default())
        .backend(Backend::Local)
        .in_this_process();
    let podbay = podbay.connect().await.unwrap();
    let mut config = podbay_config::ServeConfig {
        keys: keys(),
        ..podbay_config::ServeConfig::default()
    };
    config.keys.push(in_ci());
    let listen = "127.0.0.1:8000".parse().unwrap();
    let sources = Sources {
        config: &config,
        listen,
    };
    let (keys, _) = ApiKeys::gather(sources).unwrap();
    let sessions = ServiceSessions::new(podbay, None).unwrap();
    let Err(refused) = AllSessions::of_keys(sessions, &keys) else {
        panic!("a namespace of this machine");
    };
    assert!(
        refused.to_string().contains("sessions of this machine have none"),
        "{refused}"
    );
}
