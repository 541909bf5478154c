//! A namespace per test: made before it, dumped when it fails, removed after it.

use std::collections::BTreeMap;
use std::fmt::{Debug, Write as _};
use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures::FutureExt as _;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{
    ConfigMap, Event, Namespace as NamespaceObject, PersistentVolumeClaim, Pod, Secret, Service,
};
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::api::{DeleteParams, ListParams, PostParams};
use podbay_k8s_client::live::CallLimits;
use podbay_k8s_client::remote_command::DriverOptions;
use podbay_k8s_client::{Cluster, LiveClient};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::cluster::TestCluster;
use crate::program::Podbay;

/// A namespace that a test has to itself.
#[derive(Clone)]
pub struct Namespace {
    /// Its name.
    pub name: String,
    /// A client with the administrator's rights.
    pub client: kube::Client,
    /// Its cluster.
    pub cluster: TestCluster,
}

/// Runs `body` in a namespace of its own.
#[expect(clippy::expect_used, reason = "tests fail by panicking")]
pub async fn in_namespace<F>(test: &str, body: impl FnOnce(Namespace) -> F)
where
    F: Future<Output = ()>,
{
    let cluster = TestCluster::get();
    let client = cluster.client().await;
    let name = format!("t-{test}-{:08x}", rand::random::<u32>());
    let namespaces: Api<NamespaceObject> = Api::all(client.clone());
    let object = serde_json::from_value(json!({"metadata": {"name": name}})).expect("a namespace");
    namespaces
        .create(&PostParams::default(), &object)
        .await
        .expect("a namespace could be made");
    let namespace = Namespace {
        name: name.clone(),
        client,
        cluster,
    };
    namespace.service_account().await;
    let result = AssertUnwindSafe(body(namespace.clone())).catch_unwind().await;
    if result.is_err() {
        namespace.dump().await;
    }
    if result.is_ok() || std::env::var_os("PODBAY_TEST_KEEP").is_none() {
        let _ = namespaces.delete(&name, &DeleteParams::background()).await;
    }
    if let Err(panic) = result {
        std::panic::resume_unwind(panic);
    }
}

impl Namespace {
    /// The built `podbay` with this namespace and the administrator's kubeconfig.
    pub fn podbay(&self) -> Podbay {
        Podbay::new(&self.cluster.kubeconfig, &self.name)
    }

    /// The library with this namespace, the administrator's kubeconfig and these settings.
    #[expect(clippy::expect_used, reason = "tests fail by panicking")]
    pub async fn library(&self, settings: &[(&str, &str)]) -> podbay_runtime::Podbay {
        let kubeconfig = self.cluster.kubeconfig.display().to_string();
        let fixed = [
            ("kubernetes.kubeconfig", kubeconfig.as_str()),
            ("kubernetes.namespace", &self.name),
            ("kubernetes.resource_cpu_request", crate::SMALL_CPU),
        ];
        let mut loader = podbay_runtime::Config::loader().search(false);
        for (key, value) in fixed.iter().chain(settings) {
            loader = loader.flag(*key, "a test's", *value);
        }
        let config = loader.load().expect("valid settings");
        podbay_runtime::Podbay::from_config(config)
            .await
            .expect("a cluster")
    }

    /// The library's own client of the cluster, with the administrator's rights.
    #[expect(clippy::expect_used, reason = "tests fail by panicking")]
    pub async fn cluster_client(&self) -> LiveClient {
        let cluster = Cluster::Kubeconfig {
            path: Some(self.cluster.kubeconfig.clone()),
            context: None,
        };
        LiveClient::connect(&cluster, CallLimits::default(), DriverOptions::default())
            .await
            .expect("a client")
    }

