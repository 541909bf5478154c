//! The API server or the node goes away.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt as _};
use podbay_tests::cluster::Scripts;
use podbay_tests::{DEBIAN, Namespace, SMALL, in_namespace};
use serde_json::{Value, json};
use tokio::time::error::Elapsed;

/// Waits until the node is Ready and without taints: the test before this one may have stopped it, and its
/// controller is slow to take its own taints away.
async fn until_the_node_is_as_it_was(namespace: &Namespace) {
    let nodes: Api<Node> = Api::all(namespace.client.clone());
    let steady = async {
        loop {
            let node = nodes.list(&ListParams::default()).await.unwrap().items.remove(0);
            let tainted = node.spec.unwrap().taints.is_some_and(|taints| !taints.is_empty());
            let conditions = node.status.unwrap().conditions.unwrap();
            let ready = conditions
                .iter()
                .any(|condition| condition.type_ == "Ready" && condition.status == "True");
            if ready && !tainted {
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), steady)
        .await
        .unwrap();
}

/// Waits until a pod without a toleration is scheduled, or is not: the API server's answer to a change of taints comes before the
/// scheduler's own watch has seen it. Where the API server was away before, that watch comes back after a minute at worst (client-go's
/// reflector waits 30 s at most, and up to as much again by chance).
async fn until_the_scheduler(schedules: bool, namespace: &Namespace) -> Result<(), Elapsed> {
    let pods: Api<Pod> = namespace.api();
    let known = async {
        loop {
            let probe: Pod = serde_json::from_value(json!({
                "metadata": {"generateName": "probe-"},
                "spec": {"containers": [{"name": "probe", "image": DEBIAN}]},
            }))
            .unwrap();
            let name = pods
                .create(&PostParams::default(), &probe)
                .await
                .unwrap()
                .name_any();
            let scheduled = loop {
                let status = pods.get(&name).await.unwrap().status.unwrap_or_default();
                let conditions = status.conditions.unwrap_or_default();
                if let Some(condition) = conditions
                    .iter()
                    .find(|condition| condition.type_ == "PodScheduled")
                {
                    break condition.status == "True";
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            };
            pods.delete(&name, &DeleteParams::default().grace_period(0))
                .await
                .unwrap();
            if scheduled == schedules {
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(120), known).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "kills the API server: PODBAY_TEST_CLUSTER, --test-threads=1"]
async fn a_command_whose_api_server_dies_is_lost_never_a_success() {
    in_namespace("lost", async |namespace| {
        let scripts = Scripts::get();
        until_the_node_is_as_it_was(&namespace).await;
        let podbay = namespace.podbay().env("PODBAY_REQUEST_TIMEOUT_SECONDS", "5");
        let _ = podbay
            .run(&[&["open", "s", "--image", DEBIAN], &SMALL[..]].concat())
            .await
            .expect(0);
        // One that is silent, one that writes all the time, one that has closed its output.
        for script in [
            "echo began; sleep 1000",
            "echo began; while :; do seq 1000; done",
            "echo began; exec >&- 2>&-; sleep 1000",
        ] {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("outcome");
            let words = [
                "exec",
                "--outcome-file",
                file.to_str().unwrap(),
                "s",
                "--",
                "sh",
                "-c",
                script,
            ];
            let mut child = podbay.command(&words).spawn().unwrap();
            let mut output = tokio::io::BufReader::new(child.stdout.take().unwrap());
            let mut line = String::new();
            tokio::io::AsyncBufReadExt::read_line(&mut output, &mut line)
                .await
                .unwrap();
            assert_eq!(line, "began\n");
            scripts.component("kill", "kube-apiserver").await;
            let rest =
                tokio::spawn(async move { tokio::io::copy(&mut output, &mut tokio::io::sink()).await });
            let status = tokio::time::timeout(Duration::from_secs(90), child.wait())
                .await
                .unwrap()
                .unwrap();
            scripts.component("start", "kube-apiserver").await;
            let _ = rest.await;
            assert_eq!(status.code(), Some(125), "{script}");
            let record: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
            assert_eq!(record["end"]["kind"], "lost", "{record}");
            assert_eq!(record["stdout"]["truncated"], true, "{record}");
            assert_eq!(record["verdict"]["cause"], "connection_lost", "{record}");
        }
        // The session itself is as it was.
        let _ = podbay.run(&["exec", "s", "--", "true"]).await.expect(0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "kills the API server: PODBAY_TEST_CLUSTER, --test-threads=1"]
async fn a_start_goes_on_over_a_restart_of_the_api_server() {
    in_namespace("restart", async |namespace| {
        let scripts = Scripts::get();
        until_the_node_is_as_it_was(&namespace).await;
        let words = [&["open", "s", "--image", DEBIAN, "-v"], &SMALL[..]].concat();
        // The kubelet is stopped, so that the start waits while the API server goes and comes back.
        scripts.component("kill", "kubelet").await;
        let opening = tokio::spawn({
            let podbay = namespace.podbay();
            async move { podbay.run(&words).await }
        });
        let pods: Api<Pod> = namespace.api();
        while pods.get_opt("openhands-runtime-s").await.unwrap().is_none() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        scripts.component("restart", "kube-apiserver").await;
        scripts.component("start", "kubelet").await;
        let _ = opening.await.unwrap().expect(0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "stops the node: PODBAY_TEST_CLUSTER, --test-threads=1"]
async fn a_node_that_does_not_answer_is_told_as_lost() {
    in_namespace("node", async |namespace| {
        let scripts = Scripts::get();
        until_the_node_is_as_it_was(&namespace).await;
        let podbay = namespace.podbay();
        let _ = podbay
            .run(&[&["open", "s", "--image", DEBIAN], &SMALL[..]].concat())
            .await
            .expect(0);
        scripts.component("kill", "kubelet").await;
        // The node controller waits 40 s for a node (nodeMonitorGracePeriod) before it says so.
        let nodes: Api<Node> = Api::all(namespace.client.clone());
        let node = nodes
            .list(&ListParams::default())
            .await
            .unwrap()
            .items
            .remove(0)
            .metadata
            .name
            .unwrap();
        let lost = async {
            loop {
                let conditions = nodes
                    .get(&node)
                    .await
                    .unwrap()
                    .status
                    .unwrap()
                    .conditions
                    .unwrap();
                if conditions
                    .iter()
                    .any(|condition| condition.type_ == "Ready" && condition.status != "True")
                {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(120), lost)
            .await
            .unwrap();
        // Its sessions are there and don't answer: attaching says why.
        let options = [&["open", "s", "-o", "json"][..]].concat();
        let done = podbay
            .clone()
            .env("PODBAY_NODE_LOST_GRACE_SECONDS", "1")
            .run(&options)
            .await;
        scripts.component("start", "kubelet").await;
        let done = done.expect(125);
        assert!(done.stderr.contains("node_lost"), "{}", done.stderr);
        let ready = async {
            while podbay.run(&["exec", "s", "--", "true"]).await.code != 0 {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(120), ready)
            .await
            .unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "taints the node: PODBAY_TEST_CLUSTER, --test-threads=1"]
async fn a_taint_without_a_toleration() {
    in_namespace("taint", async |namespace| {
        let _ = Scripts::get();
        until_the_node_is_as_it_was(&namespace).await;
        let nodes: Api<Node> = Api::all(namespace.client.clone());
        let node = nodes
            .list(&ListParams::default())
            .await
            .unwrap()
            .items
            .remove(0)
            .metadata
            .name
            .unwrap();
        let taint = async |taints: Value| {
            let patch = Patch::Merge(json!({"spec": {"taints": taints}}));
            nodes.patch(&node, &PatchParams::default(), &patch).await.unwrap();
        };
        taint(json!([{"key": "podbay.dev/test", "value": "x", "effect": "NoSchedule"}])).await;
        // Whatever comes of it, the node is given back as it was.
        let known = until_the_scheduler(false, &namespace).await;
        if known.is_err() {
            taint(Value::Null).await;
        }
        known.unwrap();
        let words = [
            &["run", "-o", "json", "--image", DEBIAN],
            &SMALL[..],
            &["--", "true"],
        ]
        .concat();
        let refused = namespace.podbay().run(&words).await;
        let tolerant = namespace.podbay().env(
            "PODBAY_KUBERNETES_TOLERATIONS_YAML",
            "[{key: podbay.dev/test, operator: Exists}]",
        );
        let tolerated = tolerant.run(&words).await;
        taint(Value::Null).await;
        until_the_scheduler(true, &namespace).await.unwrap();
        assert_eq!(refused.expect(125).json()["verdict"]["cause"], "taint");
        let _ = tolerated.expect(0);
    })
    .await;
}
