//! Connections taken in, and their end.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::admission::{Admission, Arrival, ConnectionId};
use super::connection::{Connection, End};
use super::listener::{Io, Listener};
use super::watched::Watched;
use super::window::Budget;
use super::{Limits, Services, http1, http2, preface};

/// How long nothing is accepted after the system could not give a connection: there are no descriptors left, mostly.
const PAUSE: Duration = Duration::from_millis(50);

/// Serves all who connect until `ends` is ready; then answers what was asked before, for [`Limits::grace`] at most.
pub(super) async fn serve(
    listener: Listener,
    services: Arc<Services>,
    limits: Limits,
    ends: impl Future<Output = ()> + Send,
) {
    let limits = Arc::new(limits);
    let budget = Arc::new(Mutex::new(Budget::new(limits.connections as u64)));
    let admission = Arc::new(Mutex::new(Admission::new(limits.connections, limits.strangers)));
    let (ending, server) = watch::channel(false);
    let mut strangers: HashMap<ConnectionId, Arc<Notify>> = HashMap::new();
    let mut connections = JoinSet::new();
    let mut ends = std::pin::pin!(ends);
    loop {
        let accepted = tokio::select! {
            () = ends.as_mut() => break,
            Some(ended) = connections.join_next() => {
                // A fault in a connection has ended it and nothing else; the panic was reported where it happened.
                if let Ok(id) = ended {
                    strangers.remove(&id);
                }
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok(Some(stream)) => stream,
            // Another user's: the connection was turned away.
            Ok(None) => continue,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(PAUSE).await;
                continue;
            }
        };
        let arrival = lock(&admission).arrives();
        let Arrival::Kept { id, instead_of } = arrival else {
            tracing::warn!(
                limit = limits.connections,
                "a connection was refused: there are too many"
            );
            continue;
        };
        if let Some(close) = instead_of.and_then(|oldest| strangers.remove(&oldest)) {
            close.notify_one();
        }
        let stranger = Arc::new(Notify::new());
        strangers.insert(id, Arc::clone(&stranger));
        let end = End {
            server: server.clone(),
            stranger,
        };
        let connection = Arc::new(Connection::new(Arc::clone(&services), Arc::clone(&budget), end));
        let (admission, limits) = (Arc::clone(&admission), Arc::clone(&limits));
        connections.spawn(async move {
            let leaves = Leaves {
                admission: &admission,
                connection: &connection,
                id,
            };
            one(stream, &connection, &limits, || lock(&admission).is_known(id)).await;
            drop(leaves);
            id
        });
    }
    drop(listener);
    ending.send_replace(true);
    let all = async { while connections.join_next().await.is_some() {} };
    if timeout(limits.grace, all).await.is_err() {
        tracing::warn!(
            connections = connections.len(),
            "requests were not answered: the server has ended"
        );
    }
}

/// Counts a connection out, also if it ends by a fault.
struct Leaves<'a> {
    admission: &'a Mutex<Admission>,
    connection: &'a Connection,
    id: ConnectionId,
}

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        lock(self.admission).leaves(self.id, self.connection.is_known());
    }
}

/// One connection, while it may be open.
async fn one(io: Box<dyn Io>, connection: &Arc<Connection>, limits: &Limits, becomes_known: impl FnOnce()) {
    let mut served = std::pin::pin!(async {
        speak(Watched::new(io, Arc::clone(connection)), connection, limits).await;
        connection.concludes().await;
    });
    // Until the key is presented.
    tokio::select! {
        () = served.as_mut() => return,
        () = connection.is_closed_as_a_stranger() => return tracing::debug!("a stranger was closed for a new one"),
        () = sleep(limits.stranger_time) => return tracing::debug!("a connection did not present the key in time"),
        () = connection.becomes_known() => becomes_known(),
    }
    served.await;
}

async fn speak(io: Watched, connection: &Arc<Connection>, limits: &Limits) {
    let begun = tokio::select! {
        begun = timeout(limits.header_time, preface::begin(io)) => begun,
        () = connection.should_end() => return,
    };
    match begun {
        Ok(Ok((true, io))) => http2::serve(io, Arc::clone(connection), limits).await,
        Ok(Ok((false, io))) => http1::serve(io, Arc::clone(connection), limits).await,
        Ok(Err(error)) => tracing::debug!(%error, "a connection ended early"),
        Err(_) => tracing::debug!("a client sent nothing in time"),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
