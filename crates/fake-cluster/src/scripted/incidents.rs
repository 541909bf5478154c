//! What happens to pods that run, and to their nodes.

use std::time::Duration;

use podbay_k8s_client::{Object, ObjectKey};

use super::engine::{Due, Engine};
use super::events::Said;
use super::plan;
use super::pods::SCHEDULER;
use super::script::Incident;
use super::status::{self, ContainerEnd};
use super::strike::restart_message;
use crate::store::Deletion;

/// What a pod is marked with that something else than its own end takes away (KEP-3329).
const DISRUPTION: &str = "DisruptionTarget";

/// How long until the kubelet sees that a container has ended: its relist period.
const FIRST_RESTART: Duration = Duration::from_secs(1);

impl Engine {
    /// Something happens to a pod; nothing does to one that has ended.
    pub(super) fn incident(&mut self, uid: &str, incident: &Incident) {
        let Some(run) = self.pods.get(uid) else { return };
        let key = run.key.clone();
        if self.pod_by_uid(uid).is_none_or(status::is_finished) {
            return;
        }
        match incident {
            Incident::Exit { code } => self.end_containers(uid, &key, ContainerEnd::exited(*code)),
            Incident::OutOfMemory => {
                let end = ContainerEnd {
                    code: status::KILLED,
                    reason: "OOMKilled",
                    message: None,
                };
                self.end_containers(uid, &key, end);
            }
            Incident::Evict { message } => {
                self.say_kubelet(uid, true, "Evicted", message);
                self.end_by_node(&key, "Evicted", message);
            }
            Incident::ShutDownNode => self.end_by_node(
                &key,
                "Terminated",
                "Pod was terminated in response to imminent node shutdown.",
            ),
            Incident::EvictByApi => {
                self.mark(&key, "EvictionByEvictionAPI", "Eviction API: evicting");
                self.delete_pod(&key, uid);
            }
            Incident::Preempt => {
                let node = self.node_of(uid).unwrap_or_default();
                let message = format!("Preempted by a pod of higher priority on node {node}");
                let said = Said {
                    component: SCHEDULER,
                    warning: false,
                    reason: "Preempted",
                    message: &message,
                };
                self.say(uid, said);
                self.mark(
                    &key,
                    "PreemptionByScheduler",
                    "default-scheduler: preempting to accommodate a higher priority pod",
                );
                self.delete_pod(&key, uid);
            }
            Incident::LoseNode => {
                if let Some(node) = self.node_of(uid) {
                    self.lose_node(&node);
                }
            }
            Incident::Delete => self.delete_pod(&key, uid),
            Incident::Ready(ready) => {
                let (now, subject) = (self.time(), self.subject(uid));
                self.store
                    .modify_pod(&key, |pod| status::set_ready(pod, Some(&subject), *ready, now));
            }
        }
    }

    /// The script's container ends by itself; what that means is the restart policy's to say.
    fn end_containers(&mut self, uid: &str, key: &ObjectKey, end: ContainerEnd<'_>) {
        let Some(pod) = self.pod_by_uid(uid) else { return };
        let policy = pod.spec.as_ref().and_then(|spec| spec.restart_policy.clone());
        let restarts = match policy.as_deref() {
            Some("Never") => false,
            Some("OnFailure") => end.code != 0,
            _ => true,
        };
        let name = self.subject(uid);
        let now = self.time();
        self.store
            .modify_pod(key, |pod| status::end_containers(pod, Some(&name), end, now));
        if !restarts {
            let phase = if end.code == 0 { "Succeeded" } else { "Failed" };
            // Beside another that goes on, the pod does too.
            self.store.modify_pod(key, |pod| {
                if status::all_ended(pod) {
                    status::finish(pod, phase, None, None);
                }
            });
            return;
        }
        let Some(run) = self.pods.get_mut(uid) else { return };
        // Commands in the container end with it; those of the next container are others.
        run.alive.cancel();
        run.alive = tokio_util::sync::CancellationToken::new();
        let start = run.starts;
        let Some(tries) = start.checked_sub(2) else {
            // The first time the kubelet does not wait for longer than it takes to look again.
            let uid = uid.to_owned();
            return self.later(FIRST_RESTART, Due::Restart { uid, start });
        };
        let pause = plan::back_off(tries);
        let message = restart_message(&name, key, uid, pause);
        self.store.modify_pod(key, |pod| status::back_off(pod, &message));
        self.say_back_off(uid, key, &name);
        let uid = uid.to_owned();
        self.later(pause, Due::Restart { uid, start });
    }

    /// The containers are started again.
    pub(super) fn restart(&mut self, uid: &str, start: u32) {
        let Some(run) = self.pods.get(uid).filter(|run| run.starts == start) else {
            return;
        };
        let key = run.key.clone();
        let Some(pod) = self.pod_by_uid(uid) else { return };
        if status::is_finished(pod) || pod.metadata.deletion_timestamp.is_some() {
            return;
        }
        let ready = !run.probed;
        let now = self.time();
        self.store
            .modify_pod(&key, |pod| status::restart(pod, ready, now));
        self.started(uid);
    }

    /// The kubelet ends a pod for good.
    fn end_by_node(&mut self, key: &ObjectKey, reason: &str, message: &str) {
        self.mark(key, "TerminationByKubelet", message);
        let now = self.time();
        let end = ContainerEnd::exited(status::KILLED);
        self.store.modify_pod(key, |pod| {
            status::end_containers(pod, None, end, now);
            status::finish(pod, "Failed", Some(reason), Some(message));
        });
    }

