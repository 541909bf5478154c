//! What is wrong with a pod.

use k8s_openapi::api::core::v1::{ContainerStateTerminated, Event, Pod};
use podbay_protocol::{Cause, Verdict};

use super::phase::{condition, container};
use super::{image, scheduling};

/// Exit code the kubelet reports for a process killed by SIGKILL.
const SIGKILLED: i32 = 137;

/// Something that looks wrong, and for how long it may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Symptom {
    pub(super) verdict: Verdict,
    pub(super) patience: Patience,
}

/// For how long something that looks wrong may last before it is taken for hopeless.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// It won't get better.
    None,
    /// A pull that may succeed the next time.
    ImagePull,
    /// No node does, until one is added.
    Unschedulable,
    /// The nodes are full, until something ends.
    Capacity,
    /// A claim that is not bound.
    Claim,
    /// A Secret or ConfigMap that is not there yet.
    Config,
    /// A volume that is not attached or mounted.
    Volume,
    /// A node that may come back.
    Node,
}

/// What looks wrong with a pod that is to become ready.
pub(super) fn symptom(pod: &Pod, events: &[Event]) -> Option<Symptom> {
    if let Some(verdict) = end_of_pod(pod) {
        return Some(Symptom {
            verdict,
            patience: Patience::None,
        });
    }
    if let Some(symptom) = waiting(pod) {
        return Some(symptom);
    }
    if let Some(scheduled) = condition(pod, "PodScheduled")
        && scheduled.status == "False"
        && scheduled.reason.as_deref() == Some("Unschedulable")
    {
        let verdict = scheduling::diagnose(scheduled.message.as_deref().unwrap_or_default());
        let patience = match verdict.cause {
            Cause::ClaimPending => Patience::Claim,
            Cause::Capacity => Patience::Capacity,
            _ => Patience::Unschedulable,
        };
        return Some(Symptom { verdict, patience });
    }
    node_lost(pod)
        .map(|verdict| Symptom {
            verdict,
            patience: Patience::Node,
        })
        .or_else(|| preparation(pod, events))
}

/// Why the container waits.
fn waiting(pod: &Pod) -> Option<Symptom> {
    let waiting = container(pod)?.state.as_ref()?.waiting.as_ref()?;
    let reason = waiting.reason.as_deref().unwrap_or_default();
    let message = waiting.message.as_deref().unwrap_or_default();
    if let Some((verdict, may_pass)) = image::diagnose(reason, message) {
        let patience = if may_pass {
            Patience::ImagePull
        } else {
            Patience::None
        };
        return Some(Symptom { verdict, patience });
    }
    let (cause, hint, patience) = match reason {
        "CreateContainerConfigError" => (
            Cause::ContainerConfig,
            "a Secret, a key of it or a user that the pod names is not as it should be",
            Patience::Config,
        ),
        "CreateContainerError" | "RunContainerError" | "StartError" => {
            return Some(Symptom {
                verdict: start_failure(message),
                patience: Patience::Config,
            });
        }
        "CrashLoopBackOff" => (Cause::Exited, "its log tells why: podbay logs", Patience::None),
        _ => return None,
    };
    Some(Symptom {
        verdict: Verdict::new(cause, message, hint),
        patience,
    })
}

/// A node that no longer answers. Its controller then sets the pod's `Ready` to false and leaves
/// `ContainersReady`, which the kubelet alone writes, as it was: the two never differ otherwise in a pod without
/// readiness gates (`nodeutil.MarkPodsNotReady`).
pub(crate) fn node_lost(pod: &Pod) -> Option<Verdict> {
    let status = pod.status.as_ref()?;
    let is =
        |kind: &str, value: &str| condition(pod, kind).is_some_and(|condition| condition.status == value);
    let gated = pod
        .spec
        .as_ref()
        .is_some_and(|spec| spec.readiness_gates.is_some());
    let lost = status.reason.as_deref() == Some("NodeLost")
        || status.phase.as_deref() == Some("Unknown")
        || !gated && is("Ready", "False") && is("ContainersReady", "True");
    let hint = "kubectl get nodes tells; another try lands elsewhere";
    lost.then(|| Verdict::new(Cause::NodeLost, "the pod's node does not answer", hint))
}

/// Failures before the container is created stand in events alone: the pod says `ContainerCreating`.
fn preparation(pod: &Pod, events: &[Event]) -> Option<Symptom> {
    if container(pod)
        .and_then(|status| status.state.as_ref())
        .is_some_and(|state| state.running.is_some())
    {
        return None;
    }
    events.iter().rev().find_map(|event| {
        let message = event.message.clone().unwrap_or_default();
        let (cause, hint) = match event.reason.as_deref()? {
            "FailedMount" | "FailedAttachVolume" | "FailedMapVolume" | "VolumeMountFailure" => (
                Cause::Volume,
                "kubectl describe pod and pvc tell more; another node may be able to",
            ),
            "FailedCreatePodSandBox" => (
                Cause::ContainerStart,
                "the node can't set up pods (network, runtime): its owner can tell",
            ),
            _ => return None,
        };
        Some(Symptom {
            verdict: Verdict::new(cause, message, hint),
            patience: Patience::Volume,
        })
    })
}

