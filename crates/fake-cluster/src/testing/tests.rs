//! The questions, on a cluster with something in it.

use std::time::Duration;

use podbay_k8s_client::{ClusterClient as _, DeleteOptions, Kind, Object};
use serde_json::json;

use super::{TestCluster, claim, config_map, object, owned_by, pod};
use crate::Script;

const NAMESPACE: &str = "test";

/// A namespace with one object of each maker, and another with a ConfigMap.
async fn filled() -> TestCluster {
    let test = TestCluster::new(NAMESPACE);
    let owner = test
        .scripted
        .create(config_map(NAMESPACE, "owner"))
        .await
        .unwrap();
    let secret = object(Kind::Secret, NAMESPACE, json!({"metadata": {"name": "s"}}));
    for object in [
        secret,
        claim(NAMESPACE, "c"),
        owned_by(pod(NAMESPACE, "p", &json!({})), &[&owner]),
        config_map("elsewhere", "other"),
    ] {
        test.scripted.create(object).await.unwrap();
    }
    test
}

#[tokio::test(start_paused = true)]
async fn what_a_namespace_has_is_counted_and_another_has_is_not() {
    let test = filled().await;
    let kinds = [
        Kind::ConfigMap,
        Kind::Secret,
        Kind::PersistentVolumeClaim,
        Kind::Pod,
    ];
    assert_eq!(test.counts(), kinds.map(|kind| (kind, 1)).into());
    assert_eq!(test.leftovers().len(), 4);
    assert!(test.find(Kind::ConfigMap, "other").is_none());
    let elsewhere = TestCluster::on(&test.scripted, "elsewhere");
    assert_eq!(elsewhere.get(Kind::ConfigMap, "other").key().name, "other");
}

#[tokio::test(start_paused = true)]
async fn what_is_left_out_is_not_counted_and_still_found() {
    let test = filled().await.leave_out(|object| object.kind() != Kind::Pod);
    assert_eq!(test.counts(), [(Kind::Pod, 1)].into());
    assert!(test.find(Kind::Secret, "s").is_some());
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_has_ended_or_is_being_deleted_is_not_live() {
    let test = TestCluster::new(NAMESPACE);
    test.script(Script::ready().terminate_for(Duration::from_secs(5)));
    for name in ["ends", "goes", "stays"] {
        test.scripted
            .create(pod(NAMESPACE, name, &json!({})))
            .await
            .unwrap();
    }
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(test.live_pods(), 3);
    test.scripted.exit(NAMESPACE, "ends", 0).unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(test.live_pods(), 2);
    let going = test.key(Kind::Pod, "goes");
    test.scripted
        .delete(&going, DeleteOptions::default())
        .await
        .unwrap();
    assert_eq!(test.live_pods(), 1);
    assert_eq!(test.objects().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn what_is_removed_is_gone_at_once_whatever_holds_it() {
    let test = filled().await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let held = json!({"metadata": {"finalizers": ["example.com/held"]}});
    for object in test.objects() {
        test.scripted.raw().patch(&object.key(), &held).unwrap();
        test.remove(&object.key());
        assert!(test.find(object.kind(), object.key().name).is_none());
    }
    test.assert_empty("after all was removed");
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "at the end: left behind are")]
async fn what_is_left_fails_the_assertion() {
    filled().await.assert_empty("at the end");
}

#[tokio::test(start_paused = true)]
async fn owners_have_the_api_version_of_their_kind() {
    let template =
        json!({"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "i"}]}});
    let job = object(
        Kind::Job,
        NAMESPACE,
        json!({"metadata": {"name": "j"}, "spec": {"template": template}}),
    );
    let test = TestCluster::new(NAMESPACE);
    let job = test.scripted.create(job).await.unwrap();
    let owned: Object = owned_by(config_map(NAMESPACE, "m"), &[&job]);
    let owner = &owned.metadata().owner_references.as_ref().unwrap()[0];
    assert_eq!((&*owner.api_version, &*owner.kind), ("batch/v1", "Job"));
    assert_eq!(owner.uid, job.uid());
}
