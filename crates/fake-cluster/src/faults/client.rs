//! The wrapper as a [`ClusterClient`].

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt as _};
use k8s_openapi::api::core::v1::Event;
use podbay_k8s_client::{
    ClusterClient, DeleteOptions, Error, ErrorKind, ExecProcess, ExecRequest, Kind, LogRequest, LogStream,
    Object, ObjectKey, PortForward, Right, ServerVersion, WatchEvent, WatchPolicy,
};

use super::cluster::FaultyCluster;
use super::fault::{Fault, When, error};
use super::lag::lagging;
use super::matching::About;
use super::recording::{Operation, Outcome};
use super::watches::{Subject, interrupted};

#[async_trait]
impl ClusterClient for FaultyCluster {
    async fn create(&self, object: Object) -> Result<Object, Error> {
        let key = object.key();
        let what = format!("create {key}");
        self.call(about(Operation::Create, &key), &what, self.inner.create(object))
            .await
    }

    async fn get(&self, key: &ObjectKey) -> Result<Option<Object>, Error> {
        let what = format!("get {key}");
        self.call(about(Operation::Get, key), &what, self.inner.get(key))
            .await
    }

    async fn list(&self, kind: Kind, namespace: &str, selector: &str) -> Result<Vec<Object>, Error> {
        let about = About {
            operation: Operation::List,
            kind: Some(kind),
            namespace,
            name: selector,
        };
        let what = format!("list {} in {namespace}", kind.resource());
        self.call(about, &what, self.inner.list(kind, namespace, selector))
            .await
    }

    async fn patch(&self, key: &ObjectKey, patch: serde_json::Value) -> Result<Object, Error> {
        let what = format!("patch {key}");
        self.call(about(Operation::Patch, key), &what, self.inner.patch(key, patch))
            .await
    }

    async fn delete(&self, key: &ObjectKey, options: DeleteOptions) -> Result<bool, Error> {
        let what = format!("delete {key}");
        self.call(
            about(Operation::Delete, key),
            &what,
            self.inner.delete(key, options),
        )
        .await
    }

    fn watch(
        &self,
        kind: Kind,
        namespace: &str,
        selector: &str,
        policy: WatchPolicy,
    ) -> BoxStream<'static, Result<WatchEvent, Error>> {
        let subject = Subject {
            kind,
            namespace: namespace.to_owned(),
            selector: selector.to_owned(),
            policy,
        };
        self.begin_watch(subject, None)
    }

    async fn events(&self, key: &ObjectKey, uid: &str) -> Result<Vec<Event>, Error> {
        let what = format!("list events of {key}");
        self.call(about(Operation::Events, key), &what, self.inner.events(key, uid))
            .await
    }

    async fn exec(&self, namespace: &str, pod: &str, request: ExecRequest) -> Result<ExecProcess, Error> {
        let key = ObjectKey::new(Kind::Pod, namespace, pod);
        let what = format!("exec in pod {namespace}/{pod}");
        let exec = self.inner.exec(namespace, pod, request);
        self.call(about(Operation::Exec, &key), &what, exec).await
    }

    async fn logs(&self, namespace: &str, pod: &str, request: LogRequest) -> Result<LogStream, Error> {
        let key = ObjectKey::new(Kind::Pod, namespace, pod);
        let what = format!("read the log of pod {namespace}/{pod}");
        let logs = self.inner.logs(namespace, pod, request);
        self.call(about(Operation::Logs, &key), &what, logs).await
    }

    async fn port_forward(&self, namespace: &str, pod: &str, port: u16) -> Result<PortForward, Error> {
        let key = ObjectKey::new(Kind::Pod, namespace, pod);
        let what = format!("forward port {port} of pod {namespace}/{pod}");
        let connection = self.inner.port_forward(namespace, pod, port);
        self.call(about(Operation::PortForward, &key), &what, connection)
            .await
    }

    async fn may(&self, namespace: &str, right: &Right) -> Result<bool, Error> {
        self.inner.may(namespace, right).await
    }

    async fn version(&self) -> Result<Option<ServerVersion>, Error> {
        self.inner.version().await
    }
}

/// How long a watch that persists waits before it meets an error that stands again.
const PERSISTENT_PAUSE: Duration = Duration::from_secs(1);

impl FaultyCluster {
    /// Begins a watch whose listener was told of `interruption` before.
    fn begin_watch(
        &self,
        subject: Subject,
        interruption: Option<ErrorKind>,
    ) -> BoxStream<'static, Result<WatchEvent, Error>> {
        let crashed = self.crashed();
        if crashed.is_cancelled() {
            return stream::pending().boxed();
        }
        let policy = subject.policy;
        let what = format!("watch {} in {}", subject.kind.resource(), subject.namespace);
        let (record, fault) = self.begin(&About {
            operation: Operation::Watch,
            kind: Some(subject.kind),
            namespace: &subject.namespace,
            name: &subject.selector,
        });
        let open = |cut| {
            let inner = Arc::clone(&self.inner);
            self.shared.watches.open(inner, subject.clone(), cut, crashed)
        };
        match fault {
            // A watch does not fail for want of a network: it waits for one.
            Some(Fault::Error {
                kind: ErrorKind::Unreachable | ErrorKind::Disconnected | ErrorKind::Deadline(_),
                ..
            }) => open(true),
            // Nor for an expired version: it lists again.
            None
            | Some(Fault::Error {
                kind: ErrorKind::Expired,
                ..
            }) => {
                self.finish(record, Outcome::Succeeded);
                open(false)
            }
            Some(Fault::Latency(time)) => {
                self.finish(record, Outcome::Succeeded);
                let wait = async move {
                    tokio::time::sleep(time).await;
                    None
                };
                let late = stream::once(wait).filter_map(std::future::ready);
                late.chain(open(false)).boxed()
            }
            Some(Fault::Lag(time)) => {
                self.finish(record, Outcome::Succeeded);
                lagging(open(false), time)
            }
            Some(Fault::Error { kind, message, .. }) => {
                self.finish(record, Outcome::Faulted(kind));
                let error = error(&what, kind, message.as_deref());
                if policy == WatchPolicy::FailFast {
                    return stream::iter([Err(error)]).boxed();
                }
                let news = (interruption != Some(kind)).then(|| Ok(interrupted(&error)));
                let cluster = self.clone();
                let again = async move {
                    tokio::time::sleep(PERSISTENT_PAUSE).await;
                    cluster.begin_watch(subject, Some(kind))
                };
                stream::iter(news).chain(stream::once(again).flatten()).boxed()
            }
            Some(Fault::Silence(When::Before | When::After)) => stream::pending().boxed(),
            Some(Fault::Crash(When::Before | When::After)) => {
                self.crash();
                stream::pending().boxed()
            }
        }
    }
}

fn about(operation: Operation, key: &ObjectKey) -> About<'_> {
    About {
        operation,
        kind: Some(key.kind),
        namespace: &key.namespace,
        name: &key.name,
    }
}
