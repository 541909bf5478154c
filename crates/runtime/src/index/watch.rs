//! Feeding the join from watches, and telling those who listen.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use podbay_k8s_client::{ClusterClient, Error as ClientError, Kind, WatchEvent, WatchPolicy};
use podbay_manifests::{RuntimeId, SessionNames};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::changes::{Changes, Pending};
use super::join::{Change, Join};
use super::view::SessionView;
use crate::error::Error;
use crate::place::{CountedAgainst, CountedOf, Place};

/// How long the first sessions of a process wait for a watch's list: many times what one takes.
const SYNC: Duration = Duration::from_secs(5);

/// All sessions of a namespace, from a watch over their pods and one over their records.
///
/// Each watch begins with the first who needs it: waits for pods alone cost no watch over records. Cheap to clone; the
/// watches end when the last handle, [`SessionReceiver`] and [`Changes`] are dropped.
#[derive(Clone)]
pub struct SessionIndex(Arc<Shared>);

struct Shared {
    client: Arc<dyn ClusterClient>,
    namespace: String,
    selector: String,
    policy: WatchPolicy,
    state: Arc<Mutex<State>>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        let state = locked(&self.state);
        for feed in [&state.pods, &state.records] {
            if let Some(task) = &feed.task {
                task.abort();
            }
        }
    }
}

#[derive(Default)]
struct State {
    join: Join,
    pods: Feed,
    records: Feed,
    /// Those who follow one session, by its label. A session is forgotten once nobody follows it.
    watchers: HashMap<Arc<str>, watch::Sender<Arc<SessionView>>>,
    /// Those who follow all sessions.
    subscribers: Vec<Weak<Pending>>,
}

/// One of the two watches.
#[derive(Default)]
struct Feed {
    task: Option<AbortHandle>,
    /// Whether the first list has come, or never will.
    settled: watch::Sender<bool>,
    /// Since when it is out of touch; `None` if it is in touch, or was not begun.
    out_of_touch: Option<Instant>,
    /// Why it has ended.
    failed: Option<Arc<ClientError>>,
}

/// What is known of the pod of a session.
#[derive(Clone, Debug)]
pub(crate) enum PodState {
    /// The watch has not seen one (yet).
    Unseen,
    /// It exists; its last state. Of several, as a Job may have for a moment, the one that lives, and of those the
    /// youngest.
    Present(Arc<Pod>),
    /// It was seen and is gone; its last state.
    Gone(Arc<Pod>),
    /// The watch failed for good.
    Failed(Arc<ClientError>),
}

impl SessionIndex {
    /// An index of the sessions in `namespace` that `selector` matches. No watch begins yet.
    pub(crate) fn new(
        client: &Arc<dyn ClusterClient>,
        namespace: &str,
        selector: String,
        policy: WatchPolicy,
    ) -> Self {
        Self(Arc::new(Shared {
            client: Arc::clone(client),
            namespace: namespace.to_owned(),
            selector,
            policy,
            state: Arc::default(),
        }))
    }

    /// Begins to watch objects of this kind, if that was not done before.
    pub(crate) fn watch_kind(&self, kind: Kind) {
        let mut state = self.state();
        let feed = state.feed(kind);
        if feed.task.is_some() {
            return;
        }
        feed.out_of_touch = Some(Instant::now());
        let Shared {
            client,
            namespace,
            selector,
            policy,
            state: fed,
        } = &*self.0;
        let mut events = client.watch(kind, namespace, selector, *policy);
        let fed = Arc::clone(fed);
        let task = tokio::spawn(async move {
            while let Some(event) = events.next().await {
                locked(&fed).take_in(kind, event);
            }
        });
        feed.task = Some(task.abort_handle());
    }

    /// Whether the watch over pods has ended with an error.
    pub(crate) fn has_failed(&self) -> bool {
        self.state().pods.failed.is_some()
    }

    /// Waits up to 5 s for the initial list of pods. Doing so before the first session starts keeps that list small. If the
    /// server does not answer, the next request reports it.
    pub(crate) async fn pods_synced(&self) {
        let _ = tokio::time::timeout(SYNC, self.kind_synced(Kind::Pod)).await;
    }

    async fn kind_synced(&self, kind: Kind) {
        self.watch_kind(kind);
        let mut settled = self.state().feed(kind).settled.subscribe();
        // The sender lives in the state that `self` keeps.
        let _ = settled.wait_for(|settled| *settled).await;
    }

