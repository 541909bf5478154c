//! Pods with other containers than the session's: of a pod template, and injected by an admission policy of the cluster, as
//! meshes do. The kubelet sorts their statuses by name.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{ApiResource, DeleteParams, DynamicObject, PostParams};
use kube::core::GroupVersionKind;
use podbay_tests::{BUSYBOX, DEBIAN, Namespace, Podbay, SMALL, in_namespace};
use serde_json::{Value, json};
use tokio::time::Instant;

const TEMPLATE: &str = "PODBAY_KUBERNETES_POD_TEMPLATE";

/// Nothing here waits for a time-out or a grace: what is wrong is told as soon as the kubelet knows.
const SOON: Duration = Duration::from_secs(25);

fn container(name: &str, image: &str, script: &str) -> Value {
    json!({"name": name, "image": image, "imagePullPolicy": "IfNotPresent", "command": ["/bin/sh", "-c", script],
        "resources": {"requests": {"cpu": "10m"}, "limits": {"memory": "32Mi"}},
        "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}})
}

/// What the session's own container does in place of the image's command.
fn own(script: &str) -> Value {
    json!({"name": "runtime", "command": ["/bin/sh", "-c", script]})
}

fn with(podbay: &Podbay, containers: &[Value], inits: &[Value]) -> Podbay {
    let template = json!({"spec": {"containers": containers, "initContainers": inits}});
    podbay.clone().env(TEMPLATE, &template.to_string())
}

async fn verdict(podbay: &Podbay, options: &[&str]) -> Value {
    let begun = Instant::now();
    let words = [&["run", "-o", "json"], options, &SMALL[..], &["--", "true"]].concat();
    let mut record = podbay.run(&words).await.expect(125).json();
    assert!(begun.elapsed() < SOON, "{:?}: {record}", begun.elapsed());
    record["verdict"].take()
}

fn says(verdict: &Value, cause: &str, words: &str) {
    assert_eq!(verdict["cause"], cause, "{verdict}");
    let message = verdict["message"].as_str().unwrap();
    assert!(message.contains(words), "{verdict}");
}

/// Ready, exit, memory and image are the session's own, whatever stands before it.
async fn judged_by_name(podbay: &Podbay, sidecars: &[Value]) {
    let plain = with(podbay, sidecars, &[]);
    let words = [&["run", "--image", DEBIAN], &SMALL[..], &["--", "true"]].concat();
    let _ = plain.run(&words).await.expect(0);

    let exits = [&[own("echo no license; exit 3")], sidecars].concat();
    let found = verdict(&with(podbay, &exits, &[]), &["--image", DEBIAN, "--server"]).await;
    says(&found, "exited", "exit code 3");
    says(&found, "exited", "no license");

    let eats = [&[own("exec tail /dev/zero")], sidecars].concat();
    let found = verdict(&with(podbay, &eats, &[]), &["--image", BUSYBOX, "--server"]).await;
    says(&found, "out_of_memory", "memory limit");

    // The registry is not there, which may pass: the grace is made short.
    let plain = plain.env("PODBAY_IMAGE_PULL_GRACE_SECONDS", "3");
    let found = verdict(&plain, &["--image", "podbay/no-such-image:1"]).await;
    assert!(found["cause"].as_str().unwrap().starts_with("image_"), "{found}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: PODBAY_TEST_KUBECONFIG"]
async fn a_sidecar_of_the_template_is_not_the_session() {
    in_namespace("sidecar", async |namespace| {
        let podbay = namespace.podbay();
        judged_by_name(&podbay, &[container("a-sidecar", BUSYBOX, "sleep 600")]).await;
        // One that can't be pulled, and one that ends, fail no session.
        for broken in [
            container("a-sidecar", "podbay/no-such-image:1", "true"),
            container("a-sidecar", BUSYBOX, "exit 1"),
        ] {
            let podbay = with(&podbay, &[broken], &[]);
            let words = [&["run", "--image", DEBIAN], &SMALL[..], &["--", "true"]].concat();
            let _ = podbay.run(&words).await.expect(0);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: PODBAY_TEST_KUBECONFIG"]
async fn an_init_container_of_the_template_is_judged() {
    in_namespace("init", async |namespace| {
        let podbay = namespace.podbay();
        let image = ["--image", DEBIAN];
        let init = |image: &str, script: &str| with(&podbay, &[], &[container("prepare", image, script)]);
        let found = verdict(&init(BUSYBOX, "echo no such branch; exit 3"), &image).await;
        says(
            &found,
            "exited",
            "init container \"prepare\" ended with exit code 3",
        );
        says(&found, "exited", "no such branch");
        assert_eq!(
            (&found["blame"], &found["retry"]),
            (&json!("configuration"), &json!("never"))
        );
        // The container itself ends with 0; the pod stays `Pending`.
        let found = verdict(&init(BUSYBOX, "tail /dev/zero; exit 0"), &image).await;
        says(&found, "out_of_memory", "OOMKilled");
        // The registry is not there, which may pass: the grace is made short.
        let absent = init("podbay/no-such-image:1", "true").env("PODBAY_IMAGE_PULL_GRACE_SECONDS", "3");
        let found = verdict(&absent, &image).await;
        assert!(found["cause"].as_str().unwrap().starts_with("image_"), "{found}");
        assert!(
            found["message"]
                .as_str()
                .unwrap()
                .contains("init container \"prepare\""),
            "{found}"
        );
    })
    .await;
}

/// A policy that puts a sidecar, before all others, and an init container into every pod of the namespace. It belongs to no
/// namespace, so that the caller deletes it.
struct Injection {
    policies: Api<DynamicObject>,
    bindings: Api<DynamicObject>,
    name: String,
}

impl Injection {
    async fn new(namespace: &Namespace, sidecar: &str, init: &str) -> Self {
        let api = |kind: &str| {
            let resource = GroupVersionKind::gvk("admissionregistration.k8s.io", "v1", kind);
            Api::all_with(namespace.client.clone(), &ApiResource::from_gvk(&resource))
        };
        let (policies, bindings) = (
            api("MutatingAdmissionPolicy"),
            api("MutatingAdmissionPolicyBinding"),
        );
        let name = namespace.name.clone();
        let kind = |kind: &str| json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": name}});
        // A JSON patch: an apply configuration may not write lists such as `command`.
        let value = |list: &str, name: &str, script: &str| {
            let of = format!("Object.spec.{list}");
            format!(
                "{of}{{name: \"{name}\", image: \"{BUSYBOX}\", command: [\"/bin/sh\", \"-c\", \"{script}\"], \
                 securityContext: {of}.securityContext{{allowPrivilegeEscalation: false, capabilities: \
                 {of}.securityContext.capabilities{{drop: [\"ALL\"]}}}}}}"
            )
        };
        let expression = format!(
            "[JSONPatch{{op: \"add\", path: \"/spec/containers/0\", value: {}}}, \
             JSONPatch{{op: \"add\", path: \"/spec/initContainers\", value: [{}]}}]",
            value("containers", "a-injected", sidecar),
            value("initContainers", "a-prepared", init)
        );
        let mut policy = kind("MutatingAdmissionPolicy");
        policy["spec"] = json!({"reinvocationPolicy": "Never", "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [
                {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}]},
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}]});
        let mut binding = kind("MutatingAdmissionPolicyBinding");
        binding["spec"] = json!({"policyName": name,
            "matchResources": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}});
        let post = PostParams::default();
        policies
            .create(&post, &serde_json::from_value(policy).unwrap())
            .await
            .unwrap();
        bindings
            .create(&post, &serde_json::from_value(binding).unwrap())
            .await
            .unwrap();
        let injection = Self {
            policies,
            bindings,
            name,
        };
        injection.takes_effect(namespace).await;
        injection
    }

    /// A policy takes effect some moments after it was made.
    async fn takes_effect(&self, namespace: &Namespace) {
        let pods: Api<Pod> = namespace.api();
        let probe =
            json!({"metadata": {"name": "probe"}, "spec": {"containers": [{"name": "c", "image": BUSYBOX}]}});
        let probe: Pod = serde_json::from_value(probe).unwrap();
        let dry = PostParams {
            dry_run: true,
            ..PostParams::default()
        };
        let injected = async || {
            let made = pods.create(&dry, &probe).await.ok();
            made.and_then(|pod| pod.spec)
                .is_some_and(|spec| spec.containers.len() == 2)
        };
        let begun = Instant::now();
        while !injected().await {
            assert!(begun.elapsed() < SOON, "the policy takes no effect");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn delete(self) {
        let _ = self.bindings.delete(&self.name, &DeleteParams::default()).await;
        let _ = self.policies.delete(&self.name, &DeleteParams::default()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: PODBAY_TEST_KUBECONFIG"]
async fn containers_that_the_cluster_injects_are_not_the_session() {
    in_namespace("inject", async |namespace| {
        let injection = Injection::new(&namespace, "sleep 600", "true").await;
        judged_by_name(&namespace.podbay(), &[]).await;
        injection.delete().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: PODBAY_TEST_KUBECONFIG"]
async fn an_init_container_that_the_cluster_injects_is_judged() {
    in_namespace("injectinit", async |namespace| {
        let injection = Injection::new(&namespace, "sleep 600", "echo no mesh; exit 4").await;
        let found = verdict(&namespace.podbay(), &["--image", DEBIAN]).await;
        says(
            &found,
            "exited",
            "init container \"a-prepared\" ended with exit code 4",
        );
        says(&found, "exited", "no mesh");
        injection.delete().await;
    })
    .await;
}