/// Why a pod that was there takes no commands any longer; none while it lives.
pub(crate) fn end_of_pod(pod: &Pod) -> Option<Verdict> {
    let status = pod.status.as_ref();
    let disruption = condition(pod, "DisruptionTarget").filter(|target| target.status == "True");
    let text = |fallback: &str| {
        disruption
            .and_then(|target| target.message.clone())
            .or_else(|| status.and_then(|status| status.message.clone()))
            .filter(|message| !message.is_empty())
            .unwrap_or_else(|| fallback.to_owned())
    };
    let reason = status
        .and_then(|status| status.reason.as_deref())
        .unwrap_or_default();
    let finished = status
        .and_then(|status| status.phase.as_deref())
        .is_some_and(|phase| phase == "Failed" || phase == "Succeeded");
    let deleted = pod.metadata.deletion_timestamp.is_some();
    let terminated = container(pod)
        .and_then(|status| status.state.as_ref())
        .and_then(|state| state.terminated.as_ref());

    if finished || deleted {
        // Reasons of `DisruptionTarget`: KEP-3329.
        match (
            disruption
                .and_then(|target| target.reason.as_deref())
                .unwrap_or_default(),
            reason,
        ) {
            ("PreemptionByScheduler", _) | (_, "Preempting") => {
                return Some(Verdict::new(
                    Cause::Preempted,
                    text("the pod was preempted"),
                    "a pod of higher priority took its place: try again, or give sessions a priority class",
                ));
            }
            ("DeletionByTaintManager" | "DeletionByPodGC", _)
            | (_, "NodeLost" | "NodeShutdown" | "Shutdown") => {
                return Some(Verdict::new(
                    Cause::NodeLost,
                    text("the pod's node went away"),
                    "kubectl get nodes tells; another try lands elsewhere",
                ));
            }
            ("EvictionByEvictionAPI" | "TerminationByKubelet", _) | (_, "Evicted") => {
                return Some(Verdict::new(
                    Cause::Evicted,
                    text("the pod was evicted"),
                    "the node ran short of memory or disk, or was drained: another try lands elsewhere",
                ));
            }
            _ => {}
        }
    }
    if let Some(terminated) = terminated {
        return Some(end_of_container(terminated));
    }
    if deleted {
        return Some(Verdict::new(
            Cause::Deleted,
            "the pod was deleted",
            "somebody closed the session or deleted its pod",
        ));
    }
    if finished {
        // The kubelet's own admission: OutOfcpu, OutOfmemory, NodeAffinity, UnexpectedAdmissionError.
        let cause = if reason.starts_with("OutOf") {
            Cause::Capacity
        } else {
            Cause::ContainerStart
        };
        return Some(Verdict::new(
            cause,
            text("the pod failed"),
            "kubectl describe pod tells more",
        ));
    }
    None
}

/// Why the container ended.
fn end_of_container(terminated: &ContainerStateTerminated) -> Verdict {
    let reason = terminated.reason.as_deref().unwrap_or_default();
    let message = terminated.message.as_deref().unwrap_or_default();
    match reason {
        "OOMKilled" => out_of_memory("the container was killed: its memory limit was reached"),
        "StartError" | "ContainerCannotRun" => start_failure(message),
        _ => {
            let code = terminated.exit_code;
            let message = if message.is_empty() { reason } else { message };
            Verdict::new(
                if code == SIGKILLED {
                    Cause::Deleted
                } else {
                    Cause::Exited
                },
                format!("the container ended with exit code {code} ({message})"),
                "its log tells why: podbay logs",
            )
        }
    }
}

/// The verdict on a command or container that the kernel killed for memory.
pub(crate) fn out_of_memory(message: &str) -> Verdict {
    Verdict::new(Cause::OutOfMemory, message, "give the session more with --memory")
}

/// Why the container runtime could not start the container.
fn start_failure(message: &str) -> Verdict {
    // runc: `exec: "/bin/sh": stat /bin/sh: no such file or directory`; crun: `executable file not found`.
    let lacks_program = message.contains("no such file or directory")
        || message.contains("executable file not found")
        || message.contains("exec format error");
    if lacks_program {
        return Verdict::new(
            Cause::ImageUnsupported,
            message,
            "a session keeps its container alive with the image's /bin/sh and sleep: use an image that has them, or \
             declare that it carries its own server (--server)",
        );
    }
    Verdict::new(
        Cause::ContainerStart,
        message,
        "the node could not start the container; another may",
    )
}
