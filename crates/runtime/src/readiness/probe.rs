//! What a server answered to the kubelet's probe, and since when one that answered no longer does.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, Pod};

use super::phase::condition;
use crate::pod::container;

/// How the kubelet's messages about each probe begin (`pkg/kubelet/prober`: `"%s probe failed: %s"`, `"%s probe errored…"`).
pub(super) const STARTUP: &str = "Startup probe";
pub(super) const READINESS: &str = "Readiness probe";

/// What the probe met last, in short: `GET /alive on 8080: connection refused`.
pub(super) fn answer(events: &[Event], probe: &str) -> Option<String> {
    events.iter().rev().find_map(|event| {
        let message = event.message.as_deref()?;
        let of_probe = event.reason.as_deref() == Some("Unhealthy") && message.starts_with(probe);
        let (_, met) = message.split_once(": ").filter(|_| of_probe)?;
        Some(shortened(met).unwrap_or_else(|| met.to_owned()))
    })
}

/// What the readiness probe met last.
pub(crate) fn readiness_answer(events: &[Event]) -> Option<String> {
    answer(events, READINESS)
}

/// Go's words for a request that failed, without the address that nobody asked for: `Get "http://10.0.0.1:8080/alive": dial
/// tcp 10.0.0.1:8080: connect: connection refused`.
fn shortened(met: &str) -> Option<String> {
    let (url, met) = met.strip_prefix("Get \"http://")?.split_once("\": ")?;
    let (host, path) = url.split_once('/')?;
    let (_, port) = host.rsplit_once(':')?;
    let met = if met.starts_with("dial ") {
        met.rsplit(": ").next()?
    } else {
        met
    };
    Some(format!("GET /{path} on {port}: {met}"))
}

/// Since when the server in `pod`, which answered its readiness probe, no longer does; `None` if it answers, or never did.
///
/// The kubelet sets `ContainersReady` to false when it takes the pod on, before the container starts, and moves
/// `lastTransitionTime` with the condition's status alone. A session's container starts once. So a condition that became
/// false after the container had started was true in between.
pub(crate) fn unanswered_since(pod: &Pod) -> Option<Timestamp> {
    let own = container(pod).filter(|status| !status.ready)?;
    let started = own.state.as_ref()?.running.as_ref()?.started_at.as_ref()?;
    let ready = condition(pod, "ContainersReady").filter(|ready| ready.status == "False")?;
    let since = ready.last_transition_time.as_ref()?.0;
    (since > started.0).then_some(since)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_told_without_addresses() {
        let event = |message: &str| Event {
            reason: Some("Unhealthy".to_owned()),
            message: Some(message.to_owned()),
            ..Event::default()
        };
        for (message, expected) in [
            (
                "Startup probe failed: Get \"http://10.44.0.5:8080/alive\": dial tcp 10.44.0.5:8080: connect: connection \
                 refused",
                Some("GET /alive on 8080: connection refused"),
            ),
            (
                "Startup probe failed: Get \"http://10.44.0.5:8080/alive\": context deadline exceeded (Client.Timeout \
                 exceeded while awaiting headers)",
                Some(
                    "GET /alive on 8080: context deadline exceeded (Client.Timeout exceeded while awaiting headers)",
                ),
            ),
            (
                "Startup probe failed: HTTP probe failed with statuscode: 404",
                Some("HTTP probe failed with statuscode: 404"),
            ),
            (
                "Readiness probe failed: HTTP probe failed with statuscode: 500",
                None,
            ),
        ] {
            assert_eq!(
                answer(&[event(message)], STARTUP).as_deref(),
                expected,
                "{message}"
            );
        }
    }
}
