//! All that an embedded cluster knows, behind one lock: the store, its watches, the pods that run. Nothing here
//! waits; times and UIDs come in as values.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use futures::stream::BoxStream;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, Pod};
use podbay_fake_cluster::RawWatch;
use podbay_fake_cluster::parts::{
    Birth, Deleted, Deletion, Denial, Following, News, Relist, Selector, Store, endless,
};
use podbay_k8s_client::{Error, Kind, Object, ObjectKey, WatchEvent};
use serde_json::Value;

use crate::kubelet::{Refusal, Sandbox, admit, refused, refused_event, running};

/// Changes that watches can still be given; one further behind lists again.
const HISTORY: usize = 1024;

/// An object whose deletion has begun.
pub(crate) struct Terminated {
    pub(crate) uid: String,
    /// What is to be closed before the object is removed; one without is removed already.
    pub(crate) sandbox: Option<Arc<Sandbox>>,
}

/// A cluster's state.
pub(crate) struct State {
    /// Where the pods' directories are made.
    directory: PathBuf,
    store: Store,
    /// Pods that were created and have not started: new ones, and those that lack something.
    waiting: BTreeSet<ObjectKey>,
    /// Pods that run, by UID.
    sandboxes: HashMap<String, Arc<Sandbox>>,
    /// What was recorded about the pods there are, by UID.
    events: HashMap<String, Vec<Event>>,
    last_event: u64,
    /// Objects that may have lost their owners.
    garbage: BTreeSet<ObjectKey>,
}

impl State {
    /// An empty cluster, whose pods' directories are made in `directory`.
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self {
            directory,
            store: Store::new(HISTORY),
            waiting: BTreeSet::new(),
            sandboxes: HashMap::new(),
            events: HashMap::new(),
            last_event: 0,
            garbage: BTreeSet::new(),
        }
    }

    /// Adds an object, and starts what can run now. Returns the object as it was stored.
    pub(crate) fn create(&mut self, object: Object, birth: Birth) -> Result<Object, Denial> {
        let now = birth.at;
        let object = self.store.create(object, birth)?;
        if object.kind() == Kind::Pod {
            self.waiting.insert(object.key());
        }
        self.settle_after(object.kind(), now);
        self.attend();
        Ok(object.whole())
    }

    /// Changes an object by a JSON merge patch.
    pub(crate) fn patch(&mut self, key: &ObjectKey, patch: &Value, now: Timestamp) -> Result<Object, Denial> {
        let object = self.store.patch(key, patch)?;
        self.settle_after(key.kind, now);
        self.attend();
        Ok(object.whole())
    }

    /// An object.
    pub(crate) fn get(&self, key: &ObjectKey) -> Option<Object> {
        self.store.get(key).map(|object| object.whole())
    }

    /// A pod that exists, and what it is on this host; the latter is none while the pod does not run.
    pub(crate) fn pod(&self, namespace: &str, name: &str) -> Option<(&Pod, Option<&Arc<Sandbox>>)> {
        let object = self.store.get(&ObjectKey::new(Kind::Pod, namespace, name))?;
        let Object::Pod(pod) = &***object else { return None };
        Some((pod, self.sandboxes.get(object.uid())))
    }

    /// The objects a selector matches.
    pub(crate) fn list(&self, kind: Kind, namespace: &str, selector: &Selector) -> Vec<Object> {
        let found = self.store.list(kind, namespace, selector);
        found.map(|object| object.whole()).collect()
    }

    /// Lists, and watches from there.
    pub(crate) fn list_and_watch(
        &mut self,
        kind: Kind,
        namespace: &str,
        selector: &Selector,
    ) -> Result<(Vec<Object>, RawWatch), Denial> {
        let listed = self.list(kind, namespace, selector);
        let cursor = self.store.cursor(kind, namespace, self.store.revision())?;
        let following = Following {
            operation: format!("watch {} in {namespace}", kind.resource()),
            selector: selector.clone(),
            initial: std::collections::VecDeque::new(),
            cursor,
            bookmarks: None,
        };
        Ok((listed, following.into_stream()))
    }

    /// Starts a watch that goes on over expired versions by `relist`.
    pub(crate) fn watch(
        &mut self,
        kind: Kind,
        namespace: &str,
        selector: &Selector,
        relist: Relist,
    ) -> Result<BoxStream<'static, Result<WatchEvent, Error>>, Denial> {
        Ok(endless(self.list_and_watch(kind, namespace, selector)?, relist))
    }

    /// What was recorded about the object with this UID.
    pub(crate) fn events(&self, uid: &str) -> Vec<Event> {
        self.events.get(uid).cloned().unwrap_or_default()
    }

    /// Deletes an object, or begins to, if the preconditions of `deletion` hold. Its grace period does not matter.
    pub(crate) fn terminate(
        &mut self,
        key: &ObjectKey,
        deletion: &Deletion,
        now: Timestamp,
    ) -> Result<Terminated, Denial> {
        let object = self.store.get(key).ok_or_else(|| Denial::not_found(key))?;
        deletion.check(key, object.metadata())?;
        let (uid, terminating) = (object.uid().to_owned(), object.is_terminating());
        let sandbox = self.sandboxes.get(&uid).cloned();
        // Only a pod that runs takes time to go.
        if sandbox.is_none() {
            self.remove(key, &uid, now);
        } else if !terminating {
            self.store.delete(key, &Deletion::default(), now)?;
        }
        Ok(Terminated { uid, sandbox })
    }

    /// Removes an object that was terminated; one that has finalizers waits for them.
    pub(crate) fn remove(&mut self, key: &ObjectKey, uid: &str, now: Timestamp) {
        let deletion = Deletion {
            uid: Some(uid.to_owned()),
            grace_seconds: Some(0),
            ..Deletion::default()
        };
        if let Ok(Deleted::Gone(_)) = self.store.delete(key, &deletion, now) {
            self.waiting.remove(key);
            self.sandboxes.remove(uid);
            self.events.remove(uid);
        }
        self.attend();
    }

    /// The objects whose owners are gone.
    pub(crate) fn take_garbage(&mut self) -> BTreeSet<ObjectKey> {
        let mut garbage = std::mem::take(&mut self.garbage);
        garbage.retain(|key| self.store.is_garbage(key));
        garbage
    }

    /// What the cluster's controllers do at once.
    fn attend(&mut self) {
        loop {
            let news = self.store.take_news();
            if news.is_empty() {
                return;
            }
            for news in news {
                match news {
                    News::Garbage(key) => drop(self.garbage.insert(key)),
                    News::Claim(key) => self.store.release_claim(&key),
                    News::Changed(_) => {}
                }
            }
        }
    }

    fn settle_after(&mut self, kind: Kind, now: Timestamp) {
        // What a pod waits for may be there now.
        if matches!(kind, Kind::Pod | Kind::Secret | Kind::ConfigMap) {
            self.settle(now);
        }
    }

    /// Starts each waiting pod that can run, and says of each other why it can't.
    fn settle(&mut self, now: Timestamp) {
        for key in std::mem::take(&mut self.waiting) {
            let Some(Object::Pod(pod)) = self.get(&key) else {
                continue;
            };
            let uid = pod.metadata.uid.clone().unwrap_or_default();
            let opened = admit(&pod, &|key: &ObjectKey| {
                self.store.get(key).map(|object| &***object)
            })
            .and_then(|containers| {
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
                    self.store.modify_whole_pod(&key, |pod| running(pod, now));
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
        let Some(Object::Pod(pod)) = self.store.get(key).map(|object| &***object) else {
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
        self.store.modify_whole_pod(key, |pod| refused(pod, refusal, now));
    }
}
