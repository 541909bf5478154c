//! The scheduler and the kubelet: what brings a pod through its plan, and what ends it.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, PodSpec};
use podbay_k8s_client::{Kind, Object, ObjectKey};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::engine::{Due, Engine};
use super::events::Said;
use super::plan::{self, Plan, Stage, is_probed};
use super::script::Script;
use super::status::{self, ContainerEnd};
use super::trouble::fit_error;
use crate::kubelet::environment;
use crate::store::Deletion;

pub(super) const SCHEDULER: &str = "default-scheduler";
pub(super) const KUBELET: &str = "kubelet";

/// How often a pod that lacks a Secret, a ConfigMap or a bound claim is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// A pod that exists, as its scheduler and kubelet know it.
pub(super) struct PodRun {
    pub(super) key: ObjectKey,
    pub(super) script: Arc<Script>,
    pub(super) plan: Plan,
    /// Counts changes of the plan: timers of an older one mean nothing.
    pub(super) plans: u32,
    /// Counts starts of the containers.
    pub(super) starts: u32,
    /// Cancelled when its containers have ended.
    pub(super) alive: CancellationToken,
    pub(super) log: watch::Sender<String>,
}

impl Engine {
    pub(super) fn pod_changed(&mut self, before: Option<&Object>, after: Option<&Object>) {
        match (before, after) {
            (None, Some(Object::Pod(pod))) => self.adopt(pod),
            (Some(Object::Pod(before)), Some(Object::Pod(after))) => {
                let uid = after.metadata.uid.as_deref().unwrap_or_default();
                let grace = |pod: &Pod| pod.metadata.deletion_grace_period_seconds;
                if after.metadata.deletion_timestamp.is_some() && grace(before) != grace(after) {
                    self.terminate(uid, after);
                }
                if !status::is_finished(before) && status::is_finished(after) {
                    if let Some(run) = self.pods.get_mut(uid) {
                        run.plan.clear();
                        run.plans += 1;
                        run.alive.cancel();
                    }
                    self.job_of(after);
                } else if before.metadata.deletion_timestamp != after.metadata.deletion_timestamp
                    || status::holds(before, "Ready") != status::holds(after, "Ready")
                {
                    self.job_of(after);
                }
            }
            (Some(Object::Pod(pod)), None) => {
                let uid = pod.metadata.uid.as_deref().unwrap_or_default();
                if let Some(run) = self.pods.remove(uid) {
                    run.alive.cancel();
                }
                self.events.depart(uid);
                self.job_of(pod);
            }
            _ => {}
        }
    }

    /// Takes a new pod on.
    fn adopt(&mut self, pod: &Pod) {
        let script = self.scripts.iter().rev().find_map(|rule| rule(pod));
        let script = Arc::new(script.unwrap_or_default());
        let uid = pod.metadata.uid.clone().unwrap_or_default();
        let plan = plan::plan(pod.spec.as_ref().unwrap_or(&PodSpec::default()), &script);
        let run = PodRun {
            key: pod_key(pod),
            script,
            plan,
            plans: 0,
            starts: 0,
            alive: CancellationToken::new(),
            log: watch::Sender::default(),
        };
        self.pods.insert(uid.clone(), run);
        self.set_next_stage(&uid);
    }

    fn set_next_stage(&mut self, uid: &str) {
        let Some(run) = self.pods.get(uid) else { return };
        if let Some((delay, _)) = run.plan.front() {
            let (delay, plan) = (*delay, run.plans);
            let uid = uid.to_owned();
            self.later(delay, Due::Stage { uid, plan });
        }
    }

    /// Has a stage that waits for something be tried at once.
    pub(super) fn poke(&mut self, uid: &str) {
        if let Some(run) = self.pods.get_mut(uid) {
            run.plans += 1;
            if let Some((delay, _)) = run.plan.front_mut() {
                *delay = Duration::ZERO;
            }
            self.set_next_stage(uid);
        }
    }

    /// Whether a pod has been told that a claim of its is not bound, and does nothing but wait for it.
    pub(super) fn waits_for_its_claim(&self, uid: &str) -> bool {
        let next = self.pods.get(uid).and_then(|run| run.plan.front());
        let told = self.pod_by_uid(uid).and_then(|pod| pod.status.as_ref()?.conditions.as_ref());
        matches!(next, Some((_, Stage::Schedule))) && told.is_some_and(|told| !told.is_empty())
    }

    /// A pod's next stage begins.
    pub(super) fn stage(&mut self, uid: &str, plan: u32) {
        let Some(run) = self.pods.get_mut(uid).filter(|run| run.plans == plan) else {
            return;
        };
        let Some((_, stage)) = run.plan.pop_front() else {
            return;
        };
        let key = run.key.clone();
        let Some(pod) = self.pod_by_uid(uid) else { return };
        if pod.metadata.deletion_timestamp.is_some() {
            return;
        }
        let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
        if node.is_some_and(|node| self.lost_nodes.contains(node)) {
            // Nobody is there to do it; it goes on where it stopped when the node comes back.
            self.put_back(uid, stage, LOOK_AGAIN);
            return;
        }
        if let Some(delay) = self.enter(uid, &key, &stage) {
            self.put_back(uid, stage, delay);
            return;
        }
        self.set_next_stage(uid);
    }

