//! From a session's record and pods to its state.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Event, Pod};
use podbay_manifests::{Record, RecordError};
use podbay_protocol::{Cause, Hint, SessionState, StartPhase, Verdict};

use super::degraded::unresponsive_server;
use crate::pod::{is_of_another_record, preferred_pod};
use crate::readiness::{end_by_events, end_of_pod, hopeless, is_vague, node_lost, phase_of};

/// How long a record may be there without a pod before its session counts as lost: its creator writes the objects one after
/// the other, under a rate limit, and may have died.
const BEGINNING: SignedDuration = SignedDuration::from_secs(30);

/// The state of a session at `now`.
///
/// `pods` are those with the session's label, in any order; those of an earlier record of the same session are passed
/// over. `events` are those about the pod that counts, oldest first; `None` if nobody has read them. Without them a
/// pod that has not failed by its own status is starting, whatever holds it up: what is only told in events is not guessed.
pub(crate) fn session_state<'a>(
    record: Result<&Record, &RecordError>,
    pods: impl IntoIterator<Item = &'a Pod>,
    events: Option<&[Event]>,
    now: Timestamp,
) -> SessionState {
    let Ok(record) = record else {
        return SessionState::Unreadable;
    };
    if record.deleted.is_some() {
        return SessionState::Stopping;
    }
    let owner = record.owner();
    let (earlier, own): (Vec<&Pod>, Vec<&Pod>) = pods
        .into_iter()
        .partition(|pod| is_of_another_record(pod, &owner));
    let pod = preferred_pod(own);
    if record.paused && pod.is_none_or(is_going) {
        return SessionState::Paused;
    }
    // What is left of its pod was judged when the start was given up.
    if let Some(failure) = &record.last_failure {
        return SessionState::Failed(failure.verdict.clone());
    }
    match pod {
        Some(pod) => state_of_pod(pod, record.spec.server().is_some(), events),
        // The pod of the session it replaces has the name that its own is to have.
        None if !earlier.is_empty() || is_beginning(record, now) => {
            SessionState::Starting(StartPhase::Creating)
        }
        None => SessionState::Lost(pod_is_gone()),
    }
}

fn state_of_pod(pod: &Pod, server: bool, events: Option<&[Event]>) -> SessionState {
    if let Some(verdict) = end_of_pod(pod) {
        let told = events.filter(|_| is_vague(&verdict)).and_then(end_by_events);
        return SessionState::Lost(told.unwrap_or(verdict));
    }
    if let Some(verdict) = node_lost(pod) {
        return SessionState::Lost(verdict);
    }
    let phase = phase_of(pod, server);
    if phase == StartPhase::Ready {
        return SessionState::Ready(None);
    }
    if let Some(degraded) = unresponsive_server(pod, events).filter(|_| server) {
        return SessionState::Ready(Some(degraded));
    }
    match hopeless(pod, events) {
        Some(verdict) => SessionState::Failed(verdict),
        None => SessionState::Starting(phase),
    }
}

/// Whether a pod is being deleted, or has ended.
fn is_going(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some() || end_of_pod(pod).is_some()
}

/// Whether the record was made, or started again, so short a time ago that who did it may still be about to make the pod.
/// One from the future is not: the clocks differ, and nothing can be concluded from them.
fn is_beginning(record: &Record, now: Timestamp) -> bool {
    let created = record.created.as_ref().map(|created| created.0);
    [created, record.started_again]
        .into_iter()
        .flatten()
        .any(|begun| now.duration_since(begun).abs() < BEGINNING)
}

/// The verdict on a session whose record is there and whose pod is not.
pub(crate) fn pod_is_gone() -> Verdict {
    Verdict::new(Cause::Deleted, "the session's pod is gone", Hint::OpenAgain)
}
