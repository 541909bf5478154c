//! What clients are told of sessions that do not start, in the fields that they print.

use std::sync::Arc;
use std::time::Duration;

use podbay_fake_cluster::{
    FaultyCluster, ImageTrouble, Operation, Script, ScriptedCluster, Trouble, Unschedulable,
};
use serde_json::{Value, json};

use crate::agents;
use crate::world::{World, stock};

const ID: &str = "s";

fn cluster(script: Script) -> ScriptedCluster {
    let cluster = ScriptedCluster::new();
    cluster.script(|_| true, script);
    agents::answer(&cluster, || false);
    cluster
}

fn lines(answer: &Value, field: &str) -> String {
    let lines = answer[field].as_array().unwrap();
    let lines: Vec<&str> = lines.iter().map(|line| line.as_str().unwrap()).collect();
    lines.join("\n")
}

#[tokio::test(start_paused = true)]
async fn a_session_that_waits_tells_what_its_pod_waits_for_and_one_that_failed_still_does() {
    let cluster = cluster(Script::stuck(Trouble::Unschedulable(Unschedulable::Full {
        resource: "cpu".to_owned(),
    })));
    let world = World::on(&cluster, |_| {});
    world.start(&stock(ID, "debian:12")).await;
    tokio::time::sleep(Duration::from_secs(8)).await;
    let (_, waiting) = world.get(&format!("/sessions/{ID}")).await;
    assert_eq!(waiting["status"], "starting", "{waiting}");
    let events = lines(&waiting, "events");
    assert!(
        events.contains("FailedScheduling") && events.contains("Insufficient cpu"),
        "{waiting}"
    );
    tokio::time::sleep(Duration::from_secs(70)).await;
    let failed = world.until(ID, "error").await;
    assert!(lines(&failed, "events").contains("FailedScheduling"), "{failed}");
    let detail = failed["status_detail"].as_str().unwrap();
    assert!(
        detail.contains("capacity") && detail.contains("blame"),
        "{detail}"
    );
}

#[tokio::test(start_paused = true)]
async fn one_that_is_paused_while_it_starts_is_paused() {
    let cluster = cluster(Script::stuck(Trouble::Image(ImageTrouble::Unreachable)));
    let world = World::on(&cluster, |_| {});
    let begun = world.start(&stock(ID, "debian:12")).await;
    let named = json!({"runtime_id": begun["runtime_id"]});
    assert_eq!(world.post("/pause", &named).await.0, 200);
    tokio::time::sleep(Duration::from_secs(20)).await;
    let (_, paused) = world.get(&format!("/sessions/{ID}")).await;
    assert_eq!(paused["status"], "paused", "{paused}");
    assert_eq!(world.post("/resume", &named).await.0, 200);
    let (_, resumed) = world.get(&format!("/sessions/{ID}")).await;
    assert_eq!(resumed["status"], "starting", "{resumed}");
}

#[tokio::test(start_paused = true)]
async fn an_image_that_is_not_pulled_is_told_by_its_container() {
    let cluster = cluster(Script::stuck(Trouble::Image(ImageTrouble::Unreachable)));
    let world = World::on(&cluster, |_| {});
    world.start(&stock(ID, "registry.example/x:1")).await;
    tokio::time::sleep(Duration::from_secs(12)).await;
    let (_, waiting) = world.get(&format!("/sessions/{ID}")).await;
    let containers = lines(&waiting, "container_statuses");
    assert!(
        containers.contains("runtime: waiting, ") && containers.contains("registry.example/x:1"),
        "{waiting}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_program_that_ended_tells_its_last_lines_and_no_more_than_a_client_shows() {
    let log: String = (0..5000).fold(String::new(), |log, line| format!("{log}line {line}\n"));
    let cluster = cluster(Script::exits(3).log(format!("{log}Traceback: boom\n")));
    let world = World::on(&cluster, |_| {});
    let begun = world.start(&stock(ID, "debian:12")).await;
    let failed = world.until(ID, "error").await;
    let log = failed["pod_logs"].as_str().unwrap();
    assert!(
        log.ends_with("Traceback: boom") && log.contains("line 4999") && log.len() <= 2048,
        "{log}"
    );
    assert_eq!(failed["pod_status"], "crashloopbackoff");
    let whole = failed.to_string();
    assert!(whole.len() < 16_384, "{}", whole.len());
    // The same on the route of V0's clients.
    let (_, runtime) = world
        .get(&format!("/runtime/{}", begun["runtime_id"].as_str().unwrap()))
        .await;
    assert_eq!(runtime["pod_logs"], failed["pod_logs"]);
}

#[tokio::test(start_paused = true)]
async fn the_cluster_is_not_asked_for_events_at_each_question() {
    let cluster = cluster(Script::stuck(Trouble::Image(ImageTrouble::Unreachable)));
    let faulty = FaultyCluster::new(Arc::new(cluster.clone()));
    let first = World::on(&cluster, |_| {});
    first.start(&stock(ID, "debian:12")).await;
    // A replica that has not begun the start.
    let world = World::by(Arc::new(faulty.clone()), &cluster, |config| {
        config.hold_milliseconds = 0;
    });
    tokio::time::sleep(Duration::from_secs(2)).await;
    for _ in 0..40 {
        world.get(&format!("/sessions/{ID}")).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let counts = faulty.counts();
    let lists: usize = counts
        .iter()
        .filter(|((operation, _), _)| *operation == Operation::Events)
        .map(|(_, count)| *count)
        .sum();
    assert!((1..=2).contains(&lists), "{lists}");
}
