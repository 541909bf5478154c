//! All sessions of this machine.

use std::sync::{Arc, PoisonError};

use futures::{StreamExt as _, stream};
use podbay_k8s_client::Selector;
use podbay_manifests::{Record, SessionOwner};
use tokio::task::spawn_blocking;

use super::record;
use super::seen::Seen;
use super::session::LocalSession;
use crate::error::Error;
use crate::lifecycle::Closed;
use crate::machine::{Keeper, Machine};

/// Sessions closed at once.
const CLOSING_AT_ONCE: usize = 16;

/// The sessions whose labels `selector` asks for, of `owner` if one is named, by id. Those that can't be read are left out, and
/// told in the log. What killed agents have left is killed.
pub(crate) async fn list(
    machine: &Arc<Machine>,
    owner: Option<&SessionOwner>,
    selector: &str,
) -> Result<Vec<Seen>, Error> {
    let selector: Selector = selector.parse().map_err(|source| Error::Selector { source })?;
    let mut seen = Vec::new();
    for record in records(machine).await? {
        let labels: std::collections::BTreeMap<String, String> = record
            .spec
            .labels()
            .iter()
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        let is_owners = owner.is_none_or(|owner| record.spec.owner() == Some(owner));
        if is_owners && selector.matches(Some(&labels)) {
            // One that was closed meanwhile is not there.
            seen.extend(LocalSession::of(machine, &record).look().await?);
        }
    }
    seen.sort_by(|one, other| one.record.id().cmp(other.record.id()));
    Ok(seen)
}

async fn records(machine: &Arc<Machine>) -> Result<Vec<Record>, Error> {
    let sessions = match &machine.keeper {
        Keeper::Process(all) => {
            let all = all.lock().unwrap_or_else(PoisonError::into_inner);
            return Ok(all.values().map(|session| session.record.clone()).collect());
        }
        Keeper::Agents(sessions) => sessions.clone(),
    };
    let found = spawn_blocking(move || sessions.list()).await;
    // The runtime is being shut down: nobody asks any longer.
    let found = found.unwrap_or_else(|_| Ok(Vec::new()));
    let found = found.map_err(|source| Error::Machines {
        source: Box::new(source),
    })?;
    let mut records = Vec::new();
    for session in found {
        match session.file.map(|file| record::read(&file)) {
            Ok(Ok(record)) => records.push(record),
            Ok(Err(error)) => tracing::warn!(%error, name = %session.name, "a session can't be read"),
            Err(error) => tracing::warn!(%error, name = %session.name, "a session can't be read"),
        }
    }
    Ok(records)
}

/// Ends sessions that were listed. One that can't be ended does not keep the others from it.
pub(crate) async fn close(machine: &Arc<Machine>, listed: Vec<Seen>) -> Vec<Result<Closed, Error>> {
    let closing = stream::iter(listed).map(|seen| {
        let session = LocalSession::of(machine, &seen.record);
        async move { session.close().await }
    });
    closing.buffered(CLOSING_AT_ONCE).collect().await
}
