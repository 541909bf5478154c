//! Requests held until their sandbox is there.

use std::time::Duration;

use podbay_manifests::RuntimeId;
use podbay_protocol::{SessionState, StartPhase};
use podbay_runtime::dial::SandboxAddress;
use tokio::time::{Instant, timeout_at};

use super::asked::Asked;
use super::refusal::Refusal;
use crate::sessions::{NotWoken, Route, Sessions};

/// How long requests are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HoldLimits {
    /// For a session that is starting, or paused by somebody who may resume it.
    pub starting: Duration,
    /// For a paused one that the request brings back.
    pub waking: Duration,
    /// By a browser, which shows a page that asks again.
    pub browser: Duration,
    /// Whether requests bring paused sessions back at all.
    pub wake: bool,
}

impl Default for HoldLimits {
    fn default() -> Self {
        Self {
            starting: Duration::from_secs(30),
            waking: Duration::from_secs(120),
            browser: Duration::from_secs(2),
            wake: true,
        }
    }
}

/// What is done for a request at this state of its session.
#[derive(Debug, PartialEq)]
enum Next {
    /// It is passed on.
    Go(SandboxAddress),
    /// It is held.
    Wait,
    /// The session is brought back, and the request held.
    Wake,
    /// It is answered at once.
    Refuse(Refusal),
}

fn next(route: &Route, asked: &Asked, may_wake: bool) -> Next {
    match (&route.state, &route.address) {
        (SessionState::Ready(_), Some(address)) => Next::Go(address.clone()),
        (SessionState::Paused, _) if may_wake && asked.wakes(route.key.as_ref()) => Next::Wake,
        // Ready without an address: the kubelet was faster than the network.
        (SessionState::Ready(_) | SessionState::Starting(_) | SessionState::Paused, _) => Next::Wait,
        (SessionState::Stopping, _) => Next::Refuse(Refusal::Stopped),
        (SessionState::Failed(verdict) | SessionState::Lost(verdict), _) => {
            Next::Refuse(Refusal::Failed(Box::new(verdict.clone())))
        }
        // A state that is not known here is that of a later version.
        (_, _) => Next::Refuse(Refusal::Unreadable),
    }
}

/// What a request that was held until then is told.
fn overdue(state: &SessionState, held: Duration, not_woken: Option<NotWoken>) -> Refusal {
    match state {
        SessionState::Paused => not_woken.map_or(Refusal::Paused, Refusal::NotWoken),
        SessionState::Starting(phase) => starting(phase.as_str(), held),
        _ => starting(StartPhase::Ready.as_str(), held),
    }
}

fn starting(phase: &str, held: Duration) -> Refusal {
    Refusal::Starting {
        phase: phase.to_owned(),
        seconds: held.as_secs(),
    }
}

/// A sandbox that a request can be passed on to.
#[derive(Debug)]
pub(super) struct Admitted {
    /// The session, when that was seen.
    pub(super) route: Route,
    /// Where its sandbox is.
    pub(super) address: SandboxAddress,
    /// Until when its server may take to answer, if the request was held: of a sandbox that has just come back a port may not be open yet.
    pub(super) patience: Option<Instant>,
}

/// Waits until the session's sandbox is there, and brings it back if it is paused and the request does that.
pub(super) async fn admit(
    sessions: &dyn Sessions,
    id: &RuntimeId,
    asked: &Asked,
    limits: &HoldLimits,
) -> Result<Admitted, Refusal> {
    let begun = Instant::now();
    let mut limit = if asked.by_browser {
        limits.browser
    } else {
        limits.starting
    };
    let (mut may_wake, mut not_woken, mut was_held) = (limits.wake, None, false);
    loop {
        let route = sessions.route(id).await?.ok_or(Refusal::NoSession)?;
        match next(&route, asked, may_wake) {
            Next::Refuse(refusal) => return Err(refusal),
            Next::Go(address) => {
                return Ok(Admitted {
                    route,
                    address,
                    patience: was_held.then_some(begun + limit),
                });
            }
            Next::Wake => {
                // Once: what was written shows after a while.
                may_wake = false;
                match sessions.wake(id).await {
                    Ok(()) => limit = limits.waking,
                    // It may be resumed by who paused it; but a place that there isn't won't be there soon.
                    Err(refused @ NotWoken::Refused(_)) => return Err(Refusal::NotWoken(refused)),
                    Err(other) => not_woken = Some(other),
                }
                was_held = true;
                continue;
            }
            // Whoever else brings it back, on this replica or another: it takes as long.
            Next::Wait if limits.wake && asked.wakes(route.key.as_ref()) => limit = limit.max(limits.waking),
            Next::Wait => {}
        }
        was_held = true;
        if timeout_at(begun + limit, sessions.changed(&route)).await.is_err() {
            return Err(overdue(&route.state, begun.elapsed(), not_woken));
        }
    }
}
