//! Waiting for a pod: the shared watch and the clock on one side, [`crate::readiness`] on the other.

use std::time::Duration;

use podbay_k8s_client::Kind;
use podbay_manifests::pod::CONTAINER;
use podbay_protocol::{PhaseTimes, StartPhase};
use tokio::time::Instant;

use super::claim_events::claim_events;
use super::log_tail::with_log_tail;
use super::{start_failed, watch_failed};
use crate::context::SessionContext;
use crate::error::Error;
use crate::index::{PodState, SessionReceiver};
use crate::readiness::{Decision, StartMonitor, culprit, deleted_while_starting};

/// Which pod is waited for, and how.
pub(crate) struct ReadyWait<'a> {
    pub(crate) session: SessionContext<'a>,
    pub(crate) pod_name: &'a str,
    /// The pod's UID: an older pod of the same name is not ours.
    pub(crate) uid: &'a str,
    /// Whether the session carries a server, which has to answer.
    pub(crate) server: bool,
    /// How long it took to write the objects.
    pub(crate) creating: Duration,
    /// Called with each step as it begins.
    pub(crate) on_phase: &'a (dyn Fn(StartPhase) + Send + Sync),
}

/// Waits until the pod is ready, and returns the seconds of each step.
pub(crate) async fn wait_until_ready(
    wait: ReadyWait<'_>,
    receiver: &mut SessionReceiver,
) -> Result<PhaseTimes, Error> {
    let ReadyWait {
        session,
        pod_name,
        uid,
        server,
        creating,
        on_phase,
    } = wait;
    let mut monitor = StartMonitor::new(session.ctx.grace_periods, server, creating, Instant::now());
    let event_list = session.ctx.event_lists.of(session.key(Kind::Pod, pod_name), uid);
    let mut events = Vec::new();
    let mut reported = None;
    loop {
        let pod = match receiver.pod() {
            PodState::Present(pod) if pod.metadata.uid.as_deref() == Some(uid) => Some(pod),
            PodState::Gone(pod) if pod.metadata.uid.as_deref() == Some(uid) => {
                let times = monitor.times(Instant::now());
                return Err(start_failed(session.id, deleted_while_starting(&pod), times));
            }
            PodState::Failed(error) => return Err(watch_failed(session.id, &error)),
            PodState::Unseen | PodState::Present(_) | PodState::Gone(_) => None,
        };
        let now = Instant::now();
        let decision = monitor.observe(pod.as_deref(), &events, now);
        if reported != Some(monitor.phase()) {
            reported = Some(monitor.phase());
            on_phase(monitor.phase());
        }
        match decision {
            Decision::Ready => return Ok(monitor.times(now)),
            Decision::GiveUp(verdict) => {
                let container = pod.as_deref().map_or(CONTAINER, culprit);
                let verdict = with_log_tail(session, pod_name, container, *verdict).await;
                return Err(start_failed(session.id, verdict, monitor.times(now)));
            }
            Decision::ReadEvents => {
                match event_list.read(&*session.ctx.client).await {
                    Ok(read) => events = read.to_vec(),
                    // Events only add to what is known; the right to read them may be missing.
                    Err(error) => tracing::debug!(%error, "events could not be read"),
                }
                if let Some(pod) = &pod {
                    events.extend(claim_events(session, pod).await);
                }
            }
            Decision::Wait(until) => {
                tokio::select! {
                    () = receiver.changed() => {}
                    () = tokio::time::sleep_until(until) => {}
                }
            }
        }
    }
}
