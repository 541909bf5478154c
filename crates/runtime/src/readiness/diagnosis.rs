//! What is wrong with a pod.

use k8s_openapi::api::core::v1::{ContainerStatus, Event, Pod};
use podbay_protocol::{Blame, Cause, Hint, Retry, Verdict};

use super::end::{end_of_pod, start_failure};
use super::phase::{condition, runs};
use super::{agent, image, init, preparation, probe, scheduling};
use crate::pod::container;

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
    /// It won't get better, but its events may tell more: a pull of a pod with pull secrets.
    Denial,
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
    /// A ConfigMap or Secret of a volume that is not there: as [`Patience::Config`], seen in events.
    Preparation,
    /// A volume that is not attached or mounted.
    Volume,
    /// A node that may come back.
    Node,
    /// A server that answered, and may again.
    Server,
}

/// What looks wrong with a pod that is to become ready.
pub(super) fn symptom(pod: &Pod, events: &[Event]) -> Option<Symptom> {
    if let Some(verdict) = end_of_pod(pod) {
        return Some(Symptom {
            verdict,
            patience: Patience::None,
        });
    }
    let own = container(pod).and_then(|status| waiting(pod, status, events));
    if let Some(symptom) = own.or_else(|| init::waiting(pod, events)) {
        return Some(symptom);
    }
    if let Some(scheduled) = condition(pod, "PodScheduled")
        && scheduled.status == "False"
        && scheduled.reason.as_deref() == Some("Unschedulable")
    {
        if let Some(verdict) = scheduling::unprovisionable(events) {
            return Some(Symptom {
                verdict,
                patience: Patience::Preparation,
            });
        }
        let verdict = scheduling::diagnose(scheduled.message.as_deref().unwrap_or_default());
        let patience = match verdict.cause {
            // A claim that is not there: nobody makes one for a name that a setting gives.
            Cause::ClaimPending if verdict.retry == Retry::Never => Patience::Config,
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
        .or_else(|| {
            let verdict = unresponsive(pod, events)?;
            Some(Symptom {
                verdict,
                patience: Patience::Server,
            })
        })
        .or_else(|| {
            let (verdict, patience) = (!runs(pod)).then(|| preparation::diagnose(events))??;
            Some(Symptom { verdict, patience })
        })
}

/// Why `pod` can't become ready any more, however long it is waited for; `None` if it has not ended and may still become
/// ready. What the cluster may mend, or a grace period covers, is for [`super::progress`] to judge. A refused pull of a pod
/// that names pull secrets counts only with `events`, which tell whether those were there.
pub(crate) fn hopeless(pod: &Pod, events: Option<&[Event]>) -> Option<Verdict> {
    let symptom = symptom(pod, events.unwrap_or_default())?;
    let is_certain = match symptom.patience {
        Patience::None => true,
        Patience::Denial => events.is_some(),
        _ => false,
    };
    is_certain.then_some(symptom.verdict)
}

/// Why a container of the pod waits.
pub(super) fn waiting(pod: &Pod, status: &ContainerStatus, events: &[Event]) -> Option<Symptom> {
    let waiting = status.state.as_ref()?.waiting.as_ref()?;
    let reason = waiting.reason.as_deref().unwrap_or_default();
    let message = waiting.message.as_deref().unwrap_or_default();
    if let Some((verdict, may_pass)) = image::diagnose(reason, message) {
        let patience = if may_pass {
            Patience::ImagePull
        } else if names_pull_secrets(pod) {
            Patience::Denial
        } else {
            Patience::None
        };
        let verdict = agent::of_waiting(pod, status, image::with_missing_secret(verdict, events));
        return Some(Symptom { verdict, patience });
    }
    let (cause, hint, patience) = match reason {
        "CreateContainerConfigError" => (
            Cause::ContainerConfig,
            Hint::CheckSecretsAndUser,
            Patience::Config,
        ),
        "CreateContainerError" | "RunContainerError" | "StartError" => {
            return Some(Symptom {
                verdict: start_failure(message),
                patience: Patience::Config,
            });
        }
        "CrashLoopBackOff" => (Cause::Exited, Hint::ReadLog, Patience::None),
        _ => return None,
    };
    Some(Symptom {
        verdict: Verdict::new(cause, message, hint),
        patience,
    })
}

/// A server that was ready and has stopped answering. What ran in the session since then may be why.
fn unresponsive(pod: &Pod, events: &[Event]) -> Option<Verdict> {
    let since = probe::unanswered_since(pod)?;
    let answer = probe::answer(events, probe::READINESS);
    let answer = answer.map(|answer| format!(" ({answer})")).unwrap_or_default();
    let verdict = Verdict::new(
        Cause::Deadline,
        format!("its server has not answered since {since}{answer}"),
        Hint::ReadLog,
    );
    Some(Verdict {
        blame: Blame::Task,
        retry: Retry::Never,
        ..verdict
    })
}

/// Whether the image is pulled with the credentials of Secrets.
fn names_pull_secrets(pod: &Pod) -> bool {
    let secrets = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.image_pull_secrets.as_ref());
    secrets.is_some_and(|secrets| !secrets.is_empty())
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
    let hint = Hint::CheckNodes;
    lost.then(|| Verdict::new(Cause::NodeLost, "the pod's node does not answer", hint))
}
