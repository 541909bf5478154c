//! Why a session can't start, or was ended: typed, in seconds, with the cluster's own words.

use std::time::Duration;

use k8s_openapi::api::core::v1::{LimitRange, Pod, ResourceQuota};
use kube::Api;
use kube::api::{EvictParams, PostParams};
use podbay_tests::{BUSYBOX, DEBIAN, Finished, Namespace, PAUSE, Podbay, SMALL, in_namespace};
use serde_json::{Value, json};
use tokio::time::Instant;

/// Runs `true` and returns the record with the seconds it took.
async fn record(podbay: &Podbay, options: &[&str]) -> (Value, Duration) {
    let begun = Instant::now();
    let words = [&["run", "-o", "json"], options, &["--", "true"]].concat();
    let done: Finished = podbay.run(&words).await;
    (done.expect(125).json(), begun.elapsed())
}

fn cause(record: &Value) -> &str {
    record["verdict"]["cause"].as_str().unwrap_or("none")
}

/// The verdict of a session that can't start, and that nothing of it is left.
async fn expect_verdict(namespace: &Namespace, podbay: &Podbay, options: &[&str], expected: &str) -> Value {
    expect_verdict_within(namespace, podbay, options, expected, Duration::from_secs(30)).await
}

/// The same, told within so long: less than the grace of what may still come about. What is left is waited for beyond that.
async fn expect_verdict_within(
    namespace: &Namespace,
    podbay: &Podbay,
    options: &[&str],
    expected: &str,
    limit: Duration,
) -> Value {
    let (record, took) = record(podbay, options).await;
    assert_eq!(cause(&record), expected, "{record}");
    assert!(took < limit, "{expected} took {took:?}");
    assert!(
        record["verdict"]["hint"]
            .as_str()
            .is_some_and(|hint| !hint.is_empty()),
        "{record}"
    );
    assert!(record["end"].is_null(), "{record}");
    namespace.wait_until_empty().await;
    record
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: PODBAY_TEST_KUBECONFIG"]
async fn an_image_without_a_shell_and_one_that_ends() {
    in_namespace("unfit", async |namespace| {
        let podbay = namespace.podbay();
        let pause = [&["--image", PAUSE], &SMALL[..]].concat();
        expect_verdict(&namespace, &podbay, &pause, "image_unsupported").await;
        // A server that ends: its log goes with the session, so that its last words are in the verdict.
        let speaking = podbay.clone().env(
            "PODBAY_KUBERNETES_POD_TEMPLATE",
            r#"{"spec": {"containers": [{"name": "runtime", "command": ["/bin/sh", "-c", "echo no license; exit 3"]}]}}"#,
        );
        let server = [&["--image", DEBIAN, "--server"], &SMALL[..]].concat();
        let record = expect_verdict(&namespace, &speaking, &server, "exited").await;
        let message = record["verdict"]["message"].as_str().unwrap();
        assert!(message.contains("exit code 3") && message.ends_with("no license"), "{message}");
        // An image said to carry a server whose command ends at once: it is busybox's shell without input.
        let ends = [&["--image", BUSYBOX, "--server"], &SMALL[..]].concat();
        expect_verdict(&namespace, &podbay, &ends, "exited").await;
        // One whose server never answers.
        let podbay = podbay.env("PODBAY_START_TIMEOUT_SECONDS", "4");
        let silent = [&["--image", PAUSE, "--server"], &SMALL[..]].concat();
        expect_verdict(&namespace, &podbay, &silent, "deadline").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: PODBAY_TEST_KUBECONFIG"]
async fn nodes_that_will_not_do() {
    in_namespace("nodes", async |namespace| {
        let podbay = namespace.podbay();
        let large = ["--image", DEBIAN, "--cpu", "900", "--memory", "64Mi"];
        let (found, took) = record(&podbay, &large).await;
        assert_eq!(cause(&found), "too_large", "{found}");
        assert!(took < Duration::from_secs(30), "{took:?}");
        let selective = podbay
            .env("PODBAY_KUBERNETES_NODE_SELECTOR_KEY", "podbay.dev/no-such-label")
            .env("PODBAY_KUBERNETES_NODE_SELECTOR_VAL", "x");
        let small = [&["--image", DEBIAN], &SMALL[..]].concat();
        expect_verdict(&namespace, &selective, &small, "node_mismatch").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: PODBAY_TEST_KUBECONFIG"]
async fn refusals_of_the_api_server() {
    in_namespace("refuse", async |namespace| {
        let podbay = namespace.podbay();
        let small = [&["--image", DEBIAN], &SMALL[..]].concat();
        let quotas: Api<ResourceQuota> = namespace.api();
        let quota = json!({"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}});
        quotas.create(&PostParams::default(), &serde_json::from_value(quota).unwrap()).await.unwrap();
        // The quota's usage is computed first; until then the API server refuses with "status unknown".
        let record = expect_verdict(&namespace, &podbay, &small, "quota").await;
        assert!(record["verdict"]["message"].as_str().unwrap().contains("quota"), "{record}");
        quotas.delete("none", &kube::api::DeleteParams::default()).await.unwrap();

        let limits: Api<LimitRange> = namespace.api();
        let limit = json!({"metadata": {"name": "low"}, "spec": {"limits": [{"type": "Container", "max": {"memory": "32Mi"}}]}});
        limits.create(&PostParams::default(), &serde_json::from_value(limit).unwrap()).await.unwrap();
        expect_verdict(&namespace, &podbay, &small, "quota").await;
        limits.delete("low", &kube::api::DeleteParams::default()).await.unwrap();

        namespace.label("pod-security.kubernetes.io/enforce", "restricted").await;
        let _ = podbay.run(&[&["run"], &small[..], &["--", "true"]].concat()).await.expect(0);
        let root = [&small[..], &["--user", "root", "--profile", "baseline"]].concat();
        let record = expect_verdict(&namespace, &podbay, &root, "pod_security").await;
        let message = record["verdict"]["message"].as_str().unwrap();
        assert!(message.contains("runAsNonRoot") || message.contains("allowPrivilegeEscalation"), "{message}");
        let hint = record["verdict"]["hint"].as_str().unwrap();
        assert!(hint.contains("pod-security.kubernetes.io/enforce"), "{hint}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: PODBAY_TEST_KUBECONFIG"]
async fn a_policy_of_the_cluster() {
    use k8s_openapi::api::admissionregistration::v1::{
        ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
    };
    in_namespace("policy", async |namespace| {
        let policies: Api<ValidatingAdmissionPolicy> = Api::all(namespace.client.clone());
        let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(namespace.client.clone());
        let name = &namespace.name;
        let policy = json!({"metadata": {"name": name}, "spec": {
            "matchConstraints": {"resourceRules": [
                {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}]},
            "validations": [{"expression": "false", "message": "no pods on Sundays"}]}});
        let binding = json!({"metadata": {"name": name}, "spec": {
            "policyName": name, "validationActions": ["Deny"],
            "matchResources": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}}});
        let post = PostParams::default();
        policies.create(&post, &serde_json::from_value(policy).unwrap()).await.unwrap();
        bindings.create(&post, &serde_json::from_value(binding).unwrap()).await.unwrap();
        // A policy takes effect some moments after it was made.
        let pods: Api<Pod> = namespace.api();
        let probe = serde_json::from_value(json!({"metadata": {"name": "probe"}, "spec": {"containers": [
            {"name": "c", "image": PAUSE}]}}))
        .unwrap();
        let dry = PostParams { dry_run: true, ..PostParams::default() };
        while pods.create(&dry, &probe).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let small = [&["--image", DEBIAN], &SMALL[..]].concat();
        let record = expect_verdict(&namespace, &namespace.podbay(), &small, "admission").await;
        assert!(record["verdict"]["message"].as_str().unwrap().contains("no pods on Sundays"), "{record}");
        let _ = policies.delete(name, &kube::api::DeleteParams::default()).await;
        let _ = bindings.delete(name, &kube::api::DeleteParams::default()).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: PODBAY_TEST_KUBECONFIG"]
async fn a_claim_that_nobody_provides() {
    in_namespace("pending", async |namespace| {
        let podbay = namespace
            .podbay()
            .env("PODBAY_KUBERNETES_PVC_STORAGE_CLASS", "no-such-class")
            .env("PODBAY_CLAIM_GRACE_SECONDS", "3");
        let options = [&["--image", DEBIAN, "--persistent"], &SMALL[..]].concat();
        expect_verdict(&namespace, &podbay, &options, "claim_pending").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: PODBAY_TEST_KUBECONFIG"]
async fn memory_that_runs_out_is_told_from_a_kill() {
    in_namespace("memory", async |namespace| {
        let podbay = namespace.podbay();
        let hungry = "x = bytearray(300 << 20)";
        let words = [
            &["run", "-o", "json", "--image", DEBIAN],
            &SMALL[..],
            &["--", "python3", "-c", hungry],
        ]
        .concat();
        let record = podbay.run(&words).await.expect(125).json();
        assert_eq!(cause(&record), "out_of_memory", "{record}");
        assert_eq!(record["verdict"]["retry"], "more_resources");
        assert_eq!(record["end"]["kind"], "killed");
        let _ = podbay
            .run(&[&["open", "s", "--image", DEBIAN], &SMALL[..]].concat())
            .await
            .expect(0);
        let _ = podbay
            .run(&["exec", "s", "--", "python3", "-c", hungry])
            .await
            .expect(125);
        // A kill of its own, in a sandbox where memory ran out before.
        let _ = podbay
            .run(&["exec", "s", "--", "sh", "-c", "kill -9 $$"])
            .await
            .expect(137);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: PODBAY_TEST_KUBECONFIG"]
async fn an_evicted_or_deleted_pod_ends_its_command_with_a_verdict() {
    in_namespace("evict", async |namespace| {
        let podbay = namespace.podbay();
        let pods: Api<Pod> = namespace.api();
        for (id, expected) in [("evicted", "evicted"), ("deleted", "deleted")] {
            let _ = podbay
                .run(&[&["open", id, "--image", DEBIAN], &SMALL[..]].concat())
                .await
                .expect(0);
            let words = [
                "exec",
                "-o",
                "json",
                id,
                "--",
                "sh",
                "-c",
                "touch /workspace/began; sleep 1000",
            ];
            let running = tokio::spawn({
                let podbay = podbay.clone();
                async move { podbay.run(&words).await }
            });
            while podbay
                .run(&["exec", id, "--", "test", "-e", "/workspace/began"])
                .await
                .code
                != 0
            {}
            let name = format!("openhands-runtime-{id}");
            if expected == "evicted" {
                pods.evict(&name, &EvictParams::default()).await.unwrap();
            } else {
                pods.delete(&name, &kube::api::DeleteParams::default())
                    .await
                    .unwrap();
            }
            let record = running.await.unwrap().expect(125).json();
            assert_eq!(cause(&record), expected, "{record}");
            assert_eq!(record["end"]["kind"], "killed", "{record}");
        }
    })
    .await;
}

/// What the kubelet does with a pod on its own: its processes end first, and only then it says why.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: PODBAY_TEST_KUBECONFIG"]
async fn a_pod_that_the_kubelet_ends_ends_its_command_with_a_verdict() {
    in_namespace("kubelet", async |namespace| {
        let cases = [
            (
                "full",
                ("PODBAY_KUBERNETES_WORKSPACE_SIZE_LIMIT", "64Mi"),
                "head -c 100M /dev/zero >/workspace/x; sleep 1000",
                // The session's own limit: another node has the same.
                ("evicted", "task", "more_resources"),
            ),
            (
                "late",
                ("PODBAY_KUBERNETES_ACTIVE_DEADLINE_SECONDS", "20"),
                "sleep 1000",
                ("deadline", "configuration", "never"),
            ),
        ];
        for (id, (variable, value), script, expected) in cases {
            let podbay = namespace.podbay().env(variable, value);
            let open = [&["open", id, "--image", DEBIAN], &SMALL[..]].concat();
            let _ = podbay.run(&open).await.expect(0);
            // The kubelet measures volumes once a minute or so.
            let exec = ["exec", "-o", "json", id, "--", "sh", "-c", script];
            let found = podbay.run(&exec).await.expect(125).json();
            let told = |field: &str| found["verdict"][field].as_str().unwrap_or("none");
            assert_eq!((told("cause"), told("blame"), told("retry")), expected, "{found}");
            assert_eq!(found["end"]["kind"], "killed", "{found}");
            // And so it is for those who come later.
            let later = podbay.run(&["exec", "-o", "json", id, "--", "true"]).await;
            let later = later.expect(125).json();
            assert_eq!(cause(&later), expected.0, "{later}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: PODBAY_TEST_KUBECONFIG"]
async fn what_a_setting_names_and_is_not_there_is_the_configurations_fault() {
    in_namespace("absent", async |namespace| {
        let small = [&["--image", DEBIAN], &SMALL[..]].concat();
        for (variable, value, expected, setting) in [
            (
                "PODBAY_KUBERNETES_PVC_EXISTING_CLAIM",
                "nope",
                "claim_pending",
                "kubernetes.pvc_existing_claim",
            ),
            (
                "PODBAY_KUBERNETES_CA_BUNDLE_CONFIG_MAP",
                "nope",
                "container_config",
                "kubernetes.ca_bundle_config_map",
            ),
            (
                "PODBAY_KUBERNETES_RUNTIME_CLASS",
                "nope",
                "admission",
                "kubernetes.runtime_class",
            ),
            (
                "PODBAY_KUBERNETES_PRIORITY_CLASS",
                "nope",
                "admission",
                "kubernetes.priority_class",
            ),
        ] {
            let podbay = namespace.podbay().env(variable, value);
            let soon = Duration::from_secs(20);
            let record = expect_verdict_within(&namespace, &podbay, &small, expected, soon).await;
            assert_eq!(record["verdict"]["blame"], "configuration", "{record}");
            assert_eq!(record["verdict"]["retry"], "never", "{record}");
            let hint = record["verdict"]["hint"].as_str().unwrap();
            assert!(hint.contains(setting), "{hint}");
        }
    })
    .await;
}

/// The state of a start hangs on nobody who began it: with its opener killed, another process tells what becomes of it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: PODBAY_TEST_KUBECONFIG"]
async fn a_start_whose_opener_is_killed_is_told_by_others() {
    in_namespace("abandoned", async |namespace| {
        let podbay = namespace.podbay();
        let pods: Api<Pod> = namespace.api();
        let ends = ["open", "ends", "--image", BUSYBOX, "--server"];
        let lives = ["open", "lives", "--image", DEBIAN];
        for open in [&ends[..], &lives[..]] {
            let name = format!("openhands-runtime-{}", open[1]);
            let mut opener = podbay.command(&[open, &SMALL[..]].concat()).spawn().unwrap();
            while pods.get_opt(&name).await.unwrap().is_none() {
                assert!(
                    opener.try_wait().unwrap().is_none(),
                    "{open:?} ended before its pod was made"
                );
            }
            opener.kill().await.unwrap();
        }
        let told = async |id: &str, enough: &dyn Fn(&Value) -> bool| {
            let begun = Instant::now();
            loop {
                let shown = podbay.run(&["show", id, "-o", "json"]).await.expect(0).json();
                if enough(&shown) || begun.elapsed() > Duration::from_secs(60) {
                    return shown;
                }
            }
        };
        let ended = told("ends", &|shown| !shown["verdict"].is_null()).await;
        assert_eq!(cause(&ended), "exited", "{ended}");
        let ready = told("lives", &|shown| shown["status"] == "Ready").await;
        assert_eq!(ready["status"], "Ready", "{ready}");
        let exec = podbay
            .run(&["exec", "lives", "--", "echo", "hello"])
            .await
            .expect(0);
        assert_eq!(exec.text(), "hello\n");
        let _ = podbay.run(&["close", "--all", "--wait"]).await.expect(0);
        namespace.wait_until_empty().await;
    })
    .await;
}
