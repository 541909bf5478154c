//! A scripted cluster with a recorder before it, and Podbay on top.

use std::sync::Arc;
use std::time::Duration;

use podbay_config::Config;
use podbay_fake_cluster::{FaultyCluster, ScriptedCluster};
use podbay_k8s_client::{ErrorKind, Kind, Object, ObjectKey};
use podbay_manifests::{ServerKind, SessionNames};
use podbay_runtime::{Error, Podbay, Session, SessionBuilder, SessionRequest};

/// An image; the scripted cluster pulls any.
pub(crate) const IMAGE: &str = "debian:12";
/// The namespace that the configuration has if nothing is set.
pub(crate) const NAMESPACE: &str = "default";

/// One process that uses Podbay, and the cluster it uses.
pub(crate) struct World {
    pub(crate) cluster: ScriptedCluster,
    /// What the process asks of the cluster, and what goes wrong with it.
    pub(crate) calls: FaultyCluster,
    pub(crate) podbay: Podbay,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(Config::default())
    }

    pub(crate) fn with(config: Config) -> Self {
        Self::on(&ScriptedCluster::new(), config)
    }

    /// A process of its own on a cluster that others use too: it shares nothing with them.
    pub(crate) fn on(cluster: &ScriptedCluster, config: Config) -> Self {
        let calls = FaultyCluster::new(Arc::new(cluster.clone()));
        Self {
            cluster: cluster.clone(),
            podbay: Podbay::with_client(Arc::new(calls.clone()), config),
            calls,
        }
    }

    /// A session of the plainest kind.
    pub(crate) fn session(&self, id: &str) -> SessionBuilder {
        self.podbay.session(id).image(IMAGE)
    }

    /// A session with one of every object there is.
    pub(crate) fn full_session(&self, id: &str) -> SessionBuilder {
        self.podbay.session(id).request(full())
    }

    pub(crate) fn object(&self, kind: Kind, name: impl Into<String>) -> Option<Object> {
        self.cluster
            .raw()
            .get(&ObjectKey::new(kind, NAMESPACE, name))
            .ok()
    }

    /// The pod of the session `id`.
    pub(crate) fn pod(&self, id: &str) -> Object {
        self.object(Kind::Pod, names(id).object()).unwrap()
    }

    /// The objects of all sessions. A policy that a namespace's sessions share is no session's.
    pub(crate) fn objects(&self) -> Vec<Object> {
        objects_in(&self.cluster, NAMESPACE)
    }

    /// Asserts that no session has left anything.
    pub(crate) fn assert_nothing_left(&self, when: &str) {
        let left: Vec<_> = self
            .objects()
            .iter()
            .map(|object| object.key().to_string())
            .collect();
        assert!(left.is_empty(), "{when}: left behind are {left:?}");
    }

    /// Takes an object away at once, as its finalizers' owners and its node would do in time.
    pub(crate) fn take_away(&self, key: &ObjectKey) {
        let raw = self.cluster.raw();
        raw.patch(key, &serde_json::json!({"metadata": {"finalizers": null}}))
            .unwrap();
        let options = podbay_k8s_client::DeleteOptions {
            grace_period_seconds: Some(0),
            ..podbay_k8s_client::DeleteOptions::default()
        };
        raw.delete(key, options).unwrap();
    }
}

/// The objects of all sessions of a namespace.
pub(crate) fn objects_in(cluster: &ScriptedCluster, namespace: &str) -> Vec<Object> {
    Kind::ALL
        .iter()
        .flat_map(|kind| cluster.raw().list(*kind, namespace, "session").unwrap().items)
        .collect()
}

/// A request that needs one of every object: record, Secret, claim, pod, and Services and Ingresses for a port and for
/// VS Code.
pub(crate) fn full() -> SessionRequest {
    SessionRequest {
        image: Some(IMAGE.into()),
        server: Some(ServerKind::OpenHands),
        vscode: true,
        ports: vec![3000],
        persistent: Some(true),
        ..SessionRequest::default()
    }
}

pub(crate) fn names(id: &str) -> SessionNames {
    SessionNames::of(None, &id.parse().unwrap())
}

/// What the cluster's refusal was, where a call failed.
pub(crate) fn kind_of(error: &Error) -> Option<ErrorKind> {
    match error {
        Error::Call { source, .. } | Error::Cluster { source } => Some(source.kind),
        _ => None,
    }
}

/// Whether a command can be run in a session.
pub(crate) async fn takes_commands(session: &Session) -> bool {
    let outcome = Box::pin(session.exec(["true"])).await.unwrap();
    outcome.end.exit_code() == 0
}

/// Lets the cluster's controllers come to an end; of use on a paused clock only.
pub(crate) async fn settle() {
    tokio::time::sleep(Duration::from_secs(10)).await;
}

/// The configuration that a file with this text makes, with no variable set.
pub(crate) fn configured(toml: &str) -> Config {
    loaded(toml).unwrap_or_else(|error| panic!("{error}\n{toml}"))
}

/// The same, or what is wrong with it.
pub(crate) fn loaded(toml: &str) -> Result<Config, podbay_config::ConfigError> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.toml");
    std::fs::write(&path, toml).unwrap();
    let nothing: [(&str, &str); 0] = [];
    Config::loader().file(path).environment(nothing).load()
}
