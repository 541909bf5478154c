//! Jobs: their pods, their ends, suspension, removal.

use podbay_k8s_client::{Kind, Object};
use serde_json::{Value, json};

use crate::behaviour::fate::Fate;
use crate::behaviour::follow::Follow;
use crate::behaviour::stage::{conditions, holds, pick, to_json};
use crate::behaviour::{Observed, Stage};

fn job(fate: Fate, more: &[(&str, Value)]) -> Value {
    let mut job = json!({"metadata": {"name": "j"}, "spec": {"template": fate.template()}});
    for (field, value) in more {
        job["spec"][field] = value.clone();
    }
    job
}

async fn pods(stage: &Stage) -> Vec<Object> {
    let pods = stage.client.list(Kind::Pod, &stage.namespace, "job-name=j").await;
    pods.expect("a list")
}

/// The Job, once one pod of its is ready.
async fn running(follow: &mut Follow) -> Value {
    follow
        .until("running", |state| {
            state["status"]["ready"] == 1 && state["status"]["active"] == 1
        })
        .await
}

pub(super) async fn pod_of_a_job(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    let mut follow = stage.follow(Kind::Job, "j").await;
    let created = stage.create(Kind::Job, job(Fate::Runs, &[])).await;
    let state = running(&mut follow).await;
    let defaults = [
        "/spec/parallelism",
        "/spec/completions",
        "/spec/backoffLimit",
        "/spec/suspend",
        "/spec/completionMode",
        "/spec/podReplacementPolicy",
    ];
    seen.note("defaults", pick(&state, defaults));
    let counts = [
        "/status/active",
        "/status/ready",
        "/status/succeeded",
        "/status/failed",
        "/status/terminating",
    ];
    seen.note("counts", pick(&state, counts));
    seen.note(
        "selects its own",
        state["spec"]["selector"]["matchLabels"].clone(),
    );
    let pods = pods(&stage).await;
    seen.note("pods", pods.len());
    let pod = to_json(&pods[0]);
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    let suffix = name.strip_prefix("j-").expect("the Job's name");
    seen.note("suffix's length", suffix.len());
    let key = stage.key(Kind::Job, "j");
    seen.hide(name, "POD");
    let fields = [
        "/metadata/generateName",
        "/metadata/labels",
        "/metadata/finalizers",
        "/metadata/ownerReferences",
        "/spec/restartPolicy",
    ];
    seen.note("pod", pick(&pod, fields));
    let event = stage
        .event(&key, created.uid(), |reason, _| reason == "SuccessfulCreate")
        .await;
    seen.note("event", event);
    seen
}

const COUNTS: [&str; 5] = [
    "/status/active",
    "/status/ready",
    "/status/succeeded",
    "/status/failed",
    "/status/terminating",
];

pub(super) async fn failing(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    let failing = job(Fate::Exits(3), &[("backoffLimit", json!(0))]);
    let created = stage.create(Kind::Job, failing).await;
    let key = stage.key(Kind::Job, "j");
    let state = stage.until(&key, "failed", |state| holds(state, "Failed")).await;
    seen.note(
        "conditions",
        conditions(
            &state,
            ["Failed", "FailureTarget", "Complete", "SuccessCriteriaMet"],
        ),
    );
    seen.note("counts", pick(&state, COUNTS));
    seen.note("completed", pick(&state, ["/status/completionTime"]));
    let event = stage
        .event(&key, created.uid(), |reason, _| reason == "BackoffLimitExceeded")
        .await;
    seen.note("event", event);
    let pods = pods(&stage).await;
    seen.note("its pod stays", pods.len());
    seen.note(
        "pod",
        pick(&to_json(&pods[0]), ["/status/phase", "/metadata/finalizers"]),
    );
    seen
}

pub(super) async fn complete(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    let created = stage.create(Kind::Job, job(Fate::Exits(0), &[])).await;
    let key = stage.key(Kind::Job, "j");
    let state = stage
        .until(&key, "complete", |state| holds(state, "Complete"))
        .await;
    seen.note(
        "conditions",
        conditions(
            &state,
            ["Complete", "SuccessCriteriaMet", "Failed", "FailureTarget"],
        ),
    );
    seen.note("counts", pick(&state, COUNTS));
    seen.note("has a time", state["status"]["completionTime"].is_string());
    let event = stage
        .event(&key, created.uid(), |reason, _| reason == "Completed")
        .await;
    seen.note("event", event);
    seen
}

/// A Job whose pod does not end by itself when it is deleted: then it does not depend on who is faster whether it
/// counts as succeeded.
fn killed() -> Value {
    let mut job = job(Fate::IgnoresTermination, &[]);
    job["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = json!(1);
    job
}

pub(super) async fn suspended(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    let mut unforgiving = killed();
    unforgiving["spec"]["backoffLimit"] = json!(0);
    let mut follow = stage.follow(Kind::Job, "j").await;
    let created = stage.create(Kind::Job, unforgiving).await;
    running(&mut follow).await;
    let first = pods(&stage).await.remove(0);
    seen.hide(first.metadata().name.as_deref().unwrap_or_default(), "POD");
    let key = stage.key(Kind::Job, "j");
    stage.patch(&key, json!({"spec": {"suspend": true}})).await;
    let state = follow
        .until("suspended", |state| {
            holds(state, "Suspended") && state["status"]["active"].is_null()
        })
        .await;
    seen.note("conditions", conditions(&state, ["Suspended", "Failed"]));
    seen.note(
        "suspended",
        pick(&state, ["/status/startTime", "/status/active", "/status/failed"]),
    );
    stage.gone(&first.key()).await;
    for reason in ["SuccessfulDelete", "Suspended"] {
        seen.note(
            "event",
            stage.event(&key, created.uid(), |said, _| said == reason).await,
        );
    }
    stage.patch(&key, json!({"spec": {"suspend": false}})).await;
    let state = running(&mut follow).await;
    seen.note("conditions", conditions(&state, ["Suspended", "Failed"]));
    seen.note("counts", pick(&state, ["/status/active", "/status/failed"]));
    seen.note("has a time", state["status"]["startTime"].is_string());
    let second = pods(&stage).await;
    seen.note("pods", second.len());
    seen.note("another one", second[0].uid() != first.uid());
    seen.note(
        "event",
        stage
            .event(&key, created.uid(), |reason, _| reason == "Resumed")
            .await,
    );
    seen
}

pub(super) async fn removed_after_its_end(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    let short = job(Fate::Exits(0), &[("ttlSecondsAfterFinished", json!(1))]);
    let mut follow = stage.follow(Kind::Job, "j").await;
    stage.create(Kind::Job, short).await;
    follow.until("complete", |state| holds(state, "Complete")).await;
    let pod = pods(&stage).await.remove(0).key();
    follow.until("gone", Value::is_null).await;
    stage.gone(&pod).await;
    seen.note("gone", "the Job and its pod");
    seen
}

pub(super) async fn replaced_pod(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    let mut follow = stage.follow(Kind::Job, "j").await;
    stage.create(Kind::Job, killed()).await;
    running(&mut follow).await;
    let first = pods(&stage).await.remove(0);
    stage.delete(&first.key()).await;
    stage.gone(&first.key()).await;
    let state = follow
        .until("running again", |state| {
            state["status"]["ready"] == 1 && state["status"]["failed"] == 1
        })
        .await;
    seen.note(
        "counts",
        pick(&state, ["/status/active", "/status/failed", "/status/ready"]),
    );
    let pods = pods(&stage).await;
    seen.note("another one", pods.len() == 1 && pods[0].uid() != first.uid());
    seen
}
