//! Records and pods joined by the label of their session: a pure table that takes what watches tell.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use podbay_k8s_client::{Kind, Object};
use podbay_manifests::labels::SESSION;
use podbay_manifests::{Record, RecordError, RuntimeId};

use crate::place::Place;
use crate::pod::outline;

/// What is kept of a session's record.
#[derive(Debug)]
pub(crate) struct IndexedRecord {
    /// Its name.
    pub(crate) name: String,
    /// Its place among the sessions that the namespace may have at once.
    pub(crate) place: Place,
    /// What it says, if this version can read it. Shared with those who look, who may be many.
    pub(crate) record: Result<Arc<Record>, RecordError>,
}

/// All sessions that are known, each with its record, its pods or both: one may be seen before the other.
#[derive(Debug, Default)]
pub(crate) struct Join {
    sessions: HashMap<Arc<str>, Entry>,
    /// The session of each record, by the record's name: labels can be changed.
    records: HashMap<String, Arc<str>>,
    /// The session of each pod, by the pod's name.
    pods: HashMap<String, Arc<str>>,
    /// The session of each runtime id that a readable record has.
    runtime_ids: HashMap<RuntimeId, Arc<str>>,
}

#[derive(Debug, Default)]
struct Entry {
    /// In no order. There is one, unless somebody has copied it under another name.
    records: Vec<Arc<IndexedRecord>>,
    /// In no order.
    pods: Vec<Arc<Pod>>,
}

/// A session of which something changed.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    /// Its label.
    pub(crate) session: Arc<str>,
    /// The last state of its last pod, if the change is that this pod is gone.
    pub(crate) gone: Option<Arc<Pod>>,
}

impl Join {
    /// Takes in an object that was added or changed.
    pub(crate) fn apply(&mut self, object: Object) -> Vec<Change> {
        match object {
            Object::ConfigMap(record) => self.apply_record(&record),
            Object::Pod(pod) => self.apply_pod(*pod),
            _ => Vec::new(),
        }
    }

    /// Forgets an object; `object` is its last state.
    pub(crate) fn delete(&mut self, object: Object) -> Vec<Change> {
        let name = object.metadata().name.clone().unwrap_or_default();
        match object {
            Object::ConfigMap(_) => self.remove_record(&name).into_iter().collect(),
            Object::Pod(pod) => self
                .remove_pod(&name, Some(Arc::new(outline(*pod))))
                .into_iter()
                .collect(),
            _ => Vec::new(),
        }
    }

    /// Takes `objects` for all there are of their kind: those that are not among them are gone.
    pub(crate) fn reset(&mut self, kind: Kind, objects: Vec<Object>) -> Vec<Change> {
        let known = match kind {
            Kind::ConfigMap => &self.records,
            Kind::Pod => &self.pods,
            _ => return Vec::new(),
        };
        let mut missing = known.clone();
        for object in &objects {
            if let Some(name) = &object.metadata().name {
                missing.remove(name);
            }
        }
        let mut changes = Vec::new();
        // What is there first: a pod that another has followed is no session's last one.
        for object in objects {
            changes.append(&mut self.apply(object));
        }
        for name in missing.into_keys() {
            changes.extend(match kind {
                Kind::ConfigMap => self.remove_record(&name),
                _ => self.remove_pod(&name, None),
            });
        }
        changes
    }

    /// The record of the session with this label: of several the one that can be read, which a copy under another name
    /// can't.
    pub(crate) fn record(&self, session: &str) -> Option<&Arc<IndexedRecord>> {
        let records = self.sessions.get(session)?.records.iter();
        records.max_by_key(|record| (record.record.is_ok(), &record.name))
    }

    /// The label of the session that is found from outside by this id.
    pub(crate) fn session_of(&self, id: &RuntimeId) -> Option<&Arc<str>> {
        self.runtime_ids.get(id)
    }

    /// The pods of the session with this label, in no order.
    pub(crate) fn pods(&self, session: &str) -> &[Arc<Pod>] {
        self.sessions.get(session).map_or(&[], |entry| &entry.pods)
    }

    /// The labels of all sessions, in no order.
    pub(crate) fn sessions(&self) -> impl Iterator<Item = &Arc<str>> {
        self.sessions.keys()
    }

    /// All records with the labels of their sessions, in no order.
    pub(crate) fn records(&self) -> impl Iterator<Item = (&str, &Arc<IndexedRecord>)> {
        self.sessions
            .iter()
            .flat_map(|(session, entry)| entry.records.iter().map(|record| (&**session, record)))
    }

