//! Why a pod takes no commands any longer.

use k8s_openapi::api::core::v1::{ContainerStateTerminated, Event, Pod};
use podbay_manifests::ServerKind;
use podbay_protocol::{Blame, Cause, Hint, Retry, Verdict};

use super::phase::condition;
use super::{agent, init};
use crate::pod::container;
use crate::pod::has_final_phase;

/// Who took the pod away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    /// The scheduler, for a pod of higher priority.
    Preempted,
    /// A node that stopped answering, or was shut down.
    NodeLost,
    /// The kubelet, at the end of `activeDeadlineSeconds`.
    Overdue,
    /// The kubelet for want of resources or over a limit of disk, or somebody by the Eviction API.
    Evicted,
}

impl Taken {
    /// By the reason of the condition `DisruptionTarget` (KEP-3329) and that of the pod's status, in whose order they are
    /// sure: `TerminationByKubelet` is said of evictions and of nodes that shut down (`Terminated`).
    fn by(disruption: &str, status: &str) -> Option<Self> {
        match (disruption, status) {
            ("PreemptionByScheduler", _) | (_, "Preempting") => Some(Self::Preempted),
            ("DeletionByTaintManager" | "DeletionByPodGC", _)
            | (_, "NodeLost" | "NodeShutdown" | "Shutdown" | "Terminated") => Some(Self::NodeLost),
            (_, "DeadlineExceeded") => Some(Self::Overdue),
            ("EvictionByEvictionAPI" | "TerminationByKubelet", _) | (_, "Evicted") => Some(Self::Evicted),
            _ => None,
        }
    }

    /// By the reason of an event about the pod, of the kubelet, the scheduler and the taint manager.
    fn by_event(reason: &str) -> Option<Self> {
        match reason {
            "Preempted" | "Preempting" => Some(Self::Preempted),
            "NodeShutdown" | "TaintManagerEviction" => Some(Self::NodeLost),
            "DeadlineExceeded" => Some(Self::Overdue),
            "Evicted" => Some(Self::Evicted),
            _ => None,
        }
    }

    /// What is said where the cluster does not say it.
    const fn message(self) -> &'static str {
        match self {
            Self::Preempted => "the pod was preempted",
            Self::NodeLost => "the pod's node went away",
            Self::Overdue => "the pod ran as long as it may",
            Self::Evicted => "the pod was evicted",
        }
    }

    fn verdict(self, message: String) -> Verdict {
        match self {
            Self::Preempted => Verdict::new(Cause::Preempted, message, Hint::RaisePriority),
            Self::NodeLost => Verdict::new(Cause::NodeLost, message, Hint::CheckNodes),
            // A lifetime that was asked for, and that the next try has as well.
            Self::Overdue => Verdict {
                blame: Blame::Configuration,
                retry: Retry::Never,
                ..Verdict::new(Cause::Deadline, message, Hint::RaiseLifetime)
            },
            Self::Evicted => evicted(message),
        }
    }
}

/// The verdict on an eviction. A limit of disk that was exceeded is the sandbox's own doing, as one of memory is, and
/// another node has the same limit. The kubelet says `Usage of EmptyDir volume "x" exceeds the limit "64Mi".`, `Pod ephemeral
/// local storage usage exceeds the total limit of containers 1Gi.`, `Container x exceeded its local ephemeral storage
/// limit "1Gi".` (`pkg/kubelet/eviction`).
fn evicted(message: String) -> Verdict {
    let hint = if message.contains("EmptyDir volume") && message.contains("exceeds the limit") {
        Hint::RaiseWorkspaceSize
    } else if message.contains("ephemeral") && message.contains("limit") {
        Hint::RaiseEphemeralStorage
    } else {
        return Verdict::new(Cause::Evicted, message, Hint::TryElsewhere);
    };
    Verdict {
        blame: Blame::Task,
        retry: Retry::MoreResources,
        ..Verdict::new(Cause::Evicted, message, hint)
    }
}

/// Whether the pod's status will not say more of its end than it does: it is deleted, or the kubelet has written its last
/// phase. Between a container's end and that phase is the moment in which a reason is still to come.
pub(crate) fn is_settled(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some() || has_final_phase(pod)
}

/// Whether a verdict says no more than that the container ended or the pod was deleted: then events may tell why.
pub(crate) const fn is_vague(verdict: &Verdict) -> bool {
    matches!(verdict.cause, Cause::Exited | Cause::Deleted)
}

