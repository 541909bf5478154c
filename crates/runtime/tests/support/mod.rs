//! What the suites that use sessions on a scripted cluster begin with. Each of them is a program of its own and uses all of
//! this; what only some need is theirs.

use std::sync::Arc;

use podbay_k8s_client::ClusterClient;
use podbay_runtime::{Config, Podbay, SessionRequest};

/// The namespace that the configuration has if nothing is set.
pub(crate) const NAMESPACE: &str = "default";
/// An image; the scripted cluster pulls any.
pub(crate) const IMAGE: &str = "debian:12";

/// The plainest session: a record, a Secret and a pod.
pub(crate) fn plain() -> SessionRequest {
    SessionRequest {
        image: Some(IMAGE.to_owned()),
        ..SessionRequest::default()
    }
}

/// A process that uses Podbay: it shares nothing with others but the cluster.
pub(crate) fn podbay_on(cluster: &(impl ClusterClient + Clone + 'static), config: Config) -> Podbay {
    Podbay::with_client(Arc::new(cluster.clone()), config)
}