    /// Waits until records and pods are known. Fails if a watch has ended with an error, which only one that fails fast does.
    pub async fn synced(&self) -> Result<(), Error> {
        tokio::join!(self.kind_synced(Kind::ConfigMap), self.kind_synced(Kind::Pod));
        let state = self.state();
        let failed = state.records.failed.as_ref().or(state.pods.failed.as_ref());
        failed.map_or(Ok(()), |error| {
            Err(Error::Cluster {
                source: without_source(error),
            })
        })
    }

    /// How old what is known may be: zero while the watches are in touch with the cluster, else the time since the first of
    /// them lost touch. A watch whose connection is silently dead counts as in touch until its client notices.
    pub fn staleness(&self) -> Duration {
        let state = self.state();
        let since = [&state.records, &state.pods]
            .into_iter()
            .filter_map(|feed| feed.out_of_touch)
            .min();
        since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// What is known of a session now.
    pub fn get(&self, names: &SessionNames) -> SessionView {
        self.view_of(names.label())
    }

    /// The session that is found from outside by this id.
    pub fn find(&self, id: &RuntimeId) -> Option<SessionView> {
        let state = self.state();
        let session = state.join.session_of(id)?;
        Some(SessionView::of(&state.join, session))
    }

    /// Whether records are known as the cluster has them: they were listed, and the watch over them is in touch. Then a session
    /// that is not known was not there a moment ago.
    pub fn knows_all_records(&self) -> bool {
        let records = &self.state().records;
        *records.settled.borrow() && records.out_of_touch.is_none() && records.failed.is_none()
    }

    pub(super) fn view_of(&self, session: &str) -> SessionView {
        SessionView::of(&self.state().join, session)
    }

    /// All sessions whose record was seen, in no order.
    pub fn list(&self) -> Vec<SessionView> {
        let state = self.state();
        let views = state
            .join
            .sessions()
            .map(|session| SessionView::of(&state.join, session));
        views.filter(|view| view.record.is_some()).collect()
    }

    /// Follows all sessions: which of them have changed since. Begins both watches.
    pub fn changes(&self) -> Changes {
        self.watch_kind(Kind::ConfigMap);
        self.watch_kind(Kind::Pod);
        let pending = Arc::<Pending>::default();
        self.state().subscribers.push(Arc::downgrade(&pending));
        Changes::new(pending, self.clone())
    }

    /// Follows one session, its record included. Begins both watches.
    pub fn watch(&self, names: &SessionNames) -> SessionReceiver {
        self.watch_kind(Kind::ConfigMap);
        self.follow(names)
    }

    /// Follows the pod of one session, and its record only as far as records are watched for others.
    pub(crate) fn follow(&self, names: &SessionNames) -> SessionReceiver {
        self.watch_kind(Kind::Pod);
        let mut state = self.state();
        let State {
            join,
            pods,
            records,
            watchers,
            ..
        } = &mut *state;
        let session: Arc<str> = Arc::from(names.label());
        let sender = watchers.entry(Arc::clone(&session)).or_insert_with(|| {
            watch::Sender::new(Arc::new(SessionView {
                failed: pods.failed.clone(),
                lacks_records: records.failed.is_some(),
                ..SessionView::of(join, &session)
            }))
        });
        SessionReceiver {
            receiver: sender.subscribe(),
            session,
            index: self.clone(),
        }
    }

    /// How many sessions count against the one with the place `mine`, once the index has seen that session's own record and
    /// with it all that were written before. `None` if that takes longer than `timeout`.
    pub(crate) async fn others(
        &self,
        names: &SessionNames,
        mine: &Place,
        against: CountedAgainst,
        of: CountedOf,
        timeout: Duration,
    ) -> Option<usize> {
        let mut receiver = self.watch(names);
        let seen = receiver.receiver.wait_for(|view| {
            let record = view.record.as_ref();
            view.lacks_records || record.is_some_and(|record| record.place.is_at_least(mine))
        });
        drop(tokio::time::timeout(timeout, seen).await.ok()?.ok()?);
        let state = self.state();
        if state.records.out_of_touch.is_some() {
            return None;
        }
        let places = state.join.records().map(|(_, record)| &record.place);
        Some(mine.others(places, against, of))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.0.state)
    }
}

impl std::fmt::Debug for SessionIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionIndex")
            .field("namespace", &self.0.namespace)
            .finish_non_exhaustive()
    }
}