/// Who took the pod away, by its events. They alone tell it of a pod whose program ended with 0 when it was asked to: the
/// kubelet then writes `Succeeded`, without a reason.
pub(crate) fn end_by_events(events: &[Event]) -> Option<Verdict> {
    events.iter().rev().find_map(|event| {
        let taken = Taken::by_event(event.reason.as_deref()?)?;
        let said = event.message.clone().filter(|message| !message.is_empty());
        Some(taken.verdict(said.unwrap_or_else(|| taken.message().to_owned())))
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
    let deleted = pod.metadata.deletion_timestamp.is_some();
    let settled = is_settled(pod);
    let terminated = container(pod)
        .and_then(|status| status.state.as_ref())
        .and_then(|state| state.terminated.as_ref());

    if settled {
        let target = disruption.and_then(|target| target.reason.as_deref());
        if let Some(taken) = Taken::by(target.unwrap_or_default(), reason) {
            return Some(taken.verdict(text(taken.message())));
        }
    }
    // A program that ends because its pod is deleted has its own ideas of an exit code.
    let by_deletion = |terminated: &&ContainerStateTerminated| {
        deleted
            && !ended_before_deletion(pod, terminated)
            && terminated.reason.as_deref() != Some("OOMKilled")
    };
    if let Some(terminated) = terminated.filter(|terminated| !by_deletion(terminated)) {
        return Some(end_of_container(terminated));
    }
    if deleted {
        return Some(Verdict::new(
            Cause::Deleted,
            "the pod was deleted",
            Hint::ClosedBySomebody,
        ));
    }
    if let Some((_, verdict)) = init::failed(pod) {
        return Some(verdict);
    }
    if settled {
        // The kubelet's own admission: OutOfcpu, OutOfmemory, NodeAffinity, UnexpectedAdmissionError.
        let cause = if reason.starts_with("OutOf") {
            Cause::Capacity
        } else {
            Cause::ContainerStart
        };
        return Some(Verdict::new(cause, text("the pod failed"), Hint::DescribePod));
    }
    None
}

/// Whether the container ended before somebody asked for the pod's deletion. `deletionTimestamp` is that moment and the
/// grace period.
fn ended_before_deletion(pod: &Pod, terminated: &ContainerStateTerminated) -> bool {
    let grace = pod.metadata.deletion_grace_period_seconds.unwrap_or_default();
    match (&terminated.finished_at, &pod.metadata.deletion_timestamp) {
        (Some(finished), Some(deletion)) => finished.0.as_second() < deletion.0.as_second() - grace,
        _ => false,
    }
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
                Cause::Exited,
                format!("the container ended with exit code {code} ({message})"),
                Hint::ReadLog,
            )
        }
    }
}

/// The verdict on a command or container that the kernel killed for memory.
pub(crate) fn out_of_memory(message: &str) -> Verdict {
    Verdict::new(Cause::OutOfMemory, message, Hint::RaiseMemory)
}

/// Why the container runtime could not start the container.
pub(super) fn start_failure(message: &str) -> Verdict {
    // runc: `exec: "/bin/sh": stat /bin/sh: no such file or directory`; crun: `executable file not found`.
    let lacks_program = message.contains("no such file or directory")
        || message.contains("executable file not found")
        || message.contains("exec format error");
    if lacks_program {
        return agent::of_start(Verdict::new(
            Cause::ImageUnsupported,
            message,
            missing_program(message),
        ));
    }
    // runc: `container init was OOM-killed (memory limit too low?)`. Nothing of the session's has run: no task is to blame.
    if message.contains("OOM-killed") || message.contains("oom-killed") {
        return Verdict {
            blame: Blame::Configuration,
            ..out_of_memory(message)
        };
    }
    Verdict::new(Cause::ContainerStart, message, Hint::TryAnotherNode)
}

/// What to do about a program that the image does not have. The container runtime names it: `exec: "PROGRAM": …`.
fn missing_program(message: &str) -> Hint {
    let program = message
        .split_once("exec: \"")
        .and_then(|(_, rest)| rest.split_once('"'))
        .map(|(program, _)| program);
    let Some(program) = program.filter(|program| *program != "/bin/sh") else {
        return Hint::UseImageWithShell;
    };
    let program = program.to_owned();
    let known = ServerKind::started_by(&program).and_then(|kind| Some((kind, kind.stock_image()?)));
    match known {
        Some((kind, image)) => Hint::UseImageWithServer {
            server: kind.to_string(),
            program,
            image: image.to_owned(),
        },
        None => Hint::MendCommand { program },
    }
}
