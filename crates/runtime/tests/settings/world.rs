//! A scripted cluster, and a client on it.

use std::sync::Arc;

use podbay_fake_cluster::{Script, ScriptedCluster};
use podbay_runtime::{Config, Podbay, SessionRequest};

pub(crate) const NAMESPACE: &str = "default";
/// The session that most tests are about.
pub(crate) const SESSION_ID: &str = "s";

/// A cluster on which each pod does what `script` says.
pub(crate) fn cluster(script: Script) -> ScriptedCluster {
    let cluster = ScriptedCluster::new();
    cluster.script(|_| true, script);
    cluster
}

/// A client with this much of the configuration changed.
pub(crate) fn client(cluster: &ScriptedCluster, change: impl FnOnce(&mut Config)) -> Podbay {
    let mut config = Config::default();
    change(&mut config);
    Podbay::with_client(Arc::new(cluster.clone()), config)
}

/// The plainest session.
pub(crate) fn plain() -> SessionRequest {
    SessionRequest {
        image: Some("debian:12".to_owned()),
        ..SessionRequest::default()
    }
}
