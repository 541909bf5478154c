//! The API's semantics: versions, watches, conflicts, deletion.

use std::time::Duration;

use futures::{FutureExt as _, StreamExt as _};
use podbay_fake_cluster::testing::{config_map, object, owned_by};
use podbay_fake_cluster::{RawEvent, RawWatch, ScriptedCluster};
use podbay_k8s_client::{
    ClusterClient as _, DeleteOptions, ErrorKind, Kind, Object, WatchEvent, WatchPolicy,
};
use serde_json::json;

use crate::harness::{NAMESPACE, exists, key, seconds};

const MAP: Kind = Kind::ConfigMap;

fn labelled(name: &str, label: &str) -> Object {
    object(
        MAP,
        NAMESPACE,
        json!({"metadata": {"name": name, "labels": {"l": label}}}),
    )
}

/// The events that are there: `added NAME`, `error KIND`.
fn drain(watch: &mut RawWatch) -> Vec<String> {
    let mut seen = Vec::new();
    while let Some(Some(event)) = watch.next().now_or_never() {
        seen.push(match event {
            RawEvent::Added(object) => format!("added {}", object.key().name),
            RawEvent::Modified(object) => format!("modified {}", object.key().name),
            RawEvent::Deleted(object) => format!("deleted {}", object.key().name),
            RawEvent::Bookmark { resource_version } => format!("bookmark {resource_version}"),
            RawEvent::Error(error) => format!("error {}", error.kind),
        });
    }
    seen
}

