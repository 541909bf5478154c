//! Pausing a session: its pod goes, its record, its claim and its other objects stay.

use podbay_k8s_client::{DeleteOptions, Kind, Object, ObjectKey};
use podbay_manifests::Record;
use podbay_manifests::labels::PAUSED;
use serde_json::{Value, json};

use super::close::wait_for_pods;
use super::ensure::Site;
use super::gone::wait_until_gone;
use super::workload::{self, suspend};
use crate::error::Error;

/// Pauses the session of `record`. Safe to repeat.
///
/// The record is marked first: a client that dies between the two steps leaves a session that says it is paused and has a
/// pod, which the next pause or resume puts right; the other order would leave one that looks lost.
pub(crate) async fn pause(site: Site<'_>, record: &Record, wait: bool) -> Result<(), Error> {
    if !record.spec.persistent() {
        return Err(Error::NothingToKeep {
            session: record.id().to_string(),
        });
    }
    mark(site, record, true).await?;
    let key = workload::key(&record.spec);
    let call = |source| site.call(source);
    let found = site.client.get(&key).await.map_err(call)?.filter(|object| {
        let owners = object.metadata().owner_references.as_deref().unwrap_or_default();
        record.owner().owns(owners)
    });
    match found {
        Some(Object::Job(job)) => suspend(site, &record.spec, &job, true).await.map_err(call)?,
        Some(pod) => {
            let options = DeleteOptions::only(pod.uid());
            site.client.delete(&key, options).await.map_err(call)?;
            if wait {
                wait_until_gone(site.client, site.id.as_str(), &key, pod.uid(), site.patience).await?;
            }
        }
        None => {}
    }
    if wait {
        wait_for_pods(site, record).await?;
    }
    Ok(())
}

/// Writes down whether a session is paused.
pub(crate) async fn mark(site: Site<'_>, record: &Record, paused: bool) -> Result<(), Error> {
    let key = ObjectKey::new(
        Kind::ConfigMap,
        record.spec.namespace(),
        record.spec.names().object(),
    );
    let value = if paused { json!("true") } else { Value::Null };
    let patch = json!({"metadata": {"uid": record.uid, "annotations": {PAUSED: value}}});
    site.client
        .patch(&key, patch)
        .await
        .map(drop)
        .map_err(|source| site.call(source))
}
