//! The API beneath the client trait: each call one request. The scripted cluster has it as
//! [`podbay_fake_cluster::RawApi`].

use async_trait::async_trait;
use futures::stream::BoxStream;
use podbay_fake_cluster::RawEvent;
use podbay_k8s_client::{DeleteOptions, Error, Kind, Object, ObjectKey};
use serde_json::Value;

/// A list and the version it is of.
#[derive(Debug)]
pub struct Listed {
    /// The objects.
    pub items: Vec<Object>,
    /// `metadata.resourceVersion` of the list.
    pub version: String,
}

/// From where a raw watch is to go on, and what it is to say besides changes.
#[derive(Clone, Debug, Default)]
pub struct WatchFrom {
    /// The `resourceVersion`; `0` stands for any, with what there is.
    pub version: String,
    /// Whether bookmarks are wanted (`allowWatchBookmarks`).
    pub bookmarks: bool,
}

/// A cluster's API in single requests, and what its administrator can do.
#[async_trait]
pub trait Raw: Send + Sync {
    /// POST.
    async fn create(&self, object: Object) -> Result<Object, Error>;

    /// GET.
    async fn get(&self, key: &ObjectKey) -> Result<Object, Error>;

    /// GET of a collection.
    async fn list(&self, kind: Kind, namespace: &str, selector: &str) -> Result<Listed, Error>;

    /// PUT.
    async fn update(&self, object: Object) -> Result<Object, Error>;

    /// PATCH with a JSON merge patch.
    async fn patch(&self, key: &ObjectKey, patch: &Value) -> Result<Object, Error>;

    /// DELETE.
    async fn delete(&self, key: &ObjectKey, options: DeleteOptions) -> Result<(), Error>;

    /// GET with `watch=1`. That it can't be had is its first event: a real server says so in the stream.
    async fn watch(
        &self,
        kind: Kind,
        namespace: &str,
        selector: &str,
        from: WatchFrom,
    ) -> BoxStream<'static, RawEvent>;

    /// A version so old that what changed since is no longer known.
    async fn forgotten_version(&self) -> String;

    /// Sets a ResourceQuota and waits until it counts.
    async fn set_quota(&self, namespace: &str, name: &str, hard: Value);

    /// `status.used` of a ResourceQuota.
    async fn quota_used(&self, namespace: &str, name: &str) -> Value;
}
