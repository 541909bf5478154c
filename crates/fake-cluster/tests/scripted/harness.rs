//! What the suite reads of pods, and waiting on the paused clock.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Event, Pod};
use podbay_fake_cluster::testing::pod;
use podbay_fake_cluster::{Script, ScriptedCluster};
use podbay_k8s_client::{ClusterClient as _, Kind, ObjectKey};
use serde_json::{Value, json};

/// The namespace everything is in.
pub(crate) const NAMESPACE: &str = "test";

pub(crate) fn uses_claim(claim: &str) -> Value {
    json!({"volumes": [{"name": "work", "persistentVolumeClaim": {"claimName": claim}}]})
}

pub(crate) fn key(kind: Kind, name: &str) -> ObjectKey {
    ObjectKey::new(kind, NAMESPACE, name)
}

pub(crate) async fn seconds(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

/// A cluster whose pods all have this script, with one pod, after some seconds.
pub(crate) async fn after(script: Script, spec: &Value, time: u64) -> (ScriptedCluster, Pod) {
    let cluster = ScriptedCluster::new();
    cluster.script(|_| true, script);
    cluster.create(pod(NAMESPACE, "p", spec)).await.unwrap();
    seconds(time).await;
    let pod = get_pod(&cluster, "p").await;
    (cluster, pod)
}

pub(crate) async fn get_pod(cluster: &ScriptedCluster, name: &str) -> Pod {
    let found = cluster.get(&key(Kind::Pod, name)).await.unwrap();
    found.unwrap().into_pod().unwrap()
}

pub(crate) async fn exists(cluster: &ScriptedCluster, kind: Kind, name: &str) -> bool {
    cluster.get(&key(kind, name)).await.unwrap().is_some()
}

pub(crate) fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().unwrap().phase.as_deref().unwrap()
}

/// A condition as `STATUS REASON`.
pub(crate) fn condition(pod: &Pod, kind: &str) -> String {
    let conditions = pod.status.as_ref().unwrap().conditions.iter().flatten();
    let mut found = conditions.filter(|condition| condition.type_ == kind);
    found.next().map_or_else(String::new, |condition| {
        format!(
            "{} {}",
            condition.status,
            condition.reason.as_deref().unwrap_or_default()
        )
        .trim_end()
        .to_owned()
    })
}

/// The first container's state: `waiting REASON`, `running`, `terminated REASON CODE`.
pub(crate) fn state(pod: &Pod) -> String {
    let statuses = pod
        .status
        .as_ref()
        .unwrap()
        .container_statuses
        .as_deref()
        .unwrap_or_default();
    let state = statuses
        .first()
        .and_then(|status| status.state.clone())
        .unwrap_or_default();
    match (state.waiting, state.running, state.terminated) {
        (Some(waiting), _, _) => format!("waiting {}", waiting.reason.unwrap_or_default()),
        (_, Some(_), _) => "running".to_owned(),
        (_, _, Some(end)) => format!("terminated {} {}", end.reason.unwrap_or_default(), end.exit_code),
        _ => String::new(),
    }
}

/// The reasons of the events about a pod.
pub(crate) async fn reasons(cluster: &ScriptedCluster, pod: &Pod) -> Vec<String> {
    let events = events(cluster, pod).await;
    events.into_iter().filter_map(|event| event.reason).collect()
}

pub(crate) async fn events(cluster: &ScriptedCluster, pod: &Pod) -> Vec<Event> {
    let name = pod.metadata.name.as_deref().unwrap();
    let uid = pod.metadata.uid.as_deref().unwrap();
    cluster.events(&key(Kind::Pod, name), uid).await.unwrap()
}
