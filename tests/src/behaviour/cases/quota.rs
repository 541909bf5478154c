//! Quotas: what they refuse, in which words, and what they count.

use podbay_k8s_client::{Error, Kind, Object};
use serde_json::{Value, json};

use crate::behaviour::fate::Fate;
use crate::behaviour::follow::{LIMIT, LOOK};
use crate::behaviour::{Observed, Stage};

/// Tries again until it is not refused: the quota's controller counts what is gone in its own time.
async fn at_last(stage: &Stage, kind: Kind, object: &Value) -> Result<Object, Error> {
    let mut ticks = tokio::time::interval(LOOK);
    let created = async {
        loop {
            ticks.tick().await;
            let created = stage.try_create(kind, object.clone()).await;
            if created.is_ok() {
                return created;
            }
        }
    };
    match tokio::time::timeout(LIMIT, created).await {
        Ok(created) => created,
        Err(_) => stage.try_create(kind, object.clone()).await,
    }
}

/// Waits until this much of a quota is used.
async fn used(stage: &Stage, name: &str, amounts: Value) {
    let mut ticks = tokio::time::interval(LOOK);
    let counted = async {
        while stage.raw.quota_used(&stage.namespace, name).await != amounts {
            ticks.tick().await;
        }
    };
    let counted = tokio::time::timeout(LIMIT, counted).await;
    counted.expect("the quota's controller counts");
}

pub(super) async fn pods(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    stage
        .raw
        .set_quota(&stage.namespace, "few", json!({"pods": "1"}))
        .await;
    let runs = |name| stage.try_create(Kind::Pod, Fate::Runs.pod(name));
    seen.outcome("first", &runs("a").await);
    seen.outcome("second", &runs("b").await);
    stage.delete_with(&stage.key(Kind::Pod, "a"), Some(0)).await;
    let ends = Fate::Exits(0).pod("c");
    seen.outcome("after the first", &at_last(&stage, Kind::Pod, &ends).await);
    let key = stage.key(Kind::Pod, "c");
    stage
        .until(&key, "over", |state| state["status"]["phase"] == "Succeeded")
        .await;
    // What has ended takes no place.
    seen.outcome(
        "after one that ended",
        &at_last(&stage, Kind::Pod, &Fate::Runs.pod("d")).await,
    );
    seen
}

pub(super) async fn config_maps(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    // One is there in each namespace.
    let hard = json!({"configmaps": "2", "count/secrets": "1", "count/jobs.batch": "0"});
    stage.raw.set_quota(&stage.namespace, "few", hard).await;
    let named = |name: &str| json!({"metadata": {"name": name}});
    for (kind, name) in [
        (Kind::ConfigMap, "a"),
        (Kind::ConfigMap, "b"),
        (Kind::Secret, "a"),
        (Kind::Secret, "b"),
    ] {
        seen.outcome(
            &format!("{kind} {name}"),
            &stage.try_create(kind, named(name)).await,
        );
    }
    let job = json!({"metadata": {"name": "j"}, "spec": {"template": Fate::Runs.template()}});
    seen.outcome("job", &stage.try_create(Kind::Job, job).await);
    seen
}

pub(super) async fn memory(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    let hard = json!({"requests.memory": "100Mi", "limits.cpu": "1"});
    stage.raw.set_quota(&stage.namespace, "small", hard).await;
    let pod = |name: &str, resources: Value| {
        let mut pod = Fate::NoSuchNode.pod(name);
        pod["spec"]["containers"][0]["resources"] = resources;
        pod
    };
    for (what, resources) in [
        ("says nothing", json!({})),
        ("says one of both", json!({"requests": {"memory": "64Mi"}})),
        (
            "fits",
            json!({"requests": {"memory": "64Mi"}, "limits": {"cpu": "100m"}}),
        ),
        (
            "too much memory",
            json!({"requests": {"memory": "64Mi"}, "limits": {"cpu": "100m"}}),
        ),
        (
            "too much of both",
            json!({"requests": {"memory": "1Gi"}, "limits": {"cpu": "1500m"}}),
        ),
        (
            "limit as request",
            json!({"limits": {"cpu": "100m", "memory": "64Mi"}}),
        ),
    ] {
        let name = what.replace(' ', "-");
        seen.outcome(what, &stage.try_create(Kind::Pod, pod(&name, resources)).await);
    }
    seen
}

pub(super) async fn before_existing_names(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    stage
        .create(Kind::Secret, json!({"metadata": {"name": "a"}}))
        .await;
    stage
        .raw
        .set_quota(&stage.namespace, "full", json!({"secrets": "1"}))
        .await;
    used(&stage, "full", json!({"secrets": "1"})).await;
    let again = json!({"metadata": {"name": "a"}});
    seen.outcome("an existing name", &stage.try_create(Kind::Secret, again).await);
    let bad = json!({"metadata": {"name": "B"}});
    seen.outcome("a bad name", &stage.try_create(Kind::Secret, bad).await);
    seen
}

pub(super) async fn race(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    stage
        .raw
        .set_quota(&stage.namespace, "one", json!({"secrets": "1"}))
        .await;
    let named = |name: &str| json!({"metadata": {"name": name}});
    let (a, b) = tokio::join!(
        stage.try_create(Kind::Secret, named("a")),
        stage.try_create(Kind::Secret, named("b"))
    );
    seen.note("both", a.is_ok() && b.is_ok());
    let (won, lost) = if a.is_ok() { (a, b) } else { (b, a) };
    seen.outcome("one", &won);
    let lost = lost.map_err(|mut error| {
        error.message = error.message.map(|message| message.replace("\"a\"", "\"b\""));
        error
    });
    seen.outcome("the other", &lost);
    seen
}
