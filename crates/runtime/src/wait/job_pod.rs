//! Waiting for the pod that a Job makes.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, Pod};
use podbay_k8s_client::{Error as ClientError, ErrorKind, Object, ObjectKey};
use podbay_protocol::{Cause, Hint, PhaseTimes, Verdict};
use tokio::time::Instant;

use super::{start_failed, watch_failed};
use crate::context::SessionContext;
use crate::error::Error;
use crate::index::{PodState, SessionReceiver};
use crate::readiness::of_creation;

/// How long a Job may have no pod before its events are read: its controller makes one within some tens of milliseconds,
/// and tells of a refusal there alone.
const LOOK: Duration = Duration::from_secs(1);

/// A Job whose pod is waited for.
pub(crate) struct JobPod<'a> {
    pub(crate) session: SessionContext<'a>,
    pub(crate) job: ObjectKey,
    pub(crate) uid: &'a str,
}

/// Waits until `is_its` holds for the pod that is there.
pub(crate) async fn wait_for_pod_of_job(
    wanted: JobPod<'_>,
    is_its: impl Fn(&Pod) -> bool + Send,
    receiver: &mut SessionReceiver,
) -> Result<Arc<Pod>, Error> {
    let JobPod { session, job, uid } = wanted;
    let (client, timeout) = (&session.ctx.client, session.ctx.grace_periods.start);
    let deadline = Instant::now() + timeout;
    let mut look = Instant::now() + LOOK;
    let mut between = LOOK;
    loop {
        match receiver.pod() {
            PodState::Present(pod) if is_its(&pod) && pod.metadata.deletion_timestamp.is_none() => {
                return Ok(pod);
            }
            PodState::Failed(error) => return Err(watch_failed(session.id, &error)),
            PodState::Present(_) | PodState::Unseen | PodState::Gone(_) => {}
        }
        tokio::select! {
            () = receiver.changed() => {}
            () = tokio::time::sleep_until(look.min(deadline)) => {
                let now = Instant::now();
                let refusal = match client.events(&job, uid).await {
                    Ok(events) => refusal(&events),
                    // Events only add to what is known; the right to read them may be missing.
                    Err(_) => None,
                };
                if let Some(verdict) = refusal {
                    return Err(start_failed(session.id, verdict, PhaseTimes::default()));
                }
                if now >= deadline {
                    let found = client.get(&job).await;
                    let job = found.ok().flatten().and_then(Object::into_job);
                    let verdict = no_pod(job.as_ref(), timeout);
                    return Err(start_failed(session.id, verdict, PhaseTimes::default()));
                }
                between *= 2;
                look = now + between;
            }
        }
    }
}

/// Why a Job has made no pod within `timeout`. `job` is as it was read last, `None` if it can't be read.
fn no_pod(job: Option<&Job>, timeout: Duration) -> Verdict {
    let seconds = timeout.as_secs();
    // Queues (Kueue, Volcano) hold a Job back by `spec.suspend` until they admit it.
    let suspended = job.and_then(|job| job.spec.as_ref()?.suspend).unwrap_or_default();
    if suspended {
        return Verdict::new(
            Cause::Capacity,
            format!("the Job is suspended: a queue has not admitted it within {seconds} s"),
            Hint::CheckQueue,
        );
    }
    Verdict::new(
        Cause::Deadline,
        format!("the Job made no pod within {seconds} s"),
        Hint::DescribeJob,
    )
}

/// Why the Job controller could not create the pod: `Error creating: pods "x" is forbidden: …`.
fn refusal(events: &[Event]) -> Option<Verdict> {
    let message = events
        .iter()
        .rev()
        .find(|event| event.reason.as_deref() == Some("FailedCreate"))?
        .message
        .clone()?;
    let words = message.strip_prefix("Error creating: ").unwrap_or(&message);
    of_creation(&ClientError::new("create pod", ErrorKind::Forbidden).with_message(words))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::batch::v1::JobSpec;
    use podbay_protocol::Retry;

    use super::*;

    #[test]
    fn a_job_that_a_queue_holds_back_is_told_from_one_that_nobody_looks_at() {
        let job = |suspend| Job {
            spec: Some(JobSpec {
                suspend,
                ..JobSpec::default()
            }),
            ..Job::default()
        };
        let timeout = Duration::from_secs(300);
        let held = no_pod(Some(&job(Some(true))), timeout);
        assert_eq!((held.cause, held.retry), (Cause::Capacity, Retry::Same));
        assert!(held.message.contains("suspended"), "{held}");
        for other in [None, Some(job(Some(false))), Some(job(None))] {
            assert_eq!(no_pod(other.as_ref(), timeout).cause, Cause::Deadline);
        }
    }

    #[test]
    fn the_controllers_words_become_a_verdict() {
        let event = |message: &str| Event {
            reason: Some("FailedCreate".to_owned()),
            message: Some(message.to_owned()),
            ..Event::default()
        };
        let verdict = refusal(&[event(
            "Error creating: pods \"x\" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1",
        )])
        .unwrap();
        assert_eq!(verdict.cause, Cause::Quota);
        assert!(verdict.message.starts_with("pods \"x\""), "{}", verdict.message);
        assert_eq!(refusal(&[]), None);
    }
}