    /// How many entries its tables have.
    #[cfg(test)]
    pub(super) fn size(&self) -> (usize, usize, usize) {
        (self.sessions.len(), self.records.len(), self.pods.len())
    }

    fn apply_record(&mut self, object: &ConfigMap) -> Vec<Change> {
        let Some(name) = object.metadata.name.clone() else {
            return Vec::new();
        };
        // One whose label was taken away is shown all the same, by itself.
        let label = label_of(object.metadata.labels.as_ref()).unwrap_or(&name);
        let session = self.session(label);
        let mut changes = Vec::new();
        let before = self.records.get(&name);
        if before.is_some_and(|before| *before != session) {
            changes.extend(self.remove_record(&name));
        }
        self.records.insert(name.clone(), Arc::clone(&session));
        self.forget_record(&session, &name);
        let record = Record::parse(object).map(Arc::new);
        if let Ok(record) = &record
            && let Some(id) = &record.runtime_id
        {
            self.runtime_ids.insert(id.clone(), Arc::clone(&session));
        }
        let entry = self.sessions.entry(Arc::clone(&session)).or_default();
        entry.records.reserve_exact(1);
        entry.records.push(Arc::new(IndexedRecord {
            name,
            place: Place::of(&object.metadata),
            record,
        }));
        changes.push(Change { session, gone: None });
        changes
    }

    fn apply_pod(&mut self, pod: Pod) -> Vec<Change> {
        let (Some(name), Some(label)) = (pod.metadata.name.clone(), label_of(pod.metadata.labels.as_ref()))
        else {
            // It may have had one before.
            return pod
                .metadata
                .name
                .as_deref()
                .and_then(|name| self.remove_pod(name, None))
                .into_iter()
                .collect();
        };
        let session = self.session(label);
        let mut changes = Vec::new();
        if self.pods.get(&name).is_some_and(|before| *before != session) {
            changes.extend(self.remove_pod(&name, None));
        }
        let pods = &mut self.sessions.entry(Arc::clone(&session)).or_default().pods;
        let pod = Arc::new(outline(pod));
        pods.retain(|known| known.metadata.name.as_ref() != Some(&name));
        pods.reserve_exact(1);
        pods.push(pod);
        self.pods.insert(name, Arc::clone(&session));
        changes.push(Change { session, gone: None });
        changes
    }

    fn remove_record(&mut self, name: &str) -> Option<Change> {
        let session = self.records.remove(name)?;
        self.forget_record(&session, name);
        self.forget_if_empty(&session);
        Some(Change { session, gone: None })
    }

    /// Forgets what was known of a record, with the id by which its session was found.
    fn forget_record(&mut self, session: &str, name: &str) {
        let Some(entry) = self.sessions.get_mut(session) else {
            return;
        };
        let runtime_ids = &mut self.runtime_ids;
        entry.records.retain(|known| {
            if known.name != name {
                return true;
            }
            if let Ok(record) = &known.record
                && let Some(id) = &record.runtime_id
                && runtime_ids.get(id).is_some_and(|label| **label == *session)
            {
                runtime_ids.remove(id);
            }
            false
        });
    }

    /// `last` is the pod's last state, if it was told; else what was known of it.
    fn remove_pod(&mut self, name: &str, last: Option<Arc<Pod>>) -> Option<Change> {
        let session = self.pods.remove(name)?;
        let mut gone = None;
        if let Some(entry) = self.sessions.get_mut(&session) {
            let position = entry
                .pods
                .iter()
                .position(|pod| pod.metadata.name.as_deref() == Some(name));
            let known = position.map(|position| entry.pods.swap_remove(position));
            if entry.pods.is_empty() {
                gone = last.or(known);
            }
        }
        self.forget_if_empty(&session);
        Some(Change { session, gone })
    }

    /// The label as it is kept, if it is known.
    fn session(&self, label: &str) -> Arc<str> {
        self.sessions
            .get_key_value(label)
            .map_or_else(|| Arc::from(label), |(known, _)| Arc::clone(known))
    }

    fn forget_if_empty(&mut self, session: &str) {
        if self
            .sessions
            .get(session)
            .is_some_and(|entry| entry.records.is_empty() && entry.pods.is_empty())
        {
            self.sessions.remove(session);
        }
    }
}

fn label_of(labels: Option<&BTreeMap<String, String>>) -> Option<&str> {
    labels?.get(SESSION).map(String::as_str)
}
