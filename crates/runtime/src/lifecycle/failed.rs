//! What a failed start leaves where it is to be kept, and how a session that is kept so is started again.
//!
//! ```text
//!   start fails        --> the record is marked --> the pod goes
//!   it is opened again --> what is left of the pod goes --> the mark goes --> a pod is made
//! ```
//!
//! The mark comes first and goes last, so that a client that dies in between leaves a failed session, with which the next
//! one goes on from there. Only who made the record or took the mark away sets it. Whoever else makes a pod for the session
//! looks at the record afterwards ([`OpenOperation::is_still_to_start`]), and its pod goes where the mark stands by then: who
//! sets the mark takes away any pod that was made before.

use futures::future::BoxFuture;
use jiff::Timestamp;
use podbay_manifests::Record;
use podbay_protocol::{StartFailure, Verdict};

use super::marks::{Marked, clear_failed, mark_failed};
use super::open::OpenOperation;
use super::workload::{self, Workload};
use crate::context::is_owned;
use crate::error::Error;
use crate::wait::wait_until_deleted;

/// The failure of a start that so many `earlier` ones have preceded, if the error tells one: a start that was cancelled, or
/// refused for want of a place, has not failed.
pub(super) fn failure_of(error: &Error, earlier: u32) -> Option<StartFailure> {
    match error {
        Error::Start { verdict, times, .. } => {
            let verdict = Verdict::clone(verdict);
            let attempt = earlier.saturating_add(1);
            Some(StartFailure::new(verdict, *times, attempt, Timestamp::now()))
        }
        _ => None,
    }
}

impl OpenOperation {
    /// Marks the session as failed and frees its pod, unless that is to stay.
    pub(super) fn leave_failed<'a>(
        &'a self,
        record: &'a Record,
        failure: &'a StartFailure,
        keep_pod: bool,
    ) -> BoxFuture<'a, Result<Marked, Error>> {
        Box::pin(async move {
            let marked = mark_failed(self.session(), record, failure).await?;
            if marked == Marked::Failed && !keep_pod {
                self.free_pod(record).await;
            }
            Ok(marked)
        })
    }

    /// Frees whatever runs the session. Where that fails, the mark stands, and the next start does it.
    async fn free_pod(&self, record: &Record) {
        let session = self.session();
        let key = workload::key(&record.spec);
        let freed = match session.get(&key).await {
            Ok(Some(found)) if is_owned(&found, &record.owner()) && !found.is_terminating() => {
                session.delete(&key, found.uid()).await
            }
            Ok(_) => Ok(true),
            Err(error) => Err(error),
        };
        if let Err(error) = freed {
            tracing::warn!(
                session = session.id.as_str(),
                error = error.chain(),
                "the pod of the failed start could not be removed"
            );
        }
    }

    /// Takes a failed session for a start by this client alone: removes what is left of its workload, then the mark. Returns
    /// its record; `None` if it has changed since it was found.
    pub(super) fn claim_failed<'a>(
        &'a self,
        record: &'a Record,
        leftover: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Option<Box<Record>>, Error>> {
        Box::pin(async move {
            let session = self.session();
            if let Some(uid) = leftover {
                // It was found after the record was read. If the mark still stands, it is none of a newer start.
                let found = session.record().await?;
                let unchanged = found.is_some_and(|found| {
                    found.uid == record.uid && found.resource_version == record.resource_version
                });
                if !unchanged {
                    return Ok(None);
                }
                let key = workload::key(&record.spec);
                session.delete(&key, uid).await?;
                wait_until_deleted(session, &key, uid, session.ctx.deletion_timeout).await?;
            }
            if self.cancel.is_cancelled() {
                // It stays failed.
                return Err(Error::Cancelled {
                    session: session.id.to_string(),
                    goes_on: true,
                });
            }
            let cleared = clear_failed(session, record, Timestamp::now()).await?;
            Ok(cleared.map(Box::new))
        })
    }

    /// Makes sure that a workload which this client has just made is not one of a start that was given up meanwhile, or of a session
    /// that was paused; if it is, removes it and tells why.
    pub(super) async fn is_still_to_start(&self, record: &Record, made: &Workload) -> Result<(), Error> {
        let session = self.session();
        let found = session.record().await?;
        let why = match found.filter(|found| found.uid == record.uid) {
            Some(Record {
                last_failure: Some(failure),
                ..
            }) => self.stays_failed(*failure),
            Some(Record { paused: true, .. }) => Error::Paused {
                session: session.id.to_string(),
            },
            _ => return Ok(()),
        };
        session.delete(&workload::key(&record.spec), made.uid()).await?;
        Err(why)
    }

    /// The failure that the session's record tells by now.
    pub(super) async fn failure_in(&self, record: &Record) -> Result<Option<StartFailure>, Error> {
        let found = self.session().record().await?;
        Ok(found
            .filter(|found| found.uid == record.uid)
            .and_then(|found| found.last_failure.map(|failure| *failure)))
    }

    /// The error that a failed session's record tells.
    pub(super) fn stays_failed(&self, failure: StartFailure) -> Error {
        Error::Start {
            session: self.spec.id().to_string(),
            verdict: Box::new(failure.verdict),
            times: failure.times,
            kept: false,
        }
    }
}
