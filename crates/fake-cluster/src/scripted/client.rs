//! The scripted cluster as a [`ClusterClient`].

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt as _};
use k8s_openapi::api::core::v1::{Event, Pod};
use podbay_k8s_client::{
    ClusterClient, DeleteOptions, Error, ErrorKind, ExecProcess, ExecRequest, Kind, LogRequest, LogStream,
    Object, ObjectKey, PortForward, WatchEvent, WatchPolicy,
};
use tokio::sync::watch;

use super::cluster::ScriptedCluster;
use super::engine::Engine;
use super::exec::{self, ExecCall};
use super::pods::PodRun;
use super::ports::{self, PortCall};
use crate::store::endless;

/// No call over a network is answered at once: whoever else has something to do comes first. Without this, a thousand
/// clients would each do all they have to do before a watch has its turn, and it could only start over.
async fn answered_later() {
    tokio::task::yield_now().await;
}

#[async_trait]
impl ClusterClient for ScriptedCluster {
    async fn create(&self, object: Object) -> Result<Object, Error> {
        answered_later().await;
        self.raw().create(object)
    }

    async fn get(&self, key: &ObjectKey) -> Result<Option<Object>, Error> {
        answered_later().await;
        Ok(self.with(|engine| engine.store.get(key).map(|object| object.whole())))
    }

    async fn list(&self, kind: Kind, namespace: &str, selector: &str) -> Result<Vec<Object>, Error> {
        answered_later().await;
        self.raw().list(kind, namespace, selector).map(|list| list.items)
    }

    async fn patch(&self, key: &ObjectKey, patch: serde_json::Value) -> Result<Object, Error> {
        answered_later().await;
        let patched = self.with(|engine| engine.store.patch(key, &patch));
        match patched {
            Ok(object) => Ok(object.whole()),
            Err(denial) => Err(denial.of_patch().during(format!("patch {key}"))),
        }
    }

