//! The live client against a scripted API server on loopback: real sockets, a real kubeconfig, faults at will.

#![expect(
    clippy::unwrap_used,
    clippy::format_push_string,
    reason = "tests fail by panicking, and speed does not matter"
)]

mod calls;
mod server;
mod watches;

use std::num::NonZeroU32;
use std::time::Duration;

use podbay_k8s_client::live::CallLimits;
use podbay_k8s_client::remote_command::DriverOptions;
use podbay_k8s_client::{Cluster, LiveClient};

/// A client of the server at `port`, configured by a kubeconfig file as a user's is.
async fn client(port: u16, deadline: Duration) -> LiveClient {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kubeconfig");
    let kubeconfig = format!(
        "{{apiVersion: v1, kind: Config, current-context: c, clusters: [{{name: c, cluster: {{server: \
         'http://127.0.0.1:{port}'}}}}], users: [{{name: u, user: {{token: t}}}}], contexts: [{{name: c, context: \
         {{cluster: c, user: u, namespace: team}}}}]}}"
    );
    std::fs::write(&path, kubeconfig).unwrap();
    let limits = CallLimits {
        deadline,
        watch: Duration::from_secs(1),
        per_second: NonZeroU32::new(1000).unwrap(),
        ..CallLimits::default()
    };
    let cluster = Cluster::Kubeconfig {
        path: Some(path),
        context: None,
    };
    LiveClient::connect(&cluster, limits, DriverOptions::default())
        .await
        .unwrap()
}
