//! Probes of images that carry a server. A plain image has none: it is ready when its container runs.

use k8s_openapi::api::core::v1::{HTTPGetAction, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::session_spec::ServerSpec;

/// What OpenHands' servers answer, without a session key.
const PATH: &str = "/alive";
/// Seconds between startup probes: the shortest Kubernetes has, so that a started server is seen within one.
const STARTUP_PERIOD: i32 = 1;
/// Seconds between readiness probes. Upstream's figure: a server that is busy with a command answers late,
/// and must not drop out of its Service's endpoints for it.
const READINESS_PERIOD: i32 = 10;
/// Seconds a probe waits for its answer, as upstream.
const TIMEOUT: i32 = 5;
/// Failures in a row after which a server counts as not ready, as upstream.
const READINESS_FAILURES: i32 = 3;

/// Holds the readiness probe back until the server answers for the first time; after its start time-out
/// without, the kubelet ends the container.
pub(super) fn startup(server: &ServerSpec) -> Probe {
    let timeout = server.start_timeout_seconds;
    Probe {
        period_seconds: Some(STARTUP_PERIOD),
        // One failure a second. The API wants at least one.
        failure_threshold: Some(i32::try_from(timeout).unwrap_or(i32::MAX).max(1)),
        ..alive(server)
    }
}

/// Tells Services and Ingresses whether the server answers.
pub(super) fn readiness(server: &ServerSpec) -> Probe {
    Probe {
        period_seconds: Some(READINESS_PERIOD),
        failure_threshold: Some(READINESS_FAILURES),
        ..alive(server)
    }
}

fn alive(server: &ServerSpec) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(PATH.into()),
            port: IntOrString::Int(server.port.into()),
            ..HTTPGetAction::default()
        }),
        timeout_seconds: Some(TIMEOUT),
        ..Probe::default()
    }
}
