//! What is not well of a session that has been ready.

use k8s_openapi::api::core::v1::{Event, Pod};
use podbay_protocol::Degraded;

use crate::readiness::{readiness_answer, unanswered_since};

/// Whether the server in `pod` answered its readiness probe once and no longer does; `None` if it answers, or never did.
/// What the probe met last stands in `events` alone.
pub(super) fn unresponsive_server(pod: &Pod, events: Option<&[Event]>) -> Option<Degraded> {
    unanswered_since(pod).map(|since| Degraded::ServerUnresponsive {
        since,
        message: events.and_then(readiness_answer),
    })
}
