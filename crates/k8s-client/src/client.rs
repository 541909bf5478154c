//! The seam between Podbay and a cluster.

use async_trait::async_trait;
use futures::stream::BoxStream;
use k8s_openapi::api::core::v1::Event;

use crate::error::Error;
use crate::exec::{ExecProcess, ExecRequest};
use crate::logs::{LogRequest, LogStream};
use crate::object::{Kind, Object, ObjectKey};

/// The calls Podbay makes to a cluster. Implementations: `LiveClient` (feature `live`) over an API server, the
/// mock of feature `mock`, the scripted cluster of the crate `podbay-fake-cluster`, and the embedded one of `podbay-embedded`.
///
/// Each unary call has a deadline of the implementation's own and ends; what may be repeated safely is
/// repeated there, so that callers see an error only when it stands.
#[async_trait]
pub trait ClusterClient: Send + Sync + 'static {
    /// Creates `object` (its metadata names it and its namespace) and returns it as stored.
    ///
    /// An object that was there already is [`crate::ErrorKind::AlreadyExists`]. After an error for which
    /// [`Error::may_have_happened`] is true the object may exist.
    async fn create(&self, object: Object) -> Result<Object, Error>;

    /// Reads an object; one that does not exist is none.
    async fn get(&self, key: &ObjectKey) -> Result<Option<Object>, Error>;

    /// Lists the objects of `kind` in `namespace` with the labels `selector` (Kubernetes' syntax) asks for.
    async fn list(&self, kind: Kind, namespace: &str, selector: &str) -> Result<Vec<Object>, Error>;

    /// Changes an object by a JSON merge patch (RFC 7386) and returns it as stored.
    ///
    /// One that does not exist is [`crate::ErrorKind::NotFound`]; where the patch names a `metadata.resourceVersion` or
    /// `metadata.uid` that the object does not have, it is [`crate::ErrorKind::Conflict`].
    async fn patch(&self, key: &ObjectKey, patch: serde_json::Value) -> Result<Object, Error>;

    /// Deletes an object, by background garbage collection for what it owns. Returns whether it was there;
    /// one whose UID is another than `options.uid` counts as not there.
    async fn delete(&self, key: &ObjectKey, options: DeleteOptions) -> Result<bool, Error>;

    /// Follows the objects of `kind` in `namespace` that `selector` matches. The stream starts with
    /// [`WatchEvent::Reset`], goes on over closed connections, expired versions, gaps and silent stalls, and
    /// yields an error only for what waiting won't mend (the right to watch is missing), after which it ends.
    fn watch(
        &self,
        kind: Kind,
        namespace: &str,
        selector: &str,
    ) -> BoxStream<'static, Result<WatchEvent, Error>>;

    /// The events about the object called `key`, oldest first; those about an earlier object of the same name
    /// (another UID) are left out.
    async fn events(&self, key: &ObjectKey, uid: &str) -> Result<Vec<Event>, Error>;

    /// Runs a command in a pod's container.
    ///
    /// The request's argv travels in the URL and so stands in the API server's audit log: no secrets there.
    async fn exec(&self, namespace: &str, pod: &str, request: ExecRequest) -> Result<ExecProcess, Error>;

    /// Reads the log of a pod's container.
    async fn logs(&self, namespace: &str, pod: &str, request: LogRequest) -> Result<LogStream, Error>;
}

/// How to delete.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeleteOptions {
    /// Only if the object has this UID (`preconditions.uid`).
    pub uid: Option<String>,
    /// `gracePeriodSeconds`; none leaves it to the object.
    pub grace_period_seconds: Option<u32>,
}

impl DeleteOptions {
    /// Only the object with this UID.
    pub fn only(uid: impl Into<String>) -> Self {
        Self {
            uid: Some(uid.into()),
            grace_period_seconds: None,
        }
    }
}

/// A change of what is watched.
#[derive(Clone, Debug, PartialEq)]
pub enum WatchEvent {
    /// All there is now; whatever was known before and is not among these is gone.
    Reset(Vec<Object>),
    /// An object was added or changed.
    Applied(Object),
    /// An object was deleted; its last state.
    Deleted(Object),
}
