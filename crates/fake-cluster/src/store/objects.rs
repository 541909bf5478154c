//! The objects, and what creating, changing and deleting them means.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Pod, ResourceQuota};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use podbay_k8s_client::{Kind, Object, ObjectKey};

use super::Selector;
use super::defaults::{self, CLAIM_PROTECTION, GRACE_SECONDS};
use super::denial::Denial;
use super::history::{Change, Cursor, History};
use super::kept::Kept;
use super::quota::Quotas;
use super::relations::Relations;
use super::revise;
use crate::validation;

/// All objects of a cluster.
#[derive(Debug)]
pub(crate) struct Store {
    objects: BTreeMap<ObjectKey, Arc<Kept>>,
    relations: Relations,
    quotas: Quotas,
    history: History,
    /// What the cluster's controllers have not taken yet.
    news: Vec<News>,
}

/// What the API server puts into a new object's metadata, as values.
#[derive(Clone, Debug)]
pub(crate) struct Birth {
    /// Its UID, never given before.
    pub uid: String,
    /// Its `creationTimestamp`.
    pub at: Timestamp,
    /// What follows `generateName`, if that names the object.
    pub suffix: String,
}

/// How to delete.
#[derive(Clone, Debug, Default)]
pub(crate) struct Deletion {
    /// `preconditions.uid`.
    pub uid: Option<String>,
    /// `preconditions.resourceVersion`.
    pub resource_version: Option<String>,
    /// `gracePeriodSeconds`.
    pub grace_seconds: Option<i64>,
}

impl Deletion {
    /// Whether an object with this metadata is one that may be deleted: else 409.
    pub(crate) fn check(&self, key: &ObjectKey, metadata: &ObjectMeta) -> Result<(), Denial> {
        let (uid, version) = (
            metadata.uid.as_deref().unwrap_or_default(),
            metadata.resource_version.as_deref().unwrap_or_default(),
        );
        match (&self.uid, &self.resource_version) {
            (Some(asked), _) if asked != uid => Err(Denial::another_object(key, asked, uid)),
            (_, Some(asked)) if asked != version => Err(Denial::another_version(key, asked, version)),
            _ => Ok(()),
        }
    }
}

/// What became of an object that was deleted.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Deleted {
    /// It is gone; its last state.
    Gone(Arc<Kept>),
    /// It waits for its finalizers, or (a pod) for its node.
    Terminating(Arc<Kept>),
}

/// Something a controller looks at.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum News {
    /// An object changed.
    Changed(Arc<Change>),
    /// An object that may have lost its owners, or some of them.
    Garbage(ObjectKey),
    /// A terminating claim that may have lost its last user.
    Claim(ObjectKey),
}

impl Store {
    /// An empty one that remembers the last `history` changes for watches.
    pub(crate) fn new(history: usize) -> Self {
        Self {
            objects: BTreeMap::new(),
            relations: Relations::default(),
            quotas: Quotas::default(),
            history: History::new(history),
            news: Vec::new(),
        }
    }

    /// Adds `object`, and returns it as stored. The order of the checks is the API server's: validation, quota,
    /// then whether the name is free.
    pub(crate) fn create(&mut self, mut object: Object, birth: Birth) -> Result<Arc<Kept>, Denial> {
        let Birth { uid, at, suffix } = birth;
        let metadata = object.metadata_mut();
        if metadata.name.as_deref().unwrap_or_default().is_empty()
            && let Some(prefix) = metadata
                .generate_name
                .as_deref()
                .filter(|prefix| !prefix.is_empty())
        {
            metadata.name = Some(format!("{prefix}{suffix}"));
        }
        metadata.uid = Some(uid);
        metadata.creation_timestamp = Some(Time(at));
        metadata.deletion_timestamp = None;
        metadata.deletion_grace_period_seconds = None;
        let version = metadata.resource_version.take();
        defaults::fill(&mut object);
        let key = object.key();
        let problems = validation::of_new(&object);
        if !problems.is_empty() {
            return Err(Denial::invalid(&key, &problems));
        }
        self.quotas.admit(&key, &object)?;
        if version.is_some_and(|version| !matches!(version.as_str(), "" | "0")) {
            return Err(Denial::versioned());
        }
        if let Some(there) = self.objects.get(&key) {
            return Err(if there.is_terminating() {
                Denial::still_exists(&key)
            } else {
                Denial::already_exists(&key)
            });
        }
        Ok(self.put(&key, &Kept::new(object)))
    }

