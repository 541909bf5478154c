//! The API's semantics, through the client.

use std::collections::BTreeMap;

use futures::StreamExt as _;
use podbay_fake_cluster::testing::{config_map, owned_by};
use podbay_k8s_client::{
    ClusterClient as _, DeleteOptions, ErrorKind, Kind, Object, WatchEvent, WatchPolicy,
};

use crate::harness::{NAMESPACE, cluster, container, pod, within};

#[tokio::test]
async fn a_second_of_the_name_is_refused_by_meaning() {
    let cluster = cluster().await;
    let error = cluster.create(pod(&container())).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::AlreadyExists);
    assert_eq!(
        error.to_string(),
        r#"create pod test/pod: already exists: pods "pod" already exists"#
    );
    assert!(!error.may_have_happened());
}

#[tokio::test]
async fn deletion_with_another_uid_leaves_the_object_alone() {
    let cluster = cluster().await;
    let object = cluster.create(config_map(NAMESPACE, "a")).await.unwrap();
    assert!(
        !cluster
            .delete(&object.key(), DeleteOptions::only("other"))
            .await
            .unwrap()
    );
    assert_eq!(cluster.get(&object.key()).await.unwrap(), Some(object.clone()));
    assert!(
        cluster
            .delete(&object.key(), DeleteOptions::only(object.uid()))
            .await
            .unwrap()
    );
    assert_eq!(cluster.get(&object.key()).await.unwrap(), None);
}

#[tokio::test]
async fn deletion_of_another_version_is_a_conflict() {
    let cluster = cluster().await;
    let read = cluster.create(config_map(NAMESPACE, "a")).await.unwrap();
    let of = |object: &podbay_k8s_client::Object| {
        DeleteOptions::unchanged(object.uid(), object.metadata().resource_version.clone().unwrap())
    };
    let changed = serde_json::json!({"data": {"a": "b"}});
    let changed = cluster.patch(&read.key(), changed).await.unwrap();
    let error = cluster.delete(&read.key(), of(&read)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict);
    assert_eq!(cluster.get(&read.key()).await.unwrap(), Some(changed.clone()));
    assert!(cluster.delete(&read.key(), of(&changed)).await.unwrap());
    assert_eq!(cluster.get(&read.key()).await.unwrap(), None);
    assert!(!cluster.delete(&read.key(), of(&changed)).await.unwrap());
}

#[tokio::test]
async fn deletion_reaches_dependents_of_dependents_and_late_comers() {
    let cluster = cluster().await;
    let a = cluster.create(config_map(NAMESPACE, "a")).await.unwrap();
    let b = cluster
        .create(owned_by(config_map(NAMESPACE, "b"), &[&a]))
        .await
        .unwrap();
    let c = cluster
        .create(owned_by(config_map(NAMESPACE, "c"), &[&b]))
        .await
        .unwrap();
    let kept = cluster.create(config_map(NAMESPACE, "kept")).await.unwrap();
    assert!(
        within(cluster.delete(&a.key(), DeleteOptions::default()))
            .await
            .unwrap()
    );
    assert_eq!(
        cluster.list(Kind::ConfigMap, NAMESPACE, "").await.unwrap(),
        [kept]
    );
    // One that is created for an owner that is gone goes too.
    cluster
        .create(owned_by(config_map(NAMESPACE, "late"), &[&c]))
        .await
        .unwrap();
    assert_eq!(
        cluster.list(Kind::ConfigMap, NAMESPACE, "").await.unwrap().len(),
        1
    );
}

#[tokio::test]
async fn a_watch_starts_with_what_there_is_and_goes_on_with_what_changes() {
    let cluster = cluster().await;
    let labelled = |name: &str| {
        let mut object = config_map(NAMESPACE, name);
        object.metadata_mut().labels = Some(BTreeMap::from([("x".to_owned(), "1".to_owned())]));
        object
    };
    let first = cluster.create(labelled("first")).await.unwrap();
    cluster.create(config_map(NAMESPACE, "other")).await.unwrap();
    let mut watch = cluster.watch(Kind::ConfigMap, NAMESPACE, "x=1", WatchPolicy::FailFast);
    let second = cluster.create(labelled("second")).await.unwrap();
    cluster
        .delete(&first.key(), DeleteOptions::default())
        .await
        .unwrap();
    assert_eq!(
        within(watch.next()).await.unwrap().unwrap(),
        WatchEvent::Reset(vec![first.clone()])
    );
    assert_eq!(
        within(watch.next()).await.unwrap().unwrap(),
        WatchEvent::Applied(second)
    );
    let Some(Ok(WatchEvent::Deleted(gone))) = within(watch.next()).await else {
        panic!("not deleted")
    };
    assert_eq!((gone.key(), gone.uid()), (first.key(), first.uid()));
    drop(cluster);
    assert!(within(watch.next()).await.is_none());
}

#[tokio::test]
async fn a_pod_is_seen_to_start_and_to_end() {
    let cluster = podbay_embedded::EmbeddedCluster::new().unwrap();
    let watch = cluster.watch(Kind::Pod, NAMESPACE, "", WatchPolicy::FailFast);
    let created = cluster.create(pod(&container())).await.unwrap();
    cluster
        .delete(&created.key(), DeleteOptions::default())
        .await
        .unwrap();
    drop(cluster);
    let seen = watch.map(|event| match event.unwrap() {
        WatchEvent::Reset(objects) => format!("{} objects", objects.len()),
        WatchEvent::Applied(object) => format!("{}{}", phase(&object), object.is_terminating()),
        WatchEvent::Deleted(object) => format!("{}gone", phase(&object)),
        WatchEvent::Interrupted(_) | WatchEvent::Resumed => String::new(),
    });
    let expected = [
        "0 objects",
        "Pending false",
        "Running false",
        "Running true",
        "Running gone",
    ];
    assert_eq!(within(seen.collect::<Vec<_>>()).await, expected);
}

fn phase(object: &Object) -> String {
    let phase = object.clone().into_pod().and_then(|pod| pod.status?.phase);
    phase.map_or_else(String::new, |phase| format!("{phase} "))
}

#[tokio::test]
async fn a_selector_that_makes_no_sense_is_refused_everywhere() {
    let cluster = cluster().await;
    assert_eq!(
        cluster.list(Kind::Pod, NAMESPACE, "a in").await.unwrap_err().kind,
        ErrorKind::Invalid
    );
    let mut watch = cluster.watch(Kind::Pod, NAMESPACE, "a in", WatchPolicy::FailFast);
    assert_eq!(
        within(watch.next()).await.unwrap().unwrap_err().kind,
        ErrorKind::Invalid
    );
    assert!(within(watch.next()).await.is_none());
}
