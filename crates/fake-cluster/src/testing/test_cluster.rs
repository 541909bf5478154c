//! A scripted cluster, and what tests ask of it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use podbay_k8s_client::{DeleteOptions, ErrorKind, Kind, Object, ObjectKey};
use serde_json::json;

use crate::{FaultyCluster, Script, ScriptedCluster};

/// A scripted cluster and the namespace of it that a test is about.
///
/// Its answers come from the cluster's state and not through a client: they take no time, wait for nothing, and are
/// recorded nowhere.
#[derive(Clone)]
pub struct TestCluster {
    /// The cluster itself. Handles are cheap to clone and are of the same cluster.
    pub scripted: ScriptedCluster,
    namespace: String,
    is_left_out: Arc<dyn Fn(&Object) -> bool + Send + Sync>,
}

impl TestCluster {
    /// An empty cluster. Must be called within a tokio runtime.
    pub fn new(namespace: &str) -> Self {
        Self::on(&ScriptedCluster::new(), namespace)
    }

    /// A namespace of a cluster that there is.
    pub fn on(scripted: &ScriptedCluster, namespace: &str) -> Self {
        Self {
            scripted: scripted.clone(),
            namespace: namespace.to_owned(),
            is_left_out: Arc::new(|_| false),
        }
    }

    /// Leaves objects out of [`Self::objects`] and all that is counted: those that are there for the whole namespace, or
    /// that the test has put beside what it is about.
    #[must_use]
    pub fn leave_out(mut self, is_left_out: impl Fn(&Object) -> bool + Send + Sync + 'static) -> Self {
        self.is_left_out = Arc::new(is_left_out);
        self
    }

    /// A client of the cluster whose calls are recorded and can be made to fail. Each one is a client of its own.
    pub fn faulty(&self) -> FaultyCluster {
        FaultyCluster::new(Arc::new(self.scripted.clone()))
    }

    /// Has all pods that are created from now on do what the script says.
    pub fn script(&self, script: Script) {
        self.scripted.script(|_| true, script);
    }

    /// The key of an object in the namespace.
    pub fn key(&self, kind: Kind, name: impl Into<String>) -> ObjectKey {
        ObjectKey::new(kind, &*self.namespace, name)
    }

    /// An object of the namespace; `None` if there is none of this name.
    ///
    /// # Panics
    ///
    /// If the cluster's API refuses the question.
    pub fn find(&self, kind: Kind, name: impl Into<String>) -> Option<Object> {
        match self.scripted.raw().get(&self.key(kind, name)) {
            Ok(object) => Some(object),
            Err(error) if error.kind == ErrorKind::NotFound => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// An object that must be there.
    ///
    /// # Panics
    ///
    /// If it is not.
    pub fn get(&self, kind: Kind, name: impl Into<String>) -> Object {
        let key = self.key(kind, name);
        self.find(kind, &*key.name)
            .unwrap_or_else(|| panic!("{key} is not there, but {:?}", self.leftovers()))
    }

    /// The objects of the namespace, by kind and name.
    ///
    /// # Panics
    ///
    /// If the cluster's API refuses to list them.
    pub fn objects(&self) -> Vec<Object> {
        let raw = self.scripted.raw();
        let lists = Kind::ALL
            .iter()
            .map(|kind| match raw.list(*kind, &self.namespace, "") {
                Ok(list) => list.items,
                Err(error) => panic!("{error}"),
            });
        lists
            .flatten()
            .filter(|object| !(self.is_left_out)(object))
            .collect()
    }

    /// How many objects of each kind there are; kinds without any are left out.
    pub fn counts(&self) -> BTreeMap<Kind, usize> {
        let mut counts = BTreeMap::new();
        for object in self.objects() {
            *counts.entry(object.kind()).or_default() += 1;
        }
        counts
    }

    /// How many pods there are that have not ended and are not being deleted.
    pub fn live_pods(&self) -> usize {
        self.objects().iter().filter(|object| is_live_pod(object)).count()
    }

    /// The keys of all objects there are, in words.
    pub fn leftovers(&self) -> Vec<String> {
        self.objects()
            .iter()
            .map(|object| object.key().to_string())
            .collect()
    }

    /// Asserts that nothing is left; `when` says after what.
    ///
    /// # Panics
    ///
    /// If something is, with its keys.
    pub fn assert_empty(&self, when: &str) {
        let left = self.leftovers();
        assert!(left.is_empty(), "{when}: left behind are {left:?}");
    }

    /// Takes an object away at once, as its finalizers' owners and its node would do in time.
    ///
    /// # Panics
    ///
    /// If it is not there.
    pub fn remove(&self, key: &ObjectKey) {
        let raw = self.scripted.raw();
        let options = DeleteOptions {
            grace_period_seconds: Some(0),
            ..DeleteOptions::default()
        };
        let removed = raw
            .patch(key, &json!({"metadata": {"finalizers": null}}))
            .and_then(|_| raw.delete(key, options));
        if let Err(error) = removed {
            panic!("{error}");
        }
    }
}

impl fmt::Debug for TestCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestCluster")
            .field("namespace", &self.namespace)
            .field("objects", &self.leftovers())
            .finish_non_exhaustive()
    }
}

/// Whether the object is a pod that has not ended and is not being deleted.
pub fn is_live_pod(object: &Object) -> bool {
    let Object::Pod(pod) = object else { return false };
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    !object.is_terminating() && !matches!(phase, Some("Failed" | "Succeeded"))
}
