//! Deleting: preconditions, finalizers, the grace of pods.

use podbay_k8s_client::{DeleteOptions, Kind};
use serde_json::{Value, json};

use crate::behaviour::fate::Fate;
use crate::behaviour::stage::{holds, pick};
use crate::behaviour::{Observed, Stage};

pub(super) async fn absent(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    for kind in [Kind::ConfigMap, Kind::Pod, Kind::Job] {
        let key = stage.key(kind, "absent");
        let was_there = stage.client.delete(&key, DeleteOptions::default()).await;
        seen.note("was there", was_there.expect("an answer"));
        let raw = stage.raw.delete(&key, DeleteOptions::default()).await;
        seen.outcome(kind.name(), &raw);
    }
    seen
}

pub(super) async fn wrong_uid(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    stage.create_map("m").await;
    stage.create(Kind::Pod, Fate::NoSuchNode.pod("m")).await;
    for kind in [Kind::ConfigMap, Kind::Pod] {
        let key = stage.key(kind, "m");
        let other = DeleteOptions::only("00000000-0000-4000-8000-000000000000");
        let was_there = stage.client.delete(&key, other.clone()).await;
        seen.note("was there", was_there.expect("an answer"));
        seen.outcome(kind.name(), &stage.raw.delete(&key, other).await);
        let state = stage.get(&key).await;
        seen.note(
            "still there",
            state["metadata"]["deletionTimestamp"].is_null() && !state.is_null(),
        );
        let uid = state["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
        let was_there = stage.client.delete(&key, DeleteOptions::only(uid)).await;
        seen.note("with its UID", was_there.expect("an answer"));
        seen.note("gone", stage.get(&key).await.is_null());
    }
    seen
}

pub(super) async fn wrong_version(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    for kind in [Kind::ConfigMap, Kind::Pod] {
        let read = match kind {
            Kind::ConfigMap => stage.create_map("v").await,
            _ => stage.create(kind, Fate::NoSuchNode.pod("v")).await,
        };
        let (key, uid) = (read.key(), read.uid().to_owned());
        // The first version of all, which no object of a test has.
        let stale = DeleteOptions::unchanged(&uid, "1");
        let refused = stage.client.delete(&key, stale.clone()).await;
        seen.note("means", refused.expect_err("another version").kind.to_string());
        let refused = stage.raw.delete(&key, stale).await;
        let refused = refused.expect_err("another version");
        seen.note("means", refused.kind.to_string());
        // The version that it has differs from run to run.
        let message = refused.message.unwrap_or_default();
        let words = message.split_once("(1)").map_or("", |(_, rest)| rest);
        seen.note("says", without_numbers(words));
        // Both are looked at, the UID first.
        let other = DeleteOptions::unchanged("00000000-0000-4000-8000-000000000000", "1");
        let refused = stage.client.delete(&key, other.clone()).await;
        seen.note(
            "another object",
            refused.expect_err("another UID").kind.to_string(),
        );
        seen.outcome("another object", &stage.raw.delete(&key, other).await);
        let state = stage.get(&key).await;
        seen.note("still there", !state.is_null());
        // The version of a pod changes by itself.
        if kind == Kind::Pod {
            continue;
        }
        let version = state["metadata"]["resourceVersion"].as_str().unwrap_or_default();
        let current = DeleteOptions::unchanged(&uid, version);
        let was_there = stage.client.delete(&key, current.clone()).await;
        seen.note("at its version", was_there.expect("an answer"));
        let was_there = stage.client.delete(&key, current).await;
        seen.note("again", was_there.expect("an answer"));
    }
    seen
}

/// A message without the versions in it.
fn without_numbers(message: &str) -> String {
    message
        .chars()
        .filter(|letter| !letter.is_ascii_digit())
        .collect()
}

pub(super) async fn twice(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    stage.create_map("m").await;
    let key = stage.key(Kind::ConfigMap, "m");
    for _ in 0..2 {
        let was_there = stage.client.delete(&key, DeleteOptions::default()).await;
        seen.note("was there", was_there.expect("an answer"));
    }
    seen
}

pub(super) async fn finalizers(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    let map = json!({"metadata": {"name": "held", "finalizers": ["example.com/held"]}});
    let created = stage.create(Kind::ConfigMap, map).await;
    let key = stage.key(Kind::ConfigMap, "held");
    stage.delete(&key).await;
    let state = stage.get(&key).await;
    let fields = ["/metadata/deletionGracePeriodSeconds", "/metadata/finalizers"];
    seen.note("held", pick(&state, fields));
    seen.note("terminating", state["metadata"]["deletionTimestamp"].is_string());
    let again = stage.client.delete(&key, DeleteOptions::default()).await;
    seen.note("was there for a second one", again.expect("an answer"));
    let after = stage.get(&key).await;
    seen.note("the second changes nothing", after == state);
    let again = stage
        .client
        .delete(&key, DeleteOptions::only(created.uid()))
        .await;
    seen.note("was there for a third one", again.expect("an answer"));
    stage.patch(&key, json!({"metadata": {"finalizers": null}})).await;
    seen.note("gone", stage.get(&key).await.is_null());
    seen
}

pub(super) async fn name_of_the_terminating(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    let map = json!({"metadata": {"name": "held", "finalizers": ["example.com/held"]}});
    stage.create(Kind::ConfigMap, map).await;
    let key = stage.key(Kind::ConfigMap, "held");
    stage.delete(&key).await;
    let second = stage
        .try_create(Kind::ConfigMap, json!({"metadata": {"name": "held"}}))
        .await;
    seen.outcome("a new one", &second);
    stage.patch(&key, json!({"metadata": {"finalizers": null}})).await;
    let third = stage
        .try_create(Kind::ConfigMap, json!({"metadata": {"name": "held"}}))
        .await;
    seen.outcome("after it", &third);
    seen
}

async fn ready_pod(stage: &Stage, fate: Fate, change: impl FnOnce(&mut Value)) {
    let mut pod = fate.pod("p");
    change(&mut pod);
    stage.create(Kind::Pod, pod).await;
    let key = stage.key(Kind::Pod, "p");
    stage.until(&key, "ready", |state| holds(state, "Ready")).await;
}

pub(super) async fn pod_without_grace(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    ready_pod(&stage, Fate::Runs, |_| {}).await;
    let key = stage.key(Kind::Pod, "p");
    stage.delete_with(&key, Some(0)).await;
    seen.note("gone at once", stage.get(&key).await.is_null());
    seen
}

pub(super) async fn pod_with_grace(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    // Held, so that its last state can be looked at.
    ready_pod(&stage, Fate::Runs, |pod| {
        pod["metadata"]["finalizers"] = json!(["example.com/held"]);
    })
    .await;
    let key = stage.key(Kind::Pod, "p");
    let mut follow = stage.follow(Kind::Pod, "p").await;
    stage.delete(&key).await;
    let state = follow
        .until("terminating", |state| {
            state["metadata"]["deletionTimestamp"].is_string()
        })
        .await;
    seen.note(
        "terminating",
        pick(&state, ["/metadata/deletionGracePeriodSeconds", "/status/phase"]),
    );
    seen.note("still ready", holds(&state, "Ready"));
    let state = follow
        .until("ended", |state| {
            !state
                .pointer("/status/containerStatuses/0/state/terminated")
                .unwrap_or(&Value::Null)
                .is_null()
                && state["metadata"]["deletionGracePeriodSeconds"] == 0
        })
        .await;
    seen.note(
        "ended",
        pick(
            &state,
            ["/metadata/deletionGracePeriodSeconds", "/metadata/finalizers"],
        ),
    );
    seen.note("ready", holds(&state, "Ready"));
    stage.patch(&key, json!({"metadata": {"finalizers": null}})).await;
    follow.until("gone", Value::is_null).await;
    seen
}

pub(super) async fn shorter_grace(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    ready_pod(&stage, Fate::IgnoresTermination, |pod| {
        pod["spec"]["terminationGracePeriodSeconds"] = json!(30);
    })
    .await;
    let key = stage.key(Kind::Pod, "p");
    let grace = |state: Value| state["metadata"]["deletionGracePeriodSeconds"].clone();
    for seconds in [None, Some(20), Some(25), None] {
        stage.delete_with(&key, seconds).await;
        seen.note(&format!("deleted with {seconds:?}"), grace(stage.get(&key).await));
    }
    stage.delete_with(&key, Some(0)).await;
    seen.note("by force", stage.get(&key).await.is_null());
    seen
}

pub(super) async fn unscheduled_pod(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    stage.create(Kind::Pod, Fate::NoSuchNode.pod("p")).await;
    let key = stage.key(Kind::Pod, "p");
    stage.delete_with(&key, Some(30)).await;
    seen.note("gone at once", stage.get(&key).await.is_null());
    seen
}
