//! The API beneath the client trait: versions, watches from a version, updates.

use std::sync::Arc;

use k8s_openapi::api::core::v1::ResourceQuota;
use podbay_k8s_client::{DeleteOptions, Error, ErrorKind, Kind, Object, ObjectKey};
use serde_json::Value;

use super::cluster::ScriptedCluster;
use super::engine::Engine;
use crate::store::{Deleted, Deletion, Denial, Following, Kept, RawWatch, Selector};

/// A scripted cluster's API as an API server has it: each call one request, nothing repeated, nothing hidden. For
/// tests of what the client trait does not show.
#[derive(Clone, Debug)]
pub struct RawApi {
    pub(super) cluster: ScriptedCluster,
}

/// A list and the version it is of.
#[derive(Clone, Debug, PartialEq)]
pub struct RawList {
    /// The objects, by name.
    pub items: Vec<Object>,
    /// `metadata.resourceVersion` of the list: a watch from there misses nothing.
    pub resource_version: String,
}

impl RawApi {
    /// The version of the last change of any object.
    pub fn resource_version(&self) -> String {
        self.cluster.with(|engine| engine.store.revision().to_string())
    }

    /// Creates an object.
    pub fn create(&self, object: Object) -> Result<Object, Error> {
        let operation = format!("create {}", object.key());
        self.call(operation, |engine| engine.create(object).map(own))
    }

    /// Reads an object; one that does not exist is [`ErrorKind::NotFound`].
    pub fn get(&self, key: &ObjectKey) -> Result<Object, Error> {
        self.call(format!("get {key}"), |engine| {
            let found = engine.store.get(key).ok_or_else(|| Denial::not_found(key))?;
            Ok(found.whole())
        })
    }

    /// Lists objects.
    pub fn list(&self, kind: Kind, namespace: &str, selector: &str) -> Result<RawList, Error> {
        let operation = format!("list {} in {namespace}", kind.resource());
        let selector = parse(selector, &operation)?;
        self.call(operation, |engine| {
            let items = engine.store.list(kind, namespace, &selector);
            Ok(RawList {
                items: items.map(|object| object.whole()).collect(),
                resource_version: engine.store.revision().to_string(),
            })
        })
    }

    /// Watches from a version: all changes after it. Without one (or with `0`), what there is comes first, each
    /// object as added.
    ///
    /// A version whose changes are no longer known is [`ErrorKind::Expired`] (410); the API server says so as the watch's
    /// first event. From one that was never given out nothing is sent until it is passed.
    pub fn watch_from(
        &self,
        kind: Kind,
        namespace: &str,
        selector: &str,
        resource_version: Option<&str>,
    ) -> Result<RawWatch, Error> {
        self.start_watch(kind, namespace, selector, resource_version, false)
    }

    /// The same, with a bookmark once a minute while nothing happens (`allowWatchBookmarks`).
    pub fn watch_with_bookmarks(
        &self,
        kind: Kind,
        namespace: &str,
        selector: &str,
        resource_version: Option<&str>,
    ) -> Result<RawWatch, Error> {
        self.start_watch(kind, namespace, selector, resource_version, true)
    }

    /// Replaces an object, all but its status. With a `metadata.resourceVersion` that is not the current one, it is
    /// [`ErrorKind::Conflict`].
    pub fn update(&self, object: Object) -> Result<Object, Error> {
        let operation = format!("update {}", object.key());
        self.call(operation, |engine| engine.store.update(object).map(own))
    }

    /// Replaces an object's status.
    pub fn update_status(&self, object: &Object) -> Result<Object, Error> {
        let operation = format!("update the status of {}", object.key());
        self.call(operation, |engine| engine.store.update_status(object).map(own))
    }

    /// Changes an object by a JSON merge patch.
    pub fn patch(&self, key: &ObjectKey, patch: &Value) -> Result<Object, Error> {
        self.call(format!("patch {key}"), |engine| {
            engine.store.patch(key, patch).map(own)
        })
    }

    /// Deletes an object: none if it is gone, its new state if it waits for its node or its finalizers. One that
    /// does not exist is [`ErrorKind::NotFound`], another UID or version [`ErrorKind::Conflict`].
    pub fn delete(&self, key: &ObjectKey, options: DeleteOptions) -> Result<Option<Object>, Error> {
        let deletion = deletion(options);
        self.call(format!("delete {key}"), |engine| {
            Ok(match engine.delete(key, &deletion)? {
                Deleted::Gone(_) => None,
                Deleted::Terminating(object) => Some(own(object)),
            })
        })
    }

    /// Forgets all changes up to now, as etcd does every five minutes: a watch from before gets 410.
    pub fn compact(&self) {
        self.cluster.with(|engine| engine.store.compact());
    }

    /// Sets a ResourceQuota (by its name) in a namespace.
    pub fn set_quota(&self, namespace: &str, quota: &ResourceQuota) {
        self.cluster
            .with(|engine| engine.store.set_quota(namespace, quota));
    }

    /// Removes a ResourceQuota. Returns whether it was there.
    pub fn remove_quota(&self, namespace: &str, name: &str) -> bool {
        self.cluster
            .with(|engine| engine.store.remove_quota(namespace, name))
    }

    /// `status.used` of a ResourceQuota.
    pub fn quota_used(
        &self,
        namespace: &str,
        name: &str,
    ) -> Option<std::collections::BTreeMap<String, k8s_openapi::apimachinery::pkg::api::resource::Quantity>>
    {
        self.cluster
            .with(|engine| engine.store.quota_used(namespace, name))
    }

    fn start_watch(
        &self,
        kind: Kind,
        namespace: &str,
        selector: &str,
        version: Option<&str>,
        bookmarks: bool,
    ) -> Result<RawWatch, Error> {
        let operation = format!("watch {} in {namespace}", kind.resource());
        let selector = parse(selector, &operation)?;
        let version = match version {
            None | Some("" | "0") => None,
            Some(version) => Some(version.parse::<u64>().map_err(|_| {
                Error::new(&operation, ErrorKind::Invalid)
                    .with_message(format!("Invalid value: {version:?}: invalid resource version"))
            })?),
        };
        let following = self.call(operation.clone(), |engine| {
            let current = engine.store.revision();
            let initial = match version {
                Some(_) => std::collections::VecDeque::new(),
                None => engine.store.list(kind, namespace, &selector).cloned().collect(),
            };
            let cursor = engine.store.cursor(kind, namespace, version.unwrap_or(current))?;
            Ok(Following {
                operation,
                selector,
                initial,
                cursor,
                bookmarks: bookmarks.then_some(engine.settings.bookmarks),
            })
        })?;
        Ok(following.into_stream())
    }

    fn call<T>(
        &self,
        operation: String,
        call: impl FnOnce(&mut Engine) -> Result<T, Denial>,
    ) -> Result<T, Error> {
        self.cluster.with(call).map_err(|denial| denial.during(operation))
    }
}

pub(super) fn parse(selector: &str, operation: &str) -> Result<Selector, Error> {
    selector.parse().map_err(|error: crate::store::SelectorError| {
        Error::new(operation, ErrorKind::Invalid).with_source(error)
    })
}

pub(super) fn deletion(options: DeleteOptions) -> Deletion {
    let DeleteOptions {
        uid,
        resource_version,
        grace_period_seconds,
    } = options;
    Deletion {
        uid,
        resource_version,
        grace_seconds: grace_period_seconds.map(i64::from),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "maps over results")]
fn own(object: Arc<Kept>) -> Object {
    object.whole()
}
