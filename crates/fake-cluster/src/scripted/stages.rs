//! What each stage of a pod's start does.

use std::time::Duration;

use podbay_k8s_client::ObjectKey;

use super::engine::Engine;
use super::events::Said;
use super::plan::{Stage, is_probed};
use super::pods::{LOOK_AGAIN, SCHEDULER};
use super::status::{self, ContainerEnd};
use super::trouble::fit_error;
use crate::environment::environment;

impl Engine {
    /// Does a stage. Returns after which time to try it again, if it could not be done.
    pub(super) fn enter(&mut self, uid: &str, key: &ObjectKey, stage: &Stage) -> Option<Duration> {
        let now = self.time();
        match stage {
            Stage::Schedule => return self.schedule(uid, key),
            Stage::Accept => {
                let address = "192.0.2.10";
                self.store
                    .modify_whole_pod(key, |pod| status::accept(pod, address, now));
                self.set_pod_deadline(uid);
            }
            Stage::Sandbox => {
                // One of 2^24 addresses of 10.0.0.0/8, in the order the pods were placed.
                let [_, a, b, c] = u32::try_from(self.placed % (1 << 24))
                    .unwrap_or_default()
                    .to_be_bytes();
                let ip = format!("10.{a}.{b}.{c}");
                self.store.modify_pod(key, |pod| status::sandbox(pod, &ip, now));
            }
            Stage::StartInit { index, sidecar } => {
                let state = status::running_state(now);
                self.store
                    .modify_pod(key, |pod| status::set_init(pod, *index, state, *sidecar));
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
                let pull = self
                    .pods
                    .get(uid)
                    .map(|run| run.script.timings.pull)
                    .unwrap_or_default();
                let message = if pull.is_zero() {
                    format!("Container image {image:?} already present on machine")
                } else {
                    let seconds = pull.as_secs_f64();
                    format!(
                        "Successfully pulled image {image:?} in {seconds:.3}s ({seconds:.3}s including waiting)"
                    )
                };
                self.say_kubelet(uid, false, "Pulled", &message);
            }
            Stage::StartOthers => {
                let subject = self.subject(uid);
                self.store
                    .modify_pod(key, |pod| status::start(pod, Some(&subject), true, now));
            }
            Stage::Start => return self.start(uid, key),
            Stage::Ready => self
                .store
                .modify_pod(key, |pod| status::set_ready(pod, None, true, now)),
            // Not a step of its own: see `strike`.
            Stage::Stuck { .. } => {}
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
            status::set_condition(
                pod,
                "PodScheduled",
                false,
                Some("Unschedulable"),
                Some(message),
                now,
            );
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
        let pod = self.whole_pod(uid)?;
        let spec = pod.spec.as_ref()?;
        let lookup = |key: &ObjectKey| self.store.get(key).map(|object| &***object);
        let missing = spec.containers.iter().find_map(|container| {
            let missing = environment(&pod, container, &lookup).err()?;
            Some((container.name.clone(), missing.to_string()))
        });
        if let Some((name, message)) = missing {
            self.store.modify_pod(key, |pod| {
                status::wait(pod, &name, "CreateContainerConfigError", Some(&message));
            });
            self.say_kubelet(uid, true, "Failed", &format!("Error: {message}"));
            return Some(LOOK_AGAIN);
        }
        let ready = !is_probed(spec);
        let names: Vec<String> = spec
            .containers
            .iter()
            .map(|container| container.name.clone())
            .collect();
        let now = self.time();
        self.store
            .modify_pod(key, |pod| status::start(pod, None, ready, now));
        for name in names {
            self.say_kubelet(uid, false, "Created", &format!("Created container: {name}"));
            self.say_kubelet(uid, false, "Started", &format!("Started container {name}"));
        }
        self.started(uid);
        None
    }
}
