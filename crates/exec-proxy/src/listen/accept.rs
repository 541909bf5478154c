//! Connections taken in, and their end.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{Answer, Arrival, Limits, Place, Tls, connection};
use crate::routing::headers::Asker;
use crate::routing::target::Target;
use crate::routing::url::Scheme;
use crate::telemetry::Metrics;

/// How long nothing is accepted after the system could not give a connection: there are no descriptors left, mostly.
const PAUSE: Duration = Duration::from_millis(50);
/// How long a connection is silent before the system asks whether the client is still there.
const KEEPALIVE: TcpKeepalive = TcpKeepalive::new().with_time(Duration::from_secs(30));

/// What is the same for all connections of a listener.
#[derive(Clone, Debug, Default)]
pub struct Listening {
    /// Whether those who connect are proxies whose word on who asks is taken.
    pub behind_proxy: bool,
    /// In port style: what the listener stands for.
    pub target: Option<Target>,
    /// What those who connect speak before HTTP. `None` for nothing.
    pub tls: Option<Arc<Tls>>,
    /// Where connections are counted.
    pub metrics: Metrics,
}

/// Serves all who connect until `ends` is ready; then answers what was asked before, for [`Limits::grace`] at most.
pub async fn serve<A: Answer>(
    listener: TcpListener,
    listening: Listening,
    answer: Arc<A>,
    limits: Limits,
    ends: impl Future<Output = ()> + Send,
) {
    let places = Arc::new(Semaphore::new(limits.connections));
    let ending = CancellationToken::new();
    let mut connections = JoinSet::new();
    let mut ends = std::pin::pin!(ends);
    loop {
        let accept = async {
            // Never closed.
            let permit = Arc::clone(&places).acquire_owned().await.ok();
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            () = ends.as_mut() => break,
            // A fault in a connection has ended it and nothing else; the panic was reported where it happened.
            Some(_) = connections.join_next() => continue,
            accepted = accept => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(PAUSE).await;
                continue;
            }
        };
        // Small answers go out at once. A socket that refuses that works all the same.
        let _ = stream.set_nodelay(true);
        // A client that has vanished is found out, however long its connection may be silent.
        let _ = SockRef::from(&stream).set_tcp_keepalive(&KEEPALIVE);
        let arrival = Arrival {
            asker: Asker {
                address: peer.ip(),
                scheme: if listening.tls.is_some() {
                    Scheme::Https
                } else {
                    Scheme::Http
                },
                is_proxy: listening.behind_proxy,
            },
            target: listening.target.clone(),
            place: Arc::new(Place {
                _permit: permit,
                _counted: listening.metrics.connected(),
            }),
        };
        let (answer, ending) = (Arc::clone(&answer), ending.clone());
        let acceptor = listening.tls.as_deref().map(Tls::acceptor);
        connections.spawn(async move {
            match acceptor {
                None => connection::serve(stream, answer, arrival, &limits, &ending).await,
                Some(acceptor) => match timeout(limits.header_time, acceptor.accept(stream)).await {
                    Ok(Ok(stream)) => connection::serve(stream, answer, arrival, &limits, &ending).await,
                    Ok(Err(error)) => tracing::debug!(%error, "a client did not agree on TLS"),
                    Err(_) => tracing::debug!("a client did not agree on TLS in time"),
                },
            }
        });
    }
    drop(listener);
    ending.cancel();
    let all = async { while connections.join_next().await.is_some() {} };
    if timeout(limits.grace, all).await.is_err() {
        tracing::warn!(
            connections = connections.len(),
            "requests were not answered: the service has ended"
        );
    }
}
