//! Pods through the API server, from anywhere that it is reached from.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use podbay_k8s_client::ClusterClient;
use podbay_protocol::DialWay;

use super::{BoxIo, DialError, Dialer, SandboxAddress};

/// Connects by the subresource `portforward` of the sandbox's pod: needs the right to it, and no way into the pods' network.
///
/// The pod is named, not addressed: one of the same name that took its place is another sandbox, which shows when it has to
/// prove who it is. That nothing listens on the port shows when the connection is first read.
#[derive(Clone)]
pub struct PortForwarding {
    client: Arc<dyn ClusterClient>,
    namespace: String,
}

impl PortForwarding {
    /// For the pods of a namespace.
    pub fn new(client: Arc<dyn ClusterClient>, namespace: impl Into<String>) -> Self {
        Self {
            client,
            namespace: namespace.into(),
        }
    }
}

impl fmt::Debug for PortForwarding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PortForwarding")
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Dialer for PortForwarding {
    fn way(&self) -> DialWay {
        DialWay::PortForward
    }

    async fn connect(&self, address: &SandboxAddress, port: u16) -> Result<BoxIo, DialError> {
        let connection = self
            .client
            .port_forward(&self.namespace, address.pod_name(), port)
            .await;
        match connection {
            Ok(connection) => Ok(Box::new(connection)),
            Err(source) => Err(DialError::Refused {
                session: address.session().to_owned(),
                source: Box::new(source),
            }),
        }
    }
}
