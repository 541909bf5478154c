//! Patches and updates: what they change, and when they are refused.

use podbay_k8s_client::{Kind, Object};
use serde_json::json;

use crate::behaviour::fate::Fate;
use crate::behaviour::stage::{pick, to_json, version};
use crate::behaviour::{Observed, Stage};

pub(super) async fn merge_patch(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    let map = json!({
        "metadata": {"name": "m", "labels": {"keep": "1", "drop": "1"}, "finalizers": ["example.com/a", "example.com/b"]},
        "data": {"keep": "1", "change": "1", "drop": "1"},
    });
    stage.create(Kind::ConfigMap, map).await;
    let patch = json!({
        "metadata": {"labels": {"drop": null, "add": "2"}, "finalizers": ["example.com/c"], "annotations": {"new": "2"}},
        "data": {"change": "2", "drop": null, "never": null},
    });
    let key = stage.key(Kind::ConfigMap, "m");
    let patched = to_json(&stage.patch(&key, patch).await);
    let fields = [
        "/metadata/labels",
        "/metadata/annotations",
        "/metadata/finalizers",
        "/data",
    ];
    seen.note("patched", pick(&patched, fields));
    let patched = to_json(
        &stage
            .patch(&key, json!({"data": null, "metadata": {"finalizers": null}}))
            .await,
    );
    seen.note("emptied", pick(&patched, fields));
    let unknown = stage.raw.patch(&key, &json!({"unknown": {"field": 1}})).await;
    seen.outcome("unknown field", &unknown);
    let wrong = stage.raw.patch(&key, &json!({"data": {"a": {"b": "c"}}})).await;
    seen.note("wrong type", wrong.err().map(|error| error.kind.to_string()));
    seen
}

pub(super) async fn patch_preconditions(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    let first = stage.create_map("m").await;
    let key = stage.key(Kind::ConfigMap, "m");
    stage.patch(&key, json!({"data": {"a": "1"}})).await;
    let stale =
        json!({"metadata": {"resourceVersion": first.metadata().resource_version}, "data": {"a": "2"}});
    seen.outcome("stale version", &stage.client.patch(&key, stale).await);
    let other = json!({"metadata": {"uid": "00000000-0000-4000-8000-000000000000"}, "data": {"a": "2"}});
    let refused = stage.client.patch(&key, other.clone()).await;
    seen.note(
        "another UID, to Podbay",
        refused.err().map(|error| error.kind.to_string()),
    );
    seen.outcome("another UID", &stage.raw.patch(&key, &other).await);
    let same = json!({"metadata": {"uid": first.uid()}, "data": {"a": "3"}});
    seen.outcome("its UID", &stage.client.patch(&key, same).await);
    seen.note("stored", stage.get(&key).await["data"].clone());
    seen
}

pub(super) async fn patch_absent(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    for kind in [Kind::ConfigMap, Kind::Job] {
        let patched = stage.client.patch(&stage.key(kind, "absent"), json!({})).await;
        seen.outcome(kind.name(), &patched);
    }
    seen
}

pub(super) async fn patch_identity(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    stage.create_map("m").await;
    let key = stage.key(Kind::ConfigMap, "m");
    let renamed = stage.client.patch(&key, json!({"metadata": {"name": "n"}})).await;
    seen.outcome("name", &renamed);
    let moved = stage
        .client
        .patch(&key, json!({"metadata": {"namespace": "elsewhere"}}))
        .await;
    seen.outcome("namespace", &moved);
    let before = stage.get(&key).await;
    let aged = json!({"metadata": {"creationTimestamp": "2001-01-01T00:00:00Z", "deletionTimestamp": "2001-01-01T00:00:00Z"}});
    seen.outcome("times", &stage.client.patch(&key, aged).await);
    let after = stage.get(&key).await;
    seen.note("unchanged", before == after);
    seen
}

pub(super) async fn patch_status(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    stage.create(Kind::Pod, Fate::NoSuchNode.pod("p")).await;
    let patch =
        json!({"metadata": {"labels": {"a": "b"}}, "status": {"message": "made up", "podIP": "192.0.2.1"}});
    let patched = to_json(&stage.patch(&stage.key(Kind::Pod, "p"), patch).await);
    seen.note(
        "pod",
        pick(&patched, ["/metadata/labels", "/status/message", "/status/podIP"]),
    );
    seen
}

pub(super) async fn stale_update(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    for (kind, name) in [(Kind::ConfigMap, "m"), (Kind::NetworkPolicy, "n")] {
        let spec = json!({"podSelector": {}});
        let mut object = json!({"metadata": {"name": name}});
        if kind == Kind::NetworkPolicy {
            object["spec"] = spec;
        }
        let first = stage.create(kind, object).await;
        let second = stage.raw.update(labelled(&first, "1")).await;
        seen.outcome("current version", &second);
        seen.outcome("stale version", &stage.raw.update(labelled(&first, "2")).await);
        let mut unconditional = labelled(&first, "3");
        unconditional.metadata_mut().resource_version = None;
        seen.outcome("no version", &stage.raw.update(unconditional).await);
        let mut other = labelled(&first, "4");
        other.metadata_mut().resource_version = None;
        other.metadata_mut().uid = Some("00000000-0000-4000-8000-000000000000".to_owned());
        seen.outcome("another UID", &stage.raw.update(other).await);
        let stored = stage.get(&stage.key(kind, name)).await;
        seen.note("stored", stored["metadata"]["labels"].clone());
    }
    seen
}

