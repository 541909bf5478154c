//! Closing a session: one call deletes the record, and garbage collection all that it owns.

use std::time::Duration;

use futures::future::BoxFuture;
use podbay_config::WorkloadKind;
use podbay_k8s_client::{Kind, Object, ObjectKey};
use podbay_manifests::network_policy::{self, NetworkPolicyPlan};
use podbay_manifests::{Record, SessionId};
use serde::Serialize;
use tokio::time::Instant;

use super::{exposure, workload};
use crate::context::{SessionContext, is_owned};
use crate::error::Error;
use crate::wait::wait_until_deleted;

/// What closing a session did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Closed {
    /// The session's id.
    pub session: String,
    /// Whether it was there.
    pub existed: bool,
    /// The claim that was kept, or deleted.
    pub claim: Option<RetainedClaim>,
}

/// A workspace claim that outlives its session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RetainedClaim {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Whether it was deleted too.
    pub deleted: bool,
}

impl Closed {
    /// One that was not there.
    pub(crate) fn missing(id: &SessionId) -> Self {
        Self {
            session: id.to_string(),
            existed: false,
            claim: None,
        }
    }
}

/// Ends the session of `record`, and keeps its claim. With `wait`, returns once all that it owned is gone.
///
/// Boxed, because it holds whole objects.
pub(crate) fn close<'a>(
    session: SessionContext<'a>,
    record: &'a Record,
    wait: bool,
) -> BoxFuture<'a, Result<Closed, Error>> {
    Box::pin(async move {
        let existed = delete_record(session, record).await?;
        if wait {
            wait_for_objects(session, record).await?;
        }
        Ok(Closed {
            session: session.id.to_string(),
            existed,
            claim: record.spec.claim().map(|_| RetainedClaim {
                name: record.spec.names().claim(),
                namespace: session.ctx.namespace.clone(),
                deleted: false,
            }),
        })
    })
}

/// Ends a session, whether it exists or not, and deletes its claim. Boxed as [`close`] is.
pub(crate) fn delete(session: SessionContext<'_>, wait: bool) -> BoxFuture<'_, Result<Closed, Error>> {
    Box::pin(async move {
        // First the claim, which stays while its pod does: from now on no new session takes it for its own, and one
        // that has taken it is found by the look at its record.
        let claim = delete_claim(session).await;
        let closed = match session.record().await? {
            Some(record) => close(session, &record, wait).await?,
            None => Closed::missing(session.id),
        };
        // If deleting the claim failed, the rest is deleted all the same, and the failure reported after that.
        let Some(uid) = claim? else {
            return Ok(Closed {
                claim: None,
                ..closed
            });
        };
        let key = session.key(Kind::PersistentVolumeClaim, session.names().claim());
        if wait {
            wait_until_deleted(session, &key, &uid, session.ctx.deletion_timeout).await?;
        }
        let claim = Some(RetainedClaim {
            name: key.name,
            namespace: key.namespace,
            deleted: true,
        });
        Ok(Closed { claim, ..closed })
    })
}

/// Deletes a session's record. Returns whether it was there.
pub(super) async fn delete_record(session: SessionContext<'_>, record: &Record) -> Result<bool, Error> {
    session.delete(&session.record_key(), &record.uid).await
}

/// Deletes a session's claim, if there is one and it is the session's. Returns its UID if there was one.
async fn delete_claim(session: SessionContext<'_>) -> Result<Option<String>, Error> {
    let key = session.key(Kind::PersistentVolumeClaim, session.names().claim());
    let Some(claim) = session.get(&key).await? else {
        return Ok(None);
    };
    if !session.is_ours(&claim) {
        return Err(session.name_taken(&key));
    }
    let existed = session.delete(&key, claim.uid()).await?;
    Ok(existed.then(|| claim.uid().to_owned()))
}

/// Waits until the record and all that it owns is gone, as long in all as a deletion may take.
pub(super) async fn wait_for_objects(session: SessionContext<'_>, record: &Record) -> Result<(), Error> {
    let deadline = Instant::now() + session.ctx.deletion_timeout;
    let left = || deadline.saturating_duration_since(Instant::now());
    for key in objects_of(record) {
        let Some(object) = session.get(&key).await? else {
            continue;
        };
        // One that a newer record owns is another session's by now.
        let ours = match key.kind {
            Kind::ConfigMap => object.uid() == record.uid,
            _ => is_owned(&object, &record.owner()),
        };
        if ours {
            wait_until_deleted(session, &key, object.uid(), left()).await?;
        }
    }
    wait_for_pods(session, record, left()).await
}

/// The record and what it owns itself, in the order in which they go.
fn objects_of(record: &Record) -> Vec<ObjectKey> {
    let spec = &record.spec;
    let (names, owner) = (spec.names(), record.owner());
    let key = |kind, name| ObjectKey::new(kind, spec.namespace(), name);
    let mut keys = vec![
        key(Kind::ConfigMap, names.object()),
        workload::key(spec),
        key(Kind::Secret, names.secret()),
    ];
    if let Some(NetworkPolicyPlan::Own(policy)) = network_policy::policy(spec, &owner) {
        keys.push(Object::from(policy).key());
    }
    keys.extend(exposure::objects(spec, &owner).iter().map(Object::key));
    keys
}

/// Waits until the pods of a session's Job are gone, `timeout` at most: garbage collection may not have come to them when
/// the Job is gone already. Where the pod is the workload itself there is nothing to do.
pub(super) async fn wait_for_pods(
    session: SessionContext<'_>,
    record: &Record,
    timeout: Duration,
) -> Result<(), Error> {
    let spec = &record.spec;
    if spec.workload() == WorkloadKind::Pod {
        return Ok(());
    }
    let deadline = Instant::now() + timeout;
    let pods = session.pods().await?;
    // A newer session of the same name has its own pods. Asked after the list: a Job that made one of them is there.
    let job = session.get(&workload::key(spec)).await?;
    let other = job.filter(|job| !is_owned(job, &record.owner()));
    for pod in pods {
        let mut owners = pod.metadata().owner_references.iter().flatten();
        if other
            .as_ref()
            .is_some_and(|job| owners.any(|owner| owner.uid == job.uid()))
        {
            continue;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        wait_until_deleted(session, &pod.key(), pod.uid(), left).await?;
    }
    Ok(())
}
