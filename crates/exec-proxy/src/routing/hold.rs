//! Requests held until their sandbox is there.

use std::time::Duration;

use podbay_manifests::RuntimeId;
use podbay_protocol::{SessionState, StartPhase};
use podbay_runtime::dial::SandboxAddress;
use tokio::time::{Instant, timeout_at};

use super::asked::Asked;
use super::refusal::Refusal;
use crate::sessions::{NotWoken, QUIET, Route, Sessions};

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
    if let Some(failure) = &route.failure {
        return Next::Refuse(Refusal::NotStarted(failure.clone()));
    }
    match (&route.state, &route.address) {
        (SessionState::Ready(_), Some(address)) => Next::Go(address.clone()),
        (SessionState::Paused, _) if may_wake && asked.wakes(route.key.as_ref()) => Next::Wake,
        // Ready without an address: the kubelet was faster than the network.
        (SessionState::Ready(_) | SessionState::Starting(_) | SessionState::Paused, _) => Next::Wait,
        (SessionState::Stopping, _) => Next::Refuse(Refusal::Stopped),
        (SessionState::Failed(verdict) | SessionState::Lost(verdict), _) => {
            Next::Refuse(Refusal::Failed(Box::new(verdict.clone())))
        }
        // The record, or the state, is of a later version.
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
}

/// One request's patience.
#[derive(Debug)]
pub(super) struct Hold<'a> {
    asked: &'a Asked,
    limits: &'a HoldLimits,
    begun: Instant,
    limit: Duration,
    /// Whether it may bring the session back: once, since what was written shows after a while.
    may_wake: bool,
    not_woken: Option<NotWoken>,
    was_held: bool,
}

impl<'a> Hold<'a> {
    /// From now on.
    pub(super) fn begin(asked: &'a Asked, limits: &'a HoldLimits) -> Self {
        Self {
            asked,
            limits,
            begun: Instant::now(),
            limit: if asked.by_browser {
                limits.browser
            } else {
                limits.starting
            },
            may_wake: limits.wake,
            not_woken: None,
            was_held: false,
        }
    }

    /// Whether its sandbox's server may still take its time: of a sandbox that has just come back a port may not be open yet. One that
    /// was there all the time and does not answer is not waited for.
    pub(super) fn is_patient(&self) -> bool {
        self.was_held && self.begun.elapsed() < self.limit
    }

    /// Waits until the session's sandbox is there, and brings it back if it is paused and the request does that.
    pub(super) async fn admit(
        &mut self,
        sessions: &dyn Sessions,
        id: &RuntimeId,
    ) -> Result<Admitted, Refusal> {
        loop {
            let route = sessions.route(id).await?.ok_or(Refusal::NoSession)?;
            match next(&route, self.asked, self.may_wake) {
                Next::Refuse(refusal) => return Err(refusal),
                Next::Go(address) => return Ok(Admitted { route, address }),
                Next::Wake => {
                    self.may_wake = false;
                    match sessions.wake(id).await {
                        Ok(()) => self.limit = self.limit.max(self.limits.waking),
                        // No room now means none soon.
                        Err(refused @ NotWoken::Refused(_)) => return Err(Refusal::NotWoken(refused)),
                        // It may be resumed by who paused it. Later than that, whoever asks anew wakes it.
                        Err(just @ NotWoken::JustPaused) => {
                            self.limit = self.limit.min(self.begun.elapsed() + QUIET);
                            self.not_woken = Some(just);
                        }
                        Err(other) => self.not_woken = Some(other),
                    }
                    self.was_held = true;
                    continue;
                }
                // Whoever else brings it back, on this replica or another: it takes as long.
                Next::Wait
                    if self.limits.wake
                        && self.not_woken.is_none()
                        && self.asked.wakes(route.key.as_ref()) =>
                {
                    self.limit = self.limit.max(self.limits.waking);
                }
                Next::Wait => {}
            }
            self.was_held = true;
            let changed = sessions.changed(&route);
            if timeout_at(self.begun + self.limit, changed).await.is_err() {
                return Err(overdue(&route.state, self.begun.elapsed(), self.not_woken.take()));
            }
        }
    }
}