    pub(super) fn put_back(&mut self, uid: &str, stage: Stage, delay: Duration) {
        if let Some(run) = self.pods.get_mut(uid) {
            run.plan.push_front((delay, stage));
        }
        self.set_next_stage(uid);
    }

    /// Does a stage. Returns after which time to try it again, if it could not be done.
    fn enter(&mut self, uid: &str, key: &ObjectKey, stage: &Stage) -> Option<Duration> {
        let now = self.time();
        match stage {
            Stage::Schedule => return self.schedule(uid, key),
            Stage::Accept => {
                let address = "192.0.2.10";
                self.store.modify_pod(key, |pod| status::accept(pod, address, now));
                self.set_pod_deadline(uid);
            }
            Stage::Sandbox => {
                // One of 2^24 addresses of 10.0.0.0/8, in the order the pods were placed.
                let [_, a, b, c] = u32::try_from(self.placed % (1 << 24)).unwrap_or_default().to_be_bytes();
                let ip = format!("10.{a}.{b}.{c}");
                self.store.modify_pod(key, |pod| status::sandbox(pod, &ip, now));
            }
            Stage::StartInit(index) => {
                let state = status::running_state(now);
                let ready = self.pod_by_uid(uid).is_some_and(|pod| is_sidecar(pod, *index));
                self.store
                    .modify_pod(key, |pod| status::set_init(pod, *index, state, ready));
            }
            Stage::EndInit(index) => {
                let state = status::ended_state(ContainerEnd::exited(0), None, now);
                self.store
                    .modify_pod(key, |pod| status::set_init(pod, *index, state, true));
            }
            Stage::Pull => {
                let image = self.image(uid);
                self.say_kubelet(uid, false, "Pulling", &format!("Pulling image {image:?}"));
            }
            Stage::Pulled => {
                let image = self.image(uid);
                let pull = self.pods.get(uid).map(|run| run.script.timings.pull).unwrap_or_default();
                let message = if pull.is_zero() {
                    format!("Container image {image:?} already present on machine")
                } else {
                    let seconds = pull.as_secs_f64();
                    format!("Successfully pulled image {image:?} in {seconds:.3}s ({seconds:.3}s including waiting)")
                };
                self.say_kubelet(uid, false, "Pulled", &message);
            }
            Stage::Start => return self.start(uid, key),
            Stage::Ready => self.store.modify_pod(key, |pod| status::set_ready(pod, true, now)),
            Stage::Stuck {
                trouble,
                left,
                tries,
            } => self.strike(uid, key, trouble, *left, *tries),
        }
        None
    }

    fn schedule(&mut self, uid: &str, key: &ObjectKey) -> Option<Duration> {
        let nodes = self.settings.nodes;
        if let Some(why) = self.unbound_claim(key) {
            let message = fit_error(nodes, &why, "Preemption is not helpful for scheduling");
            self.unschedulable(uid, key, &message);
            return Some(LOOK_AGAIN);
        }
        let living = (0..nodes)
            .map(|index| format!("node-{}", index + 1))
            .filter(|node| !self.lost_nodes.contains(node));
        let living: Vec<String> = living.collect();
        let turn = usize::try_from(self.placed).unwrap_or_default() % living.len().max(1);
        let Some(node) = living.get(turn) else {
            let why = format!("{nodes} node(s) had untolerated taint {{node.kubernetes.io/unreachable: }}");
            let message = fit_error(nodes, &why, "Preemption is not helpful for scheduling");
            self.unschedulable(uid, key, &message);
            return Some(LOOK_AGAIN);
        };
        self.placed += 1;
        let now = self.time();
        self.store.modify_pod(key, |pod| status::schedule(pod, node, now));
        let message = format!("Successfully assigned {}/{} to {node}", key.namespace, key.name);
        let said = Said {
            component: SCHEDULER,
            warning: false,
            reason: "Scheduled",
            message: &message,
        };
        self.say(uid, said);
        None
    }

    pub(super) fn unschedulable(&mut self, uid: &str, key: &ObjectKey, message: &str) {
        let now = self.time();
        self.store.modify_pod(key, |pod| {
            status::set_condition(pod, "PodScheduled", false, Some("Unschedulable"), Some(message), now);
        });
        let said = Said {
            component: SCHEDULER,
            warning: true,
            reason: "FailedScheduling",
            message,
        };
        self.say(uid, said);
    }

