//! Claims: bound by a provisioner, protected while a pod uses them.

use podbay_k8s_client::Kind;
use serde_json::{Value, json};

use crate::behaviour::fate::Fate;
use crate::behaviour::stage::{holds, pick, to_json};
use crate::behaviour::{Observed, Stage};

fn claim() -> Value {
    json!({
        "metadata": {"name": "work"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}},
    })
}

pub(super) async fn bound(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    let created = stage.create(Kind::PersistentVolumeClaim, claim()).await;
    let state = to_json(&created);
    let fields = [
        "/status/phase",
        "/metadata/finalizers",
        "/spec/volumeMode",
        "/spec/volumeName",
    ];
    seen.note("created", pick(&state, fields));
    let state = stage
        .until(&created.key(), "bound", |state| {
            state["status"]["phase"] == "Bound"
        })
        .await;
    let fields = ["/status/accessModes", "/status/capacity", "/metadata/finalizers"];
    seen.note("bound", pick(&state, fields));
    seen.note(
        "volume",
        state["spec"]["volumeName"].as_str() == Some(&format!("pvc-{}", created.uid())),
    );
    seen
}

pub(super) async fn used_by_a_pod(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    stage.create(Kind::PersistentVolumeClaim, claim()).await;
    let key = stage.key(Kind::PersistentVolumeClaim, "work");
    let mut pod = Fate::Runs.pod("p");
    pod["spec"]["volumes"] = json!([{"name": "work", "persistentVolumeClaim": {"claimName": "work"}}]);
    pod["spec"]["containers"][0]["volumeMounts"] = json!([{"name": "work", "mountPath": "/work"}]);
    stage.create(Kind::Pod, pod).await;
    let pod = stage.key(Kind::Pod, "p");
    stage.until(&pod, "ready", |state| holds(state, "Ready")).await;
    let mut follow = stage.follow(Kind::PersistentVolumeClaim, "work").await;
    stage.delete(&key).await;
    let state = follow
        .until("terminating", |state| {
            state["metadata"]["deletionTimestamp"].is_string()
        })
        .await;
    let fields = [
        "/status/phase",
        "/metadata/finalizers",
        "/metadata/deletionGracePeriodSeconds",
    ];
    seen.note("in use", pick(&state, fields));
    let second = stage.try_create(Kind::PersistentVolumeClaim, claim()).await;
    seen.outcome("its name", &second);
    stage.delete(&pod).await;
    follow.until("gone", Value::is_null).await;
    seen.note("the pod went first", stage.get(&pod).await.is_null());
    seen
}

pub(super) async fn unused(stage: Stage) -> Observed {
    let seen = stage.observe();
    let created = stage.create(Kind::PersistentVolumeClaim, claim()).await;
    stage
        .until(&created.key(), "bound", |state| {
            state["status"]["phase"] == "Bound"
        })
        .await;
    stage.delete(&created.key()).await;
    stage.gone(&created.key()).await;
    seen
}
