//! What becomes of a start that has failed: rolled back, kept as it is, or left as a failed session.

use futures::future::BoxFuture;
use podbay_config::CleanupPolicy;
use podbay_k8s_client::Kind;
use podbay_manifests::Record;
use podbay_protocol::StartFailure;

use super::close::delete_record;
use super::failed::failure_of;
use super::marks::Marked;
use super::open::{FailedAttempt, OpenOperation};
use super::plan::OpenMode;
use crate::error::Error;

/// A session whose start was this client's to begin, and has failed.
pub(super) enum OwnSession {
    /// The attempt created it.
    New(NewSession),
    /// It was there, failed, and was started again.
    Failed {
        record: Box<Record>,
        earlier: Box<StartFailure>,
    },
}

/// A session that an attempt created.
pub(super) struct NewSession {
    pub(super) record: Box<Record>,
    /// The UID of its claim, if the attempt created it.
    pub(super) claim: Option<String>,
}

impl OpenOperation {
    /// Puts things back after an attempt that so many others have preceded, and waits until the next one may begin. Fails,
    /// with what is to be reported, if there is to be none.
    pub(super) fn before_next_attempt(
        &mut self,
        failed: FailedAttempt,
        retried: u32,
    ) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            let FailedAttempt { error, session } = failed;
            let Some(session) = session else {
                return Err(error);
            };
            let delay = error
                .verdict()
                .and_then(|verdict| self.retries.next(verdict.cause, retried))
                .filter(|_| !self.cancel.is_cancelled());
            let Some(delay) = delay else {
                return Err(match session {
                    OwnSession::New(new) => self.give_up(error, &new, retried).await,
                    OwnSession::Failed { record, earlier } => {
                        self.give_up_again(error, &record, &earlier).await
                    }
                });
            };
            tracing::info!(
                session = self.spec.id().as_str(),
                retried = retried + 1,
                error = error.chain(),
                "starting again"
            );
            let if_cancelled = match session {
                OwnSession::New(new) => {
                    self.roll_back(&new).await;
                    self.cancelled()
                }
                // From there the next attempt takes it again. Until then it has a verdict, and no place.
                OwnSession::Failed { record, earlier } => self.give_up_again(error, &record, &earlier).await,
            };
            // What was to be replaced has gone with the first attempt.
            if self.mode == OpenMode::Replace {
                self.mode = OpenMode::AttachOrCreate;
            }
            tokio::select! {
                () = tokio::time::sleep(delay) => Ok(()),
                () = self.cancel.cancelled() => Err(if_cancelled),
            }
        })
    }

    /// Removes or keeps what the last attempt created, after so many others. Returns the error to report.
    fn give_up<'a>(&'a self, error: Error, failed: &'a NewSession, retried: u32) -> BoxFuture<'a, Error> {
        Box::pin(async move {
            // Whose pod was deleted for that: whatever others do next with the session, it is theirs.
            if matches!(error, Error::Paused { .. }) {
                return error;
            }
            // Who cancels a start does not want to look into it, unless everything is to be kept.
            let cancelled = matches!(error, Error::Cancelled { .. });
            let keep = match self.spec.cleanup_policy() {
                CleanupPolicy::AlwaysKeep => true,
                CleanupPolicy::KeepOnFailure => !cancelled,
                CleanupPolicy::AlwaysClean => false,
            };
            if let Some(failure) = failure_of(&error, retried).filter(|_| self.keep_failed) {
                match self.leave_failed(&failed.record, &failure, keep).await {
                    Ok(Marked::Failed) if keep => return error.kept(),
                    Ok(Marked::Failed) => return error,
                    Ok(Marked::Paused | Marked::Closed) => {}
                    Err(unmarked) => tracing::warn!(
                        session = self.spec.id().as_str(),
                        error = unmarked.chain(),
                        "the failed session could not be kept"
                    ),
                }
            }
            // A session beyond the limit, or whose start was refused outright, holds nothing to look at.
            let nothing = matches!(
                error,
                Error::TooManySessions { .. } | Error::TooManyOfOwner { .. }
            );
            if keep && !nothing {
                return error.kept();
            }
            // Another client has paused the session while it started: it is to stay.
            let found = self.session().record().await;
            if matches!(found, Ok(Some(record)) if record.uid == failed.record.uid && record.paused) {
                return Error::Paused {
                    session: self.spec.id().to_string(),
                };
            }
            self.roll_back(failed).await;
            error
        })
    }

    /// Leaves a failed session that was started again as a failed one, if this start has failed too. Returns the error to
    /// report.
    fn give_up_again<'a>(
        &'a self,
        error: Error,
        record: &'a Record,
        earlier: &'a StartFailure,
    ) -> BoxFuture<'a, Error> {
        Box::pin(async move {
            let Some(failure) = failure_of(&error, earlier.attempt) else {
                return error;
            };
            let keep = self.spec.cleanup_policy() != CleanupPolicy::AlwaysClean;
            match self.leave_failed(record, &failure, keep).await {
                Ok(Marked::Failed) if keep => error.kept(),
                Ok(Marked::Failed | Marked::Closed) => error,
                Ok(Marked::Paused) => Error::Paused {
                    session: self.spec.id().to_string(),
                },
                Err(unmarked) => {
                    tracing::warn!(
                        session = self.spec.id().as_str(),
                        error = unmarked.chain(),
                        "the session could not be marked as failed"
                    );
                    error
                }
            }
        })
    }

    /// Removes what a start created. It fails only where the cluster does, and the error that stands is the first one.
    fn roll_back<'a>(&'a self, failed: &'a NewSession) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let session = self.session();
            if let Err(error) = delete_record(session, &failed.record).await {
                tracing::warn!(
                    session = session.id.as_str(),
                    error = error.chain(),
                    "what the failed start created could not be removed"
                );
            }
            let Some(uid) = &failed.claim else { return };
            // Another client may have opened the session again and taken the claim for its own.
            let next = session.record().await;
            if matches!(next, Ok(Some(record)) if record.uid != failed.record.uid) {
                return;
            }
            let key = session.key(Kind::PersistentVolumeClaim, session.names().claim());
            if let Err(error) = session.delete(&key, uid).await {
                tracing::warn!(
                    session = session.id.as_str(),
                    error = error.chain(),
                    "the claim of the failed start could not be removed"
                );
            }
        })
    }

    /// The error of a start that is another's. That one may have given it up and freed the pod, and knows why.
    pub(super) fn in_words_of_record<'a>(&'a self, error: Error, record: &'a Record) -> BoxFuture<'a, Error> {
        Box::pin(async move {
            if !matches!(error, Error::Start { .. } | Error::Unfinished { .. }) {
                return error;
            }
            match self.failure_in(record).await {
                Ok(Some(failure)) => self.stays_failed(failure),
                _ => error,
            }
        })
    }
}
