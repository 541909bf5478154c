//! Fields of a start that say how the pod is made, seen at the pod.

use podbay_fake_cluster::ScriptedCluster;
use podbay_fake_cluster::testing::TestCluster;
use podbay_k8s_client::Kind;
use serde_json::{Value, json};

use crate::agents;
use crate::world::{World, stock};

const ID: &str = "s";

/// The pod of the only session.
fn pod(cluster: &ScriptedCluster) -> Value {
    let objects = TestCluster::on(cluster, "default").objects();
    let pod = objects.iter().find(|object| object.kind() == Kind::Pod).unwrap();
    pod.to_json().unwrap()
}

/// A start with these fields besides what a stock client sends.
fn with(fields: &Value) -> Value {
    let mut body = stock(ID, "debian:12");
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

/// A V0 server's command that names no user.
fn without_user() -> Value {
    json!([
        "python",
        "-m",
        "openhands.runtime.action_execution_server",
        "60000"
    ])
}

#[tokio::test(start_paused = true)]
async fn user_groups_pull_policy_and_runtime_class_are_the_pod_s() {
    let cluster = ScriptedCluster::new();
    agents::answer(&cluster, || true);
    let world = World::on(&cluster, |config| {
        config.runtime_classes = [("sysbox-runc".to_owned(), "kata".to_owned())].into();
    });
    let body = with(&json!({
        "command": without_user(), "run_as_user": 10_001, "run_as_group": 10_002, "fs_group": 10_003,
        "image_pull_policy": "Always", "runtime_class": "sysbox-runc",
    }));
    world.start(&body).await;
    world.until(ID, "running").await;
    let pod = pod(&cluster);
    let context = &pod["spec"]["securityContext"];
    assert_eq!(
        [&context["runAsUser"], &context["runAsGroup"], &context["fsGroup"]],
        [10_001, 10_002, 10_003]
    );
    assert_eq!(pod["spec"]["containers"][0]["imagePullPolicy"], "Always");
    assert_eq!(pod["spec"]["runtimeClassName"], "kata");
    // The same once more asks nothing else; another group is told.
    assert_eq!(world.start(&body).await["status_detail"], json!(null));
    let again = world
        .start(&with(&json!({"command": without_user(), "fs_group": 7})))
        .await;
    let detail = again["status_detail"].as_str().unwrap();
    assert!(
        detail.contains("kubernetes.fs_group 7 (the session has 10003)"),
        "{detail}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_the_service_decides_is_passed_over() {
    let cluster = ScriptedCluster::new();
    agents::answer(&cluster, || true);
    let world = World::configured(&cluster, |config| {
        config.kubernetes.pull_policy = Some(podbay_config::PullPolicy::Always);
        config.kubernetes.runtime_class = Some("gvisor".to_owned());
        config.kubernetes.uid_from_cluster = true;
    });
    // As the SDK asks by itself.
    let asked = json!({
        "run_as_user": 10_001, "fs_group": 10_001, "image_pull_policy": "IfNotPresent", "runtime_class": "sysbox-runc",
    });
    world.start(&with(&asked)).await;
    world.until(ID, "running").await;
    let pod = pod(&cluster);
    assert_eq!(pod["spec"]["containers"][0]["imagePullPolicy"], "Always");
    assert_eq!(pod["spec"]["runtimeClassName"], "gvisor");
    let context = &pod["spec"]["securityContext"];
    assert!(
        context["runAsUser"].is_null() && context["fsGroup"].is_null(),
        "{context}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_resource_factor_multiplies_and_is_capped() {
    for (limit, cpu) in [(8, "4"), (2, "2")] {
        let cluster = ScriptedCluster::new();
        agents::answer(&cluster, || true);
        let world = World::on(&cluster, |config| config.resource_factor_limit = limit);
        world.start(&with(&json!({"resource_factor": 4}))).await;
        world.until(ID, "running").await;
        let pod = pod(&cluster);
        assert_eq!(pod["spec"]["containers"][0]["resources"]["requests"]["cpu"], cpu);
    }
}

#[tokio::test(start_paused = true)]
async fn what_can_not_be_had_is_refused_with_its_reason_and_leaves_nothing() {
    let cluster = ScriptedCluster::new();
    let world = World::on(&cluster, |_| {});
    for (fields, told) in [
        (json!({"fs_group": -1}), "fs_group is a whole number"),
        (json!({"run_as_group": 1.5}), "run_as_group is a whole number"),
        (
            json!({"image_pull_policy": "always?"}),
            "image_pull_policy is Always",
        ),
        (json!({"runtime_class": "kata"}), "serve.runtime_classes"),
        (json!({"runtime_class": ["kata"]}), "runtime_class is no text"),
        (json!({"resource_factor": 3}), "resource_factor is 1, 2, 4 or 8"),
        (json!({"command": without_user(), "run_as_user": 0}), "root"),
        (
            json!({"working_dir": "relative", "command": without_user()}),
            "working_dir can't be used",
        ),
        (json!({"image": "a b"}), "image"),
        (json!({"session_id": " "}), "session_id is missing or empty"),
    ] {
        let (status, body) = world.post("/start", &with(&fields)).await;
        let detail = body["detail"].as_str().unwrap_or_default();
        assert!(
            status == 422 && detail.contains(told),
            "{fields}: {status} {body}"
        );
        assert!(body.as_object().unwrap().len() == 1, "{body}");
    }
    assert!(cluster.count("default").values().all(|count| *count == 0));
}
