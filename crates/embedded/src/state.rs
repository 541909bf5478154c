//! All that an embedded cluster knows, behind one lock: the store, its watches, the pods that run. Nothing here
//! waits; times and UIDs come in as values.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use podbay_k8s_client::{Kind, Object, ObjectKey, WatchEvent};
use tokio::sync::mpsc;

use crate::kubelet::{Refusal, Sandbox, admit, refused, refused_event, running};
use crate::store::{Birth, Change, Selector, Store, StoreError, Watchers};

/// A cluster's state.
pub(crate) struct State {
    /// Where the pods' directories are made.
    directory: PathBuf,
    store: Store,
    watchers: Watchers,
    /// Pods that were created and have not started: new ones, and those that lack something.
    waiting: BTreeSet<ObjectKey>,
    /// Pods that run, by UID.
    sandboxes: HashMap<String, Arc<Sandbox>>,
    /// What was recorded about the pods there are, by UID.
    events: HashMap<String, Vec<Event>>,
    last_event: u64,
}

impl State {
    /// An empty cluster, whose pods' directories are made in `directory`.
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self {
            directory,
            store: Store::default(),
            watchers: Watchers::default(),
            waiting: BTreeSet::new(),
            sandboxes: HashMap::new(),
            events: HashMap::new(),
            last_event: 0,
        }
    }

    /// Adds an object, and starts what can run now. Returns the object as it was stored.
    pub(crate) fn create(&mut self, object: Object, birth: Birth) -> Result<Object, StoreError> {
        let now = birth.at;
        let object = self.store.create(object, birth)?;
        self.watchers.announce(&Change {
            before: None,
            after: Some(object.clone()),
        });
        match object.kind() {
            Kind::Pod => {
                self.waiting.insert(object.key());
                self.settle(now);
            }
            // What a pod waits for may be there now.
            Kind::Secret | Kind::ConfigMap => self.settle(now),
            Kind::PersistentVolumeClaim => {}
        }
        Ok(object)
    }

    /// An object.
    pub(crate) fn get(&self, key: &ObjectKey) -> Option<&Object> {
        self.store.get(key)
    }

    /// A pod that exists, and what it is on this host; the latter is none while the pod does not run.
    pub(crate) fn pod(&self, namespace: &str, name: &str) -> Option<(&Pod, Option<&Arc<Sandbox>>)> {
        let object = self.store.get(&ObjectKey::new(Kind::Pod, namespace, name))?;
        let Object::Pod(pod) = object else { return None };
        Some((pod, self.sandboxes.get(object.uid())))
    }

    /// The objects a selector matches.
    pub(crate) fn list(&self, kind: Kind, namespace: &str, selector: &Selector) -> Vec<Object> {
        self.store.list(kind, namespace, selector)
    }

    /// Starts a watch.
    pub(crate) fn watch(
        &mut self,
        kind: Kind,
        namespace: &str,
        selector: Selector,
    ) -> mpsc::UnboundedReceiver<WatchEvent> {
        let now = self.store.list(kind, namespace, &selector);
        self.watchers.add(kind, namespace, selector, now)
    }

    /// What was recorded about the object with this UID.
    pub(crate) fn events(&self, uid: &str) -> Vec<Event> {
        self.events.get(uid).cloned().unwrap_or_default()
    }

    /// Marks an object as being deleted. Returns its UID, and what is to be closed before it may be removed;
    /// none if there is no such object.
    pub(crate) fn terminate(
        &mut self,
        key: &ObjectKey,
        uid: Option<&str>,
        now: Timestamp,
    ) -> Option<(String, Option<Arc<Sandbox>>)> {
        let object = self.store.get(key)?;
        if uid.is_some_and(|uid| uid != object.uid()) {
            return None;
        }
        let uid = object.uid().to_owned();
        let sandbox = self.sandboxes.get(&uid).cloned();
        // Only a pod takes time to go; everything else is gone at once.
        if sandbox.is_some() && !object.is_terminating() {
            self.update(key, |object| {
                object.metadata_mut().deletion_timestamp = Some(Time(now));
            });
        }
        Some((uid, sandbox))
    }

    /// Removes an object that was terminated.
    pub(crate) fn remove(&mut self, key: &ObjectKey, uid: &str) {
        if let Some(change) = self.store.delete(key, Some(uid)) {
            self.waiting.remove(key);
            self.sandboxes.remove(uid);
            self.events.remove(uid);
            self.watchers.announce(&change);
        }
    }

    /// The objects whose owners are gone.
    pub(crate) fn garbage(&self) -> Vec<ObjectKey> {
        self.store.garbage()
    }

    /// Starts each waiting pod that can run, and says of each other why it can't.
    fn settle(&mut self, now: Timestamp) {
        for key in std::mem::take(&mut self.waiting) {
            let Some(Object::Pod(pod)) = self.store.get(&key) else {
                continue;
            };
            let uid = pod.metadata.uid.clone().unwrap_or_default();
            let opened = admit(pod, &|key: &ObjectKey| self.store.get(key)).and_then(|containers| {
                let container = containers.keys().next().cloned().unwrap_or_default();
                Sandbox::open(&self.directory, &uid, containers).map_err(|error| Refusal {
                    container,
                    reason: "CreateContainerError",
                    message: format!("making the pod's private directory failed: {error}"),
                })
            });
            match opened {
                Ok(sandbox) => {
                    self.sandboxes.insert(uid, Arc::new(sandbox));
                    self.update_pod(&key, |pod| running(pod, now));
                }
                Err(refusal) => {
                    self.refuse(&key, uid, &refusal, now);
                    self.waiting.insert(key);
                }
            }
        }
    }

    /// Says of a pod why it waits, unless it says so already.
    fn refuse(&mut self, key: &ObjectKey, uid: String, refusal: &Refusal, now: Timestamp) {
        let Some(Object::Pod(pod)) = self.store.get(key) else {
            return;
        };
        let number = self.last_event + 1;
        let event = refused_event(pod, refusal, number, now);
        let events = self.events.entry(uid).or_default();
        if events.last().is_some_and(|last| last.message == event.message) {
            return;
        }
        events.push(event);
        self.last_event = number;
        self.update_pod(key, |pod| refused(pod, refusal, now));
    }

    fn update_pod(&mut self, key: &ObjectKey, change: impl FnOnce(&mut Pod)) {
        self.update(key, |object| {
            if let Object::Pod(pod) = object {
                change(pod);
            }
        });
    }

    fn update(&mut self, key: &ObjectKey, change: impl FnOnce(&mut Object)) {
        if let Some(change) = self.store.update(key, change) {
            self.watchers.announce(&change);
        }
    }
}
