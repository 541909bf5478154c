//! Ports of scripted pods: who listens there.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use podbay_k8s_client::PortForward;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio_util::sync::CancellationToken;

/// Bytes on their way in each direction.
const BUFFER: usize = 64 * 1024;

/// A connection someone makes to a port of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortCall {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub pod: String,
    /// The port.
    pub port: u16,
}

/// What listens: it is handed its side of the connection.
pub(super) type Listener = Box<dyn FnOnce(DuplexStream) -> BoxFuture<'static, ()> + Send>;

/// What listens on a port, if the rule is for it.
pub(super) type PortRule = Box<dyn Fn(&PortCall) -> Option<Listener> + Send>;

/// A connection to a port of a pod that lives until `alive` is cancelled.
pub(super) fn connect(listener: Option<Listener>, port: u16, alive: CancellationToken) -> PortForward {
    let Some(listener) = listener else {
        return PortForward::new(Refused { port });
    };
    let (client, server) = tokio::io::duplex(BUFFER);
    tokio::spawn(async move {
        tokio::select! {
            () = alive.cancelled() => {}
            () = listener(server) => {}
        }
    });
    PortForward::new(client)
}

/// A connection to a port where nobody listens: as with a real cluster, it is made, and fails when it is used.
#[derive(Debug)]
struct Refused {
    port: u16,
}

impl Refused {
    fn error(&self) -> io::Error {
        let message = format!(
            "failed to connect to localhost:{} inside namespace: dial tcp4 127.0.0.1:{}: connect: connection refused",
            self.port, self.port
        );
        io::Error::new(io::ErrorKind::ConnectionReset, message)
    }
}

impl AsyncRead for Refused {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Err(self.error()))
    }
}

impl AsyncWrite for Refused {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use podbay_k8s_client::{ClusterClient as _, ErrorKind, Kind, ObjectKey};
    use serde_json::json;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use crate::ScriptedCluster;
    use crate::testing::pod;

    #[tokio::test(start_paused = true)]
    async fn who_listens_is_reached_and_who_does_not_refuses() {
        let cluster = ScriptedCluster::new();
        cluster.listen_with(|call| {
            (call.port == 80).then_some(|mut stream: tokio::io::DuplexStream| async move {
                let word = stream.read_u8().await.unwrap();
                stream.write_u8(word + 1).await.unwrap();
                // Open until the other side goes, or the pod.
                let _ = stream.read_u8().await;
            })
        });
        cluster.create(pod("ns", "p", &json!({}))).await.unwrap();
        let early = cluster.port_forward("ns", "p", 80).await.unwrap_err();
        assert!(
            matches!(early.kind, ErrorKind::Invalid | ErrorKind::NotFound),
            "{early}"
        );
        tokio::time::sleep(std::time::Duration::from_secs(60)).await;
        let mut connection = cluster.port_forward("ns", "p", 80).await.unwrap();
        connection.write_u8(1).await.unwrap();
        assert_eq!(connection.read_u8().await.unwrap(), 2);
        let mut refused = cluster.port_forward("ns", "p", 81).await.unwrap();
        let error = refused.read_u8().await.unwrap_err();
        assert!(error.to_string().contains("connection refused"), "{error}");
        // The connection goes with the pod.
        cluster
            .delete(
                &ObjectKey::new(Kind::Pod, "ns", "p"),
                podbay_k8s_client::DeleteOptions::default(),
            )
            .await
            .unwrap();
        assert!(connection.read_u8().await.is_err());
        let missing = cluster.port_forward("ns", "p", 80).await.unwrap_err();
        assert_eq!(missing.kind, ErrorKind::NotFound);
    }
}
