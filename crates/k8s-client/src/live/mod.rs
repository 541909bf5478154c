//! The trait over a real API server.

mod answer;
mod call;
mod connect;
mod failure;
mod kubeconfig;
mod pages;
mod plugin;
mod proxy;
mod renew;
mod upgrade;
mod watch;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{AsyncBufRead, AsyncReadExt as _, stream};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Event, PersistentVolumeClaim, Pod, Secret, Service};
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::api::{
    AttachParams, ListParams, LogParams, Patch, PatchParams, PostParams, Preconditions, PropagationPolicy,
};
use kube::core::Request;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use call::CallLimits;

use call::Caller;
use failure::from_kube;

use crate::client::{ClusterClient, DeleteOptions, WatchEvent, WatchPolicy};
use crate::cluster::Cluster;
use crate::error::{Error, ErrorKind};
use crate::exec::{ExecProcess, ExecRequest};
use crate::http_route::HttpRoute;
use crate::logs::{LogRequest, LogStream};
use crate::object::{Kind, Object, ObjectKey};
use crate::port_forward::{ForwardStream, PortForward};
use crate::remote_command::{self, DriverOptions, Protocol, Streams};
use crate::retry::Repeatable;
use crate::right::Right;
use crate::version::ServerVersion;

/// Who we are in `managedFields`.
const FIELD_MANAGER: &str = "podbay";
/// Bytes read of a log at once.
const LOG_CHUNK: usize = 32 * 1024;

/// [`ClusterClient`] over an API server.
#[derive(Clone)]
pub struct LiveClient {
    client: kube::Client,
    caller: Arc<Caller>,
    exec: DriverOptions,
}

impl fmt::Debug for LiveClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveClient").finish_non_exhaustive()
    }
}

impl LiveClient {
    /// Reads the credentials of `cluster`. Nothing is sent yet: the first call tells whether it answers.
    pub async fn connect(cluster: &Cluster, limits: CallLimits, exec: DriverOptions) -> Result<Self, Error> {
        let client = connect::client(cluster).await?;
        Ok(Self::with_client(client, limits, exec))
    }

    fn with_client(client: kube::Client, limits: CallLimits, exec: DriverOptions) -> Self {
        Self {
            client,
            caller: Arc::new(Caller::new(limits)),
            exec,
        }
    }

    /// The namespace of the kubeconfig's context, or of the pod; `default` where neither says.
    pub fn default_namespace(&self) -> &str {
        self.client.default_namespace()
    }

