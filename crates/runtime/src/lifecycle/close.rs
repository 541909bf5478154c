//! Closing a session: one call deletes the record, and garbage collection all that it owns.

use std::time::Duration;

use podbay_k8s_client::{ClusterClient, DeleteOptions, Kind, ObjectKey};
use podbay_manifests::labels::SESSION_ID;
use podbay_manifests::{Record, SessionId, SessionNames};
use serde::Serialize;
use tokio::time::Instant;

use super::gone::wait_until_gone;
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

/// Waits until the record of `record` and all that it owns is gone, at most `timeout` in all.
pub(crate) async fn wait_for_objects(
    client: &dyn ClusterClient,
    record: &Record,
    namespace: &str,
    timeout: Duration,
) -> Result<(), Error> {
    let names = record.spec.names();
    let session = record.id().as_str();
    let deadline = Instant::now() + timeout;
    for (kind, name) in [
        (Kind::ConfigMap, names.object()),
        (Kind::Pod, names.object()),
        (Kind::Secret, names.secret()),
    ] {
        let key = ObjectKey::new(kind, namespace, name);
        let found = client.get(&key).await.map_err(|source| Error::Call {
            session: session.to_owned(),
            source,
        })?;
        let Some(object) = found else { continue };
        // One that a newer record owns is another session's by now.
        let owners = object.metadata().owner_references.clone().unwrap_or_default();
        if kind == Kind::ConfigMap && object.uid() != record.uid
            || kind != Kind::ConfigMap && !record.owner().owns(&owners)
        {
            continue;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        wait_until_gone(client, session, &key, object.uid(), left).await?;
    }
    Ok(())
}
