//! The objects, and what creating, changing and deleting them means.

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use podbay_k8s_client::{Kind, Object, ObjectKey};

use super::Selector;

/// All objects of a cluster.
#[derive(Debug, Default)]
pub(crate) struct Store {
    objects: BTreeMap<ObjectKey, Object>,
    /// The last `resourceVersion` given out; each change takes the next.
    version: u64,
}

/// What the API server puts into a new object's metadata, as values.
#[derive(Clone, Debug)]
pub(crate) struct Birth {
    /// Its UID, never given before.
    pub(crate) uid: String,
    /// Its `creationTimestamp`.
    pub(crate) at: Timestamp,
}

/// A change of one object, for watchers: neither side is missing in both.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Change {
    /// The object before; none if it was created.
    pub(crate) before: Option<Object>,
    /// The object after; none if it was deleted.
    pub(crate) after: Option<Object>,
}

/// What the store refuses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StoreError {
    /// There is one of this name.
    #[error("{} {:?} already exists", .0.kind.resource(), .0.name)]
    AlreadyExists(ObjectKey),
    /// `metadata.name` or `metadata.namespace` is missing.
    #[error("{kind} lacks metadata.{field}: this cluster generates no names and has no default namespace")]
    Unnamed {
        /// The object's kind.
        kind: Kind,
        /// The missing field.
        field: &'static str,
    },
}

impl Store {
    /// Adds `object`, and returns it as stored.
    pub(crate) fn create(&mut self, mut object: Object, birth: Birth) -> Result<Object, StoreError> {
        let key = object.key();
        for (field, value) in [("name", &key.name), ("namespace", &key.namespace)] {
            if value.is_empty() {
                return Err(StoreError::Unnamed {
                    kind: key.kind,
                    field,
                });
            }
        }
        if self.objects.contains_key(&key) {
            return Err(StoreError::AlreadyExists(key));
        }
        if let Object::Secret(secret) = &mut object {
            // `stringData` is write-only in the API: it is merged into `data` and never read back.
            let strings = secret.string_data.take().unwrap_or_default();
            if !strings.is_empty() {
                let data = secret.data.get_or_insert_default();
                data.extend(
                    strings
                        .into_iter()
                        .map(|(key, value)| (key, ByteString(value.into_bytes()))),
                );
            }
        }
        let version = self.next_version();
        let metadata = object.metadata_mut();
        metadata.uid = Some(birth.uid);
        metadata.creation_timestamp = Some(Time(birth.at));
        metadata.deletion_timestamp = None;
        metadata.resource_version = Some(version);
        self.objects.insert(key, object.clone());
        Ok(object)
    }

    /// The object called `key`.
    pub(crate) fn get(&self, key: &ObjectKey) -> Option<&Object> {
        self.objects.get(key)
    }

    /// The objects of a kind in a namespace that `selector` matches, by name.
    pub(crate) fn list(&self, kind: Kind, namespace: &str, selector: &Selector) -> Vec<Object> {
        self.objects
            .range(ObjectKey::new(kind, namespace, "")..)
            .take_while(|(key, _)| key.kind == kind && key.namespace == namespace)
            .filter(|(_, object)| selector.matches(object.metadata().labels.as_ref()))
            .map(|(_, object)| object.clone())
            .collect()
    }

    /// Changes the object called `key`; nothing happens if there is none. The function must leave name,
    /// namespace and UID alone.
    pub(crate) fn update(&mut self, key: &ObjectKey, change: impl FnOnce(&mut Object)) -> Option<Change> {
        let version = self.next_version();
        let object = self.objects.get_mut(key)?;
        let before = object.clone();
        change(object);
        object.metadata_mut().resource_version = Some(version);
        Some(Change {
            before: Some(before),
            after: Some(object.clone()),
        })
    }

    /// Removes the object called `key`. With a `uid`, only if it is the object's.
    pub(crate) fn delete(&mut self, key: &ObjectKey, uid: Option<&str>) -> Option<Change> {
        let object = self.objects.get(key)?;
        if uid.is_some_and(|uid| uid != object.uid()) {
            return None;
        }
        let before = self.objects.remove(key);
        // A deletion is a change of its own, and the last state says at which version (API conventions).
        let version = self.next_version();
        before.map(|mut object| {
            object.metadata_mut().resource_version = Some(version);
            Change {
                before: Some(object),
                after: None,
            }
        })
    }

    /// What garbage collection would delete: objects with owners none of which is there any more. Deleting
    /// these can make more.
    pub(crate) fn garbage(&self) -> Vec<ObjectKey> {
        // An owner is in its dependent's namespace: all kinds here are namespaced.
        let alive: HashSet<_> = self
            .objects
            .iter()
            .map(|(key, object)| (key.namespace.as_str(), object.uid()))
            .collect();
        self.objects
            .iter()
            .filter(|(key, object)| {
                let owners = object.metadata().owner_references.as_deref().unwrap_or_default();
                !owners.is_empty()
                    && !owners
                        .iter()
                        .any(|owner| alive.contains(&(key.namespace.as_str(), owner.uid.as_str())))
            })
            .map(|(key, _)| key.clone())
            .collect()
    }

