//! Pods that run, pods that wait, and what is said of them.

use futures::StreamExt as _;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{EnvFromSource, Pod, SecretEnvSource};
use podbay_embedded::EmbeddedCluster;
use podbay_fake_cluster::testing::{config_map, object};
use podbay_k8s_client::{ClusterClient as _, DeleteOptions, ErrorKind, Kind, LogRequest, ObjectKey};
use serde_json::json;

use crate::harness::{CONTAINER, NAMESPACE, POD, cluster, container, pod, run, shell, within};

fn key() -> ObjectKey {
    ObjectKey::new(Kind::Pod, NAMESPACE, POD)
}

async fn read(cluster: &EmbeddedCluster) -> Pod {
    cluster.get(&key()).await.unwrap().unwrap().into_pod().unwrap()
}

/// Phase, waiting reason and message of the one container.
fn waiting(pod: &Pod) -> (String, Option<(String, String)>) {
    let status = pod.status.clone().unwrap();
    let state = status.container_statuses.unwrap().remove(0).state.unwrap();
    let waiting = state
        .waiting
        .map(|waiting| (waiting.reason.unwrap(), waiting.message.unwrap_or_default()));
    (status.phase.unwrap(), waiting)
}

#[tokio::test]
async fn a_pod_runs_at_once_and_is_ready() {
    let cluster = cluster().await;
    let pod = read(&cluster).await;
    assert_eq!(waiting(&pod), ("Running".to_owned(), None));
    let status = pod.status.unwrap();
    assert!(
        status
            .conditions
            .unwrap()
            .iter()
            .all(|condition| condition.status == "True")
    );
    assert_eq!(status.pod_ip.as_deref(), Some("127.0.0.1"));
    let uid = pod.metadata.uid.unwrap();
    assert_eq!(cluster.events(&key(), &uid).await.unwrap(), []);
}

#[tokio::test]
async fn an_image_is_refused_with_an_event() {
    let cluster = EmbeddedCluster::new().unwrap();
    let mut container = container();
    container.image = Some("debian:12".to_owned());
    cluster.create(pod(&container)).await.unwrap();
    let pod = read(&cluster).await;
    let (phase, refusal) = waiting(&pod);
    let (reason, message) = refusal.unwrap();
    assert_eq!((phase.as_str(), reason.as_str()), ("Pending", "ErrImagePull"));
    assert!(
        message.contains("debian:12") && message.contains("\"host\""),
        "{message}"
    );
    let uid = pod.metadata.uid.unwrap();
    let events = cluster.events(&key(), &uid).await.unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].involved_object.uid.as_deref(), Some(uid.as_str()));
    assert!(events[0].message.as_ref().unwrap().ends_with(&message));
    assert_eq!(cluster.events(&key(), "another").await.unwrap(), []);
    assert!(cluster.delete(&key(), DeleteOptions::default()).await.unwrap());
    assert_eq!(cluster.get(&key()).await.unwrap(), None);
}

#[tokio::test]
async fn a_pod_waits_for_its_secret_and_starts_with_it() {
    let cluster = EmbeddedCluster::new().unwrap();
    let mut container = container();
    let source = SecretEnvSource {
        name: "s".to_owned(),
        optional: None,
    };
    container.env_from = Some(vec![EnvFromSource {
        secret_ref: Some(source),
        ..EnvFromSource::default()
    }]);
    let created = cluster.create(pod(&container)).await.unwrap();
    let expected = (
        "CreateContainerConfigError".to_owned(),
        r#"secret "s" not found"#.to_owned(),
    );
    assert_eq!(
        waiting(&read(&cluster).await),
        ("Pending".to_owned(), Some(expected))
    );
    // What doesn't help doesn't repeat the event.
    cluster.create(config_map(NAMESPACE, "unrelated")).await.unwrap();
    assert_eq!(cluster.events(&key(), created.uid()).await.unwrap().len(), 1);

    let data = json!({"K": ByteString(b"v".to_vec())});
    let secret = object(
        Kind::Secret,
        NAMESPACE,
        json!({"metadata": {"name": "s"}, "data": data}),
    );
    cluster.create(secret).await.unwrap();
    assert_eq!(waiting(&read(&cluster).await), ("Running".to_owned(), None));
    assert_eq!(run(&cluster, shell("echo $K")).await.text(), "v\n");
}

#[tokio::test]
async fn a_log_is_silent_and_followed_until_the_pod_ends() {
    let cluster = cluster().await;
    let request = |follow| LogRequest {
        container: CONTAINER.to_owned(),
        follow,
        ..LogRequest::default()
    };
    let mut log = cluster.logs(NAMESPACE, POD, request(false)).await.unwrap();
    assert!(within(log.next()).await.is_none());
    let mut followed = cluster.logs(NAMESPACE, POD, request(true)).await.unwrap();
    assert!(futures::poll!(followed.next()).is_pending());
    cluster.delete(&key(), DeleteOptions::default()).await.unwrap();
    assert!(within(followed.next()).await.is_none());
    let error = cluster.logs(NAMESPACE, POD, request(true)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
}
