//! How far a pod has come.

use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodCondition};
use podbay_protocol::StartPhase;

/// The step of its start that `pod` is in.
///
/// A plain image's session is ready when its container runs: nothing in it has to answer yet. One that
/// carries a server is ready when the kubelet's readiness probe says so (`ContainersReady`).
pub(crate) fn phase_of(pod: &Pod, server: bool) -> StartPhase {
    if runs(pod) && (!server || condition_is(pod, "ContainersReady")) {
        StartPhase::Ready
    // PodReadyToStartContainers (KEP-3085): sandbox and network are set up.
    } else if runs(pod) || condition_is(pod, "PodReadyToStartContainers") {
        StartPhase::Starting
    } else if condition_is(pod, "PodScheduled")
        || pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some())
    {
        StartPhase::Preparing
    } else {
        StartPhase::Scheduling
    }
}

/// Whether the session's container runs.
fn runs(pod: &Pod) -> bool {
    container(pod)
        .and_then(|status| status.state.as_ref())
        .is_some_and(|state| state.running.is_some())
}

/// The status of the session's container: it is the first and only one.
pub(crate) fn container(pod: &Pod) -> Option<&ContainerStatus> {
    pod.status.as_ref()?.container_statuses.as_ref()?.first()
}

/// The condition of a type.
pub(crate) fn condition<'a>(pod: &'a Pod, kind: &str) -> Option<&'a PodCondition> {
    pod.status
        .as_ref()?
        .conditions
        .as_ref()?
        .iter()
        .find(|condition| condition.type_ == kind)
}

fn condition_is(pod: &Pod, kind: &str) -> bool {
    condition(pod, kind).is_some_and(|condition| condition.status == "True")
}
