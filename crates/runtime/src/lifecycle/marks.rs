//! The marks of a session's record, annotations that change while it lives: paused, failed, started again, a pod lost.

use jiff::Timestamp;
use podbay_k8s_client::ErrorKind;
use podbay_manifests::Record;
use podbay_manifests::labels::{LAST_FAILURE, LAST_LOSS, PAUSED, STARTED_AGAIN};
use podbay_manifests::record::{last_failure_annotation, last_loss_annotation};
use podbay_protocol::{PodLoss, StartFailure};
use serde_json::{Value, json};

use crate::context::SessionContext;
use crate::error::{Error, ForSession as _};

/// How often a mark is tried to be set on a record that others change at the same moments.
const TRIES: u32 = 8;

/// What became of a session that was to be marked as failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marked {
    /// It is failed, by this call or by another's.
    Failed,
    /// It was paused meanwhile, and stays so.
    Paused,
    /// It was closed meanwhile.
    Closed,
}

/// Writes down whether a session is paused, and since when. Returns the version of the record that says so.
///
/// `record` is the session as it was found: of a pause and a resume at once one wins, and the other is told.
pub(super) async fn mark_paused(
    session: SessionContext<'_>,
    record: &Record,
    paused: bool,
) -> Result<Option<String>, Error> {
    let annotations = if paused {
        // What was lost before has nothing to say of the pod that comes after the pause.
        json!({PAUSED: Timestamp::now().to_string(), LAST_LOSS: Value::Null})
    } else {
        json!({PAUSED: Value::Null})
    };
    let (mut was_paused, mut version) = (record.paused, record.resource_version.clone());
    let mut tries = 0;
    loop {
        let patch = json!({"metadata": {
            "uid": record.uid, "resourceVersion": version, "annotations": annotations,
        }});
        let error = match session.ctx.client.patch(&session.record_key(), patch).await {
            Ok(patched) => return Ok(patched.metadata().resource_version.clone()),
            Err(error) => error,
        };
        if error.kind != ErrorKind::Conflict || tries >= TRIES {
            return Err(error).for_session(session.id);
        }
        tries += 1;
        let found = session.record().await?;
        let Some(found) = found.filter(|found| found.uid == record.uid) else {
            return Err(error).for_session(session.id);
        };
        if found.paused == paused {
            return Ok(found.resource_version);
        }
        if was_paused == paused {
            return Err(Error::Raced {
                session: session.id.to_string(),
                paused: found.paused,
            });
        }
        // Something else of it was changed.
        (was_paused, version) = (found.paused, found.resource_version);
    }
}

/// Writes down that a session's start has failed, unless the session was closed or paused meanwhile.
pub(super) async fn mark_failed(
    session: SessionContext<'_>,
    record: &Record,
    failure: &StartFailure,
) -> Result<Marked, Error> {
    let mut tries = 0;
    loop {
        let found = session.record().await?;
        let Some(found) = found.filter(|found| found.uid == record.uid) else {
            return Ok(Marked::Closed);
        };
        if found.last_failure.is_some() {
            return Ok(Marked::Failed);
        }
        if found.paused {
            return Ok(Marked::Paused);
        }
        let patch = json!({"metadata": {
            "uid": found.uid,
            "resourceVersion": found.resource_version,
            "annotations": {LAST_FAILURE: last_failure_annotation(failure), STARTED_AGAIN: Value::Null},
        }});
        match session.ctx.client.patch(&session.record_key(), patch).await {
            Ok(_) => return Ok(Marked::Failed),
            // Changed meanwhile, or gone; or written, and the answer was lost: the next look tells.
            Err(error)
                if tries < TRIES
                    && (matches!(error.kind, ErrorKind::Conflict | ErrorKind::NotFound)
                        || error.may_have_happened()) =>
            {
                tries += 1;
            }
            Err(error) => return Err(error).for_session(session.id),
        }
    }
}

/// Writes down that the session's pod was lost, before another takes its place. Returns the record with it; `None` if somebody else
/// has changed the record since it was found, who may have written the same.
pub(super) async fn mark_lost(
    session: SessionContext<'_>,
    record: &Record,
    loss: &PodLoss,
) -> Result<Option<Record>, Error> {
    let patch = json!({"metadata": {
        "uid": record.uid,
        "resourceVersion": record.resource_version,
        "annotations": {LAST_LOSS: last_loss_annotation(loss)},
    }});
    match session.ctx.client.patch(&session.record_key(), patch).await {
        Ok(object) => session.parse_record(object).map(Some),
        Err(error) if matches!(error.kind, ErrorKind::Conflict | ErrorKind::NotFound) => {
            let found = session.record().await?;
            Ok(found.filter(|found| found.uid == record.uid))
        }
        Err(error) => Err(error).for_session(session.id),
    }
}

/// Takes the marks of a failed session away, so that it can be started again: of several clients that try, one does it.
/// `record` is the session as it was found, `now` is told with the new start. Returns the record without the marks;
/// `None` if it is another by now.
pub(super) async fn clear_failed(
    session: SessionContext<'_>,
    record: &Record,
    now: Timestamp,
) -> Result<Option<Record>, Error> {
    let patch = json!({"metadata": {
        "uid": record.uid,
        "resourceVersion": record.resource_version,
        "annotations": {LAST_FAILURE: Value::Null, PAUSED: Value::Null, STARTED_AGAIN: now.to_string()},
    }});
    let error = match session.ctx.client.patch(&session.record_key(), patch).await {
        Ok(object) => return session.parse_record(object).map(Some),
        Err(error) => error,
    };
    if !matches!(error.kind, ErrorKind::Conflict | ErrorKind::NotFound) && !error.may_have_happened() {
        return Err(error).for_session(session.id);
    }
    // Where an answer was lost, the moment tells our own start from another's.
    let found = session.record().await?;
    Ok(found.filter(|found| {
        found.uid == record.uid && found.started_again == Some(now) && found.last_failure.is_none()
    }))
}
