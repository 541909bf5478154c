//! Waiting for a pod: the shared watch and the clock on one side, [`super::progress`] on the other.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use podbay_k8s_client::{ClusterClient, Kind, ObjectKey};
use podbay_protocol::{Cause, Hint, PhaseTimes, StartPhase, Verdict};
use tokio::time::Instant;

use super::end::end_of_pod;
use super::last_words::with_last_words;
use super::progress::{Decision, Graces, Start};
use crate::error::Error;
use crate::watch::{PodFollower, PodState};

/// Which pod is waited for, and how.
pub(crate) struct Progress<'a> {
    pub(crate) client: &'a dyn ClusterClient,
    pub(crate) session: &'a str,
    pub(crate) namespace: &'a str,
    pub(crate) pod_name: &'a str,
    /// The pod's UID: an older pod of the same name is not ours.
    pub(crate) uid: &'a str,
    pub(crate) server: bool,
    pub(crate) graces: Graces,
    /// How long it took to write the objects.
    pub(crate) creating: Duration,
    /// Told of each step as it begins.
    pub(crate) on_phase: &'a (dyn Fn(StartPhase) + Send + Sync),
}

/// Waits until the pod is ready, and returns the seconds of each step.
pub(crate) async fn wait_until_ready(
    progress: Progress<'_>,
    follower: &mut PodFollower,
) -> Result<PhaseTimes, Error> {
    let Progress {
        client,
        session,
        namespace,
        pod_name,
        uid,
        server,
        graces,
        creating,
        on_phase,
    } = progress;
    let mut start = Start::new(graces, server, creating, Instant::now());
    let mut events = Vec::new();
    let mut told = None;
    loop {
        let pod = match follower.state() {
            PodState::Present(pod) if pod.metadata.uid.as_deref() == Some(uid) => Some(pod),
            PodState::Gone(pod) if pod.metadata.uid.as_deref() == Some(uid) => {
                return Err(failed(session, gone(&pod), start.times(Instant::now())));
            }
            PodState::Failed(error) => {
                return Err(Error::Call {
                    session: session.to_owned(),
                    source: copy_of(&error),
                });
            }
            PodState::Unseen | PodState::Present(_) | PodState::Gone(_) => None,
        };
        let now = Instant::now();
        let decision = start.observe(pod.as_deref(), &events, now);
        if told != Some(start.phase()) {
            told = Some(start.phase());
            on_phase(start.phase());
        }
        match decision {
            Decision::Ready => return Ok(start.times(now)),
            Decision::GiveUp(verdict) => {
                let verdict = with_last_words(client, namespace, pod_name, *verdict).await;
                return Err(failed(session, verdict, start.times(now)));
            }
            Decision::ReadEvents => {
                let key = ObjectKey::new(Kind::Pod, namespace, pod_name);
                match client.events(&key, uid).await {
                    Ok(read) => events = read,
                    // Events only add to what is known; the right to read them may be missing.
                    Err(error) => tracing::debug!(%error, "events could not be read"),
                }
            }
            Decision::Wait(until) => {
                tokio::select! {
                    () = follower.changed() => {}
                    () = tokio::time::sleep_until(until) => {}
                }
            }
        }
    }
}

pub(super) fn failed(session: &str, verdict: Verdict, times: PhaseTimes) -> Error {
    Error::Start {
        session: session.to_owned(),
        verdict: Box::new(verdict),
        times,
        kept: false,
    }
}

/// Why a pod that was there is gone.
fn gone(pod: &Pod) -> Verdict {
    end_of_pod(pod).unwrap_or_else(|| {
        Verdict::new(
            Cause::Deleted,
            "the pod was deleted while it started",
            Hint::ClosedBySomebody,
        )
    })
}

/// The watch's failure, for one of the many who wait on it.
pub(super) fn copy_of(error: &podbay_k8s_client::Error) -> podbay_k8s_client::Error {
    podbay_k8s_client::Error {
        operation: error.operation.clone(),
        kind: error.kind,
        message: error.message.clone(),
        source: None,
    }
}
