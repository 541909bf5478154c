//! The seam between Podbay and a cluster.

use async_trait::async_trait;
use futures::stream::BoxStream;
use k8s_openapi::api::core::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use tokio::time::Instant;

use crate::error::{Error, ErrorKind};
use crate::exec::{ExecProcess, ExecRequest};
use crate::logs::{LogRequest, LogStream};
use crate::object::{Kind, Object, ObjectKey};
use crate::port_forward::PortForward;
use crate::right::Right;
use crate::version::ServerVersion;

/// The calls Podbay makes to a cluster. Implementations: `LiveClient` (feature `live`) over an API server, the
/// mock of feature `mock`, and the scripted cluster of the crate `podbay-fake-cluster`.
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

    /// Lists the metadata alone of the same objects: for those who need no more, and would else have whole objects sent.
    async fn list_metadata(
        &self,
        kind: Kind,
        namespace: &str,
        selector: &str,
    ) -> Result<Vec<ObjectMeta>, Error> {
        let objects = self.list(kind, namespace, selector).await?;
        Ok(objects
            .into_iter()
            .map(|mut object| std::mem::take(object.metadata_mut()))
            .collect())
    }

    /// Changes an object by a JSON merge patch (RFC 7386) and returns it as stored.
    ///
    /// One that does not exist is [`crate::ErrorKind::NotFound`]; where the patch names a `metadata.resourceVersion` or
    /// `metadata.uid` that the object does not have, it is [`crate::ErrorKind::Conflict`].
    async fn patch(&self, key: &ObjectKey, patch: serde_json::Value) -> Result<Object, Error>;

    /// Deletes an object, by background garbage collection for what it owns. Returns whether it was there;
    /// one whose UID is another than `options.uid` counts as not there. Where `options.resource_version` is given, an
    /// object that has another version or another UID is [`crate::ErrorKind::Conflict`]: it stays.
    async fn delete(&self, key: &ObjectKey, options: DeleteOptions) -> Result<bool, Error>;

    /// Follows the objects of `kind` in `namespace` that `selector` matches.
    ///
    /// The stream goes on over closed connections, expired versions, gaps and silent stalls. `policy` decides about
    /// failures that waiting may not mend, such as a missing right. The first thing that is known is a
    /// [`WatchEvent::Reset`].
    fn watch(
        &self,
        kind: Kind,
        namespace: &str,
        selector: &str,
        policy: WatchPolicy,
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

    /// Connects to a port inside a pod. That nothing listens there shows when the connection is first read, in the words of
    /// the container's runtime.
    ///
    /// A cluster that has no way to its pods' ports is [`ErrorKind::Unsupported`].
    async fn port_forward(&self, namespace: &str, pod: &str, port: u16) -> Result<PortForward, Error>;

    /// Whether the caller may do this in `namespace`, as the cluster's authorizers see it.
    ///
    /// A cluster that has no such thing lets everybody do everything.
    async fn may(&self, namespace: &str, right: &Right) -> Result<bool, Error> {
        let _ = (namespace, right);
        Ok(true)
    }

    /// The version of Kubernetes that the cluster's API server is of; `None` where there is no such thing, or where it is not
    /// said in a form that can be read.
    async fn version(&self) -> Result<Option<ServerVersion>, Error> {
        Ok(None)
    }
}

/// How to delete.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeleteOptions {
    /// Only if the object has this UID (`preconditions.uid`).
    pub uid: Option<String>,
    /// Only if the object has this version (`preconditions.resourceVersion`): nothing has changed it since it was read.
    pub resource_version: Option<String>,
    /// `gracePeriodSeconds`; none leaves it to the object.
    pub grace_period_seconds: Option<u32>,
}

impl DeleteOptions {
    /// Only the object with this UID.
    pub fn only(uid: impl Into<String>) -> Self {
        Self {
            uid: Some(uid.into()),
            resource_version: None,
            grace_period_seconds: None,
        }
    }

    /// Only the object with this UID, and only as it was at this version.
    pub fn unchanged(uid: impl Into<String>, resource_version: impl Into<String>) -> Self {
        Self {
            resource_version: Some(resource_version.into()),
            ..Self::only(uid)
        }
    }
}

/// What a watch does about a failure that waiting may not mend: a refused credential (401), a missing right (403), a
/// certificate that does not fit, a redirect, an answer that is none of the API's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchPolicy {
    /// Yields the error and ends: for a program whose user is there to mend it. Other failures are repeated silently.
    FailFast,
    /// Never yields an error and never ends: for a service, whose credentials and rights others mend while it runs.
    /// Every failure is repeated, after pauses that grow, and told of as [`WatchEvent::Interrupted`].
    Persist,
}

/// Why, and since when, a watch is out of touch with the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interruption {
    /// When the cluster was last heard of, or the watch began if it never was: what is known is as old as that.
    pub since: Instant,
    /// What the failure means.
    pub kind: ErrorKind,
    /// The whole error, in words.
    pub message: String,
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
    /// The watch is out of touch and tries again; what was told stays the best that is known. Only with
    /// [`WatchPolicy::Persist`], once for each kind of failure in a row.
    Interrupted(Interruption),
    /// The watch is in touch again, and has missed nothing. A [`WatchEvent::Reset`] says the same.
    Resumed,
}