    /// The object called `key`.
    pub(crate) fn get(&self, key: &ObjectKey) -> Option<&Arc<Kept>> {
        self.objects.get(key)
    }

    /// The object with this UID.
    pub(crate) fn find(&self, uid: &str) -> Option<&Arc<Kept>> {
        self.objects.get(self.relations.find(uid)?)
    }

    /// The objects of a kind in a namespace that `selector` matches, by name.
    pub(crate) fn list<'a>(
        &'a self,
        kind: Kind,
        namespace: &'a str,
        selector: &'a Selector,
    ) -> impl Iterator<Item = &'a Arc<Kept>> {
        self.objects
            .range(ObjectKey::new(kind, namespace, "")..)
            .take_while(move |(key, _)| key.kind == kind && key.namespace == namespace)
            .map(|(_, object)| object)
            .filter(|object| selector.matches(object.metadata().labels.as_ref()))
    }

    /// The objects that the one with this UID owns, by key.
    pub(crate) fn dependents(&self, uid: &str) -> impl Iterator<Item = &Arc<Kept>> {
        let keys = self.relations.dependents(uid);
        keys.filter_map(|key| self.objects.get(key))
    }

    /// The pods that name the claim.
    pub(crate) fn claim_users(&self, claim: &ObjectKey) -> impl Iterator<Item = &Arc<Kept>> {
        let keys = self.relations.users(claim);
        keys.filter_map(|key| self.objects.get(key))
    }

    /// Replaces an object by what a client sent: all but the status, which is the cluster's.
    pub(crate) fn update(&mut self, object: Object) -> Result<Arc<Kept>, Denial> {
        let key = object.key();
        let before = self.objects.get(&key).ok_or_else(|| Denial::not_found(&key))?;
        let after = revise::update(&key, &before.whole(), object)?;
        let after = Kept::after(after, before);
        Ok(self.change(&key, &after))
    }

    /// Replaces an object's status by the one of `object` (subresource `status`).
    pub(crate) fn update_status(&mut self, object: &Object) -> Result<Arc<Kept>, Denial> {
        let key = object.key();
        let before = self.objects.get(&key).ok_or_else(|| Denial::not_found(&key))?;
        let after = revise::update_status(&key, &before.whole(), object)?;
        let after = Kept::after(after, before);
        Ok(self.change(&key, &after))
    }

    /// Changes an object by a JSON merge patch.
    pub(crate) fn patch(&mut self, key: &ObjectKey, patch: &serde_json::Value) -> Result<Arc<Kept>, Denial> {
        let before = self.objects.get(key).ok_or_else(|| Denial::not_found(key))?;
        let after = revise::patch(key, &before.whole(), patch)?;
        let after = Kept::after(after, before);
        Ok(self.change(key, &after))
    }

    /// Changes an object as a part of the cluster does; nothing happens if there is none. The function must leave
    /// name, namespace and UID alone, and gets no containers and volumes.
    pub(crate) fn modify(&mut self, key: &ObjectKey, change: impl FnOnce(&mut Object)) {
        if let Some(before) = self.objects.get(key) {
            let after = before.with(change);
            self.change(key, &after);
        }
    }

    /// The same with a whole pod.
    pub(crate) fn modify_whole_pod(&mut self, key: &ObjectKey, change: impl FnOnce(&mut Pod)) {
        if let Some(before) = self.objects.get(key) {
            let mut after = before.whole();
            if let Object::Pod(pod) = &mut after {
                change(pod);
            }
            let after = Kept::after(after, before);
            self.change(key, &after);
        }
    }

    /// [`Store::modify`] of a pod.
    pub(crate) fn modify_pod(&mut self, key: &ObjectKey, change: impl FnOnce(&mut Pod)) {
        self.modify(key, |object| {
            if let Object::Pod(pod) = object {
                change(pod);
            }
        });
    }

    /// Deletes an object, or begins to.
    pub(crate) fn delete(
        &mut self,
        key: &ObjectKey,
        deletion: &Deletion,
        now: Timestamp,
    ) -> Result<Deleted, Denial> {
        let object = self.objects.get(key).ok_or_else(|| Denial::not_found(key))?;
        deletion.check(key, object.metadata())?;
        let grace = match &***object {
            Object::Pod(pod) => pod_grace(pod, deletion.grace_seconds),
            _ => 0,
        };
        let held = !object
            .metadata()
            .finalizers
            .as_deref()
            .unwrap_or_default()
            .is_empty();
        if grace == 0 && !held {
            return Ok(Deleted::Gone(self.remove(key)?));
        }
        let after = object.with(|object| {
            let metadata = object.metadata_mut();
            // A second deletion can only shorten what the first left.
            let sooner = metadata
                .deletion_grace_period_seconds
                .is_none_or(|before| grace < before);
            if sooner {
                metadata.deletion_timestamp = Some(Time(later(now, grace)));
                metadata.deletion_grace_period_seconds = Some(grace);
            }
        });
        let after = self.change(key, &after);
        if key.kind == Kind::PersistentVolumeClaim {
            self.news.push(News::Claim(key.clone()));
        }
        Ok(Deleted::Terminating(after))
    }

    /// Takes the protection off a terminating claim that no pod on a node uses any more; the claim goes with it,
    /// unless something else holds it.
    pub(crate) fn release_claim(&mut self, key: &ObjectKey) {
        let used = self.claim_users(key).any(|pod| is_on_a_node(pod));
        let terminating = self.objects.get(key).is_some_and(|claim| claim.is_terminating());
        if terminating && !used {
            self.modify(key, |claim| {
                drop_finalizer(claim.metadata_mut(), CLAIM_PROTECTION);
            });
        }
    }

    /// Whether an object has owners and all of them are gone.
    pub(crate) fn is_garbage(&self, key: &ObjectKey) -> bool {
        self.objects
            .get(key)
            .is_some_and(|object| self.relations.is_garbage(key, object))
    }

    /// Takes the owners that are gone out of an object that has others.
    pub(crate) fn forget_absent_owners(&mut self, key: &ObjectKey) {
        let object = self.objects.get(key);
        let Some(object) = object.filter(|object| self.relations.misses_owner(key, object)) else {
            return;
        };
        let owners = self.relations.owners_there(key, object);
        self.modify(key, |object| {
            object.metadata_mut().owner_references = Some(owners);
        });
    }

    /// What controllers are to look at, since this was last called.
    pub(crate) fn take_news(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
    }

    /// The current revision.
    pub(crate) fn revision(&self) -> u64 {
        self.history.revision()
    }

    /// Forgets what changed before now: watches that are behind get 410.
    pub(crate) fn compact(&mut self) {
        self.history.forget_beyond(0);
    }

    /// A cursor over the changes after `seen`; refused if some of them are forgotten.
    pub(crate) fn cursor(&mut self, kind: Kind, namespace: &str, seen: u64) -> Result<Cursor, Denial> {
        let oldest = self.history.compacted();
        if seen < oldest {
            return Err(Denial::expired(seen, oldest));
        }
        Ok(self.history.cursor(kind, namespace, seen))
    }

    /// Sets a quota of a namespace.
    pub(crate) fn set_quota(&mut self, namespace: &str, quota: &ResourceQuota) {
        let objects = self.objects.iter().filter(|(key, _)| key.namespace == namespace);
        self.quotas
            .set(namespace, quota, objects.map(|(_, object)| &**object));
    }

    /// Removes a quota. Returns whether it was there.
    pub(crate) fn remove_quota(&mut self, namespace: &str, name: &str) -> bool {
        self.quotas.remove(namespace, name)
    }

    /// What is used of a quota.
    pub(crate) fn quota_used(&self, namespace: &str, name: &str) -> Option<BTreeMap<String, Quantity>> {
        self.quotas.used(namespace, name)
    }

    /// Stores a state of an object that exists. One that only waited to lose its finalizers goes.
    fn change(&mut self, key: &ObjectKey, after: &Kept) -> Arc<Kept> {
        let before = self.objects.get(key);
        // As in the API: what changes nothing is no change.
        if let Some(before) = before
            && **before == *after
        {
            return Arc::clone(before);
        }
        let metadata = after.metadata();
        let held = !metadata.finalizers.as_deref().unwrap_or_default().is_empty();
        let over = metadata.deletion_grace_period_seconds.unwrap_or_default() == 0;
        let goes = metadata.deletion_timestamp.is_some() && over && !held;
        if goes {
            // As in the API: the state without finalizers is answered, and never stored.
            let answer = Arc::new(after.clone());
            return self.remove(key).map_or(Arc::clone(&answer), |_| answer);
        }
        self.put(key, after)
    }

    fn put(&mut self, key: &ObjectKey, object: &Kept) -> Arc<Kept> {
        let after = Arc::new(self.versioned(object));
        let before = self.objects.insert(key.clone(), Arc::clone(&after));
        if let Some(before) = &before {
            self.relations.remove(key, before);
        }
        self.relations.add(key, &after);
        self.record(key, before, Some(Arc::clone(&after)));
        if self.relations.misses_owner(key, &after) && !after.is_terminating() {
            self.news.push(News::Garbage(key.clone()));
        }
        after
    }

    fn remove(&mut self, key: &ObjectKey) -> Result<Arc<Kept>, Denial> {
        let last = self.objects.remove(key).ok_or_else(|| Denial::not_found(key))?;
        self.relations.remove(key, &last);
        // A deletion is a change of its own, and the last state says at which version (API conventions).
        let last = Arc::new(self.versioned(&last));
        self.record(key, Some(Arc::clone(&last)), None);
        let orphans: Vec<ObjectKey> = self
            .dependents(last.uid())
            .map(|dependent| dependent.key())
            .collect();
        self.news.extend(orphans.into_iter().map(News::Garbage));
        self.news.extend(last.claims(key).map(News::Claim));
        Ok(last)
    }

    /// The object with the version of the next change.
    fn versioned(&self, object: &Kept) -> Kept {
        let version = self.history.next_revision().to_string();
        object.with(|object| object.metadata_mut().resource_version = Some(version))
    }

    fn record(&mut self, key: &ObjectKey, before: Option<Arc<Kept>>, after: Option<Arc<Kept>>) {
        self.quotas
            .count(&key.namespace, before.as_deref(), after.as_deref());
        let change = Arc::new(Change {
            revision: self.history.next_revision(),
            before,
            after,
        });
        self.history.push(key.kind, &key.namespace, Arc::clone(&change));
        self.news.push(News::Changed(change));
    }
}

