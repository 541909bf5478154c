//! Pods that start: their phases, conditions and ends.

use podbay_k8s_client::Kind;
use serde_json::{Value, json};

use crate::behaviour::fate::Fate;
use crate::behaviour::stage::{conditions, holds, pick};
use crate::behaviour::{Observed, Stage};

const ALL: [&str; 5] = [
    "PodScheduled",
    "PodReadyToStartContainers",
    "Initialized",
    "ContainersReady",
    "Ready",
];

pub(super) async fn ready(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    let mut follow = stage.follow(Kind::Pod, "p").await;
    let uid = stage
        .create(Kind::Pod, Fate::Runs.pod("p"))
        .await
        .uid()
        .to_owned();
    let state = follow.until("there", |state| !state.is_null()).await;
    seen.note("at first", state["status"]["phase"].clone());
    let state = follow.until("ready", |state| holds(state, "Ready")).await;
    seen.note("conditions", conditions(&state, ALL));
    let fields = [
        "/status/phase",
        "/status/reason",
        "/status/message",
        "/status/containerStatuses/0/name",
        "/status/containerStatuses/0/ready",
        "/status/containerStatuses/0/started",
        "/status/containerStatuses/0/restartCount",
    ];
    seen.note("pod", pick(&state, fields));
    for there in [
        "/spec/nodeName",
        "/status/podIP",
        "/status/hostIP",
        "/status/startTime",
        "/status/containerStatuses/0/containerID",
        "/status/containerStatuses/0/imageID",
        "/status/containerStatuses/0/state/running/startedAt",
    ] {
        let value = state.pointer(there).and_then(Value::as_str);
        seen.note(there, value.is_some_and(|value| !value.is_empty()));
    }
    let key = stage.key(Kind::Pod, "p");
    for reason in ["Scheduled", "Pulled", "Created", "Started"] {
        // The words change with the kubelet's version.
        let event = stage.event(&key, &uid, |said, _| said == reason).await;
        seen.note("event", json!([event[0], event[1]]));
    }
    seen
}

/// A pod that ends by itself, and what it looks like then.
async fn ended(stage: &Stage, pod: Value) -> Observed {
    let mut seen = stage.observe();
    let created = stage.create(Kind::Pod, pod).await;
    let over = |state: &Value| {
        ["Succeeded", "Failed"]
            .iter()
            .any(|phase| state["status"]["phase"] == *phase)
    };
    let state = stage.until(&created.key(), "over", over).await;
    let fields = [
        "/status/phase",
        "/status/reason",
        "/status/message",
        "/status/containerStatuses/0/ready",
        "/status/containerStatuses/0/started",
        "/status/containerStatuses/0/restartCount",
        "/status/containerStatuses/0/state/terminated/exitCode",
        "/status/containerStatuses/0/state/terminated/reason",
        "/status/containerStatuses/0/state/terminated/message",
    ];
    seen.note("pod", pick(&state, fields));
    // Not whether its sandbox is there: that is taken down in its own time.
    seen.note(
        "conditions",
        conditions(
            &state,
            ["PodScheduled", "Initialized", "ContainersReady", "Ready"],
        ),
    );
    seen
}

pub(super) async fn fails(stage: Stage) -> Observed {
    ended(&stage, Fate::Exits(3).pod("p")).await
}

pub(super) async fn succeeds(stage: Stage) -> Observed {
    ended(&stage, Fate::Exits(0).pod("p")).await
}

pub(super) async fn out_of_memory(stage: Stage) -> Observed {
    ended(&stage, Fate::OutOfMemory.pod("p")).await
}

pub(super) async fn deadline(stage: Stage) -> Observed {
    let mut pod = Fate::IgnoresTermination.pod("p");
    pod["spec"]["activeDeadlineSeconds"] = json!(2);
    pod["spec"]["terminationGracePeriodSeconds"] = json!(1);
    let mut seen = ended(&stage, pod).await;
    let key = stage.key(Kind::Pod, "p");
    let uid = stage.get(&key).await["metadata"]["uid"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let event = stage
        .event(&key, &uid, |reason, _| reason == "DeadlineExceeded")
        .await;
    seen.note("event", event);
    seen
}

pub(super) async fn crash_loop(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    let mut pod = Fate::Exits(3).pod("p");
    pod["spec"]["restartPolicy"] = json!("Always");
    let uid = stage.create(Kind::Pod, pod).await.uid().to_owned();
    let key = stage.key(Kind::Pod, "p");
    let waits = |state: &Value| {
        let waiting = state.pointer("/status/containerStatuses/0/state/waiting/reason");
        waiting.is_some_and(|reason| reason == "CrashLoopBackOff")
            && state["status"]["containerStatuses"][0]["restartCount"] == 1
    };
    let state = stage.until(&key, "in a crash loop", waits).await;
    let fields = [
        "/status/phase",
        "/status/containerStatuses/0/state/waiting",
        "/status/containerStatuses/0/lastState/terminated/exitCode",
        "/status/containerStatuses/0/lastState/terminated/reason",
        "/status/containerStatuses/0/ready",
        "/status/containerStatuses/0/started",
    ];
    seen.note("pod", pick(&state, fields));
    seen.note("conditions", conditions(&state, ALL));
    seen.note(
        "event",
        stage.event(&key, &uid, |reason, _| reason == "BackOff").await,
    );
    seen
}
