//! Init containers: they run before the session's own, one after the other, and each may keep it from starting. A pod
//! template or an admission webhook of the cluster adds them; no task has run while they do.

use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Event, Pod, PodSpec};
use podbay_manifests::pod::CONTAINER;
use podbay_protocol::{Blame, Cause, Hint, Retry, Verdict};

use super::diagnosis::{self, Patience, Symptom};
use super::end::start_failure;
use crate::pod::container;

/// Reason of a container of which the kernel killed a process for memory.
const OUT_OF_MEMORY: &str = "OOMKilled";

/// The init container that has failed for good, by its name, and the verdict on it.
pub(super) fn failed(pod: &Pod) -> Option<(&str, Verdict)> {
    pending(pod).find_map(|status| {
        let terminated = status.state.as_ref()?.terminated.as_ref()?;
        let verdict = verdict(&status.name, terminated)?;
        (!is_restarted(pod, &status.name)).then_some((status.name.as_str(), verdict))
    })
}

/// Why an init container waits, where that looks wrong. One that is started again and again, as those are that go on
/// beside the session's container (`restartPolicy: Always`), has the grace of the configuration to recover.
pub(super) fn waiting(pod: &Pod, events: &[Event]) -> Option<Symptom> {
    pending(pod).find_map(|status| {
        let Symptom { verdict, patience } = diagnosis::waiting(pod, status, events)?;
        let message = format!("init container {:?}: {}", status.name, verdict.message);
        Some(match verdict.cause {
            Cause::Exited => Symptom {
                verdict: of_configuration(Cause::Exited, message, Hint::CheckInitContainer),
                patience: Patience::Config,
            },
            _ => Symptom {
                verdict: Verdict { message, ..verdict },
                patience,
            },
        })
    })
}

/// The container whose log tells why the pod does not start: the init container that failed, or the session's own.
pub(crate) fn culprit(pod: &Pod) -> &str {
    let looping = || {
        pending(pod).find(|status| {
            let waiting = status.state.as_ref().and_then(|state| state.waiting.as_ref());
            waiting.and_then(|waiting| waiting.reason.as_deref()) == Some("CrashLoopBackOff")
        })
    };
    failed(pod)
        .map(|(name, _)| name)
        .or_else(|| looping().map(|status| status.name.as_str()))
        .unwrap_or(CONTAINER)
}

/// The init containers of a pod whose own container has not started yet. Afterwards they keep nothing from starting.
fn pending(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    let started = container(pod)
        .and_then(|status| status.state.as_ref())
        .is_some_and(|state| state.running.is_some() || state.terminated.is_some());
    pod.status
        .iter()
        .filter(move |_| !started)
        .flat_map(|status| status.init_container_statuses.iter().flatten())
}

/// Whether the kubelet starts an init container again when it has ended.
fn is_restarted(pod: &Pod, name: &str) -> bool {
    let none = PodSpec::default();
    let spec = pod.spec.as_ref().unwrap_or(&none);
    let of_its_own = spec
        .init_containers
        .iter()
        .flatten()
        .find(|container| container.name == name)
        .and_then(|container| container.restart_policy.as_deref());
    // A session's pod has `Never`.
    let policy = of_its_own.or(spec.restart_policy.as_deref()).unwrap_or("Never");
    policy != "Never"
}

/// The verdict on an init container that has ended, unless it has done its work. The kubelet takes one for failed of which
/// the kernel killed a process for memory, whatever its exit code, and the pod stays `Pending` (`isInitContainerFailed`).
fn verdict(name: &str, terminated: &ContainerStateTerminated) -> Option<Verdict> {
    let reason = terminated.reason.as_deref().unwrap_or_default();
    let code = terminated.exit_code;
    let said = terminated
        .message
        .as_deref()
        .filter(|said| !said.is_empty())
        .unwrap_or(reason);
    match reason {
        OUT_OF_MEMORY => Some(of_configuration(
            Cause::OutOfMemory,
            format!(
                "init container {name:?}: the kernel killed a process of it because its memory limit was reached \
                 ({OUT_OF_MEMORY}); it ended with exit code {code}"
            ),
            Hint::RaiseInitContainerMemory,
        )),
        "StartError" | "ContainerCannotRun" => {
            let verdict = start_failure(said);
            Some(Verdict {
                message: format!("init container {name:?}: {said}"),
                ..verdict
            })
        }
        _ if code == 0 => None,
        _ => Some(of_configuration(
            Cause::Exited,
            format!("init container {name:?} ended with exit code {code} ({said})"),
            Hint::CheckInitContainer,
        )),
    }
}

fn of_configuration(cause: Cause, message: String, hint: Hint) -> Verdict {
    Verdict {
        blame: Blame::Configuration,
        retry: Retry::Never,
        ..Verdict::new(cause, message, hint)
    }
}