    async fn delete(&self, key: &ObjectKey, options: DeleteOptions) -> Result<bool, Error> {
        answered_later().await;
        let only = options.uid.is_some() && options.resource_version.is_none();
        match self.raw().delete(key, options) {
            Ok(_) => Ok(true),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(false),
            // Another object has its name by now.
            Err(error) if error.kind == ErrorKind::Conflict && only => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn watch(
        &self,
        kind: Kind,
        namespace: &str,
        selector: &str,
        // It never fails; `FaultyCluster` does.
        _policy: WatchPolicy,
    ) -> BoxStream<'static, Result<WatchEvent, Error>> {
        let list_and_watch = {
            let (namespace, selector) = (namespace.to_owned(), selector.to_owned());
            move |cluster: &Self| {
                let raw = cluster.raw();
                loop {
                    let list = raw.list(kind, &namespace, &selector)?;
                    match raw.watch_from(kind, &namespace, &selector, Some(&list.resource_version)) {
                        Ok(watch) => return Ok::<_, Error>((list.items, watch)),
                        // So much was changed since the list that its version has expired.
                        Err(error) if error.kind == ErrorKind::Expired => {}
                        Err(error) => return Err(error),
                    }
                }
            }
        };
        match list_and_watch(self) {
            Ok(first) => {
                let cluster = self.downgrade();
                endless(
                    first,
                    Box::new(move || list_and_watch(&Self(cluster.upgrade()?)).ok()),
                )
            }
            Err(error) => stream::iter([Err(error)]).boxed(),
        }
    }

    async fn events(&self, key: &ObjectKey, uid: &str) -> Result<Vec<Event>, Error> {
        Ok(self.with(|engine| engine.events.read(key, uid)))
    }

    async fn exec(&self, namespace: &str, pod: &str, request: ExecRequest) -> Result<ExecProcess, Error> {
        let operation = format!("exec in pod {namespace}/{pod}");
        if request.argv.is_empty() {
            let error = Error::new(operation, ErrorKind::Invalid);
            return Err(error.with_message("you must specify at least one command for the container"));
        }
        let call = ExecCall {
            namespace: namespace.to_owned(),
            pod: pod.to_owned(),
            request,
        };
        let (answer, alive) = self.with(|engine| {
            let uid = running(engine, &operation, namespace, pod, &call.request.container)?;
            let answer = engine.exec_rules.iter().rev().find_map(|rule| rule(&call));
            let alive = engine.pods.get(&uid).map(|run| run.alive.clone());
            Ok::<_, Error>((answer.unwrap_or_default(), alive.unwrap_or_default()))
        })?;
        Ok(exec::start(answer, call, alive))
    }

    async fn port_forward(&self, namespace: &str, pod: &str, port: u16) -> Result<PortForward, Error> {
        let operation = format!("forward port {port} of pod {namespace}/{pod}");
        let call = PortCall {
            namespace: namespace.to_owned(),
            pod: pod.to_owned(),
            port,
        };
        let (behaviour, alive) = self.with(|engine| {
            let uid = running_pod(engine, &operation, namespace, pod)?;
            let behaviour = engine.port_rules.iter().rev().find_map(|rule| rule(&call));
            let alive = engine.pods.get(&uid).map(|run| run.alive.clone());
            Ok::<_, Error>((behaviour, alive.unwrap_or_default()))
        })?;
        Ok(ports::connect(behaviour, port, alive))
    }

    async fn logs(&self, namespace: &str, pod: &str, request: LogRequest) -> Result<LogStream, Error> {
        let operation = format!("read the log of pod {namespace}/{pod}");
        let LogRequest {
            container,
            follow,
            tail_lines,
            since_seconds: _,
            timestamps: _,
        } = request;
        let (mut log, alive) = self.with(|engine| {
            let uid = engine
                .pod(namespace, pod)
                .and_then(|pod| pod.metadata.uid.clone());
            let run = uid.and_then(|uid| engine.pods.get(&uid));
            let run = run.ok_or_else(|| no_pod(&operation, pod))?;
            // A pod's only container need not be named.
            if !container.is_empty() || run.containers.len() != 1 {
                has_container(run, &operation, pod, &container)?;
            }
            let speaks = container.is_empty() || container == run.subject;
            Ok::<_, Error>((
                if speaks { run.log.subscribe() } else { silent() },
                run.alive.clone(),
            ))
        })?;
        let text = log.borrow_and_update().clone();
        let read = text.len();
        let first = Bytes::from(last_lines(&text, tail_lines).to_owned());
        let first = stream::iter((!first.is_empty()).then_some(Ok(first)));
        if !follow {
            return Ok(LogStream::new(first));
        }
        let more = stream::unfold((log, read), move |(mut log, read)| {
            let alive = alive.clone();
            async move {
                tokio::select! {
                    biased;
                    changed = log.changed() => changed.ok()?,
                    () = alive.cancelled() => return None,
                }
                let text = log.borrow_and_update().clone();
                let piece = text.get(read..).unwrap_or_default().to_owned();
                Some((Ok(Bytes::from(piece)), (log, text.len())))
            }
        });
        Ok(LogStream::new(first.chain(more)))
    }
}

/// The UID of a pod whose container takes commands.
fn running(
    engine: &Engine,
    operation: &str,
    namespace: &str,
    name: &str,
    container: &str,
) -> Result<String, Error> {
    let (pod, uid, node) = assigned(engine, operation, namespace, name)?;
    let run = engine.pods.get(&uid).ok_or_else(|| no_pod(operation, name))?;
    has_container(run, operation, name, container)?;
    kubelet_answers(engine, operation, node)?;
    let statuses = pod
        .status
        .iter()
        .flat_map(|status| status.container_statuses.iter().flatten());
    let runs = statuses
        .filter(|status| status.name == container)
        .any(|status| status.state.as_ref().is_some_and(|state| state.running.is_some()));
    if !runs {
        return Err(Error::new(operation, ErrorKind::Server { status: 500 })
            .with_message(format!("container not found ({container:?})")));
    }
    Ok(uid)
}

/// The UID of a pod whose ports can be reached.
fn running_pod(engine: &Engine, operation: &str, namespace: &str, name: &str) -> Result<String, Error> {
    let (pod, uid, node) = assigned(engine, operation, namespace, name)?;
    kubelet_answers(engine, operation, node)?;
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    if phase != Some("Running") {
        return Err(Error::new(operation, ErrorKind::NotFound)
            .with_message("unable to upgrade connection: pod does not exist"));
    }
    Ok(uid)
}

/// A pod that has a node, with its UID and the node's name.
fn assigned<'a>(
    engine: &'a Engine,
    operation: &str,
    namespace: &str,
    name: &str,
) -> Result<(&'a Pod, String, &'a str), Error> {
    let pod = engine
        .pod(namespace, name)
        .ok_or_else(|| no_pod(operation, name))?;
    let uid = pod.metadata.uid.clone().unwrap_or_default();
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
    let Some(node) = node else {
        return Err(Error::new(operation, ErrorKind::Invalid)
            .with_message(format!("pod {name} does not have a host assigned")));
    };
    Ok((pod, uid, node))
}

/// Refuses where the API server can't reach the node's kubelet.
fn kubelet_answers(engine: &Engine, operation: &str, node: &str) -> Result<(), Error> {
    if engine.lost_nodes.contains(node) {
        return Err(Error::new(operation, ErrorKind::Server { status: 500 })
            .with_message("error dialing backend: dial tcp 192.0.2.10:10250: i/o timeout"));
    }
    Ok(())
}

/// The log of a container that writes nothing.
fn silent() -> watch::Receiver<String> {
    watch::Sender::default().subscribe()
}

fn has_container(run: &PodRun, operation: &str, pod: &str, container: &str) -> Result<(), Error> {
    let mut known = run.containers.iter().chain(&run.init_containers);
    if known.any(|known| known == container) {
        return Ok(());
    }
    Err(Error::new(operation, ErrorKind::Invalid)
        .with_message(format!("container {container} is not valid for pod {pod}")))
}

fn no_pod(operation: &str, name: &str) -> Error {
    Error::new(operation, ErrorKind::NotFound).with_message(format!("pods {name:?} not found"))
}

fn last_lines(text: &str, lines: Option<u32>) -> &str {
    let Some(lines) = lines else { return text };
    let lines = usize::try_from(lines).unwrap_or(usize::MAX);
    let body = text.strip_suffix('\n').unwrap_or(text);
    let start = match lines.checked_sub(1) {
        None => text.len(),
        Some(skip) => body
            .rmatch_indices('\n')
            .nth(skip)
            .map_or(0, |(index, _)| index + 1),
    };
    text.get(start..).unwrap_or_default()
}
