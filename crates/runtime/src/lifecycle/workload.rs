//! What runs a session: its pod, or the Job that makes one.

use std::sync::Arc;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use podbay_config::WorkloadKind;
use podbay_k8s_client::{DeleteOptions, Error as ClientError, ErrorKind, Kind, Object, ObjectKey};
use podbay_manifests::labels::selector_session;
use podbay_manifests::{Owner, SessionSpec, job, pod};
use serde_json::json;

use super::ensure::{Ensured, Site};
use super::gone::wait_until_gone;
use crate::error::Error;
use crate::pod_outline::outline;
use crate::state::is_finished;

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
            Self::Pod(pod) => {
                let status = pod.status.as_ref();
                status.and_then(|status| status.phase.as_deref()) == Some("Running")
            }
            Self::Job(job) => job
                .status
                .as_ref()
                .and_then(|status| status.ready)
                .is_some_and(|ready| ready > 0),
        }
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

/// Makes the workload, or adopts it. A Job is suspended at first: [`release`] lets it make its pod.
pub(crate) async fn ensure(
    site: Site<'_>,
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
    let ensured = site.owned(object, owner).await?;
    let created = ensured.is_created();
    let workload = Workload::of(ensured.into_inner()).ok_or_else(|| site.name_taken(&key))?;
    Ok(if created {
        Ensured::Created(workload)
    } else {
        Ensured::Adopted(workload)
    })
}

/// The workload of an adopted session, if it lives. A Job that is suspended does: its pod comes back. One whose pod has
/// ended does not, although its controller has not said so yet.
///
/// One that has ended for good is deleted here, to be made anew: a claim that is being deleted waits for it.
pub(crate) async fn living(
    site: Site<'_>,
    spec: &SessionSpec,
    owner: &Owner,
) -> Result<Option<Workload>, Error> {
    let found = site
        .client
        .get(&key(spec))
        .await
        .map_err(|source| site.call(source))?;
    let Some(object) = found.filter(|object| {
        let owners = object.metadata().owner_references.as_deref().unwrap_or_default();
        !object.is_terminating() && owner.owns(owners)
    }) else {
        return Ok(None);
    };
    let (uid, over) = (object.uid().to_owned(), is_over(&object));
    let workload = Workload::of(object);
    let over = match &workload {
        Some(job @ Workload::Job(_)) if !over => has_ended(site, spec, job).await?,
        _ => over,
    };
    if !over {
        return Ok(workload);
    }
    let deleted = site.client.delete(&key(spec), DeleteOptions::only(uid)).await;
    deleted.map_err(|source| site.call(source))?;
    Ok(None)
}

/// Whether a pod of this Job has ended.
async fn has_ended(site: Site<'_>, spec: &SessionSpec, job: &Workload) -> Result<bool, Error> {
    Ok(pods(site, spec)
        .await?
        .into_iter()
        .filter_map(Object::into_pod)
        .any(|pod| job.has(&pod) && pod.metadata.deletion_timestamp.is_none() && is_finished(&pod)))
}

/// All pods of a session. A Job's have names of its controller's making, so they are looked for by label.
pub(super) async fn pods(site: Site<'_>, spec: &SessionSpec) -> Result<Vec<Object>, Error> {
    let selector = selector_session(&spec.names());
    let pods = site.client.list(Kind::Pod, spec.namespace(), &selector).await;
    pods.map_err(|source| site.call(source))
}

/// Whether a workload has ended for good: a pod with `restartPolicy: Never`, a Job with `backoffLimit: 0`.
pub(crate) fn is_over(object: &Object) -> bool {
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
pub(crate) async fn suspend(
    site: Site<'_>,
    spec: &SessionSpec,
    job: &Job,
    suspend: bool,
) -> Result<(), ClientError> {
    let patch = json!({"metadata": {"uid": job.metadata.uid}, "spec": {"suspend": suspend}});
    site.client.patch(&key(spec), patch).await.map(drop)
}

/// Lets a Job that is suspended make its pod.
///
/// First the pods of an earlier Job of the session are waited out: a Job is gone before its pods are, and theirs have other
/// names. No earlier Job can come back meanwhile, because this one has its name.
pub(crate) async fn release(
    site: Site<'_>,
    spec: &SessionSpec,
    owner: &Owner,
    workload: &Workload,
    job: &Job,
) -> Result<(), Error> {
    for object in pods(site, spec).await? {
        let (pod, uid) = (object.key(), object.uid().to_owned());
        let others = site.is_ours(&object) && !object.into_pod().is_some_and(|pod| workload.has(&pod));
        if others {
            site.check_owner(spec.namespace(), owner).await?;
            wait_until_gone(site.client, site.id.as_str(), &pod, &uid, site.patience).await?;
        }
    }
    match suspend(site, spec, job, false).await {
        Ok(()) => Ok(()),
        // It went with its record.
        Err(error) if matches!(error.kind, ErrorKind::NotFound | ErrorKind::Conflict) => {
            site.check_owner(spec.namespace(), owner).await?;
            Err(site.call(error))
        }
        Err(error) => Err(site.call(error)),
    }
}

/// Whether a Job is suspended.
pub(crate) fn is_suspended(job: &Job) -> bool {
    job.spec.as_ref().and_then(|spec| spec.suspend).unwrap_or(false)
}

/// Whether a queue decides when a Job may make its pod: Kueue does for Jobs with this label, and suspends again what others
/// let go (<https://kueue.sigs.k8s.io/docs/tasks/run/jobs/>).
pub(crate) fn is_queued(job: &Job) -> bool {
    let labels = job.metadata.labels.as_ref();
    labels.is_some_and(|labels| labels.contains_key(QUEUE))
}
