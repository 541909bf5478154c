//! Pausing a session: its pod goes, its record, its claim and its other objects stay.

use podbay_k8s_client::Object;
use podbay_manifests::Record;

use super::close::wait_for_pods;
use super::marks::mark_paused;
use super::workload::{self, suspend};
use crate::context::{SessionContext, is_owned};
use crate::error::{Error, ForSession as _};
use crate::wait::wait_until_deleted;

/// Pauses the session of `record`. Safe to repeat.
///
/// The record is marked first: a client that dies between the two steps leaves a session that says it is paused and has a
/// pod, which the next pause or resume puts right; the other order would leave one that looks lost.
pub(crate) async fn pause(session: SessionContext<'_>, record: &Record, wait: bool) -> Result<(), Error> {
    if !record.spec.persistent() {
        return Err(Error::NothingToKeep {
            session: record.id().to_string(),
        });
    }
    mark_paused(session, record, true).await?;
    let (key, timeout) = (workload::key(&record.spec), session.ctx.deletion_timeout);
    let found = session.get(&key).await?;
    match found.filter(|object| is_owned(object, &record.owner())) {
        Some(Object::Job(job)) => suspend(session, &record.spec, &job, true)
            .await
            .for_session(session.id)?,
        Some(pod) => {
            session.delete(&key, pod.uid()).await?;
            if wait {
                wait_until_deleted(session, &key, pod.uid(), timeout).await?;
            }
        }
        None => {}
    }
    if wait {
        wait_for_pods(session, record, timeout).await?;
    }
    Ok(())
}
