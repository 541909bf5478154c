//! Connections that are no longer HTTP.

use std::sync::Arc;
use std::time::Duration;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connection::Connection;
use super::relay::{Passing, relay};
use crate::listen::Place;
use crate::telemetry::Metrics;

/// How long a client and a sandbox may take to hear that a connection ends, and to end it, too.
const CLOSED_WITHIN: Duration = Duration::from_secs(1);

/// Connections between clients and sandboxes that are no longer HTTP. They may be silent as long as they like.
#[derive(Debug, Default)]
pub(super) struct Tunnels {
    open: TaskTracker,
    ending: CancellationToken,
    metrics: Metrics,
}

impl Tunnels {
    /// None yet; what passes is counted there.
    pub(super) fn counted(metrics: Metrics) -> Self {
        Self {
            metrics,
            ..Self::default()
        }
    }

    /// Passes bytes on between the two sides, as soon as both have changed the protocol.
    /// The client's connection keeps its place among those that are served.
    pub(super) fn begin(
        &self,
        client: OnUpgrade,
        sandbox: OnUpgrade,
        passing: Passing,
        mut connection: Connection,
        place: Arc<Place>,
    ) {
        connection.move_by_itself();
        let ending = self.ending.clone();
        let there = self.metrics.upgraded();
        let counted = [
            self.metrics.bytes_to_sandboxes(),
            self.metrics.bytes_from_sandboxes(),
        ];
        self.open.spawn(async move {
            let _counted = (there, place);
            let both = futures::future::try_join(client, sandbox).await;
            drop(connection);
            let (client, sandbox) = match both {
                Ok((client, sandbox)) => (TokioIo::new(client), TokioIo::new(sandbox)),
                Err(error) => {
                    return tracing::debug!(%error, "a connection ended before it changed its protocol");
                }
            };
            match relay(
                client,
                sandbox,
                passing,
                counted,
                ending.cancelled(),
                CLOSED_WITHIN,
            )
            .await
            {
                Ok((sent, received)) => tracing::debug!(sent, received, "an upgraded connection ended"),
                Err(error) => tracing::debug!(%error, "an upgraded connection broke"),
            }
        });
    }

    /// Waits until they have ended, and ends those that have not after `grace`.
    pub(super) async fn drain(&self, grace: Duration) {
        self.open.close();
        if tokio::time::timeout(grace, self.open.wait()).await.is_err() {
            self.ending.cancel();
            self.open.wait().await;
        }
    }
}
