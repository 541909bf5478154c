//! A scripted cluster with a recorder before it, and Podbay on top.

use std::time::Duration;

use podbay_config::Config;
use podbay_fake_cluster::testing::TestCluster;
use podbay_fake_cluster::{FaultyCluster, ScriptedCluster};
use podbay_k8s_client::{ErrorKind, Kind, Object};
use podbay_manifests::labels::SESSION;
use podbay_manifests::{ServerKind, SessionNames};
use podbay_runtime::{Error, Podbay, Session, SessionBuilder, SessionRequest};

use crate::support::{plain, podbay_on};

/// One process that uses Podbay, and the cluster it uses.
pub(crate) struct TestClient {
    /// The namespace of the process, without what is no session's: a policy that a namespace's sessions share.
    pub(crate) cluster: TestCluster,
    /// What the process asks of the cluster, and what goes wrong with it.
    pub(crate) calls: FaultyCluster,
    pub(crate) podbay: Podbay,
}

impl TestClient {
    pub(crate) fn new() -> Self {
        Self::with(Config::default())
    }

    pub(crate) fn with(config: Config) -> Self {
        Self::on(&ScriptedCluster::new(), config)
    }

    /// A process of its own on a cluster that others use too: it shares nothing with them.
    pub(crate) fn on(cluster: &ScriptedCluster, config: Config) -> Self {
        let is_no_sessions = |object: &Object| {
            let labels = object.metadata().labels.as_ref();
            !labels.is_some_and(|labels| labels.contains_key(SESSION))
        };
        let cluster = TestCluster::on(cluster, &config.kubernetes.namespace).leave_out(is_no_sessions);
        let calls = cluster.faulty();
        Self {
            podbay: podbay_on(&calls, config),
            cluster,
            calls,
        }
    }

    /// A session of the plainest kind.
    pub(crate) fn session(&self, id: &str) -> SessionBuilder {
        self.podbay.session(id).request(plain())
    }

    /// A session with one of every object there is.
    pub(crate) fn full_session(&self, id: &str) -> SessionBuilder {
        self.podbay.session(id).request(full())
    }

    /// The pod of the session `id`.
    pub(crate) fn pod(&self, id: &str) -> Object {
        self.cluster.get(Kind::Pod, names(id).object())
    }
}

/// A request that needs one of every object: record, Secret, claim, pod, and Services and Ingresses for a port and for
/// VS Code.
pub(crate) fn full() -> SessionRequest {
    SessionRequest {
        server: Some(ServerKind::OpenHands),
        vscode: true,
        ports: vec![3000],
        persistent: Some(true),
        ..plain()
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
