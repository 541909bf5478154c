//! The cluster as its test holds it: what is scripted beforehand, and what is made to happen while it runs.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use futures::FutureExt as _;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use podbay_k8s_client::{Error, ErrorKind, Kind};
use tokio::io::DuplexStream;
use tokio::sync::Notify;

use super::claims::Provisioning;
use super::clock::Clock;
use super::engine::Engine;
use super::exec::{ExecAnswer, ExecCall};
use super::ports::{Listener, PortCall};
use super::raw::RawApi;
use super::script::{Incident, Script};
use super::settings::Settings;

/// A Kubernetes cluster whose pods only say that they run. See the module for what is simulated.
///
/// Handles are cheap to clone and are of the same cluster. When the last one is dropped, watches and followed logs
/// end.
#[derive(Clone)]
pub struct ScriptedCluster(pub(super) Arc<Shared>);

pub(super) struct Shared {
    engine: Mutex<Engine>,
    clock: Clock,
    /// Tells the driver that something is due sooner than it knows.
    sooner: Arc<Notify>,
}

/// Makes a [`ScriptedCluster`] that differs from the default one.
#[derive(Clone, Debug, Default)]
pub struct ScriptedClusterBuilder(Settings);

impl ScriptedCluster {
    /// An empty cluster of three nodes. Must be called within a tokio runtime.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// A cluster that differs.
    pub fn builder() -> ScriptedClusterBuilder {
        ScriptedClusterBuilder::default()
    }

    /// The API beneath the client trait.
    pub fn raw(&self) -> RawApi {
        RawApi {
            cluster: self.clone(),
        }
    }

    /// Gives all pods for which `applies` this script. Of several such rules the newest counts. It is asked once for
    /// each pod, when the pod is created.
    pub fn script(&self, applies: impl Fn(&Pod) -> bool + Send + 'static, script: Script) {
        self.script_with(move |pod| applies(pod).then(|| script.clone()));
    }

    /// Gives pods the script that `choose` has for them, if it has one.
    pub fn script_with(&self, choose: impl Fn(&Pod) -> Option<Script> + Send + 'static) {
        self.with(|engine| engine.scripts.push(Box::new(choose)));
    }

    /// Gives claims the fate that `choose` has for them, if it has one. It is asked each time the provisioner looks
    /// at the claim.
    pub fn provision_with(
        &self,
        choose: impl Fn(&PersistentVolumeClaim) -> Option<Provisioning> + Send + 'static,
    ) {
        self.with(|engine| engine.claim_rules.push(Box::new(choose)));
    }

    /// Answers all commands for which `applies` so; others exit with 0 at once. Of several such rules the newest
    /// counts. [`super::command`] matches by a command's words.
    pub fn answer_exec(&self, applies: impl Fn(&ExecCall) -> bool + Send + 'static, answer: ExecAnswer) {
        self.answer_exec_with(move |call| applies(call).then(|| answer.clone()));
    }

    /// Answers commands as `choose` has it for them.
    pub fn answer_exec_with(&self, choose: impl Fn(&ExecCall) -> Option<ExecAnswer> + Send + 'static) {
        self.with(|engine| engine.exec_rules.push(Box::new(choose)));
    }

    /// Listens on ports of pods as `choose` has it: what it returns is handed the server's side of each connection. Where none
    /// of these rules has one, connections are refused. Of several that do the newest counts.
    pub fn listen_with<F, S>(&self, choose: impl Fn(&PortCall) -> Option<F> + Send + 'static)
    where
        F: FnOnce(DuplexStream) -> S + Send + 'static,
        S: Future<Output = ()> + Send + 'static,
    {
        self.with(|engine| {
            engine.port_rules.push(Box::new(move |call| {
                let serve = choose(call)?;
                let listener: Listener = Box::new(move |stream| serve(stream).boxed());
                Some(listener)
            }));
        });
    }

    /// Has something happen to a pod now. A pod that does not exist is [`ErrorKind::NotFound`].
    pub fn happen(&self, namespace: &str, pod: &str, incident: &Incident) -> Result<(), Error> {
        self.with_pod(namespace, pod, |engine, uid| engine.incident(uid, incident))
    }

    /// Ends a pod's containers with an exit code of their own.
    pub fn exit(&self, namespace: &str, pod: &str, code: i32) -> Result<(), Error> {
        self.happen(namespace, pod, &Incident::Exit { code })
    }

    /// Kills a pod's containers for their memory limit.
    pub fn run_out_of_memory(&self, namespace: &str, pod: &str) -> Result<(), Error> {
        self.happen(namespace, pod, &Incident::OutOfMemory)
    }

    /// Has the kubelet evict a pod for want of memory.
    pub fn evict(&self, namespace: &str, pod: &str) -> Result<(), Error> {
        let message = "The node was low on resource: memory. ".to_owned();
        self.happen(namespace, pod, &Incident::Evict { message })
    }

    /// Has the scheduler preempt a pod.
    pub fn preempt(&self, namespace: &str, pod: &str) -> Result<(), Error> {
        self.happen(namespace, pod, &Incident::Preempt)
    }

    /// Adds to what a pod's containers have written.
    pub fn append_log(&self, namespace: &str, pod: &str, text: &str) -> Result<(), Error> {
        self.with_pod(namespace, pod, |engine, uid| {
            if let Some(run) = engine.pods.get(uid) {
                run.log.send_modify(|log| log.push_str(text));
            }
        })
    }

    /// The node a pod is on: `node-1`, `node-2`, …; none before it is scheduled.
    pub fn node_of(&self, namespace: &str, pod: &str) -> Option<String> {
        self.with(|engine| engine.pod(namespace, pod)?.spec.as_ref()?.node_name.clone())
    }

    /// A node stops answering: its pods cease to be ready and their commands end; after five minutes they are marked
    /// and deleted, and stay terminating until the node comes back or is removed.
    pub fn lose_node(&self, node: &str) {
        self.with(|engine| engine.lose_node(node));
    }

    /// A lost node answers again.
    pub fn recover_node(&self, node: &str) {
        self.with(|engine| engine.recover_node(node));
    }

    /// A node is taken out of the cluster, and its pods with it, at once.
    pub fn remove_node(&self, node: &str) {
        self.with(|engine| engine.remove_node(node));
    }

    /// How many objects of each kind there are in a namespace; kinds without any are left out.
    pub fn count(&self, namespace: &str) -> BTreeMap<Kind, usize> {
        self.with(|engine| engine.count(namespace))
    }

    /// How long the cluster has been running.
    pub fn age(&self) -> Duration {
        self.0.clock.now()
    }

    fn with_pod(
        &self,
        namespace: &str,
        name: &str,
        act: impl FnOnce(&mut Engine, &str),
    ) -> Result<(), Error> {
        self.with(|engine| {
            let pod = engine.pod(namespace, name);
            let uid = pod.and_then(|pod| pod.metadata.uid.clone()).ok_or_else(|| {
                Error::new(format!("script pod {namespace}/{name}"), ErrorKind::NotFound)
                    .with_message(format!("pods {name:?} not found"))
            })?;
            act(engine, &uid);
            Ok(())
        })
    }

    /// Does all that is due, then acts.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut Engine) -> T) -> T {
        self.0.with(act)
    }

