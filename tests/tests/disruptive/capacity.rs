//! A node that is full, and one that makes room.

use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::api::scheduling::v1::PriorityClass;
use kube::Api;
use kube::api::{DeleteParams, ListParams, PostParams};
use podbay_tests::{DEBIAN, Namespace, PAUSE, in_namespace};
use serde_json::json;

/// Half of a node's CPUs, and a bit more: two of these don't fit on it.
async fn more_than_half(namespace: &Namespace) -> String {
    let nodes: Api<Node> = Api::all(namespace.client.clone());
    let node = nodes.list(&ListParams::default()).await.unwrap().items.remove(0);
    let cpu = node.status.unwrap().allocatable.unwrap()["cpu"].0.clone();
    let millis: u64 = match cpu.strip_suffix('m') {
        Some(millis) => millis.parse().unwrap(),
        None => cpu.parse::<u64>().unwrap() * 1000,
    };
    format!("{}m", millis * 6 / 10)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "fills the node: PODBAY_TEST_CLUSTER, --test-threads=1"]
async fn a_full_node_and_a_preemption() {
    in_namespace("full", async |namespace| {
        let half = more_than_half(&namespace).await;
        let podbay = namespace.podbay();
        let session = |id| ["open", id, "--image", DEBIAN, "--cpu", &half, "--memory", "64Mi", "--label", "t=x"];
        let _ = podbay.run(&session("first")).await.expect(0);
        let impatient = podbay.clone().env("PODBAY_CAPACITY_GRACE_SECONDS", "2");
        let full = impatient.run(&session("second")).await.expect(125);
        assert!(full.stderr.contains("capacity"), "{}", full.stderr);

        // A pod of higher priority takes the first one's place, in the middle of a command.
        let classes: Api<PriorityClass> = Api::all(namespace.client.clone());
        let class = json!({"metadata": {"name": namespace.name}, "value": 1000});
        classes.create(&PostParams::default(), &serde_json::from_value(class).unwrap()).await.unwrap();
        let running = tokio::spawn({
            let podbay = podbay.clone();
            let words = ["exec", "-o", "json", "first", "--", "sh", "-c", "touch /workspace/began; sleep 1000"];
            async move { podbay.run(&words).await }
        });
        while podbay.run(&["exec", "first", "--", "test", "-e", "/workspace/began"]).await.code != 0 {}
        let pods: Api<Pod> = namespace.api();
        let rival = json!({"metadata": {"name": "rival"}, "spec": {"priorityClassName": namespace.name, "containers": [
            {"name": "c", "image": PAUSE, "resources": {"requests": {"cpu": half}}}]}});
        pods.create(&PostParams::default(), &serde_json::from_value(rival).unwrap()).await.unwrap();
        let record = running.await.unwrap().expect(125).json();
        assert_eq!(record["verdict"]["cause"], "preempted", "{record}");
        let _ = classes.delete(&namespace.name, &DeleteParams::default()).await;
    })
    .await;
}
