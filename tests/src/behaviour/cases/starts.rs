//! Pods that do not start: what their conditions, containers and events say.

use podbay_k8s_client::Kind;
use serde_json::{Value, json};

use crate::behaviour::fate::{Fate, MISSING_IMAGE};
use crate::behaviour::stage::{conditions, holds, pick};
use crate::behaviour::{Observed, Stage};

const WAITING: &str = "/status/containerStatuses/0/state/waiting";

fn waits_for(state: &Value, reason: &str) -> bool {
    state
        .pointer(WAITING)
        .is_some_and(|waiting| waiting["reason"] == reason)
}

pub(super) async fn missing_image(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    // containerd 2.2 has other words for it than those before.
    seen.hide(
        &format!("failed to resolve reference {MISSING_IMAGE:?}: "),
        "(not resolved) ",
    );
    seen.hide("failed to resolve image: ", "(not resolved) ");
    let mut follow = stage.follow(Kind::Pod, "p").await;
    let uid = stage
        .create(Kind::Pod, Fate::MissingImage.pod("p"))
        .await
        .uid()
        .to_owned();
    let state = follow
        .until("refused", |state| waits_for(state, "ErrImagePull"))
        .await;
    seen.note("refused", pick(&state, [WAITING, "/status/phase"]));
    let types = [
        "Ready",
        "ContainersReady",
        "Initialized",
        "PodScheduled",
        "PodReadyToStartContainers",
    ];
    seen.note("conditions", conditions(&state, types));
    let state = follow
        .until("waiting to try again", |state| {
            waits_for(state, "ImagePullBackOff")
        })
        .await;
    seen.note("waiting to try again", pick(&state, [WAITING, "/status/phase"]));
    let key = stage.key(Kind::Pod, "p");
    for (reason, start) in [
        ("Pulling", ""),
        ("Failed", "Failed to pull"),
        ("Failed", "Error: ErrImagePull"),
        ("BackOff", ""),
        ("Failed", "Error: ImagePullBackOff"),
    ] {
        let is_it = |said: &str, message: &str| said == reason && message.starts_with(start);
        seen.note("event", stage.event(&key, &uid, is_it).await);
    }
    seen
}

async fn unschedulable(stage: Stage, fate: Fate) -> Observed {
    let mut seen = stage.observe();
    let uid = stage.create(Kind::Pod, fate.pod("p")).await.uid().to_owned();
    let key = stage.key(Kind::Pod, "p");
    let told = |state: &Value| !conditions(state, ["PodScheduled"])["PodScheduled"].is_null();
    let state = stage.until(&key, "told why", told).await;
    seen.note(
        "condition",
        conditions(&state, ["PodScheduled", "Ready", "Initialized"]),
    );
    let fields = [
        "/status/phase",
        "/spec/nodeName",
        "/status/containerStatuses",
        "/status/startTime",
    ];
    seen.note("pod", pick(&state, fields));
    let event = stage
        .event(&key, &uid, |reason, _| reason == "FailedScheduling")
        .await;
    seen.note("event", event);
    seen
}

pub(super) async fn no_such_node(stage: Stage) -> Observed {
    unschedulable(stage, Fate::NoSuchNode).await
}

pub(super) async fn too_large(stage: Stage) -> Observed {
    unschedulable(stage, Fate::TooLarge).await
}

async fn misconfigured(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    let mut pod = Fate::Runs.pod("p");
    let key = json!({"secretKeyRef": {"name": "keys", "key": "token"}});
    pod["spec"]["containers"][0]["env"] = json!([{"name": "TOKEN", "valueFrom": key}]);
    let uid = stage.create(Kind::Pod, pod).await.uid().to_owned();
    let key = stage.key(Kind::Pod, "p");
    let state = stage
        .until(&key, "misconfigured", |state| {
            waits_for(state, "CreateContainerConfigError")
        })
        .await;
    seen.note("pod", pick(&state, [WAITING, "/status/phase"]));
    let event = stage.event(&key, &uid, |reason, _| reason == "Failed").await;
    seen.note("event", event);
    // The kubelet looks again.
    let secret = json!({"metadata": {"name": "keys"}, "stringData": {"token": "x"}});
    if stage.try_create(Kind::Secret, secret.clone()).await.is_err() {
        stage.patch(&stage.key(Kind::Secret, "keys"), secret).await;
    }
    stage.until(&key, "ready", |state| holds(state, "Ready")).await;
    seen
}

pub(super) async fn missing_secret(stage: Stage) -> Observed {
    misconfigured(stage).await
}

pub(super) async fn missing_key(stage: Stage) -> Observed {
    let other = json!({"metadata": {"name": "keys"}, "stringData": {"other": "x"}});
    stage.create(Kind::Secret, other).await;
    misconfigured(stage).await
}

pub(super) async fn failing_init(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    stage.create(Kind::Pod, Fate::InitExits(4).pod("p")).await;
    let key = stage.key(Kind::Pod, "p");
    let state = stage
        .until(&key, "over", |state| state["status"]["phase"] == "Failed")
        .await;
    let fields = [
        "/status/initContainerStatuses/0/state/terminated/exitCode",
        "/status/initContainerStatuses/0/state/terminated/reason",
        "/status/initContainerStatuses/0/restartCount",
        "/status/containerStatuses/0/state/waiting",
        "/status/reason",
        "/status/message",
    ];
    seen.note("pod", pick(&state, fields));
    seen.note(
        "conditions",
        conditions(
            &state,
            ["Initialized", "Ready", "ContainersReady", "PodScheduled"],
        ),
    );
    seen
}

pub(super) async fn absent_claim(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    let mut pod = Fate::Runs.pod("p");
    pod["spec"]["volumes"] = json!([{"name": "work", "persistentVolumeClaim": {"claimName": "work"}}]);
    stage.create(Kind::Pod, pod).await;
    let key = stage.key(Kind::Pod, "p");
    let told = |state: &Value| !conditions(state, ["PodScheduled"])["PodScheduled"].is_null();
    let state = stage.until(&key, "told why", told).await;
    let mut condition = conditions(&state, ["PodScheduled"])["PodScheduled"].clone();
    // What follows depends on the scheduler's version.
    let message = condition["/message"].as_str().unwrap_or_default();
    let start = message
        .split_inclusive(" not found")
        .next()
        .unwrap_or_default()
        .to_owned();
    condition["/message"] = json!(start);
    seen.note("condition", condition);
    // It comes later, and the scheduler looks again.
    let claim = json!({
        "metadata": {"name": "work"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}},
    });
    stage.create(Kind::PersistentVolumeClaim, claim).await;
    stage.until(&key, "ready", |state| holds(state, "Ready")).await;
    seen
}
