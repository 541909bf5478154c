//! One watch over pods, shared by all who wait for one of them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use podbay_k8s_client::{ClusterClient, Error as ClientError, Kind, Object, WatchEvent};
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// What is known of a pod of a certain name.
#[derive(Clone, Debug, Default)]
pub(crate) enum PodState {
    /// The watch has not seen it (yet).
    #[default]
    Unseen,
    /// It is there; its last state.
    Present(Arc<Pod>),
    /// It was there and is gone; its last state.
    Gone(Arc<Pod>),
    /// The watch failed for good.
    Failed(Arc<ClientError>),
}

/// A watch over the pods of a namespace that a selector matches. Ends when the last handle is dropped.
#[derive(Clone)]
pub(crate) struct PodWatch(Arc<Shared>);

struct Shared {
    index: Arc<Mutex<Index>>,
    task: AbortHandle,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Default)]
struct Index {
    pods: HashMap<String, Arc<Pod>>,
    failed: Option<Arc<ClientError>>,
    /// Those who wait, by pod name. A name is forgotten once nobody waits for it.
    waiting: HashMap<String, watch::Sender<PodState>>,
}

impl PodWatch {
    /// Starts watching.
    pub(crate) fn start(client: &Arc<dyn ClusterClient>, namespace: &str, selector: &str) -> Self {
        let mut events = client.watch(Kind::Pod, namespace, selector);
        let index = Arc::<Mutex<Index>>::default();
        let fed = Arc::clone(&index);
        let task = tokio::spawn(async move {
            while let Some(event) = events.next().await {
                locked(&fed).apply(event);
            }
        });
        Self(Arc::new(Shared {
            index,
            task: task.abort_handle(),
        }))
    }

    /// Whether it ended with an error.
    pub(crate) fn has_failed(&self) -> bool {
        self.0.index().failed.is_some()
    }

    /// Follows the pod called `name`. Holds the state of now; changes wake it.
    pub(crate) fn follow(&self, name: &str) -> PodFollower {
        let mut index = self.0.index();
        let state = index.state(name);
        let receiver = match index.waiting.entry(name.to_owned()) {
            Entry::Occupied(entry) => entry.get().subscribe(),
            Entry::Vacant(entry) => entry.insert(watch::Sender::new(state)).subscribe(),
        };
        PodFollower {
            receiver,
            name: name.to_owned(),
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
    fn state(&self, name: &str) -> PodState {
        match (&self.failed, self.pods.get(name)) {
            (Some(error), _) => PodState::Failed(Arc::clone(error)),
            (None, Some(pod)) => PodState::Present(Arc::clone(pod)),
            (None, None) => PodState::Unseen,
        }
    }

    fn apply(&mut self, event: Result<WatchEvent, ClientError>) {
        match event {
            Ok(WatchEvent::Applied(object)) => self.set(object),
            Ok(WatchEvent::Deleted(object)) => self.remove(object),
            Ok(WatchEvent::Reset(objects)) => {
                let mut before = std::mem::take(&mut self.pods);
                for object in objects {
                    if let Some(name) = &object.metadata().name {
                        before.remove(name);
                    }
                    self.set(object);
                }
                for (name, pod) in before {
                    self.tell(&name, PodState::Gone(pod));
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

    fn set(&mut self, object: Object) {
        if let Some((name, pod)) = named_pod(object) {
            self.tell(&name, PodState::Present(Arc::clone(&pod)));
            self.pods.insert(name, pod);
        }
    }

    fn remove(&mut self, object: Object) {
        if let Some((name, pod)) = named_pod(object) {
            self.pods.remove(&name);
            self.tell(&name, PodState::Gone(pod));
        }
    }

    fn tell(&self, name: &str, state: PodState) {
        if let Some(waiting) = self.waiting.get(name) {
            waiting.send_replace(state);
        }
    }
}

fn named_pod(object: Object) -> Option<(String, Arc<Pod>)> {
    let pod = object.into_pod()?;
    Some((pod.metadata.name.clone()?, Arc::new(pod)))
}

/// One who waits for changes of a pod.
pub(crate) struct PodFollower {
    receiver: watch::Receiver<PodState>,
    name: String,
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
            .get(&self.name)
            .is_some_and(|sender| sender.receiver_count() <= 1)
        {
            index.waiting.remove(&self.name);
        }
    }
}
