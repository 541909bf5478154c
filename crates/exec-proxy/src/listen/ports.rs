//! Port style: listeners of this machine, four for each session.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use podbay_manifests::RuntimeId;
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::kept_ports::KeptPorts;
use super::{Answer, Limits, Listening, serve};
use crate::routing::endpoint::Endpoint;
use crate::routing::ports::{PortBlock, PortRange, PortTable};
use crate::routing::target::Target;
use crate::routing::url::{PORT_STYLE_ADDRESS, SessionUrls, UrlStyle};
use crate::sessions::Sessions;
use crate::telemetry::Metrics;

/// Sessions that have ports, before those that are gone lose theirs. Until then their URLs say that they are gone.
const MANY: usize = 128;

/// The listeners of port style. `A` answers what comes to them.
#[derive(Debug)]
pub struct PortListeners<A> {
    range: PortRange,
    limits: Limits,
    metrics: Metrics,
    kept: KeptPorts,
    sessions: SessionsRef,
    answer: OnceLock<Weak<A>>,
    open: Mutex<Open>,
    serving: TaskTracker,
    ending: CancellationToken,
}

/// `Debug` of what has none.
struct SessionsRef(Arc<dyn Sessions>);

impl std::fmt::Debug for SessionsRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sessions")
    }
}

#[derive(Debug, Default)]
struct Open {
    table: PortTable,
    /// Ends the listeners of a session.
    ends: HashMap<RuntimeId, CancellationToken>,
}

impl<A: Answer> PortListeners<A> {
    /// None yet. Which session has which ports is kept in the file, if there is one.
    pub fn new(sessions: Arc<dyn Sessions>, range: PortRange, kept: Option<PathBuf>, limits: Limits) -> Self {
        // Nobody else is to take over.
        let linger = Duration::ZERO;
        Self {
            range,
            limits: Limits { linger, ..limits },
            metrics: Metrics::default(),
            kept: KeptPorts::new(kept),
            sessions: SessionsRef(sessions),
            answer: OnceLock::new(),
            open: Mutex::default(),
            serving: TaskTracker::new(),
            ending: CancellationToken::new(),
        }
    }

    /// The same, with its connections counted there.
    #[must_use]
    pub fn with_metrics(self, metrics: Metrics) -> Self {
        Self { metrics, ..self }
    }

    /// From now on this answers, and the sessions that had ports have them again. One whose ports another program has taken since gets
    /// others; that is told in the log, and by the session's URLs.
    pub async fn begin(&self, answer: &Arc<A>) {
        if self.answer.set(Arc::downgrade(answer)).is_err() {
            return;
        }
        let kept = self.kept.read().await;
        for (id, block) in &kept {
            // Where nobody knows, it may be there.
            if matches!(self.sessions.0.route(id).await, Ok(None)) {
                continue;
            }
            let mut open = self.open.lock().await;
            match self.listen(&mut open, id, *block).await {
                Ok(()) => open.table.give(id.clone(), *block),
                Err(error) => {
                    drop(open);
                    let now = self.ports_of(id).await;
                    let (session, was) = (id.as_str(), block.port(Endpoint::Server));
                    let now = now.map(|now| now.port(Endpoint::Server));
                    tracing::warn!(session, was, now, %error, "the ports of a session are taken by another program; it has others now");
                }
            }
        }
        self.keep().await;
    }

    /// The URLs of a session, on which it is listened. `None` if no ports are left.
    pub async fn urls(&self, id: &RuntimeId) -> Option<SessionUrls> {
        let block = self.ports_of(id).await?;
        UrlStyle::Port.urls(id, Some(block))
    }

    /// Listens no longer, and waits until what was asked is answered.
    pub async fn end(&self) {
        self.ending.cancel();
        self.serving.close();
        self.serving.wait().await;
    }

    async fn ports_of(&self, id: &RuntimeId) -> Option<PortBlock> {
        let mut open = self.open.lock().await;
        if open.ends.contains_key(id) {
            return open.table.of(id);
        }
        if open.ends.len() >= MANY {
            self.forget_gone(&mut open).await;
        }
        for block in open.table.candidates(self.range, id) {
            match self.listen(&mut open, id, block).await {
                Ok(()) => {
                    open.table.give(id.clone(), block);
                    drop(open);
                    self.keep().await;
                    return Some(block);
                }
                Err(error) => {
                    tracing::debug!(%error, port = block.port(Endpoint::Server), "ports can't be listened on");
                }
            }
        }
        tracing::warn!(session = id.as_str(), "there are no ports left for a session");
        None
    }

    /// Listens on all ports of a block, or on none.
    async fn listen(&self, open: &mut Open, id: &RuntimeId, block: PortBlock) -> io::Result<()> {
        let Some(answer) = self.answer.get().and_then(Weak::upgrade) else {
            return Err(io::Error::other("the service has not begun, or has ended"));
        };
        let mut listeners = Vec::new();
        for endpoint in Endpoint::ALL {
            let address = SocketAddr::new(PORT_STYLE_ADDRESS, block.port(endpoint));
            listeners.push((endpoint, TcpListener::bind(address).await?));
        }
        let ends = self.ending.child_token();
        for (endpoint, listener) in listeners {
            let listening = Listening {
                target: Some(Target::of_listener(id.clone(), endpoint)),
                metrics: self.metrics.clone(),
                ..Listening::default()
            };
            let ended = ends.clone().cancelled_owned();
            let serving = serve(listener, listening, Arc::clone(&answer), self.limits, ended);
            self.serving.spawn(serving);
        }
        open.ends.insert(id.clone(), ends);
        Ok(())
    }

    async fn forget_gone(&self, open: &mut Open) {
        let ids: Vec<RuntimeId> = open.ends.keys().cloned().collect();
        for id in ids {
            if matches!(self.sessions.0.route(&id).await, Ok(None)) {
                open.table.take_back(&id);
                if let Some(ends) = open.ends.remove(&id) {
                    ends.cancel();
                }
            }
        }
    }

    async fn keep(&self) {
        let given = self.open.lock().await.table.given();
        self.kept.write(given).await;
    }
}
