//! Who owns whom and which pods use which claim, kept beside the objects so that nothing is ever searched for.

use std::borrow::Borrow;
use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use podbay_k8s_client::{Object, ObjectKey};

use super::kept::Kept;

/// Indexes over the objects of a cluster.
#[derive(Debug, Default)]
pub(crate) struct Relations {
    /// Where the object with a UID is.
    by_uid: HashMap<String, ObjectKey>,
    /// The dependents of an owner, by its UID, whether it exists or not.
    dependents: HashMap<String, BTreeSet<ObjectKey>>,
    /// The pods that name a claim, by the claim's key.
    users: HashMap<ObjectKey, BTreeSet<ObjectKey>>,
}

impl Relations {
    /// Takes an object in.
    pub(crate) fn add(&mut self, key: &ObjectKey, object: &Kept) {
        self.by_uid.insert(object.uid().to_owned(), key.clone());
        for owner in owners(object) {
            self.dependents
                .entry(owner.to_owned())
                .or_default()
                .insert(key.clone());
        }
        for claim in object.claims(key) {
            self.users.entry(claim).or_default().insert(key.clone());
        }
    }

    /// Forgets an object, as it was taken in.
    pub(crate) fn remove(&mut self, key: &ObjectKey, object: &Kept) {
        self.by_uid.remove(object.uid());
        for owner in owners(object) {
            leave(&mut self.dependents, owner, key);
        }
        for claim in object.claims(key) {
            leave(&mut self.users, &claim, key);
        }
    }

    /// Whether it has owners, and none of them exists in its namespace any more.
    pub(crate) fn is_garbage(&self, key: &ObjectKey, object: &Object) -> bool {
        let mut owners = owners(object).peekable();
        owners.peek().is_some() && !owners.any(|uid| self.is_there(key, uid))
    }

    /// Whether an owner of it does not exist.
    pub(crate) fn misses_owner(&self, key: &ObjectKey, object: &Object) -> bool {
        owners(object).any(|uid| !self.is_there(key, uid))
    }

    /// Its owners that exist.
    pub(crate) fn owners_there(&self, key: &ObjectKey, object: &Object) -> Vec<OwnerReference> {
        let owners = object.metadata().owner_references.iter().flatten();
        owners
            .filter(|owner| self.is_there(key, &owner.uid))
            .cloned()
            .collect()
    }

    /// Whether an owner exists: in its dependent's namespace, for all kinds here are namespaced.
    fn is_there(&self, dependent: &ObjectKey, uid: &str) -> bool {
        let owner = self.by_uid.get(uid);
        owner.is_some_and(|owner| owner.namespace == dependent.namespace)
    }

    /// The dependents of the object with this UID.
    pub(crate) fn dependents(&self, uid: &str) -> impl Iterator<Item = &ObjectKey> {
        self.dependents.get(uid).into_iter().flatten()
    }

    /// The pods that name the claim.
    pub(crate) fn users(&self, claim: &ObjectKey) -> impl Iterator<Item = &ObjectKey> {
        self.users.get(claim).into_iter().flatten()
    }

    /// Where the object with this UID is.
    pub(crate) fn find(&self, uid: &str) -> Option<&ObjectKey> {
        self.by_uid.get(uid)
    }
}

fn leave<K, Q>(map: &mut HashMap<K, BTreeSet<ObjectKey>>, at: &Q, key: &ObjectKey)
where
    K: Hash + Eq + Borrow<Q>,
    Q: Hash + Eq + ?Sized,
{
    if let Some(keys) = map.get_mut(at) {
        keys.remove(key);
        if keys.is_empty() {
            map.remove(at);
        }
    }
}

fn owners(object: &Object) -> impl Iterator<Item = &str> {
    let owners = object.metadata().owner_references.as_deref().unwrap_or_default();
    owners.iter().map(|owner| owner.uid.as_str())
}