pub(super) async fn absent_update(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    let absent = stage.object(Kind::ConfigMap, json!({"metadata": {"name": "absent"}}));
    seen.outcome("without a UID", &stage.raw.update(absent).await);
    let gone = stage.create_map("gone").await;
    let key = stage.key(Kind::ConfigMap, "gone");
    stage.delete(&key).await;
    seen.outcome("with one", &stage.raw.update(gone).await);
    seen
}

pub(super) async fn unchanged(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    let map = json!({"metadata": {"name": "m", "labels": {"a": "b"}}, "data": {"a": "b"}});
    let first = stage.create(Kind::ConfigMap, map).await;
    let key = stage.key(Kind::ConfigMap, "m");
    let patched = stage
        .raw
        .patch(&key, &json!({"data": {"a": "b"}}))
        .await
        .expect("no change");
    seen.note("patch of what is", version(&patched) == version(&first));
    let updated = stage.raw.update(first.clone()).await.expect("no change");
    seen.note("update with what is", version(&updated) == version(&first));
    let changed = stage
        .raw
        .patch(&key, &json!({"data": {"a": "c"}}))
        .await
        .expect("a change");
    seen.note("patch of what was not", version(&changed) > version(&first));
    seen
}

pub(super) async fn versions_grow(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    let first = stage.create_map("a").await;
    let other = stage.create_map("b").await;
    let key = stage.key(Kind::ConfigMap, "a");
    let changed = stage.patch(&key, json!({"data": {"a": "b"}})).await;
    stage.delete(&key).await;
    let again = stage.create_map("a").await;
    let versions = [&first, &other, &changed, &again].map(version);
    seen.note("in order", versions.is_sorted_by(|a, b| a < b));
    seen.note("another UID", again.uid() != first.uid());
    seen
}

pub(super) async fn generations(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    let policy = json!({"metadata": {"name": "n"}, "spec": {"podSelector": {}}});
    let job =
        json!({"metadata": {"name": "j"}, "spec": {"suspend": true, "template": Fate::Runs.template()}});
    let objects = [
        (
            Kind::NetworkPolicy,
            policy,
            json!({"spec": {"podSelector": {"matchLabels": {"a": "b"}}}}),
        ),
        (Kind::Job, job, json!({"spec": {"ttlSecondsAfterFinished": 60}})),
        (
            Kind::ConfigMap,
            json!({"metadata": {"name": "m"}}),
            json!({"data": {"a": "b"}}),
        ),
    ];
    for (kind, object, change) in objects {
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let key = stage.key(kind, &name);
        let created = to_json(&stage.create(kind, object).await);
        let labelled = to_json(
            &stage
                .patch(&key, json!({"metadata": {"labels": {"a": "b"}}}))
                .await,
        );
        let changed = to_json(&stage.patch(&key, change).await);
        let generations = [created, labelled, changed].map(|state| state["metadata"]["generation"].clone());
        seen.note(kind.name(), generations.to_vec());
    }
    seen
}

pub(super) async fn finalizers_of_the_deleted(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    let map = json!({"metadata": {"name": "m", "finalizers": ["example.com/a", "example.com/b"]}});
    stage.create(Kind::ConfigMap, map).await;
    let key = stage.key(Kind::ConfigMap, "m");
    stage.delete(&key).await;
    let more = json!({"metadata": {"finalizers": ["example.com/a", "example.com/b", "example.com/c"]}});
    seen.outcome("one more", &stage.client.patch(&key, more).await);
    let fewer = json!({"metadata": {"finalizers": ["example.com/b"]}});
    seen.outcome("one fewer", &stage.client.patch(&key, fewer).await);
    let data = json!({"data": {"a": "b"}});
    seen.outcome("data", &stage.client.patch(&key, data).await);
    let revived = json!({"metadata": {"deletionTimestamp": null}});
    let revived = to_json(&stage.patch(&key, revived).await);
    seen.note(
        "still terminating",
        revived["metadata"]["deletionTimestamp"].is_string(),
    );
    let none = stage
        .client
        .patch(&key, json!({"metadata": {"finalizers": []}}))
        .await;
    seen.outcome("none", &none);
    seen.note("gone", stage.get(&key).await.is_null());
    seen
}

fn labelled(object: &Object, value: &str) -> Object {
    let mut object = object.clone();
    let labels = object.metadata_mut().labels.get_or_insert_default();
    labels.insert("n".to_owned(), value.to_owned());
    object
}