    pub(super) fn downgrade(&self) -> Weak<Shared> {
        Arc::downgrade(&self.0)
    }
}

impl Default for ScriptedCluster {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ScriptedCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedCluster").finish_non_exhaustive()
    }
}

impl ScriptedClusterBuilder {
    /// What all randomness (UIDs, generated names) follows from; 0 if not set.
    #[must_use]
    pub const fn seed(mut self, seed: u64) -> Self {
        self.0.seed = seed;
        self
    }

    /// How many nodes there are; 3 if not set.
    #[must_use]
    pub const fn nodes(mut self, nodes: usize) -> Self {
        self.0.nodes = nodes;
        self
    }

    /// How many changes watches can be given; one that is further behind gets 410. 1024 if not set.
    #[must_use]
    pub const fn history(mut self, changes: usize) -> Self {
        self.0.history = changes;
        self
    }

    /// How long after its owners an object is deleted; 20 ms if not set.
    #[must_use]
    pub const fn garbage_collection(mut self, delay: Duration) -> Self {
        self.0.garbage_collection = delay;
        self
    }

    /// How long other controllers (Jobs, claim protection) take to act; 5 ms if not set.
    #[must_use]
    pub const fn controllers(mut self, delay: Duration) -> Self {
        self.0.controllers = delay;
        self
    }

    /// How long a claim takes to be bound; 10 ms if not set.
    #[must_use]
    pub const fn provisioning(mut self, delay: Duration) -> Self {
        self.0.provisioning = delay;
        self
    }

    /// How long pods stay on a lost node before they are deleted; 5 minutes if not set, as in a cluster.
    #[must_use]
    pub const fn node_eviction(mut self, delay: Duration) -> Self {
        self.0.node_eviction = delay;
        self
    }

    /// The cluster. Must be called within a tokio runtime.
    pub fn build(self) -> ScriptedCluster {
        let shared = Arc::new(Shared {
            engine: Mutex::new(Engine::new(self.0)),
            clock: Clock::start(),
            sooner: Arc::default(),
        });
        tokio::spawn(drive(Arc::downgrade(&shared), Arc::clone(&shared.sooner)));
        ScriptedCluster(shared)
    }
}

impl Shared {
    fn with<T>(&self, act: impl FnOnce(&mut Engine) -> T) -> T {
        // A panic (in a test's own rule) leaves nothing in it half done that would be worth a second one.
        let mut engine = self.engine.lock().unwrap_or_else(PoisonError::into_inner);
        engine.advance(self.clock.now());
        let before = engine.timers.next();
        let result = act(&mut engine);
        engine.attend();
        let after = engine.timers.next();
        drop(engine);
        if after.is_some_and(|after| before.is_none_or(|before| after < before)) {
            self.sooner.notify_one();
        }
        result
    }
}

/// Wakes the driver a last time, which then finds the cluster gone.
impl Drop for Shared {
    fn drop(&mut self) {
        self.sooner.notify_one();
    }
}

/// Things that happen before the driver lets others run: on a paused clock thousands may be due at one instant, and
/// watches are to keep up with them.
const AT_ONCE: usize = 64;

/// Has things happen when they are due, for as long as the cluster lives.
async fn drive(cluster: Weak<Shared>, sooner: Arc<Notify>) {
    loop {
        let next = {
            let Some(cluster) = cluster.upgrade() else {
                return;
            };
            let mut engine = cluster.engine.lock().unwrap_or_else(PoisonError::into_inner);
            if engine.advance_by(cluster.clock.now(), AT_ONCE) {
                let next = engine.timers.next();
                Some(next.map(|at| cluster.clock.instant(at)))
            } else {
                None
            }
        };
        let Some(next) = next else {
            tokio::task::yield_now().await;
            continue;
        };
        let due = async {
            match next {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = due => {}
            () = sooner.notified() => {}
        }
    }
}
