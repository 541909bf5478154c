//! What no update may change.

use podbay_k8s_client::Kind;
use serde_json::{Value, json};

use crate::behaviour::fate::Fate;
use crate::behaviour::observed::without_values;
use crate::behaviour::stage::to_json;
use crate::behaviour::{Observed, Stage};

/// Tries each of these patches and notes what came of it.
async fn try_all(seen: &mut Observed, stage: &Stage, kind: Kind, name: &str, patches: &[(&str, Value)]) {
    for (what, patch) in patches {
        let patched = stage.client.patch(&stage.key(kind, name), patch.clone()).await;
        seen.outcome(&format!("{name}: {what}"), &patched.map_err(without_values));
    }
}

pub(super) async fn secrets(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    let secret = |name: &str, immutable: bool| json!({"metadata": {"name": name}, "immutable": immutable, "stringData": {"a": "b"}});
    stage.create(Kind::Secret, secret("fixed", true)).await;
    stage.create(Kind::Secret, secret("free", false)).await;
    let patches = [
        ("type", json!({"type": "example.com/other"})),
        ("data", json!({"stringData": {"a": "c"}})),
        ("new key", json!({"stringData": {"d": "e"}})),
        ("label", json!({"metadata": {"labels": {"a": "b"}}})),
        ("immutable", json!({"immutable": false})),
        ("immutable and data", json!({"immutable": null, "data": null})),
    ];
    try_all(&mut seen, &stage, Kind::Secret, "fixed", &patches).await;
    try_all(&mut seen, &stage, Kind::Secret, "free", &patches).await;
    seen
}

pub(super) async fn config_maps(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    let map = json!({"metadata": {"name": "fixed"}, "immutable": true, "data": {"a": "b"}, "binaryData": {"c": "AA=="}});
    stage.create(Kind::ConfigMap, map).await;
    let patches = [
        ("data", json!({"data": {"a": "c"}})),
        ("binary data", json!({"binaryData": {"c": "AQ=="}})),
        ("immutable", json!({"immutable": null})),
        (
            "all",
            json!({"immutable": null, "data": null, "binaryData": null}),
        ),
        ("label", json!({"metadata": {"labels": {"a": "b"}}})),
    ];
    try_all(&mut seen, &stage, Kind::ConfigMap, "fixed", &patches).await;
    seen
}

pub(super) async fn pod_specs(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    let created = stage.create(Kind::Pod, Fate::NoSuchNode.pod("p")).await;
    let containers = |change: fn(&mut Value)| {
        let mut containers = to_json(&created)["spec"]["containers"].clone();
        change(&mut containers[0]);
        json!({"spec": {"containers": containers}})
    };
    let patches = [
        (
            "command",
            containers(|container| container["command"] = json!(["true"])),
        ),
        (
            "image",
            containers(|container| container["image"] = json!("podbay/debian:other")),
        ),
        (
            "service account",
            json!({"spec": {"serviceAccountName": "other"}}),
        ),
        ("deadline", json!({"spec": {"activeDeadlineSeconds": 3600}})),
        (
            "longer deadline",
            json!({"spec": {"activeDeadlineSeconds": 7200}}),
        ),
        (
            "shorter deadline",
            json!({"spec": {"activeDeadlineSeconds": 1800}}),
        ),
        ("no deadline", json!({"spec": {"activeDeadlineSeconds": null}})),
        ("labels", json!({"metadata": {"labels": {"a": "b"}}})),
        ("no tolerations", json!({"spec": {"tolerations": []}})),
        ("node", json!({"spec": {"nodeName": "other"}})),
    ];
    try_all(&mut seen, &stage, Kind::Pod, "p", &patches).await;
    seen
}

pub(super) async fn job_templates(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    // Not suspended: a Job that is may change its template.
    let job = json!({"metadata": {"name": "j"}, "spec": {"template": Fate::NoSuchNode.template()}});
    stage.create(Kind::Job, job).await;
    let patches = [
        (
            "template",
            json!({"spec": {"template": {"spec": {"activeDeadlineSeconds": 5}}}}),
        ),
        ("completions", json!({"spec": {"completions": 2}})),
        ("mode", json!({"spec": {"completionMode": "Indexed"}})),
        ("parallelism", json!({"spec": {"parallelism": 0}})),
        ("limit", json!({"spec": {"backoffLimit": 3}})),
        ("time to live", json!({"spec": {"ttlSecondsAfterFinished": 3}})),
    ];
    try_all(&mut seen, &stage, Kind::Job, "j", &patches).await;
    seen
}

pub(super) async fn claims(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    let claim = json!({
        "metadata": {"name": "c"},
        "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "absent", "resources": {"requests": {"storage": "1Mi"}}},
    });
    stage.create(Kind::PersistentVolumeClaim, claim).await;
    let patches = [
        ("modes", json!({"spec": {"accessModes": ["ReadWriteMany"]}})),
        ("class", json!({"spec": {"storageClassName": "other"}})),
        (
            "less",
            json!({"spec": {"resources": {"requests": {"storage": "1Ki"}}}}),
        ),
        ("labels", json!({"metadata": {"labels": {"a": "b"}}})),
    ];
    try_all(&mut seen, &stage, Kind::PersistentVolumeClaim, "c", &patches).await;
    seen
}