    fn api<K>(&self, namespace: &str) -> Api<K>
    where
        K: kube::Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), namespace)
    }

    async fn create_one<K>(&self, operation: &str, namespace: &str, object: &K) -> Result<Object, Error>
    where
        K: Clone + Serialize + DeserializeOwned + fmt::Debug + Into<Object>,
        K: kube::Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        let api = self.api::<K>(namespace);
        let params = PostParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        self.caller
            .call(operation, Repeatable::IfUnsent, || api.create(&params, object))
            .await
            .map(Into::into)
    }

    async fn get_one<K>(&self, operation: &str, key: &ObjectKey) -> Result<Option<Object>, Error>
    where
        K: Clone + DeserializeOwned + fmt::Debug + Into<Object>,
        K: kube::Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        let api = self.api::<K>(&key.namespace);
        match self
            .caller
            .call(operation, Repeatable::Always, || api.get(&key.name))
            .await
        {
            Ok(object) => Ok(Some(object.into())),
            Err(Error {
                kind: ErrorKind::NotFound,
                ..
            }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn list_all<K>(
        &self,
        operation: &str,
        namespace: &str,
        selector: &str,
    ) -> Result<Vec<Object>, Error>
    where
        K: Clone + DeserializeOwned + fmt::Debug + Into<Object>,
        K: kube::Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        let api = self.api::<K>(namespace);
        let deadline = self.caller.deadline();
        let pages = pages::read(&self.caller, &api, operation, selector);
        let (objects, _) = tokio::time::timeout(deadline, pages)
            .await
            .map_err(|_| Error::new(operation, ErrorKind::Deadline(deadline)))??;
        Ok(objects.into_iter().map(Into::into).collect())
    }

    async fn list_all_metadata<K>(
        &self,
        operation: &str,
        namespace: &str,
        selector: &str,
    ) -> Result<Vec<ObjectMeta>, Error>
    where
        K: Clone + DeserializeOwned + fmt::Debug,
        K: kube::Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        let api = self.api::<K>(namespace);
        let deadline = self.caller.deadline();
        let pages = pages::read_metadata(&self.caller, &api, operation, selector);
        tokio::time::timeout(deadline, pages)
            .await
            .map_err(|_| Error::new(operation, ErrorKind::Deadline(deadline)))?
    }

    async fn patch_one<K>(
        &self,
        operation: &str,
        key: &ObjectKey,
        patch: &serde_json::Value,
    ) -> Result<Object, Error>
    where
        K: Clone + DeserializeOwned + fmt::Debug + Into<Object>,
        K: kube::Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        let api = self.api::<K>(&key.namespace);
        let params = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let patch = Patch::Merge(patch);
        // Twice the same merge patch gives what once gives.
        let patched = self
            .caller
            .call(operation, Repeatable::Always, || {
                api.patch(&key.name, &params, &patch)
            })
            .await;
        patched.map(Into::into).map_err(|error| match error.kind {
            // How the server says that the object of that UID is gone and another has its name: to it, the patch would
            // change a field that never changes.
            ErrorKind::Invalid
                if error
                    .message
                    .as_deref()
                    .is_some_and(|said| said.contains(" metadata.uid: ")) =>
            {
                Error {
                    kind: ErrorKind::Conflict,
                    ..error
                }
            }
            _ => error,
        })
    }

    async fn delete_one<K>(
        &self,
        operation: &str,
        key: &ObjectKey,
        options: &DeleteOptions,
    ) -> Result<bool, Error>
    where
        K: Clone + DeserializeOwned + fmt::Debug,
        K: kube::Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        let api = self.api::<K>(&key.namespace);
        let params = kube::api::DeleteParams {
            grace_period_seconds: options.grace_period_seconds,
            propagation_policy: Some(PropagationPolicy::Background),
            preconditions: (options.uid.is_some() || options.resource_version.is_some()).then(|| {
                Preconditions {
                    uid: options.uid.clone(),
                    resource_version: options.resource_version.clone(),
                }
            }),
            ..kube::api::DeleteParams::default()
        };
        match self
            .caller
            .call(operation, Repeatable::Always, || api.delete(&key.name, &params))
            .await
        {
            Ok(_) => Ok(true),
            // A conflict on a precondition of the UID: the object of that UID is gone, another has its name.
            Err(Error {
                kind: ErrorKind::NotFound,
                ..
            }) => Ok(false),
            Err(Error {
                kind: ErrorKind::Conflict,
                ..
            }) if options.uid.is_some() && options.resource_version.is_none() => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Calls a method with the type that a kind has.
macro_rules! of_kind {
    ($kind:expr, $K:ident => $call:expr) => {
        match $kind {
            Kind::ConfigMap => {
                type $K = ConfigMap;
                $call
            }
            Kind::Secret => {
                type $K = Secret;
                $call
            }
            Kind::Pod => {
                type $K = Pod;
                $call
            }
            Kind::PersistentVolumeClaim => {
                type $K = PersistentVolumeClaim;
                $call
            }
            Kind::Job => {
                type $K = Job;
                $call
            }
            Kind::Service => {
                type $K = Service;
                $call
            }
            Kind::Ingress => {
                type $K = Ingress;
                $call
            }
            Kind::HttpRoute => {
                type $K = HttpRoute;
                $call
            }
            Kind::NetworkPolicy => {
                type $K = NetworkPolicy;
                $call
            }
        }
    };
}

#[async_trait]
impl ClusterClient for LiveClient {
    async fn create(&self, object: Object) -> Result<Object, Error> {
        let key = object.key();
        let operation = format!("create {key}");
        let namespace = &key.namespace;
        match &object {
            Object::ConfigMap(object) => self.create_one(&operation, namespace, &**object).await,
            Object::Secret(object) => self.create_one(&operation, namespace, &**object).await,
            Object::Pod(object) => self.create_one(&operation, namespace, &**object).await,
            Object::PersistentVolumeClaim(object) => self.create_one(&operation, namespace, &**object).await,
            Object::Job(object) => self.create_one(&operation, namespace, &**object).await,
            Object::Service(object) => self.create_one(&operation, namespace, &**object).await,
            Object::Ingress(object) => self.create_one(&operation, namespace, &**object).await,
            Object::HttpRoute(object) => self.create_one(&operation, namespace, &**object).await,
            Object::NetworkPolicy(object) => self.create_one(&operation, namespace, &**object).await,
        }
    }

    async fn get(&self, key: &ObjectKey) -> Result<Option<Object>, Error> {
        let operation = format!("get {key}");
        of_kind!(key.kind, K => self.get_one::<K>(&operation, key).await)
    }

    async fn may(&self, namespace: &str, right: &Right) -> Result<bool, Error> {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let review = SelfSubjectAccessReview {
            spec: SelfSubjectAccessReviewSpec {
                resource_attributes: Some(ResourceAttributes {
                    group: some(right.group),
                    namespace: some(namespace),
                    resource: some(right.resource),
                    subresource: some(right.subresource),
                    verb: some(right.verb),
                    ..ResourceAttributes::default()
                }),
                ..SelfSubjectAccessReviewSpec::default()
            },
            ..SelfSubjectAccessReview::default()
        };
        let api: Api<SelfSubjectAccessReview> = Api::all(self.client.clone());
        let operation = format!("ask whether one may {right} in {namespace}");
        let params = PostParams::default();
        // It is stored nowhere.
        let ask = || api.create(&params, &review);
        let answer = self.caller.call(&operation, Repeatable::Always, ask).await?;
        Ok(answer.status.is_some_and(|status| status.allowed))
    }

    async fn version(&self) -> Result<Option<ServerVersion>, Error> {
        let ask = || self.client.apiserver_version();
        let info = self
            .caller
            .call("ask for the version", Repeatable::Always, ask)
            .await?;
        Ok(ServerVersion::parse(&info.major, &info.minor))
    }

    async fn list(&self, kind: Kind, namespace: &str, selector: &str) -> Result<Vec<Object>, Error> {
        let operation = format!("list {} in {namespace}", kind.resource());
        of_kind!(kind, K => self.list_all::<K>(&operation, namespace, selector).await)
    }

    async fn list_metadata(
        &self,
        kind: Kind,
        namespace: &str,
        selector: &str,
    ) -> Result<Vec<ObjectMeta>, Error> {
        let operation = format!("list {} in {namespace}", kind.resource());
        of_kind!(kind, K => self.list_all_metadata::<K>(&operation, namespace, selector).await)
    }

    async fn patch(&self, key: &ObjectKey, patch: serde_json::Value) -> Result<Object, Error> {
        let operation = format!("patch {key}");
        of_kind!(key.kind, K => self.patch_one::<K>(&operation, key, &patch).await)
    }

    async fn delete(&self, key: &ObjectKey, options: DeleteOptions) -> Result<bool, Error> {
        let operation = format!("delete {key}");
        of_kind!(key.kind, K => self.delete_one::<K>(&operation, key, &options).await)
    }

    fn watch(
        &self,
        kind: Kind,
        namespace: &str,
        selector: &str,
        policy: WatchPolicy,
    ) -> BoxStream<'static, Result<WatchEvent, Error>> {
        let operation = format!("watch {} in {namespace}", kind.resource());
        let selector = selector.to_owned();
        let caller = Arc::clone(&self.caller);
        of_kind!(kind, K => watch::follow(caller, self.api::<K>(namespace), operation, selector, policy))
    }

    async fn events(&self, key: &ObjectKey, uid: &str) -> Result<Vec<Event>, Error> {
        let operation = format!("list events of {key}");
        let api = self.api::<Event>(&key.namespace);
        let fields = format!("involvedObject.name={},involvedObject.uid={uid}", key.name);
        let params = ListParams::default().fields(&fields);
        let list = self
            .caller
            .call(&operation, Repeatable::Always, || api.list(&params))
            .await?;
        let mut events = list.items;
        events.sort_by_key(|event| {
            let time = event
                .last_timestamp
                .as_ref()
                .or(event.first_timestamp.as_ref())
                .map(|time| time.0);
            time.or_else(|| event.event_time.as_ref().map(|time| time.0))
        });
        Ok(events)
    }

    async fn exec(&self, namespace: &str, pod: &str, request: ExecRequest) -> Result<ExecProcess, Error> {
        let operation = format!("exec in pod {namespace}/{pod}");
        let params = AttachParams::default()
            .container(&request.container)
            .stdin(request.stdin)
            .stdout(true)
            // A terminal has one stream; the API refuses both at once.
            .stderr(!request.tty)
            .tty(request.tty);
        let url = <Pod as kube::Resource>::url_path(&(), Some(namespace));
        let protocols = Protocol::offer(Streams {
            stdin: request.stdin,
            tty: request.tty,
        });
        // Not repeated after it was sent: the command may have run.
        let connect = || async {
            let http = Request::new(&url)
                .exec(pod, request.argv.iter().map(String::as_str), &params)
                .map_err(|error| from_kube(&operation, kube::Error::BuildRequest(error)))?;
            upgrade::upgrade(&self.client, &operation, http, protocols).await
        };
        let (socket, protocol) = self
            .caller
            .call_with(&operation, Repeatable::IfUnsent, connect)
            .await?;
        remote_command::attach(socket, protocol, &request, self.exec)
    }

    async fn logs(&self, namespace: &str, pod: &str, request: LogRequest) -> Result<LogStream, Error> {
        let operation = format!("read the log of pod {namespace}/{pod}");
        let params = LogParams {
            container: Some(request.container),
            follow: request.follow,
            tail_lines: request.tail_lines.map(i64::from),
            since_seconds: request.since_seconds.map(i64::from),
            timestamps: request.timestamps,
            ..LogParams::default()
        };
        let api = self.api::<Pod>(namespace);
        let log = self
            .caller
            .call(&operation, Repeatable::Always, || api.log_stream(pod, &params))
            .await?;
        Ok(LogStream::new(chunks(log, operation)))
    }

    async fn port_forward(&self, namespace: &str, pod: &str, port: u16) -> Result<PortForward, Error> {
        let operation = format!("forward port {port} of pod {namespace}/{pod}");
        let url = <Pod as kube::Resource>::url_path(&(), Some(namespace));
        let connect = || async {
            let http = Request::new(&url)
                .portforward(pod, &[port])
                .map_err(|error| from_kube(&operation, kube::Error::BuildRequest(error)))?;
            upgrade::upgrade(&self.client, &operation, http, &[Protocol::V4]).await
        };
        // A connection that nobody has used yet can be made again.
        let (socket, _) = self
            .caller
            .call_with(&operation, Repeatable::Always, connect)
            .await?;
        Ok(PortForward::new(ForwardStream::new(socket, port).await))
    }
}

/// A reader as a stream of its pieces.
fn chunks(
    log: impl AsyncBufRead + Send + 'static,
    operation: String,
) -> impl futures::Stream<Item = Result<bytes::Bytes, Error>> + Send + 'static {
    let start = Some((Box::pin(log), operation));
    stream::unfold(start, |state| async move {
        let (mut log, operation) = state?;
        let mut buffer = vec![0; LOG_CHUNK];
        match log.read(&mut buffer).await {
            Ok(0) => None,
            Ok(n) => {
                buffer.truncate(n);
                Some((Ok(bytes::Bytes::from(buffer)), Some((log, operation))))
            }
            Err(error) => {
                let error = from_kube(&operation, kube::Error::ReadEvents(error));
                Some((Err(error), None))
            }
        }
    })
}
