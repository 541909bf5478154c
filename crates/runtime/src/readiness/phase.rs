//! How far a pod has come.

use k8s_openapi::api::core::v1::{Pod, PodCondition};
use podbay_protocol::StartPhase;

use crate::pod::container;

/// The step of its start that `pod` is in.
///
/// A plain image's session is ready when its container runs: nothing in it has to answer yet. One that
/// carries a server is ready when the kubelet's readiness probe of that container says so. Other containers of the pod
/// don't count, so the pod's condition `ContainersReady` is not asked.
pub(crate) fn phase_of(pod: &Pod, server: bool) -> StartPhase {
    let ready = container(pod).is_some_and(|status| status.ready);
    if runs(pod) && (!server || ready) {
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
pub(super) fn runs(pod: &Pod) -> bool {
    container(pod)
        .and_then(|status| status.state.as_ref())
        .is_some_and(|state| state.running.is_some())
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