    fn mark(&mut self, key: &ObjectKey, reason: &str, message: &str) {
        let now = self.time();
        self.store.modify_pod(key, |pod| {
            status::set_condition(pod, DISRUPTION, true, Some(reason), Some(message), now);
        });
    }

    fn delete_pod(&mut self, key: &ObjectKey, uid: &str) {
        let deletion = Deletion {
            uid: Some(uid.to_owned()),
            grace_seconds: None,
            ..Deletion::default()
        };
        // One that is gone has been deleted before.
        drop(self.delete(key, &deletion));
    }

    /// A pod's `activeDeadlineSeconds` are over.
    pub(super) fn pod_deadline(&mut self, uid: &str) {
        let Some(run) = self.pods.get(uid) else { return };
        let key = run.key.clone();
        if self.pod_by_uid(uid).is_none_or(status::is_finished) {
            return;
        }
        let message = "Pod was active on the node longer than the specified deadline";
        self.say_kubelet(uid, false, "DeadlineExceeded", message);
        let now = self.time();
        let end = ContainerEnd::exited(status::KILLED);
        self.store.modify_pod(&key, |pod| {
            status::end_containers(pod, None, end, now);
            status::finish(pod, "Failed", Some("DeadlineExceeded"), Some(message));
        });
    }

    /// A node stops answering: its pods are marked, and deleted later; they can't end before it comes back.
    pub(super) fn lose_node(&mut self, node: &str) {
        if !self.lost_nodes.insert(node.to_owned()) {
            return;
        }
        let now = self.time();
        for (uid, key) in self.pods_on(node) {
            if let Some(run) = self.pods.get_mut(&uid) {
                run.alive.cancel();
            }
            // The node controller writes `Ready` alone; `ContainersReady` is the kubelet's.
            self.store.modify_pod(&key, |pod| {
                if status::holds(pod, "Ready") {
                    status::set_condition(pod, "Ready", false, None, None, now);
                }
            });
            let said = Said {
                component: "node-controller",
                warning: true,
                reason: "NodeNotReady",
                message: "Node is not ready",
            };
            self.say(&uid, said);
            self.later(self.settings.node_eviction, Due::TaintEviction { uid });
        }
    }

    /// A node answers again: its pods are as they were, or end if they were deleted.
    pub(super) fn recover_node(&mut self, node: &str) {
        if !self.lost_nodes.remove(node) {
            return;
        }
        let now = self.time();
        for (uid, key) in self.pods_on(node) {
            let Some(pod) = self.pod_by_uid(&uid) else {
                continue;
            };
            if pod.metadata.deletion_timestamp.is_some() {
                self.later(std::time::Duration::ZERO, Due::Ended { uid });
                continue;
            }
            if status::holds(pod, "ContainersReady") {
                self.store.modify_pod(&key, |pod| {
                    status::set_condition(pod, "Ready", true, None, None, now);
                });
            }
            if let Some(run) = self.pods.get_mut(&uid) {
                run.alive = tokio_util::sync::CancellationToken::new();
            }
        }
    }

    /// A node is taken out of the cluster: its pods are removed by force.
    pub(super) fn remove_node(&mut self, node: &str) {
        for (uid, key) in self.pods_on(node) {
            self.mark(&key, "DeletionByPodGC", "PodGC: node no longer exists");
            self.store
                .modify_pod(&key, |pod| status::finish(pod, "Failed", None, None));
            let deletion = Deletion {
                uid: Some(uid),
                grace_seconds: Some(0),
                ..Deletion::default()
            };
            drop(self.delete(&key, &deletion));
        }
        self.lost_nodes.insert(node.to_owned());
    }

    /// A pod has been on a lost node for too long.
    pub(super) fn taint_eviction(&mut self, uid: &str) {
        let Some(key) = self.pods.get(uid).map(|run| run.key.clone()) else {
            return;
        };
        let lost = self
            .node_of(uid)
            .is_some_and(|node| self.lost_nodes.contains(&node));
        let pod = self.pod_by_uid(uid);
        if !lost || pod.is_none_or(|pod| pod.metadata.deletion_timestamp.is_some()) {
            return;
        }
        let said = Said {
            component: "taint-eviction-controller",
            warning: false,
            reason: "TaintManagerEviction",
            message: "Marking for deletion Pod",
        };
        self.say(uid, said);
        self.mark(
            &key,
            "DeletionByTaintManager",
            "Taint manager: deleting due to NoExecute taint",
        );
        self.delete_pod(&key, uid);
    }

    pub(super) fn node_of(&self, uid: &str) -> Option<String> {
        self.pod_by_uid(uid)?.spec.as_ref()?.node_name.clone()
    }

    /// The pods on a node, in an order that does not change from run to run.
    fn pods_on(&self, node: &str) -> Vec<(String, ObjectKey)> {
        let on_it = self.pods.iter().filter(|(uid, _)| {
            self.store.find(uid).is_some_and(|object| {
                let Object::Pod(pod) = &***object else {
                    return false;
                };
                pod.spec
                    .as_ref()
                    .is_some_and(|spec| spec.node_name.as_deref() == Some(node))
            })
        });
        let mut pods: Vec<_> = on_it.map(|(uid, run)| (uid.clone(), run.key.clone())).collect();
        pods.sort_by(|a, b| a.1.cmp(&b.1));
        pods
    }
}
