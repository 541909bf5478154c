//! Why a session whose pod or record is gone does not start.

use k8s_openapi::api::core::v1::Pod;
use podbay_protocol::{Cause, Hint, Verdict};

use super::end::end_of_pod;

/// The verdict on a pod that is gone before it was ready; `pod` is its last state.
pub(crate) fn deleted_while_starting(pod: &Pod) -> Verdict {
    end_of_pod(pod).unwrap_or_else(|| {
        Verdict::new(
            Cause::Deleted,
            "the pod was deleted while it started",
            Hint::ClosedBySomebody,
        )
    })
}

/// The verdict on a start whose record another client has deleted.
pub(crate) fn closed_meanwhile() -> Verdict {
    Verdict::new(
        Cause::Deleted,
        "the session was closed by another client while it started",
        Hint::OpenAgainIfWanted,
    )
}
