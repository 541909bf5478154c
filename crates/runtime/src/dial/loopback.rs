//! Sandboxes on this machine.

use std::net::{Ipv4Addr, SocketAddr};

use async_trait::async_trait;
use podbay_protocol::DialWay;

use super::{BoxIo, CONNECT_TIMEOUT, DialError, Dialer, SandboxAddress, UnixSocket, connect};

/// Connects on this machine, whose ports all local sessions share. The port of a session's agent leads to its own socket.
#[derive(Clone, Copy, Debug, Default)]
pub struct Loopback;

#[async_trait]
impl Dialer for Loopback {
    fn way(&self) -> DialWay {
        DialWay::Loopback
    }

    async fn connect(&self, address: &SandboxAddress, port: u16) -> Result<BoxIo, DialError> {
        if let Some(socket) = address.socket(port) {
            return UnixSocket::new(socket.to_owned()).connect(address, port).await;
        }
        connect(
            address,
            SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            CONNECT_TIMEOUT,
        )
        .await
    }
}
