//! Closing a session: one call deletes the record, and garbage collection all that it owns.

use podbay_config::WorkloadKind;
use podbay_k8s_client::{ClusterClient, DeleteOptions, Kind, Object, ObjectKey};
use podbay_manifests::labels::SESSION_ID;
use podbay_manifests::network_policy::{self, NetworkPolicyPlan};
use podbay_manifests::{Record, SessionId, SessionNames};
use serde::Serialize;
use tokio::time::Instant;

use super::ensure::Site;
use super::gone::wait_until_gone;
use super::{exposure, workload};
use crate::error::Error;

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

/// Deletes a session's record. Returns whether it was there.
pub(crate) async fn close_record(
    client: &dyn ClusterClient,
    session: &str,
    namespace: &str,
    record: &Record,
) -> Result<bool, Error> {
    let key = ObjectKey::new(Kind::ConfigMap, namespace, record.spec.names().object());
    client
        .delete(&key, DeleteOptions::only(&record.uid))
        .await
        .map_err(|source| Error::Call {
            session: session.to_owned(),
            source,
        })
}

/// Deletes a session's claim, if there is one and it is the session's. Returns whether there was one.
pub(crate) async fn delete_claim(
    client: &dyn ClusterClient,
    id: &SessionId,
    namespace: &str,
) -> Result<bool, Error> {
    let call = |source| Error::Call {
        session: id.to_string(),
        source,
    };
    let key = ObjectKey::new(
        Kind::PersistentVolumeClaim,
        namespace,
        SessionNames::of(id).claim(),
    );
    let Some(claim) = client.get(&key).await.map_err(call)? else {
        return Ok(false);
    };
    let owner = claim
        .metadata()
        .annotations
        .as_ref()
        .and_then(|annotations| annotations.get(SESSION_ID));
    if owner.map(String::as_str) != Some(id.as_str()) {
        return Err(Error::NameTaken {
            session: id.to_string(),
            object: key.to_string(),
        });
    }
    client
        .delete(&key, DeleteOptions::only(claim.uid()))
        .await
        .map_err(call)
}

/// Waits until the record of `record` and all that it owns is gone, at most the site's patience in all.
pub(crate) async fn wait_for_objects(site: Site<'_>, record: &Record) -> Result<(), Error> {
    let deadline = Instant::now() + site.patience;
    let left = || deadline.saturating_duration_since(Instant::now());
    for key in objects_of(record) {
        let found = site.client.get(&key).await.map_err(|source| site.call(source))?;
        let Some(object) = found else { continue };
        // One that a newer record owns is another session's by now.
        let owners = object.metadata().owner_references.clone().unwrap_or_default();
        let ours = match key.kind {
            Kind::ConfigMap => object.uid() == record.uid,
            _ => record.owner().owns(&owners),
        };
        if ours {
            wait_until_gone(site.client, site.id.as_str(), &key, object.uid(), left()).await?;
        }
    }
    wait_for_pods(
        Site {
            patience: left(),
            ..site
        },
        record,
    )
    .await
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

/// Waits until the pods of a session's Job are gone; garbage collection may not have come to them when the Job is gone already. Where the pod is the workload
/// itself there is nothing to do.
pub(super) async fn wait_for_pods(site: Site<'_>, record: &Record) -> Result<(), Error> {
    let spec = &record.spec;
    if spec.workload() == WorkloadKind::Pod {
        return Ok(());
    }
    let deadline = Instant::now() + site.patience;
    let pods = workload::pods(site, spec).await?;
    // A newer session of the same name has its own pods. Asked after the list: a Job that made one of them is there.
    let job = site.client.get(&workload::key(spec)).await;
    let other = job.map_err(|source| site.call(source))?.filter(|job| {
        let owners = job.metadata().owner_references.as_deref().unwrap_or_default();
        !record.owner().owns(owners)
    });
    for pod in pods {
        let owners = pod.metadata().owner_references.iter().flatten();
        if other
            .as_ref()
            .is_some_and(|job| owners.clone().any(|owner| owner.uid == job.uid()))
        {
            continue;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        wait_until_gone(site.client, site.id.as_str(), &pod.key(), pod.uid(), left).await?;
    }
    Ok(())
}
