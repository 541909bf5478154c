//! A client of the server, configured as a user's is: by a kubeconfig file.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use podbay_k8s_client::live::CallLimits;
use podbay_k8s_client::remote_command::DriverOptions;
use podbay_k8s_client::{Cluster, Error, Kind, LiveClient, Object, ObjectKey};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::answer::pod;
use super::server::Server;

/// Longer than any test takes: a test that meets it has failed.
pub(crate) const LONG: Duration = Duration::from_secs(20);

/// Where a call is meant to end by its deadline.
pub(crate) const SHORT: Duration = Duration::from_millis(300);

/// What the kubeconfig says, and the limits.
pub(crate) struct Setup {
    pub(crate) folder: TempDir,
    cluster: Value,
    user: Value,
    deadline: Duration,
}

impl Setup {
    /// The server, a fixed token, a deadline that is not to be met.
    pub(crate) fn of(server: &Server) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            cluster: json!({"server": server.address}),
            user: json!({"token": "t"}),
            deadline: LONG,
        }
    }

    /// With one more field of `cluster`.
    pub(crate) fn cluster(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.cluster[field] = value.into();
        self
    }

    /// With these credentials.
    pub(crate) fn user(mut self, user: Value) -> Self {
        self.user = user;
        self
    }

    /// With this deadline.
    pub(crate) fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Writes a file into the folder of the kubeconfig.
    pub(crate) fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Writes a program there. Another process writes it itself: each thread that starts one at this moment has our open files for a
    /// while, and what is open for writing can't be executed (execve(2), `ETXTBSY`).
    pub(crate) fn program(&self, name: &str, text: &str) -> PathBuf {
        let (written, program) = (
            self.file(&format!("{name}.text"), text),
            self.folder.path().join(name),
        );
        let mut install = std::process::Command::new("install");
        let status = install.args(["-m", "700"]).args([&written, &program]).status();
        assert!(status.unwrap().success());
        program
    }

    /// Connects, which asks the server nothing.
    pub(crate) async fn connect(&self) -> Result<LiveClient, Error> {
        let kubeconfig = json!({"apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": self.cluster}],
            "users": [{"name": "u", "user": self.user}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u", "namespace": "team"}}]});
        let path = self.file("kubeconfig", &kubeconfig.to_string());
        let limits = CallLimits {
            deadline: self.deadline,
            watch: Duration::from_secs(1),
            per_second: NonZeroU32::new(1000).unwrap(),
            ..CallLimits::default()
        };
        let cluster = Cluster::Kubeconfig {
            path: Some(path),
            context: None,
        };
        LiveClient::connect(&cluster, limits, DriverOptions::default()).await
    }

    /// The same where it must work.
    pub(crate) async fn client(&self) -> LiveClient {
        self.connect().await.unwrap()
    }
}

/// A client with a fixed token and no deadline to meet.
pub(crate) async fn client(server: &Server) -> LiveClient {
    Setup::of(server).client().await
}

/// The pod the tests ask for.
pub(crate) fn key() -> ObjectKey {
    ObjectKey::new(Kind::Pod, "team", "p")
}

/// The pod the tests create.
pub(crate) fn object() -> Object {
    Object::Pod(serde_json::from_value(pod("p", "")).unwrap())
}
