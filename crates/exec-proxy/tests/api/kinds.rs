//! Sessions of each kind of command, over pods.

use podbay_fake_cluster::{Script, ScriptedCluster};
use podbay_manifests::SessionSpec;
use serde_json::{Value, json};

use crate::agents::{self, Started};
use crate::world::World;

const ID: &str = "agent-server-1";

fn body(image: &str, command: &Value) -> Value {
    json!({"image": image, "command": command, "session_id": ID, "working_dir": "/", "environment": {"A": "$(B)"}})
}

fn cluster(started: &Started) -> ScriptedCluster {
    let cluster = ScriptedCluster::new();
    cluster.script(|_| true, Script::ready());
    agents::answer_and_note(&cluster, started);
    cluster
}

async fn spec(world: &World, session: &Value) -> SessionSpec {
    let id = session["runtime_id"].as_str().unwrap().parse().unwrap();
    world.podbay.look_for(&id).await.unwrap().unwrap().record.spec
}

#[tokio::test(start_paused = true)]
async fn a_v1_server_is_the_container_s_own_command_and_its_secret_key_stays() {
    let started = Started::default();
    let world = World::on(&cluster(&started), |_| {});
    let command = "/usr/local/bin/openhands-agent-server --port 60000";
    let asked = body("ghcr.io/openhands/agent-server:1.58.2-python", &json!(command));
    let session = world.start(&asked).await;
    assert_eq!(session["kind"], "v1");
    let ready = world.until(ID, "running").await;
    assert_eq!(ready["pod_status"], "ready");
    let spec = spec(&world, &session).await;
    let server = spec.server().unwrap();
    assert_eq!(server.command().unwrap().join(" "), command);
    assert_eq!((server.port(), server.vscode_port()), (60_000, 60_001));
    assert!(spec.agent().is_none());
    let names: Vec<_> = spec.env_names().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["A", "OH_SECRET_KEY"]);
    // The same again is the same session, and nothing is different.
    let again = world.start(&asked).await;
    assert_eq!(
        (&again["runtime_id"], &again["status_detail"]),
        (&session["runtime_id"], &Value::Null)
    );
    let id = json!({"runtime_id": session["runtime_id"]});
    assert_eq!(world.post("/pause", &id).await.0, 200);
    world.until(ID, "paused").await;
    assert_eq!(world.post("/resume", &id).await.0, 200);
    assert_eq!(
        world.until(ID, "running").await["session_api_key"],
        session["session_api_key"]
    );
    assert!(started.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn another_command_is_run_by_the_agent_which_tells_it_no_key() {
    let started = Started::default();
    let world = World::on(&cluster(&started), |_| {});
    let session = world
        .start(&body("debian:12", &json!("sh -c 'serve; wait'")))
        .await;
    assert_eq!(session["kind"], "command");
    world.until(ID, "running").await;
    let other = world.start(&body("debian:12", &json!(["sleep", "9"]))).await;
    assert_eq!(other["runtime_id"], session["runtime_id"]);
    let told = other["status_detail"].as_str().unwrap();
    assert!(
        told.contains("sleep 9") && told.contains("sh -c serve; wait"),
        "{told}"
    );
    let started = started.lock().unwrap();
    let [process] = &started[..] else {
        panic!("{started:?}")
    };
    assert_eq!(process["argv"], json!(["sh", "-c", "serve; wait"]));
    assert!(process.get("environment").is_none(), "{process}");
}

#[tokio::test(start_paused = true)]
async fn without_a_command_the_image_s_own_runs() {
    let started = Started::default();
    let world = World::on(&cluster(&started), |_| {});
    let session = world.start(&body("debian:12", &json!(null))).await;
    assert_eq!(session["kind"], "image");
    world.until(ID, "running").await;
    let spec = spec(&world, &session).await;
    assert!(spec.server().is_none() && spec.agent().is_none());
}
