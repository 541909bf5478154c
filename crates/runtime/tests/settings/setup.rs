//! A scripted cluster, and a client on it.

use podbay_fake_cluster::{Script, ScriptedCluster};
use podbay_runtime::{Config, Podbay};

use crate::support::podbay_on;

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
    podbay_on(cluster, config)
}
