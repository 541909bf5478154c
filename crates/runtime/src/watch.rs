//! One watch over pods, shared by all who wait for one of them.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use podbay_k8s_client::{ClusterClient, Error as ClientError, Kind, Object, WatchEvent, WatchPolicy};
use podbay_manifests::SessionNames;
use podbay_manifests::labels::SESSION;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::pod::{outline, pod_rank};

/// What is known of the pod of a session.
#[derive(Clone, Debug, Default)]
pub(crate) enum PodState {
    /// The watch has not seen one (yet).
    #[default]
    Unseen,
    /// It is there; its last state. Of several, as a Job may have for a moment, the one that lives, and of those the
    /// youngest.
    Present(Arc<Pod>),
    /// It was there and is gone; its last state.
    Gone(Arc<Pod>),
    /// The watch failed for good.
    Failed(Arc<ClientError>),
}

/// How long the first sessions of a process wait for the watch's list: many times what one takes.
const SYNC: Duration = Duration::from_secs(5);

/// A watch over the pods of a namespace that a selector matches. Ends when the last handle is dropped.
#[derive(Clone)]
pub(crate) struct PodWatch(Arc<Shared>);

struct Shared {
    index: Arc<Mutex<Index>>,
    /// Whether the first answer has come.
    synced: watch::Receiver<bool>,
    task: AbortHandle,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Default)]
struct Index {
    /// By the sessions' labels, then by name.
    pods: HashMap<String, BTreeMap<String, Arc<Pod>>>,
    failed: Option<Arc<ClientError>>,
    /// Those who wait, by the session's label. A session is forgotten once nobody waits for it.
    waiting: HashMap<String, watch::Sender<PodState>>,
}

impl PodWatch {
    /// Starts watching.
    pub(crate) fn start(client: &Arc<dyn ClusterClient>, namespace: &str, selector: &str) -> Self {
        let mut events = client.watch(Kind::Pod, namespace, selector, WatchPolicy::FailFast);
        let index = Arc::<Mutex<Index>>::default();
        let fed = Arc::clone(&index);
        let (told, synced) = watch::channel(false);
        let task = tokio::spawn(async move {
            while let Some(event) = events.next().await {
                locked(&fed).apply(event);
                told.send_replace(true);
            }
        });
        Self(Arc::new(Shared {
            index,
            synced,
            task: task.abort_handle(),
        }))
    }

    /// Whether it ended with an error.
    pub(crate) fn has_failed(&self) -> bool {
        self.0.index().failed.is_some()
    }

    /// Waits, not for long, until the watch knows what there is. Its list is small before many sessions start, and large
    /// after; a cluster that does not answer is told by the calls that follow.
    pub(crate) async fn synced(&self) {
        let mut synced = self.0.synced.clone();
        let known = synced.wait_for(|synced| *synced);
        let _ = tokio::time::timeout(SYNC, known).await;
    }

    /// Follows the pod of the session with these names. Holds the state of now; changes wake it.
    pub(crate) fn follow(&self, names: &SessionNames) -> PodFollower {
        let session = names.label();
        let mut index = self.0.index();
        let state = index.state(session);
        let receiver = match index.waiting.entry(session.to_owned()) {
            Entry::Occupied(entry) => entry.get().subscribe(),
            Entry::Vacant(entry) => entry.insert(watch::Sender::new(state)).subscribe(),
        };
        PodFollower {
            receiver,
            session: session.to_owned(),
            watch: self.clone(),
        }
    }
}

impl Shared {
    fn index(&self) -> MutexGuard<'_, Index> {
        locked(&self.index)
    }
}

/// A panic while the index is held leaves it usable: each change of it is complete in itself.
fn locked(index: &Mutex<Index>) -> MutexGuard<'_, Index> {
    index.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Index {
    fn state(&self, session: &str) -> PodState {
        match (&self.failed, self.pods.get(session).and_then(preferred_pod)) {
            (Some(error), _) => PodState::Failed(Arc::clone(error)),
            (None, Some(pod)) => PodState::Present(Arc::clone(pod)),
            (None, None) => PodState::Unseen,
        }
    }

    fn apply(&mut self, event: Result<WatchEvent, ClientError>) {
        match event {
            Ok(WatchEvent::Applied(object)) => {
                if let Some(session) = self.set(object) {
                    self.tell(&session, self.state(&session));
                }
            }
            Ok(WatchEvent::Deleted(object)) => self.remove(object),
            // Told only of watches that persist.
            Ok(WatchEvent::Interrupted(_) | WatchEvent::Resumed) => {}
            Ok(WatchEvent::Reset(objects)) => {
                let before = std::mem::take(&mut self.pods);
                for object in objects {
                    self.set(object);
                }
                for session in self.pods.keys() {
                    self.tell(session, self.state(session));
                }
                for (session, pods) in before {
                    if let (false, Some(pod)) = (self.pods.contains_key(&session), preferred_pod(&pods)) {
                        self.tell(&session, PodState::Gone(Arc::clone(pod)));
                    }
                }
            }
            Err(error) => {
                let error = Arc::new(error);
                self.failed = Some(Arc::clone(&error));
                for waiting in self.waiting.values() {
                    waiting.send_replace(PodState::Failed(Arc::clone(&error)));
                }
            }
        }
    }

    /// Takes a pod in, and returns its session.
    fn set(&mut self, object: Object) -> Option<String> {
        let (session, name, pod) = labelled_pod(object)?;
        self.pods.entry(session.clone()).or_default().insert(name, pod);
        Some(session)
    }

    fn remove(&mut self, object: Object) {
        let Some((session, name, pod)) = labelled_pod(object) else {
            return;
        };
        if let Entry::Occupied(mut pods) = self.pods.entry(session.clone()) {
            pods.get_mut().remove(&name);
            if pods.get().is_empty() {
                pods.remove();
            }
        }
        let state = match self.state(&session) {
            PodState::Unseen => PodState::Gone(pod),
            state => state,
        };
        self.tell(&session, state);
    }

    fn tell(&self, session: &str, state: PodState) {
        if let Some(waiting) = self.waiting.get(session) {
            waiting.send_replace(state);
        }
    }
}

fn preferred_pod(pods: &BTreeMap<String, Arc<Pod>>) -> Option<&Arc<Pod>> {
    pods.values().max_by_key(|pod| pod_rank(pod))
}

/// A pod with the label of its session, and its name.
fn labelled_pod(object: Object) -> Option<(String, String, Arc<Pod>)> {
    let pod = object.into_pod()?;
    let session = pod.metadata.labels.as_ref()?.get(SESSION)?.clone();
    Some((session, pod.metadata.name.clone()?, Arc::new(outline(pod))))
}

/// One who waits for changes of a pod.
pub(crate) struct PodFollower {
    receiver: watch::Receiver<PodState>,
    session: String,
    watch: PodWatch,
}

impl PodFollower {
    /// What is known now; the next [`PodFollower::changed`] waits for what comes after it.
    pub(crate) fn state(&mut self) -> PodState {
        self.receiver.borrow_and_update().clone()
    }

    /// Waits for a change.
    pub(crate) async fn changed(&mut self) {
        if self.receiver.changed().await.is_err() {
            // The sender lives in the index that `watch` keeps, so this can't be; never spin if it were.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for PodFollower {
    fn drop(&mut self) {
        let mut index = self.watch.0.index();
        if index
            .waiting
            .get(&self.session)
            .is_some_and(|sender| sender.receiver_count() <= 1)
        {
            index.waiting.remove(&self.session);
        }
    }
}
