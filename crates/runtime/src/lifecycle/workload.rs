//! What runs a session: its pod, or the Job that makes one.

use std::sync::Arc;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use podbay_config::WorkloadKind;
use podbay_k8s_client::{Error as ClientError, ErrorKind, Kind, Object, ObjectKey};
use podbay_manifests::{Owner, SessionSpec, job, pod};
use podbay_protocol::StartPhase;
use serde_json::json;

use super::apply::Ensured;
use super::plan::WorkloadState;
use crate::context::{SessionContext, is_owned};
use crate::error::{Error, ForSession as _};
use crate::pod::{is_finished, outline};
use crate::readiness::phase_of;
use crate::wait::wait_until_deleted;

/// Conditions of a Job that has ended, or is about to: the last two are set before the others, while its pods still end
/// (`batch/v1` `JobConditionType`).
const ENDS: [&str; 4] = ["Complete", "Failed", "SuccessCriteriaMet", "FailureTarget"];

/// Label that puts a Job into a queue of Kueue's.
const QUEUE: &str = "kueue.x-k8s.io/queue-name";

/// A workload that is there.
#[derive(Clone, Debug)]
pub(crate) enum Workload {
    /// The pod itself, in outline.
    Pod(Arc<Pod>),
    /// A Job; its pod has a name of the Job controller's making.
    Job(Box<Job>),
}

impl Workload {
    /// The workload that an object is, if it is one.
    fn of(object: Object) -> Option<Self> {
        match object {
            Object::Pod(pod) => Some(Self::Pod(Arc::new(outline(*pod)))),
            Object::Job(job) => Some(Self::Job(job)),
            _ => None,
        }
    }

    /// Whether its container runs, as far as the workload itself tells.
    pub(crate) fn runs(&self) -> bool {
        match self {
            // The phase of a pod stays `Pending` while another container of it can't start.
            Self::Pod(pod) => phase_of(pod, false) == StartPhase::Ready,
            Self::Job(job) => job
                .status
                .as_ref()
                .and_then(|status| status.ready)
                .is_some_and(|ready| ready > 0),
        }
    }

    /// Its UID.
    pub(crate) fn uid(&self) -> &str {
        let metadata = match self {
            Self::Pod(pod) => &pod.metadata,
            Self::Job(job) => &job.metadata,
        };
        metadata.uid.as_deref().unwrap_or_default()
    }

    /// Whether `pod` is this workload's.
    pub(crate) fn has(&self, pod: &Pod) -> bool {
        match self {
            Self::Pod(own) => own.metadata.uid == pod.metadata.uid,
            Self::Job(job) => pod
                .metadata
                .owner_references
                .iter()
                .flatten()
                .any(|owner| job.metadata.uid.as_ref() == Some(&owner.uid)),
        }
    }
}

/// The key of what runs the session `spec`.
pub(crate) fn key(spec: &SessionSpec) -> ObjectKey {
    let kind = match spec.workload() {
        WorkloadKind::Pod => Kind::Pod,
        WorkloadKind::Job => Kind::Job,
    };
    ObjectKey::new(kind, spec.namespace(), spec.names().object())
}

/// Creates the workload, or adopts it. A Job is suspended at first: [`resume_job`] has it make its pod.
pub(super) async fn apply(
    session: SessionContext<'_>,
    spec: &SessionSpec,
    owner: &Owner,
) -> Result<Ensured<Workload>, Error> {
    let object = match spec.workload() {
        WorkloadKind::Pod => Object::from(pod::pod(spec, owner)),
        WorkloadKind::Job => {
            let mut job = job::job(spec, owner);
            job.spec.get_or_insert_default().suspend = Some(true);
            Object::from(job)
        }
    };
    let key = object.key();
    let ensured = session.apply(object, owner).await?;
    let created = ensured.is_created();
    let workload = Workload::of(ensured.into_inner()).ok_or_else(|| session.name_taken(&key))?;
    Ok(if created {
        Ensured::Created(workload)
    } else {
        Ensured::Adopted(workload)
    })
}