/// Takes a finalizer away; without any the field is absent, as the API has it.
pub(crate) fn drop_finalizer(metadata: &mut ObjectMeta, finalizer: &str) {
    let finalizers = metadata.finalizers.take().unwrap_or_default();
    let left: Vec<_> = finalizers
        .into_iter()
        .filter(|other| other != finalizer)
        .collect();
    metadata.finalizers = (!left.is_empty()).then_some(left);
}

/// The seconds a pod has left once it is deleted: none if no node runs it (`podStrategy.CheckGracefulDelete`).
fn pod_grace(pod: &Pod, asked: Option<i64>) -> i64 {
    let spec = pod.spec.as_ref();
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    let scheduled = spec.is_some_and(|spec| spec.node_name.as_ref().is_some_and(|name| !name.is_empty()));
    if !scheduled || matches!(phase, Some("Failed" | "Succeeded")) {
        return 0;
    }
    let own = spec.and_then(|spec| spec.termination_grace_period_seconds);
    // A negative one means at once, but through the node.
    match asked.or(own).unwrap_or(GRACE_SECONDS) {
        negative if negative < 0 => 1,
        seconds => seconds,
    }
}

/// Whether a pod has been given to a node: before that it uses no claim.
fn is_on_a_node(pod: &Object) -> bool {
    let Object::Pod(pod) = pod else { return false };
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
    node.is_some_and(|node| !node.is_empty())
}

fn later(now: Timestamp, seconds: i64) -> Timestamp {
    now.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(now)
}
