//! The scheduler and the kubelet: what brings a pod through its plan, and what ends it.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use podbay_k8s_client::{Kind, Object, ObjectKey};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::engine::{Due, Engine};
use super::events::Said;
use super::plan::{self, Plan, Stage, is_probed};
use super::script::Script;
use super::status::{self, ContainerEnd};
use crate::store::{Deletion, Kept};

pub(super) const SCHEDULER: &str = "default-scheduler";
pub(super) const KUBELET: &str = "kubelet";

/// How often a pod that lacks a Secret, a ConfigMap or a bound claim is looked at again.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(1);

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
    /// The names of its containers, and of its init containers.
    pub(super) containers: Vec<String>,
    pub(super) init_containers: Vec<String>,
    /// The container, or init container, that the script is about.
    pub(super) subject: String,
    /// Its image.
    pub(super) image: String,
    /// Whether readiness is more than that its containers run.
    pub(super) probed: bool,
}

impl PodRun {
    /// The script's container writes what it has to say.
    pub(super) fn write_log(&self) {
        if !self.script.log.is_empty() {
            self.log.send_modify(|log| log.push_str(&self.script.log));
        }
    }
}

impl Engine {
    pub(super) fn pod_changed(&mut self, before: Option<&Kept>, after: Option<&Kept>) {
        if let (None, Some(created)) = (before, after) {
            if let Object::Pod(pod) = created.whole() {
                self.adopt(&pod);
            }
            return;
        }
        match (before.map(Deref::deref), after.map(Deref::deref)) {
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
        let script = script.map_or_else(|| Arc::clone(&self.usual), Arc::new);
        let uid = pod.metadata.uid.clone().unwrap_or_default();
        let none = PodSpec::default();
        let spec = pod.spec.as_ref().unwrap_or(&none);
        let plan = plan::plan(spec, &script);
        let inits = spec.init_containers.as_deref().unwrap_or_default();
        let mut all = spec.containers.iter().chain(inits);
        let subject = match &script.container {
            Some(name) => all.find(|container| container.name == *name),
            None => all.next(),
        };
        let names = |containers: &[Container]| {
            containers
                .iter()
                .map(|container| container.name.clone())
                .collect()
        };
        let run = PodRun {
            key: pod_key(pod),
            script,
            plan,
            plans: 0,
            starts: 0,
            alive: CancellationToken::new(),
            log: watch::Sender::default(),
            containers: names(&spec.containers),
            init_containers: names(inits),
            subject: subject.map(|subject| subject.name.clone()).unwrap_or_default(),
            image: subject
                .and_then(|subject| subject.image.clone())
                .unwrap_or_default(),
            probed: is_probed(spec),
        };
        self.pods.insert(uid.clone(), run);
        self.set_next_stage(&uid);
    }

    fn set_next_stage(&mut self, uid: &str) {
        let Some(run) = self.pods.get_mut(uid) else { return };
        if let Some((delay, _)) = run.plan.front() {
            let (delay, plan) = (*delay, run.plans);
            let uid = uid.to_owned();
            self.later(delay, Due::Stage { uid, plan });
        } else {
            run.plan.shrink_to_fit(); // There may be thousands of pods that are through.
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
        let told = self
            .pod_by_uid(uid)
            .and_then(|pod| pod.status.as_ref()?.conditions.as_ref());
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
        let again = match &stage {
            Stage::Stuck { trouble, left, tries } => self.strike(uid, &key, trouble, *left, *tries),
            stage => self.enter(uid, &key, stage).map(|delay| (delay, stage.clone())),
        };
        match again {
            Some((delay, stage)) => self.put_back(uid, stage, delay),
            None => self.set_next_stage(uid),
        }
    }

    fn put_back(&mut self, uid: &str, stage: Stage, delay: Duration) {
        if let Some(run) = self.pods.get_mut(uid) {
            run.plan.push_front((delay, stage));
        }
        self.set_next_stage(uid);
    }

    /// The containers have been started: what the script has for them begins.
    pub(super) fn started(&mut self, uid: &str) {
        let Some(run) = self.pods.get_mut(uid) else { return };
        run.starts += 1;
        let (script, start) = (Arc::clone(&run.script), run.starts);
        if run.containers.contains(&run.subject) {
            run.write_log();
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

    pub(super) fn set_pod_deadline(&mut self, uid: &str) {
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

    /// The container that a pod's script is about.
    pub(super) fn subject(&self, uid: &str) -> String {
        self.pods
            .get(uid)
            .map(|run| run.subject.clone())
            .unwrap_or_default()
    }

    pub(super) fn image(&self, uid: &str) -> String {
        self.pods
            .get(uid)
            .map(|run| run.image.clone())
            .unwrap_or_default()
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
        if spec
            .node_name
            .as_ref()
            .is_some_and(|node| self.lost_nodes.contains(node))
        {
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
                status::end_containers(pod, None, end, now);
                status::finish(pod, "Failed", None, None);
            });
        }
        let deletion = Deletion {
            uid: Some(uid.to_owned()),
            grace_seconds: Some(0),
            ..Deletion::default()
        };
        // Its finalizers may keep it: whoever takes them off removes it.
        drop(self.delete(&key, &deletion));
    }
}

/// The names of the containers of a pod that its node has taken on.
fn container_names(pod: &Pod) -> Vec<String> {
    let statuses = pod
        .status
        .iter()
        .flat_map(|status| status.container_statuses.iter().flatten());
    statuses.map(|status| status.name.clone()).collect()
}

pub(super) fn pod_key(pod: &Pod) -> ObjectKey {
    let metadata = &pod.metadata;
    ObjectKey::new(
        Kind::Pod,
        metadata.namespace.clone().unwrap_or_default(),
        metadata.name.clone().unwrap_or_default(),
    )
}
