//! Opening a session: its record, what the record owns, and another try where the configuration says so.

use std::sync::Arc;
use std::time::Duration;

use podbay_config::CleanupPolicy;
use podbay_k8s_client::{ClusterClient, DeleteOptions, Kind, Object, ObjectKey};
use podbay_manifests::{Record, SessionSecrets, SessionSpec};
use podbay_protocol::{PhaseTimes, StartPhase};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::close::{close_record, wait_for_objects};
use super::ensure::{Ensured, Site, nonce};
use super::network::SharedPolicies;
use super::retry::RetryPolicy;
use super::start::{Made, Started};
use crate::error::Error;
use crate::readiness::Graces;
use crate::watch::PodWatch;

/// A session about to be opened.
pub(crate) struct Opening {
    pub(crate) client: Arc<dyn ClusterClient>,
    pub(crate) spec: SessionSpec,
    pub(crate) secrets: SessionSecrets,
    pub(crate) watch: PodWatch,
    /// Whether other sessions of this process are watched by it too.
    pub(crate) shared_watch: bool,
    pub(crate) policies: Arc<SharedPolicies>,
    pub(crate) graces: Graces,
    pub(crate) retries: RetryPolicy,
    /// How many sessions the namespace may have at once, if there is a limit.
    pub(crate) limit: Option<u32>,
    pub(crate) deletion_timeout: Duration,
    pub(crate) intent: Intent,
    /// Told of each step as it begins.
    pub(crate) on_phase: Arc<dyn Fn(StartPhase) + Send + Sync>,
    /// Ends the start early; what it made is removed.
    pub(crate) cancel: CancellationToken,
}

/// What to do about a session that is there, or is not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Intent {
    /// Attach to one that is there, else make one.
    #[default]
    AttachOrCreate,
    /// Attach to one that is there (OpenHands' `attach_to_existing`); never make one.
    Attach,
    /// Close one that is there, and make it anew.
    Replace,
}

/// A session that takes commands.
pub(crate) struct Opened {
    pub(crate) record: Record,
    /// The name of its pod.
    pub(crate) pod: String,
    /// The seconds of each step; none where the session was there and ready.
    pub(crate) times: Option<PhaseTimes>,
    /// Whether it was there already.
    pub(crate) adopted: bool,
    /// Whether it was there without its pod, and got a new one.
    pub(crate) recreated: bool,
    /// Whether it was there, paused.
    pub(crate) resumed: bool,
}

