//! Every manifest that has a snapshot, before a real API server: valid as it stands, let in at the Pod Security level of
//! its profile, refused at any stricter one.

use std::collections::BTreeSet;
use std::path::PathBuf;

use k8s_openapi::api::core::v1::{Namespace as NamespaceObject, ServiceAccount};
use k8s_openapi::api::node::v1::RuntimeClass;
use k8s_openapi::api::scheduling::v1::PriorityClass;
use kube::Api;
use kube::api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, PostParams};
use podbay_tests::gateway::has_http_routes;
use podbay_tests::in_namespace;
use serde_json::{Value, json};

/// Stricter first.
const LEVELS: [&str; 3] = ["restricted", "baseline", "privileged"];

/// The documents of one snapshot.
struct Manifest {
    name: String,
    documents: Vec<Value>,
}

/// All snapshots that hold manifests.
fn manifests() -> Vec<Manifest> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../crates/manifests/src/tests/snapshots");
    let mut found = Vec::new();
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            // insta's header stands between the first two lines of dashes.
            let Some((_, content)) = text
                .strip_prefix("---\n")
                .and_then(|text| text.split_once("---\n"))
            else {
                continue;
            };
            let documents: Vec<Value> = content
                .split("---\n")
                .filter(|document| document.contains("apiVersion"))
                .map(|document| serde_saphyr::from_str(document).unwrap())
                .collect();
            // Others hold no whole session: pieces, or lists of differences.
            if documents.iter().any(|document| document["kind"] == "ConfigMap") {
                found.push(Manifest {
                    name: path.file_stem().unwrap().to_string_lossy().into_owned(),
                    documents,
                });
            }
        }
    }
    assert!(found.len() > 100, "{} snapshots", found.len());
    found
}

impl Manifest {
    fn find(&self, kind: &str) -> Option<&Value> {
        self.documents.iter().find(|document| document["kind"] == kind)
    }

    /// The profile that its record names.
    fn profile(&self) -> String {
        let record = self.find("ConfigMap").unwrap();
        let spec: Value = serde_json::from_str(record["data"]["spec"].as_str().unwrap()).unwrap();
        spec["security"]["profile"].as_str().unwrap().to_owned()
    }

    /// The pod, or the one that its Job would make.
    fn pod(&self) -> Value {
        if let Some(pod) = self.find("Pod") {
            return pod.clone();
        }
        let job = self.find("Job").unwrap();
        let template = &job["spec"]["template"];
        json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "of-job", "labels": template["metadata"]["labels"]}, "spec": template["spec"]})
    }
}

/// Asks the API server what it would say to `object` in `namespace`, without storing it.
async fn dry_run(client: &kube::Client, namespace: &str, object: &Value) -> Result<(), kube::Error> {
    let (version, kind) = (
        object["apiVersion"].as_str().unwrap(),
        object["kind"].as_str().unwrap(),
    );
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
    let mut object = object.clone();
    object["metadata"]["namespace"] = json!(namespace);
    let params = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    api.create(&params, &serde_json::from_value(object).unwrap())
        .await
        .map(drop)
}

/// Makes the objects that pods refer to and admission looks for.
async fn referred_to(
    client: &kube::Client,
    namespaces: &[String],
    pods: &[Value],
) -> Vec<(&'static str, String)> {
    let names = |field: &str| -> BTreeSet<String> {
        let named = pods.iter().filter_map(|pod| pod["spec"][field].as_str());
        named.map(str::to_owned).collect()
    };
    let post = PostParams::default();
    let mut made = Vec::new();
    for name in names("runtimeClassName") {
        let class: RuntimeClass =
            serde_json::from_value(json!({"metadata": {"name": name}, "handler": "runc"})).unwrap();
        if Api::all(client.clone()).create(&post, &class).await.is_ok() {
            made.push(("runtimeclass", name));
        }
    }
    for name in names("priorityClassName") {
        let class: PriorityClass =
            serde_json::from_value(json!({"metadata": {"name": name}, "value": 1})).unwrap();
        if Api::all(client.clone()).create(&post, &class).await.is_ok() {
            made.push(("priorityclass", name));
        }
    }
    for name in names("serviceAccountName") {
        for namespace in namespaces {
            let account: ServiceAccount =
                serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
            let _ = Api::namespaced(client.clone(), namespace)
                .create(&post, &account)
                .await;
        }
    }
    made
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: PODBAY_TEST_KUBECONFIG"]
async fn every_snapshot_is_taken_at_its_level_and_refused_at_stricter_ones() {
    in_namespace("dry", async |namespace| {
        let client = &namespace.client;
        let namespaces: Api<NamespaceObject> = Api::all(client.clone());
        let mut levels = Vec::new();
        for level in LEVELS {
            let name = format!("{}-{level}", namespace.name);
            let object = json!({"metadata": {"name": name,
                "labels": {"pod-security.kubernetes.io/enforce": level}}});
            let object = serde_json::from_value(object).unwrap();
            namespaces.create(&PostParams::default(), &object).await.unwrap();
            levels.push(name);
        }
        let manifests = manifests();
        let pods: Vec<Value> = manifests.iter().map(Manifest::pod).collect();
        let made = referred_to(client, &levels, &pods).await;
        let routes = has_http_routes(client).await;
        let mut wrong = Vec::new();
        for (manifest, pod) in manifests.iter().zip(&pods) {
            let profile = manifest.profile();
            let level = LEVELS.iter().position(|level| *level == profile).unwrap();
            let others = manifest
                .documents
                .iter()
                .filter(|document| document["kind"] != "Pod" && (routes || document["kind"] != "HTTPRoute"));
            for document in others.chain([pod]) {
                if let Err(error) = until_usable(client, &levels[level], document).await {
                    wrong.push(format!("{} {}: {error}", manifest.name, document["kind"]));
                }
            }
            for stricter in 0..level {
                match dry_run(client, &levels[stricter], pod).await {
                    Err(kube::Error::Api(status)) if status.message.contains("violates PodSecurity") => {}
                    other => wrong.push(format!(
                        "{} of profile {profile} at {}: {other:?}",
                        manifest.name, LEVELS[stricter]
                    )),
                }
            }
        }
        for name in levels {
            let _ = namespaces.delete(&name, &DeleteParams::background()).await;
        }
        for (kind, name) in made {
            let delete = DeleteParams::default();
            let _ = match kind {
                "runtimeclass" => Api::<RuntimeClass>::all(client.clone())
                    .delete(&name, &delete)
                    .await
                    .err(),
                _ => Api::<PriorityClass>::all(client.clone())
                    .delete(&name, &delete)
                    .await
                    .err(),
            };
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    })
    .await;
}

/// A dry run that bears with what was made a moment ago: service accounts, a new kind, quotas that are not counted yet.
async fn until_usable(client: &kube::Client, namespace: &str, object: &Value) -> Result<(), kube::Error> {
    for _ in 0..50 {
        match dry_run(client, namespace, object).await {
            Err(kube::Error::Api(status))
                if status.code == 404 || status.message.contains("error looking up service account") =>
            {
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
            answer => return answer,
        }
    }
    dry_run(client, namespace, object).await
}
