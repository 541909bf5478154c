//! The embedded cluster as a [`ClusterClient`].

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt as _};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, Pod};
use podbay_fake_cluster::parts::{Birth, Deletion, Identities, Selector};
use podbay_k8s_client::{
    ClusterClient, DeleteOptions, Error, ErrorKind, ExecProcess, ExecRequest, Kind, LogRequest, LogStream,
    Object, ObjectKey, PortForward, WatchEvent, WatchPolicy,
};
use podbay_process::{HostEnvironment, LeftBehind, PrivateDirectory};

use crate::exec;
use crate::kubelet::Sandbox;
use crate::state::{State, Terminated};

/// A Kubernetes cluster inside this process, whose pods are processes of this host. See the crate for what
/// that is and what not.
///
/// Handles are cheap to clone and are of the same cluster. When the last one is dropped, all that runs in it is
/// killed and its directories are removed; watches and followed logs end.
///
/// Its methods must be called within a tokio runtime.
#[derive(Clone)]
pub struct EmbeddedCluster(Arc<Cluster>);

struct Cluster {
    // Dropped in this order: the pods end, then the directory that held theirs goes.
    state: Mutex<State>,
    identities: Mutex<Identities>,
    _directory: PrivateDirectory,
    host: HostEnvironment,
}

impl EmbeddedCluster {
    /// An empty cluster. Of this process's environment, commands get what is no credential: `PATH`, the locale,
    /// the time zone, the user's name, and with a terminal `TERM`.
    ///
    /// Fails if no directory can be made in the host's directory for temporary files (`TMPDIR`).
    pub fn new() -> io::Result<Self> {
        let host = HostEnvironment::from_variables(std::env::vars_os());
        let directory = PrivateDirectory::make("podbay-")?;
        let state = Mutex::new(State::new(directory.path().to_owned()));
        Ok(Self(Arc::new(Cluster {
            state,
            identities: Mutex::new(Identities::from_seed(rand::random())),
            _directory: directory,
            host,
        })))
    }

    /// The private directory of a pod; none while it does not run.
    pub fn pod_directory(&self, namespace: &str, name: &str) -> Option<PathBuf> {
        let sandbox = Arc::clone(self.state().pod(namespace, name)?.1?);
        sandbox.directory()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in it is left half done by a panic that would be worth a second one.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn birth(&self) -> Birth {
        let mut identities = self.0.identities.lock().unwrap_or_else(PoisonError::into_inner);
        identities.birth(Timestamp::now())
    }

    /// Ends and removes an object that was terminated, then all that only it owned. Fails where something of a pod's
    /// directory stays, but the objects are removed.
    async fn finish_with_dependents(
        &self,
        key: &ObjectKey,
        terminated: Terminated,
    ) -> Result<(), LeftBehind> {
        let finished = self.finish(key, terminated).await;
        let collected = self.collect_garbage().await;
        finished.and(collected)
    }

    async fn finish(&self, key: &ObjectKey, terminated: Terminated) -> Result<(), LeftBehind> {
        let Terminated { uid, sandbox } = terminated;
        let Some(sandbox) = sandbox else {
            // It was removed at once.
            return Ok(());
        };
        let mut closed = Ok(());
        let ended = sandbox.ended();
        // It blocks. If another call is closing it already, this returns at once, and the other is waited for.
        if let Ok(result) = tokio::task::spawn_blocking(move || sandbox.close()).await {
            ended.cancelled().await;
            closed = result;
        }
        self.state().remove(key, &uid, Timestamp::now());
        closed
    }

    async fn collect_garbage(&self) -> Result<(), LeftBehind> {
        let mut collected = Ok(());
        loop {
            let garbage = self.state().take_garbage();
            if garbage.is_empty() {
                return collected;
            }
            for key in garbage {
                let terminated = self
                    .state()
                    .terminate(&key, &Deletion::default(), Timestamp::now());
                // One that is gone already is no garbage.
                if let Ok(terminated) = terminated {
                    collected = collected.and(self.finish(&key, terminated).await);
                }
            }
        }
    }

    /// The same for a call that is about other objects than those that go.
    async fn collect_garbage_aside(&self) {
        if let Err(left) = self.collect_garbage().await {
            tracing::warn!(error = %left.source, "{left}");
        }
    }

    /// A pod that runs, on this host.
    fn running(&self, operation: &str, namespace: &str, name: &str) -> Result<Arc<Sandbox>, Error> {
        let state = self.state();
        let (pod, sandbox) = state
            .pod(namespace, name)
            .ok_or_else(|| no_pod(operation, name))?;
        sandbox.cloned().ok_or_else(|| {
            Error::new(operation, ErrorKind::NotFound).with_message(format!(
                "pod {name:?} has no running container: {}",
                why_waiting(pod)
            ))
        })
    }
}

impl fmt::Debug for EmbeddedCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedCluster").finish_non_exhaustive()
    }
}

