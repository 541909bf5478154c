//! The Job controller.

use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use podbay_fake_cluster::testing::object;
use podbay_fake_cluster::{Incident, Script, ScriptedCluster};
use podbay_k8s_client::{ClusterClient as _, DeleteOptions, Kind, Object, WatchEvent, WatchPolicy};
use serde_json::{Value, json};

use crate::harness::{NAMESPACE, condition, exists, key, phase, seconds};

fn job(fields: &Value) -> Object {
    let template =
        json!({"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "i"}]}});
    let mut spec = json!({"backoffLimit": 0, "template": template});
    for (name, value) in fields.as_object().unwrap() {
        spec[name] = value.clone();
    }
    object(
        Kind::Job,
        NAMESPACE,
        json!({"metadata": {"name": "j"}, "spec": spec}),
    )
}

async fn get(cluster: &ScriptedCluster) -> Job {
    let found = cluster.get(&key(Kind::Job, "j")).await.unwrap();
    found.unwrap().into_job().unwrap()
}

async fn pods(cluster: &ScriptedCluster) -> Vec<Pod> {
    let selector = "batch.kubernetes.io/job-name=j";
    let pods = cluster.list(Kind::Pod, NAMESPACE, selector).await.unwrap();
    pods.into_iter().filter_map(Object::into_pod).collect()
}

/// The conditions that hold, with their reasons.
fn conditions(job: &Job) -> Vec<String> {
    let conditions = job.status.as_ref().unwrap().conditions.iter().flatten();
    let holding = conditions.filter(|condition| condition.status == "True");
    holding
        .map(|condition| format!("{} {}", condition.type_, condition.reason.as_deref().unwrap()))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_job_makes_a_pod_that_is_its_own() {
    let cluster = ScriptedCluster::new();
    let created = cluster.create(job(&json!({}))).await.unwrap();
    seconds(1).await;
    let pods = pods(&cluster).await;
    assert_eq!(pods.len(), 1);
    assert_eq!(phase(&pods[0]), "Running");
    let owner = &pods[0].metadata.owner_references.as_ref().unwrap()[0];
    assert_eq!(
        (owner.uid.as_str(), owner.controller),
        (created.uid(), Some(true))
    );
    assert!(pods[0].metadata.name.as_ref().unwrap().starts_with("j-"));
    let status = get(&cluster).await.status.unwrap();
    assert_eq!((status.active, status.ready), (Some(1), Some(1)));
    // Its pods go with it, finalizers and all.
    cluster
        .delete(&key(Kind::Job, "j"), DeleteOptions::default())
        .await
        .unwrap();
    seconds(1).await;
    assert!(
        cluster.count(NAMESPACE).is_empty(),
        "{:?}",
        cluster.count(NAMESPACE)
    );
}

#[tokio::test(start_paused = true)]
async fn a_job_whose_pod_fails_fails() {
    let cluster = ScriptedCluster::new();
    cluster.script(|_| true, Script::exits(3));
    cluster.create(job(&json!({}))).await.unwrap();
    // Who sees its end sees the counts that led to it.
    let mut watch = cluster.watch(Kind::Job, NAMESPACE, "", WatchPolicy::FailFast);
    let status = loop {
        if let Some(Ok(WatchEvent::Applied(object))) = watch.next().await
            && let Some(job) = object.into_job()
            && !conditions(&job).is_empty()
        {
            break job.status.unwrap();
        }
    };
    assert_eq!((status.active, status.failed), (None, Some(1)));
    seconds(60).await;
    let job = get(&cluster).await;
    assert_eq!(
        conditions(&job),
        [
            "FailureTarget BackoffLimitExceeded",
            "Failed BackoffLimitExceeded"
        ]
    );
    assert_eq!(job.status.unwrap().failed, Some(1));
    let pods = pods(&cluster).await;
    assert_eq!(pods.len(), 1);
    assert_eq!(condition(&pods[0], "Ready"), "False PodFailed");
    assert_eq!(pods[0].metadata.finalizers, None);
}

#[tokio::test(start_paused = true)]
async fn a_job_tries_again_as_often_as_it_may_and_may_succeed() {
    let cluster = ScriptedCluster::new();
    let tries = std::sync::atomic::AtomicUsize::new(0);
    cluster.script_with(move |_| {
        let first = tries.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0;
        Some(Script::exits(i32::from(first)))
    });
    cluster
        .create(job(&json!({"backoffLimit": 1, "ttlSecondsAfterFinished": 100})))
        .await
        .unwrap();
    seconds(5).await;
    assert_eq!(pods(&cluster).await.len(), 1, "there is a pause between tries");
    seconds(15).await;
    let job = get(&cluster).await;
    assert_eq!(
        conditions(&job),
        [
            "SuccessCriteriaMet CompletionsReached",
            "Complete CompletionsReached"
        ]
    );
    let status = job.status.unwrap();
    assert_eq!((status.failed, status.succeeded), (Some(1), Some(1)));
    seconds(101).await;
    assert!(
        cluster.count(NAMESPACE).is_empty(),
        "{:?}",
        cluster.count(NAMESPACE)
    );
}

#[tokio::test(start_paused = true)]
async fn suspension_takes_the_pod_and_resumption_makes_another() {
    let cluster = ScriptedCluster::new();
    cluster.create(job(&json!({}))).await.unwrap();
    seconds(1).await;
    let first = pods(&cluster).await.remove(0).metadata.uid;
    let suspend = |suspend: bool| json!({"spec": {"suspend": suspend}});
    cluster.patch(&key(Kind::Job, "j"), suspend(true)).await.unwrap();
    seconds(1).await;
    assert!(pods(&cluster).await.is_empty());
    assert_eq!(conditions(&get(&cluster).await), ["Suspended JobSuspended"]);
    cluster.patch(&key(Kind::Job, "j"), suspend(false)).await.unwrap();
    seconds(1).await;
    let second = pods(&cluster).await.remove(0);
    assert_ne!(second.metadata.uid, first);
    let job = get(&cluster).await;
    assert_eq!(conditions(&job), [""; 0]);
    assert_eq!(job.status.unwrap().failed, None, "its own deletion is no failure");
    assert!(exists(&cluster, Kind::Pod, second.metadata.name.as_ref().unwrap()).await);
}

#[tokio::test(start_paused = true)]
async fn a_deleted_pod_is_a_failure_and_a_deadline_ends_all() {
    let cluster = ScriptedCluster::new();
    cluster.create(job(&json!({}))).await.unwrap();
    seconds(1).await;
    let name = pods(&cluster).await.remove(0).metadata.name.unwrap();
    cluster.happen(NAMESPACE, &name, &Incident::Delete).unwrap();
    seconds(1).await;
    assert_eq!(conditions(&get(&cluster).await)[1], "Failed BackoffLimitExceeded");

    let cluster = ScriptedCluster::new();
    cluster
        .create(job(&json!({"activeDeadlineSeconds": 10})))
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_secs(12)).await;
    assert_eq!(conditions(&get(&cluster).await)[1], "Failed DeadlineExceeded");
    assert!(pods(&cluster).await.is_empty());
}
