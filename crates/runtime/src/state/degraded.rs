//! What is not well of a session that has been ready.

use k8s_openapi::api::core::v1::{Event, Pod};
use podbay_protocol::Degraded;

use crate::readiness::{condition, container};

/// Reason of the kubelet's event about a probe that failed.
const UNHEALTHY: &str = "Unhealthy";

/// What its message begins with if it was the readiness probe (`pkg/kubelet/prober`: `"%s probe failed: %s"`, and
/// `errored` where the probe itself could not be made).
const READINESS_PROBE: &str = "Readiness probe";

/// Whether the server in `pod` answered its readiness probe once and no longer does; `None` if it answers, or never did.
///
/// The kubelet sets `ContainersReady` to false when it takes the pod on, before the container starts, and moves
/// `lastTransitionTime` with the condition's status alone. Containers of a session start once (`restartPolicy: Never`).
/// So a condition that became false after the container had started was true in between.
pub(super) fn unresponsive_server(pod: &Pod, events: Option<&[Event]>) -> Option<Degraded> {
    let started = container(pod)?
        .state
        .as_ref()?
        .running
        .as_ref()?
        .started_at
        .as_ref()?;
    let ready = condition(pod, "ContainersReady").filter(|ready| ready.status == "False")?;
    let since = ready.last_transition_time.as_ref()?;
    (since.0 > started.0).then(|| Degraded::ServerUnresponsive {
        since: since.0,
        message: events.and_then(probe_failure),
    })
}

/// What the readiness probe met last.
fn probe_failure(events: &[Event]) -> Option<String> {
    events.iter().rev().find_map(|event| {
        let message = event.message.as_deref()?;
        let of_probe = event.reason.as_deref() == Some(UNHEALTHY) && message.starts_with(READINESS_PROBE);
        of_probe.then(|| {
            message
                .split_once(": ")
                .map_or(message, |(_, met)| met)
                .to_owned()
        })
    })
}
