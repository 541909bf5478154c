//! Connections to sandboxes that wait for their next request.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use podbay_manifests::RuntimeId;
use tokio::time::Instant;

use super::connection::{Connection, poll_data};

/// How much of it there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolLimits {
    /// Idle connections to one port of one sandbox.
    pub each: usize,
    /// Idle connections to all of them.
    pub all: usize,
    /// How long one may be idle. uvicorn, which OpenHands' servers run on, closes one after 5 s: less than that, and no
    /// request is sent into a connection that is being closed.
    pub idle: Duration,
}

impl Default for PoolLimits {
    fn default() -> Self {
        Self {
            each: 64,
            all: 4096,
            idle: Duration::from_secs(4),
        }
    }
}

/// What a connection leads to. A later pod of the same session, or of the same address, is another sandbox.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct PoolKey {
    /// The session.
    pub(super) id: RuntimeId,
    /// Its pod's UID.
    pub(super) uid: String,
    /// The port.
    pub(super) port: u16,
}

/// Connections that wait for their next request. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    limits: PoolLimits,
    idle: Mutex<Idle>,
}

#[derive(Debug, Default)]
struct Idle {
    by_key: HashMap<Arc<PoolKey>, Vec<Waiting>>,
    count: usize,
}

#[derive(Debug)]
struct Waiting {
    connection: Connection,
    since: Instant,
}

impl Pool {
    /// An empty one. Within a tokio runtime.
    pub(super) fn new(limits: PoolLimits) -> Self {
        let shared = Arc::new(Shared {
            limits,
            idle: Mutex::default(),
        });
        tokio::spawn(sweep(Arc::downgrade(&shared), limits.idle));
        Self { shared }
    }

    /// A connection that takes a request now: the one that was used last.
    pub(super) fn take(&self, key: &PoolKey) -> Option<Connection> {
        let limit = self.shared.limits.idle;
        let mut idle = self.shared.lock();
        let Idle { by_key, count } = &mut *idle;
        let waiting = by_key.get_mut(key)?;
        while let Some(Waiting { connection, since }) = waiting.pop() {
            *count -= 1;
            if since.elapsed() >= limit {
                // All that are left are older.
                *count -= waiting.len();
                waiting.clear();
            } else if connection.is_ready() && !connection.is_closed() {
                return Some(connection);
            }
        }
        by_key.remove(key);
        None
    }

    /// Keeps a connection for the next request, once it takes one.
    fn put(&self, key: Arc<PoolKey>, mut connection: Connection) {
        if connection.is_closed() {
            return;
        }
        if connection.is_ready() {
            self.shared.keep(key, connection);
            return;
        }
        let shared = Arc::downgrade(&self.shared);
        tokio::spawn(async move {
            if connection.ready().await
                && let Some(shared) = shared.upgrade()
            {
                shared.keep(key, connection);
            }
        });
    }

    /// Closes the connections that wait, because their other side can't be reached.
    pub(super) fn forget(&self, key: &PoolKey) {
        let mut idle = self.shared.lock();
        if let Some(forgotten) = idle.by_key.remove(key) {
            idle.count -= forgotten.len();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, key: Arc<PoolKey>, connection: Connection) {
        let mut idle = self.lock();
        let Idle { by_key, count } = &mut *idle;
        if *count >= self.limits.all {
            return;
        }
        let waiting = by_key.entry(key).or_default();
        if waiting.len() < self.limits.each {
            *count += 1;
            waiting.push(Waiting {
                connection,
                since: Instant::now(),
            });
        }
    }
}

/// Closes those that were idle for too long, as long as there is a pool.
async fn sweep(pool: Weak<Shared>, limit: Duration) {
    loop {
        tokio::time::sleep(limit).await;
        let Some(shared) = pool.upgrade() else { return };
        let mut idle = shared.lock();
        let Idle { by_key, count } = &mut *idle;
        *count = 0;
        by_key.retain(|_, waiting| {
            waiting.retain(|waiting| waiting.since.elapsed() < limit && !waiting.connection.is_closed());
            *count += waiting.len();
            !waiting.is_empty()
        });
    }
}

/// A connection that goes back to its pool once its answer was read to the end.
#[derive(Debug)]
struct Lease {
    pool: Pool,
    key: Arc<PoolKey>,
    connection: Connection,
}

/// The body of a sandbox's answer. One that is not read to its end closes its connection.
#[derive(Debug)]
pub struct SandboxBody {
    body: Incoming,
    lease: Option<Lease>,
}

impl SandboxBody {
    pub(super) fn new(body: Incoming, pool: Pool, key: Arc<PoolKey>, connection: Connection) -> Self {
        let lease = Some(Lease {
            pool,
            key,
            connection,
        });
        Self { body, lease }
    }

    fn give_back(&mut self) {
        if let Some(Lease {
            pool,
            key,
            connection,
        }) = self.lease.take()
        {
            pool.put(key, connection);
        }
    }
}

impl HttpBody for SandboxBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(poll_data(&mut self.body, cx));
        match &frame {
            None => self.give_back(),
            Some(Err(_)) => self.lease = None,
            Some(Ok(_)) => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for SandboxBody {
    fn drop(&mut self) {
        // Whoever writes an answer need not ask for what its length says isn't there.
        if self.body.is_end_stream() {
            self.give_back();
        }
    }
}
