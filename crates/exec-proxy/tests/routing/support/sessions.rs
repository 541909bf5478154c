//! Sessions that a test scripts.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use podbay_exec_proxy::sessions::{NotKnown, NotWoken, Route, SandboxPorts, Sessions};
use podbay_manifests::{KeyHash, RuntimeId};
use podbay_runtime::dial::{BoxIo, DialError, SandboxAddress};
use podbay_runtime::{SessionId, SessionState, StartPhase};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::id;

/// The session's key.
pub(crate) const KEY: &str = "the-key-of-the-session";

pub(crate) const PORTS: SandboxPorts = SandboxPorts {
    server: 60_000,
    vscode: 60_001,
    work: [12_000, 12_001],
};

/// One session, and where its sandboxes' ports lead.
#[derive(Default)]
pub(crate) struct Scripted {
    route: Mutex<Option<Route>>,
    unknown: Mutex<Option<String>>,
    changed: Notify,
    /// By UID and port.
    ports: Mutex<HashMap<(String, u16), SocketAddr>>,
    wake: Mutex<Option<NotWoken>>,
    /// What is known as soon as the next one is dialled.
    next: Mutex<Option<Route>>,
    wakes: AtomicUsize,
    dials: AtomicUsize,
    /// A dial, or a wake.
    happened: Notify,
}

/// A ready session whose pod has this UID.
pub(crate) fn ready(uid: &str) -> Route {
    Route {
        runtime_id: id(),
        session: "demo".parse::<SessionId>().unwrap(),
        owner: None,
        state: SessionState::Ready(None),
        failure: None,
        address: Some(SandboxAddress::on_this_machine("demo", uid)),
        ports: PORTS,
        key: Some(KeyHash::of(KEY.as_bytes())),
        vscode_token: Some(KeyHash::of_vscode_token(KEY.as_bytes())),
        public: false,
    }
}

impl Scripted {
    /// A ready session whose server is there.
    pub(crate) fn serving(address: SocketAddr) -> Arc<Self> {
        let sessions = Arc::new(Self::default());
        sessions.leads("pod-1", PORTS.server, address);
        sessions.is(Some(ready("pod-1")));
        sessions
    }

    /// From now on, this port of the pod is there.
    pub(crate) fn leads(&self, uid: &str, port: u16, address: SocketAddr) {
        self.ports.lock().unwrap().insert((uid.to_owned(), port), address);
    }

    /// From now on, that is what is known.
    pub(crate) fn is(&self, route: Option<Route>) {
        *self.route.lock().unwrap() = route;
        self.changed.notify_waiters();
    }

    /// From now on, the session is in this state, and has no pod unless it is ready.
    pub(crate) fn is_in(&self, state: SessionState) {
        let is_ready = matches!(state, SessionState::Ready(_));
        let was = ready("pod-1");
        self.is(Some(Route {
            address: was.address.filter(|_| is_ready),
            state,
            ..ready("pod-1")
        }));
    }

    pub(crate) fn is_unknown(&self, why: &str) {
        *self.unknown.lock().unwrap() = Some(why.to_owned());
    }

    pub(crate) fn refuses_to_wake(&self, why: NotWoken) {
        *self.wake.lock().unwrap() = Some(why);
    }

    /// As soon as a sandbox is dialled, the session has this one.
    pub(crate) fn replaced_when_dialled(&self, route: Route) {
        *self.next.lock().unwrap() = Some(route);
    }

    /// Waits until somebody wants it back.
    pub(crate) async fn until_woken(&self) {
        self.until(&self.wakes, 1).await;
    }

    /// Waits until sandboxes were dialled so often.
    pub(crate) async fn until_dialled(&self, count: usize) {
        self.until(&self.dials, count).await;
    }

    async fn until(&self, counter: &AtomicUsize, count: usize) {
        let wait = async {
            loop {
                let mut happened = std::pin::pin!(self.happened.notified());
                happened.as_mut().enable();
                if counter.load(Ordering::SeqCst) >= count {
                    return;
                }
                happened.await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(20), wait).await;
        waited.expect("it did not happen");
    }

    pub(crate) fn dials(&self) -> usize {
        self.dials.load(Ordering::SeqCst)
    }

    pub(crate) fn wakes(&self) -> usize {
        self.wakes.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Sessions for Scripted {
    async fn route(&self, asked: &RuntimeId) -> Result<Option<Route>, NotKnown> {
        if let Some(message) = self.unknown.lock().unwrap().clone() {
            return Err(NotKnown { message });
        }
        let route = self.route.lock().unwrap().clone();
        Ok(route.filter(|route| route.runtime_id == *asked))
    }

    async fn changed(&self, seen: &Route) {
        loop {
            let changed = self.changed.notified();
            let mut changed = std::pin::pin!(changed);
            changed.as_mut().enable();
            if self.route.lock().unwrap().as_ref() != Some(seen) {
                return;
            }
            changed.await;
        }
    }

    async fn wake(&self, _: &RuntimeId) -> Result<(), NotWoken> {
        let refused = self.wake.lock().unwrap().clone();
        if refused.is_none() {
            self.is_in(SessionState::Starting(StartPhase::Creating));
        }
        self.wakes.fetch_add(1, Ordering::SeqCst);
        self.happened.notify_waiters();
        refused.map_or(Ok(()), Err)
    }

    async fn connect(&self, address: &SandboxAddress, port: u16) -> Result<BoxIo, DialError> {
        self.dials.fetch_add(1, Ordering::SeqCst);
        self.happened.notify_waiters();
        let next = self.next.lock().unwrap().take();
        if next.is_some() {
            self.is(next);
        }
        let key = (address.uid().to_owned(), port);
        let found = self.ports.lock().unwrap().get(&key).copied();
        let Some(found) = found else {
            return Err(DialError::NoAddress {
                session: address.session().to_owned(),
                pod: address.pod_name().to_owned(),
            });
        };
        let stream = TcpStream::connect(found).await;
        let stream = stream.map_err(|source| DialError::Unreachable {
            session: address.session().to_owned(),
            address: found,
            source,
        })?;
        stream.set_nodelay(true).unwrap();
        Ok(Box::new(stream))
    }
}