/// A panic while the state is held leaves it usable: each change of it is complete in itself.
fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    const fn feed(&mut self, kind: Kind) -> &mut Feed {
        match kind {
            Kind::ConfigMap => &mut self.records,
            _ => &mut self.pods,
        }
    }

    fn take_in(&mut self, kind: Kind, event: Result<WatchEvent, ClientError>) {
        let changes = match event {
            Ok(WatchEvent::Applied(object)) => self.join.apply(object),
            Ok(WatchEvent::Deleted(object)) => self.join.delete(object),
            Ok(WatchEvent::Reset(objects)) => {
                let changes = self.join.reset(kind, objects);
                let feed = self.feed(kind);
                feed.out_of_touch = None;
                feed.settled.send_replace(true);
                changes
            }
            Ok(WatchEvent::Resumed) => {
                self.feed(kind).out_of_touch = None;
                return;
            }
            Ok(WatchEvent::Interrupted(interruption)) => {
                self.feed(kind).out_of_touch = Some(interruption.since);
                return;
            }
            Err(error) => return self.fail(kind, error),
        };
        for change in changes {
            self.notify(change);
        }
    }

    fn notify(&mut self, Change { session, gone }: Change) {
        if let Some(watcher) = self.watchers.get(&session) {
            let view = SessionView::of(&self.join, &session);
            watcher.send_modify(|current| {
                let gone = gone.or_else(|| current.gone.clone());
                *current = Arc::new(SessionView {
                    gone: gone.filter(|_| view.pods.is_empty()),
                    failed: current.failed.clone(),
                    lacks_records: current.lacks_records,
                    ..view
                });
            });
        }
        self.subscribers.retain(|subscriber| {
            let subscriber = subscriber.upgrade();
            subscriber.inspect(|pending| pending.add(&session)).is_some()
        });
    }

    fn fail(&mut self, kind: Kind, error: ClientError) {
        tracing::debug!(%error, "a watch has ended");
        let error = Arc::new(error);
        let feed = self.feed(kind);
        feed.out_of_touch.get_or_insert_with(Instant::now);
        feed.failed = Some(Arc::clone(&error));
        feed.settled.send_replace(true);
        for watcher in self.watchers.values() {
            watcher.send_modify(|current| {
                let mut view = SessionView::clone(current);
                // Who waits for a pod can't go on; without records nobody is worse off than before there were any.
                match kind {
                    Kind::ConfigMap => view.lacks_records = true,
                    _ => view.failed = Some(Arc::clone(&error)),
                }
                *current = Arc::new(view);
            });
        }
    }
}

/// The failure of a shared watch, for one of the many who depend on it.
pub(crate) fn without_source(error: &ClientError) -> ClientError {
    ClientError {
        operation: error.operation.clone(),
        kind: error.kind,
        message: error.message.clone(),
        source: None,
    }
}

/// Follows one session.
pub struct SessionReceiver {
    receiver: watch::Receiver<Arc<SessionView>>,
    session: Arc<str>,
    index: SessionIndex,
}

impl SessionReceiver {
    /// What is known now; the next [`SessionReceiver::changed`] waits for what comes after it.
    pub fn view(&mut self) -> Arc<SessionView> {
        Arc::clone(&self.receiver.borrow_and_update())
    }

    /// What is known of its pod now, else as [`SessionReceiver::view`].
    pub(crate) fn pod(&mut self) -> PodState {
        let view = self.receiver.borrow_and_update();
        if let Some(error) = &view.failed {
            return PodState::Failed(Arc::clone(error));
        }
        match (view.pod(), &view.gone) {
            (Some(pod), _) => PodState::Present(Arc::clone(pod)),
            (None, Some(pod)) => PodState::Gone(Arc::clone(pod)),
            (None, None) => PodState::Unseen,
        }
    }

    /// Waits for a change.
    pub async fn changed(&mut self) {
        if self.receiver.changed().await.is_err() {
            // The sender lives in the state that `index` keeps, so this can't be; never spin if it were.
            std::future::pending::<()>().await;
        }
    }
}

impl std::fmt::Debug for SessionReceiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionReceiver")
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

impl Drop for SessionReceiver {
    fn drop(&mut self) {
        let mut state = self.index.state();
        if state
            .watchers
            .get(&self.session)
            .is_some_and(|sender| sender.receiver_count() <= 1)
        {
            state.watchers.remove(&self.session);
        }
    }
}
