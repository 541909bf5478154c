//! Pods by their addresses.

use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use podbay_protocol::DialWay;

use super::{BoxIo, CONNECT_TIMEOUT, DialError, Dialer, SandboxAddress, connect};

/// Connects to the pod's address: from within the cluster, or where its network is routed.
#[derive(Clone, Copy, Debug)]
pub struct PodIp {
    /// How long a connection may take to be made.
    pub timeout: Duration,
}

impl Default for PodIp {
    fn default() -> Self {
        Self {
            timeout: CONNECT_TIMEOUT,
        }
    }
}

#[async_trait]
impl Dialer for PodIp {
    fn way(&self) -> DialWay {
        DialWay::PodIp
    }

    async fn connect(&self, address: &SandboxAddress, port: u16) -> Result<BoxIo, DialError> {
        let ip = address.ip().ok_or_else(|| DialError::NoAddress {
            session: address.session().to_owned(),
            pod: address.pod_name().to_owned(),
        })?;
        connect(address, SocketAddr::from((ip, port)), self.timeout).await
    }
}