    /// Objects of a kind in it.
    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), &self.name)
    }

    /// Sets a label of the namespace itself.
    #[expect(clippy::expect_used, reason = "tests fail by panicking")]
    pub async fn label(&self, key: &str, value: &str) {
        let namespaces: Api<NamespaceObject> = Api::all(self.client.clone());
        let patch = json!({"metadata": {"labels": {key: value}}});
        namespaces
            .patch(
                &self.name,
                &kube::api::PatchParams::default(),
                &kube::api::Patch::Merge(patch),
            )
            .await
            .expect("the namespace could be labelled");
    }

    /// How many objects of ours there are, by kind; kinds without any are left out, and so is the network policy that the
    /// sessions of a namespace share, which no session owns.
    pub async fn objects(&self) -> BTreeMap<&'static str, usize> {
        let policies = self.ours::<NetworkPolicy>().await;
        let owned = policies
            .iter()
            .filter(|policy| policy.owner_references.is_some())
            .count();
        let counts = [
            ("configmaps", self.ours::<ConfigMap>().await.len()),
            ("secrets", self.ours::<Secret>().await.len()),
            ("pods", self.ours::<Pod>().await.len()),
            (
                "persistentvolumeclaims",
                self.ours::<PersistentVolumeClaim>().await.len(),
            ),
            ("jobs", self.ours::<Job>().await.len()),
            ("services", self.ours::<Service>().await.len()),
            ("ingresses", self.ours::<Ingress>().await.len()),
            ("networkpolicies", owned),
        ];
        counts.into_iter().filter(|(_, count)| *count > 0).collect()
    }

    /// The metadata of our objects of a kind.
    #[expect(clippy::expect_used, reason = "tests fail by panicking")]
    async fn ours<K>(&self) -> Vec<ObjectMeta>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope> + Clone + DeserializeOwned + Debug,
        K::DynamicType: Default,
    {
        let ours = ListParams::default().labels("app=openhands-runtime");
        let list = self.api::<K>().list_metadata(&ours).await.expect("a list");
        list.items.into_iter().map(|object| object.metadata).collect()
    }

    /// Waits until nothing of ours is left; garbage collection takes a moment.
    ///
    /// # Panics
    ///
    /// When something is left after a minute.
    pub async fn wait_until_empty(&self) {
        let deadline = std::time::Duration::from_secs(60);
        let empty = async {
            while !self.objects().await.is_empty() {
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        };
        if tokio::time::timeout(deadline, empty).await.is_err() {
            let left = self.objects().await;
            assert!(left.is_empty(), "left after {deadline:?}: {left:?}");
        }
    }

    /// A new namespace takes no pods before its service account is there.
    async fn service_account(&self) {
        let accounts: Api<k8s_openapi::api::core::v1::ServiceAccount> = self.api();
        // The controller that makes it starts anew when the API server does.
        for _ in 0..1200 {
            if accounts
                .get_opt("default")
                .await
                .is_ok_and(|found| found.is_some())
            {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }

    /// Shows what there is, for whoever reads the failure.
    async fn dump(&self) {
        let mut text = format!("state of namespace {}:\n", self.name);
        if let Ok(pods) = self.api::<Pod>().list(&ListParams::default()).await {
            for pod in pods {
                let status = serde_json::to_string(&pod.status).unwrap_or_default();
                let name = pod.metadata.name.unwrap_or_default();
                let _ = writeln!(text, "pod {name}: {status}");
            }
        }
        if let Ok(events) = self.api::<Event>().list(&ListParams::default()).await {
            for event in events {
                let name = event.involved_object.name.unwrap_or_default();
                let reason = event.reason.unwrap_or_default();
                let _ = writeln!(
                    text,
                    "event {name} {reason}: {}",
                    event.message.unwrap_or_default()
                );
            }
        }
        let _ = std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes());
    }
}

/// Waits until the pod called `name` has ended.
///
/// # Panics
///
/// When it has not after half a minute, or is not there.
#[expect(clippy::expect_used, reason = "tests fail by panicking")]
pub async fn finished(pods: &Api<Pod>, name: &str) {
    let deadline = std::time::Duration::from_secs(30);
    let ended = async {
        loop {
            let phase = pods
                .get(name)
                .await
                .expect("the pod is there")
                .status
                .and_then(|status| status.phase);
            if phase
                .as_deref()
                .is_some_and(|phase| phase == "Succeeded" || phase == "Failed")
            {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    };
    assert!(
        tokio::time::timeout(deadline, ended).await.is_ok(),
        "pod {name} still runs after {deadline:?}"
    );
}