    fn next_version(&mut self) -> String {
        self.version += 1;
        self.version.to_string()
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{ConfigMap, Secret};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
    use proptest::prelude::*;

    use super::*;

    fn named(name: &str, owners: &[String]) -> Object {
        let owners = owners.iter().map(|uid| OwnerReference {
            uid: uid.clone(),
            ..OwnerReference::default()
        });
        ConfigMap {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                namespace: Some("ns".to_owned()),
                owner_references: Some(owners.collect()),
                ..ObjectMeta::default()
            },
            ..ConfigMap::default()
        }
        .into()
    }

    fn birth(uid: &str) -> Birth {
        Birth {
            uid: uid.to_owned(),
            at: Timestamp::UNIX_EPOCH,
        }
    }

    fn key(name: &str) -> ObjectKey {
        ObjectKey::new(Kind::ConfigMap, "ns", name)
    }

    #[test]
    fn creation_fills_the_metadata_in_and_refuses_a_second_of_the_name() {
        let mut store = Store::default();
        let object = store.create(named("a", &[]), birth("u1")).unwrap();
        assert_eq!(object.uid(), "u1");
        assert_eq!(object.metadata().resource_version.as_deref(), Some("1"));
        assert_eq!(
            object.metadata().creation_timestamp,
            Some(Time(Timestamp::UNIX_EPOCH))
        );
        assert_eq!(store.get(&key("a")), Some(&object));
        assert_eq!(
            store.create(named("a", &[]), birth("u2")),
            Err(StoreError::AlreadyExists(key("a")))
        );
        assert_eq!(store.get(&key("a")), Some(&object));
    }

    #[test]
    fn an_object_without_a_name_is_refused() {
        let mut store = Store::default();
        let error = store.create(ConfigMap::default().into(), birth("u")).unwrap_err();
        assert_eq!(
            error,
            StoreError::Unnamed {
                kind: Kind::ConfigMap,
                field: "name"
            }
        );
    }

    #[test]
    fn string_data_of_a_secret_becomes_data() {
        let mut store = Store::default();
        let secret = Secret {
            metadata: named("s", &[]).metadata().clone(),
            string_data: Some(BTreeMap::from([("k".to_owned(), "v".to_owned())])),
            ..Secret::default()
        };
        let stored = store
            .create(secret.into(), birth("u"))
            .unwrap()
            .into_secret()
            .unwrap();
        assert_eq!(stored.string_data, None);
        assert_eq!(stored.data.unwrap()["k"], ByteString(b"v".to_vec()));
    }

    #[test]
    fn a_kind_and_namespace_is_listed_alone() {
        let mut store = Store::default();
        for (index, namespace) in ["a", "ns", "ns2"].into_iter().enumerate() {
            let mut object = named("x", &[]);
            object.metadata_mut().namespace = Some(namespace.to_owned());
            store.create(object, birth(&index.to_string())).unwrap();
        }
        let listed = store.list(Kind::ConfigMap, "ns", &Selector::default());
        assert_eq!(listed.iter().map(Object::uid).collect::<Vec<_>>(), ["1"]);
        assert_eq!(store.list(Kind::Pod, "ns", &Selector::default()), []);
    }

    #[test]
    fn deletion_heeds_the_uid_precondition() {
        let mut store = Store::default();
        store.create(named("a", &[]), birth("u1")).unwrap();
        assert_eq!(store.delete(&key("a"), Some("u0")), None);
        let change = store.delete(&key("a"), Some("u1")).unwrap();
        assert_eq!(change.after, None);
        assert_eq!(change.before.unwrap().uid(), "u1");
        assert_eq!(store.delete(&key("a"), None), None);
    }

    #[test]
    fn a_dependent_lives_while_one_of_its_owners_does() {
        let mut store = Store::default();
        store.create(named("a", &[]), birth("a")).unwrap();
        store.create(named("b", &[]), birth("b")).unwrap();
        store
            .create(named("c", &["a".to_owned(), "b".to_owned()]), birth("c"))
            .unwrap();
        store.delete(&key("a"), None).unwrap();
        assert_eq!(store.garbage(), []);
        store.delete(&key("b"), None).unwrap();
        assert_eq!(store.garbage(), [key("c")]);
    }

    proptest! {
        /// Objects own one another in any shape, then some are deleted: what is left after garbage
        /// collection is what was not deleted and either has no owner or one that is left.
        #[test]
        fn nothing_is_left_of_a_deleted_owner(
            owners in prop::collection::vec(prop::collection::vec(0_usize..12, 0..3), 1..12),
            deleted in prop::collection::vec(0_usize..12, 0..6),
        ) {
            let mut store = Store::default();
            for (index, owners) in owners.iter().enumerate() {
                let owners: Vec<_> = owners.iter().map(usize::to_string).collect();
                let name = index.to_string();
                store.create(named(&name, &owners), birth(&name)).unwrap();
            }
            for index in deleted {
                store.delete(&key(&index.to_string()), None);
            }
            while let Some(garbage) = store.garbage().first() {
                prop_assert!(store.delete(garbage, None).is_some());
            }
            let left = store.list(Kind::ConfigMap, "ns", &Selector::default());
            let uids: HashSet<_> = left.iter().map(Object::uid).collect();
            for object in &left {
                let owners = object.metadata().owner_references.clone().unwrap();
                prop_assert!(owners.is_empty() || owners.iter().any(|o| uids.contains(o.uid.as_str())));
            }
        }
    }
}