#[tokio::test(start_paused = true)]
async fn refusals_have_the_servers_words() {
    let raw = ScriptedCluster::new().raw();
    let created = raw.create(config_map(NAMESPACE, "x")).unwrap();
    let words = |error: podbay_k8s_client::Error| (error.kind, error.message.unwrap());
    assert_eq!(
        words(raw.create(config_map(NAMESPACE, "x")).unwrap_err()),
        (
            ErrorKind::AlreadyExists,
            r#"configmaps "x" already exists"#.to_owned()
        )
    );
    assert_eq!(
        words(raw.get(&key(Kind::Job, "x")).unwrap_err()),
        (ErrorKind::NotFound, r#"jobs.batch "x" not found"#.to_owned())
    );
    raw.patch(&key(MAP, "x"), &json!({"data": {"a": "1"}})).unwrap();
    let stale = words(raw.update(created.clone()).unwrap_err());
    assert_eq!(stale.0, ErrorKind::Conflict);
    assert!(
        stale
            .1
            .starts_with(r#"Operation cannot be fulfilled on configmaps "x": the object has been modified"#)
    );
    let version = created.metadata().resource_version.clone();
    let stale = raw.patch(&key(MAP, "x"), &json!({"metadata": {"resourceVersion": version}}));
    assert_eq!(stale.unwrap_err().kind, ErrorKind::Conflict);
    let other = words(raw.delete(&key(MAP, "x"), DeleteOptions::only("u")).unwrap_err());
    assert_eq!(other.0, ErrorKind::Conflict);
    assert!(
        other
            .1
            .contains("the UID in the precondition (u) does not match the UID in record ("),
        "{}",
        other.1
    );
    let invalid = words(raw.create(config_map(NAMESPACE, "X")).unwrap_err());
    assert_eq!(invalid.0, ErrorKind::Invalid);
    assert!(
        invalid
            .1
            .starts_with(r#"ConfigMap "X" is invalid: metadata.name: Invalid value: "X": "#),
        "{}",
        invalid.1
    );
}

#[tokio::test(start_paused = true)]
async fn a_patch_merges_and_nulls_remove() {
    let cluster = ScriptedCluster::new();
    let map = object(
        MAP,
        NAMESPACE,
        json!({"metadata": {"name": "x"}, "data": {"a": "1", "b": "2"}}),
    );
    let created = cluster.create(map).await.unwrap();
    let patch = json!({"data": {"a": null, "c": "3"}});
    let patched = cluster.patch(&key(MAP, "x"), patch.clone()).await.unwrap();
    assert_eq!(patched.uid(), created.uid());
    assert_ne!(
        patched.metadata().resource_version,
        created.metadata().resource_version
    );
    let data = patched.clone().into_config_map().unwrap().data.unwrap();
    assert_eq!(serde_json::to_value(data).unwrap(), json!({"b": "2", "c": "3"}));
    // What changes nothing is no change.
    let again = cluster.patch(&key(MAP, "x"), patch).await.unwrap();
    assert_eq!(again, patched);
    let gone = cluster.patch(&key(MAP, "y"), json!({})).await.unwrap_err();
    assert_eq!(gone.kind, ErrorKind::NotFound);
}

#[tokio::test(start_paused = true)]
async fn a_name_can_be_generated_and_runs_are_the_same() {
    let run = || {
        let raw = ScriptedCluster::builder().seed(7).build().raw();
        let mut map = config_map(NAMESPACE, "");
        map.metadata_mut().generate_name = Some("x-".to_owned());
        let map = raw.create(map).unwrap();
        (
            map.key().name,
            map.uid().to_owned(),
            map.metadata().creation_timestamp.clone(),
        )
    };
    let first = run();
    assert!(first.0.starts_with("x-") && first.0.len() == 7, "{}", first.0);
    assert_eq!(first, run());
}

#[tokio::test(start_paused = true)]
async fn a_watch_goes_on_from_any_version_that_is_known() {
    let raw = ScriptedCluster::new().raw();
    raw.create(labelled("a", "1")).unwrap();
    let from = raw.list(MAP, "test", "").unwrap().resource_version;
    raw.create(labelled("b", "1")).unwrap();
    raw.patch(&key(MAP, "a"), &json!({"metadata": {"labels": {"l": "2"}}}))
        .unwrap();
    raw.delete(&key(MAP, "b"), DeleteOptions::default()).unwrap();
    let watch = |selector: &str, version| raw.watch_from(MAP, "test", selector, version).unwrap();
    assert_eq!(
        drain(&mut watch("", Some(&from))),
        ["added b", "modified a", "deleted b"]
    );
    assert_eq!(
        drain(&mut watch("l=1", Some(&from))),
        ["added b", "deleted a", "deleted b"]
    );
    assert_eq!(drain(&mut watch("l=2", Some(&from))), ["added a"]);
    assert_eq!(drain(&mut watch("", None)), ["added a"]);
    assert_eq!(drain(&mut watch("", Some("0"))), ["added a"]);
    let mut behind = watch("", Some(&from));
    raw.compact();
    assert_eq!(drain(&mut behind), ["error version expired"]);
    assert!(behind.next().await.is_none());
    let expired = raw.watch_from(MAP, "test", "", Some(&from)).err().unwrap();
    assert_eq!(expired.kind, ErrorKind::Expired);
    let mut future = watch("", Some("99"));
    raw.create(labelled("b", "1")).unwrap();
    assert_eq!(drain(&mut future), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_quiet_watch_gets_bookmarks() {
    let raw = ScriptedCluster::new().raw();
    let mut watch = raw.watch_with_bookmarks(MAP, "test", "", None).unwrap();
    raw.create(object(
        Kind::Secret,
        NAMESPACE,
        json!({"metadata": {"name": "s"}}),
    ))
    .unwrap();
    let event = tokio::time::timeout(Duration::from_secs(61), watch.next())
        .await
        .unwrap();
    let Some(RawEvent::Bookmark { resource_version }) = event else {
        panic!("{event:?}")
    };
    assert_eq!(resource_version, raw.resource_version());
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_is_too_slow_lists_again() {
    let cluster = ScriptedCluster::builder().history(4).build();
    let mut watch = cluster.watch(MAP, "test", "", WatchPolicy::FailFast);
    assert_eq!(
        watch.next().await.unwrap().unwrap(),
        WatchEvent::Reset(Vec::new())
    );
    for name in ["a", "b", "c", "d", "e", "f"] {
        cluster.create(config_map(NAMESPACE, name)).await.unwrap();
    }
    let Some(Ok(WatchEvent::Reset(objects))) = watch.next().await else {
        panic!("not listed again")
    };
    assert_eq!(objects.len(), 6);
}

#[tokio::test(start_paused = true)]
async fn what_loses_its_owners_is_deleted_later() {
    let cluster = ScriptedCluster::new();
    let owners = [
        cluster.create(config_map(NAMESPACE, "a")).await.unwrap(),
        cluster.create(config_map(NAMESPACE, "b")).await.unwrap(),
    ];
    let both = owned_by(config_map(NAMESPACE, "both"), &[&owners[0], &owners[1]]);
    cluster.create(both).await.unwrap();
    let child = cluster
        .create(owned_by(config_map(NAMESPACE, "child"), &[&owners[0]]))
        .await
        .unwrap();
    cluster
        .create(owned_by(config_map(NAMESPACE, "grandchild"), &[&child]))
        .await
        .unwrap();
    cluster
        .delete(&key(MAP, "a"), DeleteOptions::default())
        .await
        .unwrap();
    // Not at once.
    assert!(exists(&cluster, MAP, "child").await);
    seconds(1).await;
    for (name, expected) in [("child", false), ("grandchild", false), ("both", true)] {
        assert_eq!(exists(&cluster, MAP, name).await, expected, "{name}");
    }
    // One that is created for an owner that is gone goes too.
    cluster
        .create(owned_by(config_map(NAMESPACE, "late"), &[&owners[0]]))
        .await
        .unwrap();
    assert!(exists(&cluster, MAP, "late").await);
    seconds(1).await;
    assert!(!exists(&cluster, MAP, "late").await);
}

#[tokio::test(start_paused = true)]
async fn finalizers_hold_what_is_deleted() {
    let cluster = ScriptedCluster::new();
    let held = object(
        MAP,
        NAMESPACE,
        json!({"metadata": {"name": "x", "finalizers": ["example.com/hold"]}}),
    );
    cluster.create(held).await.unwrap();
    assert!(
        cluster
            .delete(&key(MAP, "x"), DeleteOptions::default())
            .await
            .unwrap()
    );
    seconds(1).await;
    assert!(
        cluster
            .get(&key(MAP, "x"))
            .await
            .unwrap()
            .unwrap()
            .is_terminating()
    );
    cluster
        .patch(&key(MAP, "x"), json!({"metadata": {"finalizers": null}}))
        .await
        .unwrap();
    assert!(!exists(&cluster, MAP, "x").await);
}

#[tokio::test(start_paused = true)]
async fn a_name_is_taken_until_its_object_is_gone() {
    let raw = ScriptedCluster::new().raw();
    let mut held = config_map(NAMESPACE, "x");
    held.metadata_mut().finalizers = Some(vec!["example.com/a".to_owned()]);
    let created = raw.create(held).unwrap();
    let mut watch = raw
        .watch_from(MAP, NAMESPACE, "", created.metadata().resource_version.as_deref())
        .unwrap();
    raw.delete(&key(MAP, "x"), DeleteOptions::default()).unwrap();
    let refused = raw.create(config_map(NAMESPACE, "x")).unwrap_err();
    assert_eq!(
        (refused.kind, refused.message.unwrap()),
        (
            ErrorKind::AlreadyExists,
            r#"object is being deleted: configmaps "x" already exists"#.to_owned()
        )
    );
    let more = json!({"metadata": {"finalizers": ["example.com/a", "example.com/b"]}});
    let refused = raw.patch(&key(MAP, "x"), &more).unwrap_err();
    assert!(
        refused
            .message
            .unwrap()
            .contains("no new finalizers can be added")
    );
    let freed = raw
        .patch(&key(MAP, "x"), &json!({"metadata": {"finalizers": null}}))
        .unwrap();
    assert_eq!(freed.metadata().finalizers, None);
    // The state without finalizers was never stored.
    assert_eq!(drain(&mut watch), ["modified x", "deleted x"]);
    raw.create(config_map(NAMESPACE, "x")).unwrap();
    let refused = raw.create(created).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Server { status: 500 });
}

#[tokio::test(start_paused = true)]
async fn a_patch_is_for_one_object() {
    let cluster = ScriptedCluster::new();
    let raw = cluster.raw();
    raw.create(config_map(NAMESPACE, "x")).unwrap();
    for patch in [
        json!({"metadata": {"name": "y"}}),
        json!({"metadata": {"namespace": "other"}}),
        json!({"metadata": {"uid": "u"}}),
        json!({"metadata": {"deletionTimestamp": "2001-01-01T00:00:00Z"}}),
    ] {
        let refused = raw.patch(&key(MAP, "x"), &patch).unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Invalid, "{patch}");
    }
    // As the client trait promises.
    let other = cluster
        .patch(&key(MAP, "x"), json!({"metadata": {"uid": "u"}}))
        .await;
    assert_eq!(other.unwrap_err().kind, ErrorKind::Conflict);
}

#[tokio::test(start_paused = true)]
async fn an_owner_that_is_gone_is_forgotten_by_who_has_another() {
    let raw = ScriptedCluster::new().raw();
    let [a, b] = ["a", "b"].map(|name| raw.create(config_map(NAMESPACE, name)).unwrap());
    raw.create(owned_by(config_map(NAMESPACE, "x"), &[&a, &b]))
        .unwrap();
    raw.delete(&key(MAP, "a"), DeleteOptions::default()).unwrap();
    seconds(1).await;
    let left = raw.get(&key(MAP, "x")).unwrap();
    let owners = left.metadata().owner_references.as_ref().unwrap();
    assert_eq!(owners.iter().map(|owner| &owner.name).collect::<Vec<_>>(), ["b"]);
}

#[tokio::test(start_paused = true)]
async fn a_service_keeps_its_address() {
    let raw = ScriptedCluster::new().raw();
    let service = object(
        Kind::Service,
        NAMESPACE,
        json!({"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}}),
    );
    let created = raw.create(service.clone()).unwrap().into_service().unwrap();
    let address = created.spec.unwrap().cluster_ip.unwrap();
    assert!(address.parse::<std::net::IpAddr>().is_ok(), "{address}");
    let updated = raw.update(service).unwrap().into_service().unwrap();
    assert_eq!(updated.spec.unwrap().cluster_ip, Some(address));
}
