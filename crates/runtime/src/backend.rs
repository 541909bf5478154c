//! Which kind of cluster sessions run on.

use std::fmt;
use std::str::FromStr;

use podbay_config::{Config, Origin, Runtime};
use podbay_k8s_client::{Cluster, default_kubeconfig_places};

use crate::error::Error;

/// The backend asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// A cluster if there is one to be found, else this machine, unless anything of a cluster was named.
    #[default]
    Auto,
    /// A Kubernetes cluster.
    Cluster,
    /// Processes of this machine, without isolation.
    Local,
}

/// The backend chosen; in JSON `cluster` or `local`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BackendKind {
    /// A Kubernetes cluster.
    Cluster,
    /// Processes of this machine, without isolation.
    Local,
}

impl FromStr for Backend {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Self::Auto),
            "cluster" => Ok(Self::Cluster),
            "local" | "embedded" => Ok(Self::Local),
            other => Err(format!("{other:?} is no backend: auto, cluster or local")),
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Cluster => "cluster",
            Self::Local => "local",
        })
    }
}

/// Settings that name something of a cluster: with one of them given, `auto` never falls back to this machine.
const CLUSTER_SETTINGS: [&str; 6] = [
    "kubernetes.kubeconfig",
    "kubernetes.context",
    "kubernetes.namespace",
    "kubernetes.runtime_image_repo",
    "sandbox.runtime_container_image",
    "sandbox.base_container_image",
];

/// The cluster to use; none means this machine. `named` is what else names something of a cluster.
pub(crate) fn choose(backend: Backend, config: &Config, named: &[String]) -> Result<Option<Cluster>, Error> {
    let backend = match (backend, config.runtime) {
        (Backend::Auto, Runtime::Kubernetes) => Backend::Cluster,
        (Backend::Auto, Runtime::Local) => Backend::Local,
        (asked, _) => asked,
    };
    if backend == Backend::Local {
        return Ok(None);
    }
    let kubernetes = &config.kubernetes;
    if let Some(cluster) = Cluster::find(kubernetes.kubeconfig.as_deref(), kubernetes.context.as_deref()) {
        return Ok(Some(cluster));
    }
    let mut reasons: Vec<String> = named.to_vec();
    reasons.extend(
        CLUSTER_SETTINGS
            .iter()
            .filter(|key| !matches!(config.origin(key), Origin::Default))
            .map(|key| format!("setting {key} ({})", config.origin(key))),
    );
    if std::env::var_os("KUBECONFIG").is_some_and(|list| !list.is_empty()) {
        reasons.push("variable KUBECONFIG".to_owned());
    }
    if backend == Backend::Auto && reasons.is_empty() {
        return Ok(None);
    }
    let places: Vec<String> = default_kubeconfig_places()
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let mut looked_for = format!("a kubeconfig ({})", places.join(", "));
    looked_for.push_str(" and a pod's own environment (KUBERNETES_SERVICE_HOST)");
    if !reasons.is_empty() {
        looked_for.push_str("; this machine is no substitute, because of ");
        looked_for.push_str(&reasons.join(", "));
    }
    Err(Error::NoCluster { looked_for })
}