    /// Starts the containers, if what they name is there.
    fn start(&mut self, uid: &str, key: &ObjectKey) -> Option<Duration> {
        let pod = self.pod_by_uid(uid)?;
        let spec = pod.spec.as_ref()?;
        let lookup = |key: &ObjectKey| self.store.get(key).map(|object| &**object);
        let missing = spec
            .containers
            .iter()
            .find_map(|container| environment(pod, container, &lookup).err());
        if let Some(missing) = missing {
            let message = missing.to_string();
            self.store.modify_pod(key, |pod| {
                status::wait(pod, "CreateContainerConfigError", Some(&message));
            });
            self.say_kubelet(uid, true, "Failed", &format!("Error: {message}"));
            return Some(LOOK_AGAIN);
        }
        let ready = !is_probed(spec);
        let names: Vec<String> = spec.containers.iter().map(|container| container.name.clone()).collect();
        let now = self.time();
        self.store.modify_pod(key, |pod| status::start(pod, ready, now));
        for name in names {
            self.say_kubelet(uid, false, "Created", &format!("Created container: {name}"));
            self.say_kubelet(uid, false, "Started", &format!("Started container {name}"));
        }
        self.started(uid);
        None
    }

    /// The containers have been started: what the script has for them begins.
    pub(super) fn started(&mut self, uid: &str) {
        let Some(run) = self.pods.get_mut(uid) else { return };
        run.starts += 1;
        let (script, start) = (Arc::clone(&run.script), run.starts);
        if !script.log.is_empty() {
            run.log.send_modify(|log| log.push_str(&script.log));
        }
        for (after, incident) in &script.incidents {
            let due = Due::Incident {
                uid: uid.to_owned(),
                start,
                incident: incident.clone(),
            };
            self.later(*after, due);
        }
    }

    fn set_pod_deadline(&mut self, uid: &str) {
        let spec = self.pod_by_uid(uid).and_then(|pod| pod.spec.as_ref());
        let seconds = spec.and_then(|spec| spec.active_deadline_seconds);
        if let Some(seconds) = seconds.and_then(|seconds| u64::try_from(seconds).ok()) {
            let uid = uid.to_owned();
            self.later(Duration::from_secs(seconds), Due::PodDeadline { uid });
        }
    }

    pub(super) fn say_kubelet(&mut self, uid: &str, warning: bool, reason: &str, message: &str) {
        let said = Said {
            component: KUBELET,
            warning,
            reason,
            message,
        };
        self.say(uid, said);
    }

    fn image(&self, uid: &str) -> String {
        self.pod_by_uid(uid).map(super::trouble::image).unwrap_or_default()
    }

    /// A pod was deleted: its node ends it, in its own time or when the grace period is over.
    fn terminate(&mut self, uid: &str, pod: &Pod) {
        let seconds = pod.metadata.deletion_grace_period_seconds.unwrap_or_default();
        let grace = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
        let Some(run) = self.pods.get_mut(uid) else { return };
        run.plan.clear();
        run.plans += 1;
        let time = run.script.timings.terminate.min(grace);
        let runs = run.starts > 0;
        if runs {
            for name in container_names(pod) {
                self.say_kubelet(uid, false, "Killing", &format!("Stopping container {name}"));
            }
        }
        let uid = uid.to_owned();
        self.later(time, Due::Ended { uid });
    }

    /// A deleted pod's containers have ended: its node lets it go.
    pub(super) fn ended(&mut self, uid: &str) {
        let Some(pod) = self.pod_by_uid(uid) else { return };
        let Some(spec) = &pod.spec else { return };
        if spec.node_name.as_ref().is_some_and(|node| self.lost_nodes.contains(node)) {
            return;
        }
        let seconds = pod.metadata.deletion_grace_period_seconds.unwrap_or_default();
        let grace = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
        let finished = status::is_finished(pod);
        let Some(run) = self.pods.get(uid) else { return };
        let key = run.key.clone();
        let code = if run.script.timings.terminate < grace {
            status::TERMINATED
        } else {
            status::KILLED
        };
        if run.starts > 0 && !finished {
            run.alive.cancel();
            let now = self.time();
            let end = ContainerEnd::exited(code);
            self.store.modify_pod(&key, |pod| {
                status::end_containers(pod, end, now);
                status::finish(pod, "Failed", None, None);
            });
        }
        let deletion = Deletion {
            uid: Some(uid.to_owned()),
            grace_seconds: Some(0),
        };
        // Its finalizers may keep it: whoever takes them off removes it.
        drop(self.delete(&key, &deletion));
    }
}

/// The names of a pod's containers.
pub(super) fn container_names(pod: &Pod) -> Vec<String> {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    containers.map(|container| container.name.clone()).collect()
}

/// Whether an init container goes on beside the others.
fn is_sidecar(pod: &Pod, index: usize) -> bool {
    let inits = pod.spec.iter().flat_map(|spec| spec.init_containers.iter().flatten());
    let mut policies = inits.map(|container| container.restart_policy.as_deref());
    policies.nth(index).flatten() == Some("Always")
}

pub(super) fn pod_key(pod: &Pod) -> ObjectKey {
    let metadata = &pod.metadata;
    ObjectKey::new(
        Kind::Pod,
        metadata.namespace.clone().unwrap_or_default(),
        metadata.name.clone().unwrap_or_default(),
    )
}