/// Finds the workload of a session that exists. A Job whose pod has ended has ended too, although its controller has not
/// said so yet.
pub(super) async fn find(
    session: SessionContext<'_>,
    spec: &SessionSpec,
    owner: &Owner,
) -> Result<WorkloadState, Error> {
    let found = session.get(&key(spec)).await?;
    let Some(object) = found.filter(|object| !object.is_terminating() && is_owned(object, owner)) else {
        return Ok(WorkloadState::Missing);
    };
    let (uid, over) = (object.uid().to_owned(), is_over(&object));
    let Some(workload) = Workload::of(object) else {
        return Ok(WorkloadState::Missing);
    };
    if over || matches!(workload, Workload::Job(_)) && has_ended_pod(session, &workload).await? {
        Ok(WorkloadState::Ended { uid })
    } else {
        Ok(WorkloadState::Live(workload))
    }
}

/// Whether a pod of this Job has ended.
async fn has_ended_pod(session: SessionContext<'_>, job: &Workload) -> Result<bool, Error> {
    let pods = session.pods().await?;
    Ok(pods
        .into_iter()
        .filter_map(Object::into_pod)
        .any(|pod| job.has(&pod) && pod.metadata.deletion_timestamp.is_none() && is_finished(&pod)))
}

/// Whether a workload has ended for good: a pod with `restartPolicy: Never`, a Job with `backoffLimit: 0`.
pub(super) fn is_over(object: &Object) -> bool {
    match object {
        Object::Pod(pod) => is_finished(pod),
        Object::Job(job) => job
            .status
            .iter()
            .flat_map(|status| status.conditions.iter().flatten())
            .any(|condition| ENDS.contains(&condition.type_.as_str()) && condition.status == "True"),
        _ => false,
    }
}

/// Suspends a session's Job, or lets it go on. Suspended, the Job controller deletes its pod.
pub(super) async fn suspend(
    session: SessionContext<'_>,
    spec: &SessionSpec,
    job: &Job,
    suspend: bool,
) -> Result<(), ClientError> {
    let patch = json!({"metadata": {"uid": job.metadata.uid}, "spec": {"suspend": suspend}});
    session.ctx.client.patch(&key(spec), patch).await.map(drop)
}

/// Has a Job make its pod: one that was just created, or that a pause has suspended. A queue lets its own go itself.
pub(super) async fn resume_job(
    session: SessionContext<'_>,
    spec: &SessionSpec,
    owner: &Owner,
    workload: &Workload,
) -> Result<(), Error> {
    if let Workload::Job(job) = workload
        && is_suspended(job)
        && !is_queued(job)
    {
        unsuspend_job(session, spec, owner, workload, job).await?;
    }
    Ok(())
}

/// First waits until the pods of an earlier Job of the session are gone: a Job is gone before its pods are, and theirs have
/// other names. No earlier Job can come back meanwhile, because this one has its name.
async fn unsuspend_job(
    session: SessionContext<'_>,
    spec: &SessionSpec,
    owner: &Owner,
    workload: &Workload,
    job: &Job,
) -> Result<(), Error> {
    for object in session.pods().await? {
        let (pod, uid) = (object.key(), object.uid().to_owned());
        let others = session.is_ours(&object) && !object.into_pod().is_some_and(|pod| workload.has(&pod));
        if others {
            session.check_owner(owner).await?;
            wait_until_deleted(session, &pod, &uid, session.ctx.deletion_timeout).await?;
        }
    }
    match suspend(session, spec, job, false).await {
        Ok(()) => Ok(()),
        // It went with its record.
        Err(error) if matches!(error.kind, ErrorKind::NotFound | ErrorKind::Conflict) => {
            session.check_owner(owner).await?;
            Err(error).for_session(session.id)
        }
        Err(error) => Err(error).for_session(session.id),
    }
}

/// Whether a Job is suspended.
fn is_suspended(job: &Job) -> bool {
    job.spec.as_ref().and_then(|spec| spec.suspend).unwrap_or(false)
}

/// Whether a queue decides when a Job may make its pod: Kueue does for Jobs with this label, and suspends again what others
/// let go (<https://kueue.sigs.k8s.io/docs/tasks/run/jobs/>).
fn is_queued(job: &Job) -> bool {
    let labels = job.metadata.labels.as_ref();
    labels.is_some_and(|labels| labels.contains_key(QUEUE))
}