#[async_trait]
impl ClusterClient for EmbeddedCluster {
    async fn create(&self, object: Object) -> Result<Object, Error> {
        let operation = format!("create {}", object.key());
        let birth = self.birth();
        let created = self
            .state()
            .create(object, birth)
            .map_err(|denial| denial.during(operation))?;
        // An owner may be gone by the time its dependent is created: garbage collection sees to that too.
        self.collect_garbage_aside().await;
        Ok(created)
    }

    async fn get(&self, key: &ObjectKey) -> Result<Option<Object>, Error> {
        Ok(self.state().get(key))
    }

    async fn list(&self, kind: Kind, namespace: &str, selector: &str) -> Result<Vec<Object>, Error> {
        let selector = parse(selector, || format!("list {} in {namespace}", kind.resource()))?;
        Ok(self.state().list(kind, namespace, &selector))
    }

    async fn patch(&self, key: &ObjectKey, patch: serde_json::Value) -> Result<Object, Error> {
        let patched = self
            .state()
            .patch(key, &patch, Timestamp::now())
            .map_err(|denial| denial.of_patch().during(format!("patch {key}")))?;
        self.collect_garbage_aside().await;
        Ok(patched)
    }

    async fn delete(&self, key: &ObjectKey, options: DeleteOptions) -> Result<bool, Error> {
        // What runs in a pod has no process that a grace period would be for: it is killed.
        let DeleteOptions {
            uid,
            resource_version,
            grace_period_seconds: _,
        } = options;
        let (cluster, of, operation) = (self.clone(), key.clone(), format!("delete {key}"));
        let any_version = resource_version.is_none();
        let deletion = Deletion {
            uid,
            resource_version,
            grace_seconds: None,
        };
        let terminated = self.state().terminate(key, &deletion, Timestamp::now());
        let terminated = match terminated.map_err(|denial| denial.during(operation.clone())) {
            Ok(terminated) => terminated,
            Err(error) if error.kind == ErrorKind::NotFound => return Ok(false),
            // Another object has its name by now.
            Err(error) if error.kind == ErrorKind::Conflict && any_version => return Ok(false),
            Err(error) => return Err(error),
        };
        // A task of its own: a deletion goes on when its caller gives up waiting for it.
        let deletion = tokio::spawn(async move { cluster.finish_with_dependents(&of, terminated).await });
        deletion
            .await
            .map_err(|error| Error::new(&operation, ErrorKind::Disconnected).with_source(error))?
            .map(|()| true)
            .map_err(|left| {
                let message = format!("{left}: {}", left.source);
                Error::new(operation, ErrorKind::Unsupported).with_message(message)
            })
    }

