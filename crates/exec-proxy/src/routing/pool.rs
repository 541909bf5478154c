//! Connections to sandboxes that wait for their next request.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use podbay_manifests::RuntimeId;
use prometheus_client::metrics::counter::Counter;
use tokio::time::Instant;

use super::connection::{Connection, count, poll_data};

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
        while let Some(Waiting {
            mut connection,
            since,
        }) = waiting.pop()
        {
            *count -= 1;
            if since.elapsed() >= limit {
                // All that are left are older.
                *count -= waiting.len();
                waiting.clear();
            } else if connection.takes_a_request() {
                return Some(connection);
            }
        }
        by_key.remove(key);
        None
    }

    /// Keeps a connection for the next request.
    fn put(&self, key: Arc<PoolKey>, connection: Connection) {
        if !connection.is_closed() {
            self.shared.keep(key, connection);
        }
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
    /// Where its bytes are counted.
    counted: Counter,
    /// What broke it off, to be told once what came before has gone out.
    broken: Option<hyper::Error>,
}

impl SandboxBody {
    pub(super) fn new(
        body: Incoming,
        pool: Pool,
        key: Arc<PoolKey>,
        connection: Connection,
        counted: Counter,
    ) -> Self {
        let lease = Some(Lease {
            pool,
            key,
            connection,
        });
        Self {
            body,
            lease,
            counted,
            broken: None,
        }
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
        if let Some(error) = self.broken.take() {
            return Poll::Ready(Some(Err(error)));
        }
        let mut frame = poll_data(&mut self.body, cx);
        if frame.is_pending()
            && let Some(lease) = &mut self.lease
        {
            lease.connection.poll_move(cx);
            frame = poll_data(&mut self.body, cx);
        }
        count(&self.counted, &frame);
        match ready!(frame) {
            None => {
                self.give_back();
                Poll::Ready(None)
            }
            Some(Err(error)) => {
                // An error ends the client's connection at once, with what was not flushed.
                self.lease = None;
                self.broken = Some(error);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Some(Ok(data)) => Poll::Ready(Some(Ok(data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.broken.is_none() && self.body.is_end_stream()
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