impl Opening {
    /// Makes what is missing and waits until the session takes commands. What this call made is removed again
    /// when it fails, unless the clean-up policy keeps it.
    pub(crate) async fn open(mut self) -> Result<Opened, Error> {
        let mut retried = 0;
        loop {
            let (error, failed) = match self.attempt().await {
                Ok(opened) => return Ok(opened),
                Err(failure) => failure,
            };
            let delay = error
                .verdict()
                .and_then(|verdict| self.retries.next(verdict.cause, retried))
                .filter(|_| failed.is_some() && !self.cancel.is_cancelled());
            let Some(delay) = delay else {
                return Err(Box::pin(self.give_up(error, failed)).await);
            };
            retried += 1;
            tracing::info!(
                session = self.spec.id().as_str(),
                retried,
                error = error.chain(),
                "starting again"
            );
            if let Some(failed) = failed {
                Box::pin(self.roll_back(&failed)).await;
            }
            // What was to be replaced has gone with the first try.
            if self.intent == Intent::Replace {
                self.intent = Intent::AttachOrCreate;
            }
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                () = self.cancel.cancelled() => return Err(self.cancelled()),
            }
        }
    }

    /// One try. Each step has a box of its own, here and in [`Opening::start`]: while a session waits, which is most of its
    /// start, it keeps no room for the steps before; of thousands that start at once that is most of the memory.
    ///
    /// A failure comes with what the try has made, if it made the session.
    async fn attempt(&self) -> Result<Opened, (Error, Option<Failed>)> {
        let begun = Instant::now();
        (self.on_phase)(StartPhase::Creating);
        if self.shared_watch {
            self.watch.synced().await;
        }
        let record = Box::pin(self.record(&nonce()))
            .await
            .map_err(|error| (error, None))?;
        let adopted = !record.is_created();
        let record = record.into_inner();
        let mut made = Made::default();
        match self.start(&record, adopted, &mut made, begun).await {
            Ok(Started { pod, times }) => Ok(Opened {
                pod,
                times,
                adopted,
                recreated: adopted && made.workload && !record.paused,
                resumed: adopted && record.paused,
                record,
            }),
            Err(Error::Cancelled { session, goes_on: _ }) if adopted => {
                let goes_on = true;
                Err((Error::Cancelled { session, goes_on }, None))
            }
            Err(error) if adopted => Err((error, None)),
            Err(error) => Err((
                error,
                Some(Failed {
                    record,
                    claim: made.claim,
                }),
            )),
        }
    }

    /// Removes or keeps what the last try made.
    async fn give_up(&self, error: Error, failed: Option<Failed>) -> Error {
        let Some(failed) = failed else { return error };
        let keep = match self.spec.cleanup_policy() {
            CleanupPolicy::AlwaysKeep => true,
            // Who cancels a start does not want to look into it.
            CleanupPolicy::KeepOnFailure => !matches!(error, Error::Cancelled { .. }),
            CleanupPolicy::AlwaysClean => false,
        };
        // A session beyond the limit, or whose start was refused outright, holds nothing to look at.
        let nothing = matches!(error, Error::TooManySessions { .. });
        if keep && !nothing {
            return error.kept();
        }
        // Another client has paused the session while it started: it is to stay.
        let there = self
            .site()
            .existing_record(self.spec.namespace(), &self.spec.names())
            .await;
        if matches!(there, Ok(Some(record)) if record.uid == failed.record.uid && record.paused) {
            return Error::Paused {
                session: self.spec.id().to_string(),
            };
        }
        self.roll_back(&failed).await;
        error
    }

    pub(super) fn site(&self) -> Site<'_> {
        Site {
            client: &*self.client,
            id: self.spec.id(),
            patience: self.deletion_timeout,
        }
    }

    /// The record: ours, or the one that is there.
    async fn record(&self, nonce: &str) -> Result<Ensured<Record>, Error> {
        if self.intent == Intent::Attach {
            let found = self
                .site()
                .existing_record(self.spec.namespace(), &self.spec.names())
                .await?;
            return found.map(Ensured::Adopted).ok_or_else(|| Error::NotFound {
                session: self.spec.id().to_string(),
                namespace: self.spec.namespace().to_owned(),
            });
        }
        let object: Object = podbay_manifests::record::record(&self.spec, nonce).into();
        match self.site().record(object.clone(), nonce).await? {
            Ensured::Adopted(old) if self.intent == Intent::Replace => {
                let session = self.spec.id().as_str();
                close_record(&*self.client, session, self.spec.namespace(), &old).await?;
                wait_for_objects(self.site(), &old).await?;
                self.site().record(object, nonce).await
            }
            record => Ok(record),
        }
    }

    pub(super) fn check_cancelled(&self) -> Result<(), Error> {
        if self.cancel.is_cancelled() {
            Err(self.cancelled())
        } else {
            Ok(())
        }
    }

    pub(super) fn cancelled(&self) -> Error {
        Error::Cancelled {
            session: self.spec.id().to_string(),
            goes_on: false,
        }
    }

    /// Removes what a start made. It fails only where the cluster does, and the error that stands is the
    /// first one.
    async fn roll_back(&self, failed: &Failed) {
        let session = self.spec.id().as_str();
        let namespace = self.spec.namespace();
        if let Err(error) = close_record(&*self.client, session, namespace, &failed.record).await {
            tracing::warn!(
                session,
                error = error.chain(),
                "what the failed start made could not be removed"
            );
        }
        let Some(uid) = &failed.claim else { return };
        // Another client may have opened the session again and taken the claim for its own.
        let next = self.site().existing_record(namespace, &self.spec.names()).await;
        if matches!(next, Ok(Some(record)) if record.uid != failed.record.uid) {
            return;
        }
        let key = ObjectKey::new(Kind::PersistentVolumeClaim, namespace, self.spec.names().claim());
        if let Err(error) = self.client.delete(&key, DeleteOptions::only(uid)).await {
            tracing::warn!(session, %error, "the claim of the failed start could not be removed");
        }
    }
}

/// What a failed try has made.
struct Failed {
    record: Record,
    /// The UID of the claim, if the try made it.
    claim: Option<String>,
}