    fn watch(
        &self,
        kind: Kind,
        namespace: &str,
        selector: &str,
        // Nothing comes between this process and itself.
        _policy: WatchPolicy,
    ) -> BoxStream<'static, Result<WatchEvent, Error>> {
        let operation = format!("watch {} in {namespace}", kind.resource());
        let selector = match parse(selector, || operation.clone()) {
            Ok(selector) => selector,
            Err(error) => return futures::stream::iter([Err(error)]).boxed(),
        };
        let relist = {
            let cluster = Arc::downgrade(&self.0);
            let (namespace, selector) = (namespace.to_owned(), selector.clone());
            Box::new(move || {
                let cluster = Self(cluster.upgrade()?);
                let mut state = cluster.state();
                state.list_and_watch(kind, &namespace, &selector).ok()
            })
        };
        let watch = self.state().watch(kind, namespace, &selector, relist);
        watch.unwrap_or_else(|denial| futures::stream::iter([Err(denial.during(operation))]).boxed())
    }

    async fn events(&self, _key: &ObjectKey, uid: &str) -> Result<Vec<Event>, Error> {
        Ok(self.state().events(uid))
    }

    async fn exec(&self, namespace: &str, pod: &str, request: ExecRequest) -> Result<ExecProcess, Error> {
        let operation = format!("exec in pod {namespace}/{pod}");
        let invalid = |message: String| Error::new(&operation, ErrorKind::Invalid).with_message(message);
        if request.argv.is_empty() {
            return Err(invalid("the command is empty".to_owned()));
        }
        if request.argv.iter().any(|argument| argument.contains('\0')) {
            return Err(invalid(
                "the command holds a NUL character, which no argument of a process can".to_owned(),
            ));
        }
        let sandbox = self.running(&operation, namespace, pod)?;
        let container = sandbox.container(&request.container).ok_or_else(|| {
            invalid(format!(
                "container {:?} is not valid for pod {pod:?}",
                request.container
            ))
        })?;
        exec::run(&sandbox, container, &self.0.host, &request).map_err(|_closed| no_pod(&operation, pod))
    }

    async fn logs(&self, namespace: &str, pod: &str, request: LogRequest) -> Result<LogStream, Error> {
        let operation = format!("read the log of pod {namespace}/{pod}");
        let sandbox = self.running(&operation, namespace, pod)?;
        let ended = sandbox.ended();
        // The container's own command isn't run, and so writes no log.
        let silence = async move {
            if request.follow {
                ended.cancelled().await;
            }
            None::<Result<Bytes, Error>>
        };
        Ok(LogStream::new(
            futures::stream::once(silence).filter_map(std::future::ready),
        ))
    }

    async fn port_forward(&self, namespace: &str, pod: &str, port: u16) -> Result<PortForward, Error> {
        let operation = format!("forward port {port} of pod {namespace}/{pod}");
        self.running(&operation, namespace, pod)?;
        Err(Error::new(operation, ErrorKind::Unsupported)
            .with_message("a local session's ports are this machine's own: connect to localhost"))
    }
}

fn parse(selector: &str, operation: impl FnOnce() -> String) -> Result<Selector, Error> {
    selector
        .parse::<Selector>()
        .map_err(|error| Error::new(operation(), ErrorKind::Invalid).with_source(error))
}

fn no_pod(operation: &str, name: &str) -> Error {
    Error::new(operation, ErrorKind::NotFound).with_message(format!("pods {name:?} not found"))
}

/// A waiting pod's own words: `ErrImagePull: image …`.
fn why_waiting(pod: &Pod) -> String {
    let containers = pod
        .status
        .iter()
        .flat_map(|status| status.container_statuses.iter().flatten());
    let waiting = containers.filter_map(|container| container.state.as_ref()?.waiting.as_ref());
    // Of several containers, the one that says why; the others only wait for it.
    let waiting = waiting.max_by_key(|waiting| waiting.message.is_some());
    waiting.map_or_else(String::new, |waiting| {
        let parts = [&waiting.reason, &waiting.message]
            .into_iter()
            .flatten()
            .map(String::as_str);
        parts.collect::<Vec<_>>().join(": ")
    })
}
