//! Opening a session: look, plan, execute; another attempt where the configuration says so.

use std::sync::Arc;

use futures::future::BoxFuture;
use podbay_k8s_client::{Kind, Object};
use podbay_manifests::{CreationValues, Record, SessionSecrets, SessionSpec};
use podbay_protocol::{PhaseTimes, SessionState, StartPhase};
use secrecy::SecretString;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::apply::{Ensured, creation_values};
use super::close::{delete_record, wait_for_objects};
use super::give_up::{NewSession, OwnSession};
use super::plan::{
    OpenMode, PlaceState, Plan, Present, RecordState, Step, WorkloadState, depends_on_objects, plan,
};
use super::retry::RetryPolicy;
use super::start::{CreatedObjects, Started};
use super::workload;
use crate::context::{Context, SessionContext, WatchScope, is_owned};
use crate::delivery::Means;
use crate::error::Error;
use crate::index::SessionIndex;

/// A session about to be opened.
pub(crate) struct OpenOperation {
    pub(crate) ctx: Arc<Context>,
    pub(crate) spec: SessionSpec,
    pub(crate) secrets: SessionSecrets,
    /// What the attempt under way gives a session that it creates: record and Secret are made from one key.
    pub(crate) values: CreationValues,
    pub(crate) mode: OpenMode,
    /// Whether a session that this call creates, and whose start fails, stays as a failed one.
    pub(crate) keep_failed: bool,
    /// How many sessions the owner of this one may have at once, if there is a limit.
    pub(crate) owner_limit: Option<u32>,
    /// What of an agent is at hand.
    pub(crate) means: Means,
    pub(crate) retries: RetryPolicy,
    /// Told of each step as it begins.
    pub(crate) state: watch::Sender<SessionState>,
    /// Told once the record and the Secret are stored.
    pub(crate) stored: watch::Sender<Option<Stored>>,
    /// Ends the start early; what it created is removed.
    pub(crate) cancel: CancellationToken,
}

/// What is known of a session whose record and Secret are stored.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Its record.
    pub record: Record,
    /// The key that its server takes. `None` if the start had no need to read it.
    pub key: Option<SecretString>,
}

/// A session that takes commands.
#[derive(Debug)]
pub(crate) struct OpenOutcome {
    pub(crate) record: Box<Record>,
    /// The name of its pod.
    pub(crate) pod: String,
    /// The seconds of each step; `None` if the session was there and ready.
    pub(crate) times: Option<PhaseTimes>,
    pub(crate) origin: Origin,
    /// Why there is no agent, although one was meant.
    pub(crate) without_agent: Option<String>,
}

/// How an opened session came to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// It was created.
    Created,
    /// It was there.
    Attached,
    /// It was there without its pod, and got a new one.
    Recreated,
    /// It was there, paused.
    Resumed,
    /// It was there, failed.
    StartedAgain,
}

impl Origin {
    const fn of(place: &PlaceState, created: &CreatedObjects) -> Self {
        match place {
            PlaceState::New => Self::Created,
            PlaceState::GivenUp => Self::Resumed,
            PlaceState::Failed(_) => Self::StartedAgain,
            PlaceState::Held if created.workload => Self::Recreated,
            PlaceState::Held => Self::Attached,
        }
    }
}

/// An attempt that came to nothing.
pub(super) struct FailedAttempt {
    pub(super) error: Error,
    /// The session, if its start was this attempt's.
    pub(super) session: Option<OwnSession>,
}

impl From<Error> for FailedAttempt {
    fn from(error: Error) -> Self {
        Self { error, session: None }
    }
}

impl OpenOperation {
    /// Creates what is missing and waits until the session takes commands. What this call created is removed again
    /// when it fails, unless the clean-up policy keeps it, or the session is to stay as a failed one. A failed session that
    /// was started again and fails again is left as a failed one, whoever asked for that.
    ///
    /// Each large step is a boxed future: while a session waits, which is most of its start, nothing keeps room for the
    /// steps before; of thousands that start at once that is most of the memory. `self` is in a box because a future keeps
    /// room for an argument twice: as it came, and as it is used.
    pub(crate) async fn open(mut self: Box<Self>) -> Result<OpenOutcome, Error> {
        self.choose_delivery().await;
        let index = self.ctx.index(&self.spec.names());
        let mut retried = 0;
        loop {
            let failed = match self.attempt(&index).await {
                Ok(opened) => return Ok(opened),
                Err(failed) => failed,
            };
            self.before_next_attempt(failed, retried).await?;
            retried += 1;
        }
    }

    async fn attempt(&mut self, index: &SessionIndex) -> Result<OpenOutcome, FailedAttempt> {
        let begun = Instant::now();
        self.values = creation_values();
        self.report(StartPhase::Creating);
        if self.ctx.scope == WatchScope::Namespace {
            index.pods_synced().await;
        }
        // Before the look at what is there: a pod that goes right after it is seen to go.
        let mut receiver = index.follow(&self.spec.names());
        let (record, place, step) = loop {
            match self.look().await? {
                Plan::NotFound => return Err(self.session().not_found().into()),
                Plan::Replace(old) => {
                    self.remove(&old).await?;
                    self.mode = OpenMode::AttachOrCreate;
                }
                Plan::StaysFailed(failure) => return Err(self.stays_failed(*failure).into()),
                Plan::StartAgain {
                    record,
                    failure,
                    leftover,
                } => {
                    if let Some(record) = self.claim_failed(&record, leftover.as_deref()).await? {
                        let step = Step::Complete { ended: None };
                        break (record, PlaceState::Failed(failure), step);
                    }
                }
                Plan::Start { record, place, step } => break (record, place, step),
            }
        };
        let record = self.note_loss(record, (&place, &step), &receiver.view()).await;
        let (created, started) = match self.take_place(&record, &place, index).await {
            Ok(()) => self.execute(&record, step, begun, &mut receiver).await,
            Err(error) => (CreatedObjects::default(), Err(error)),
        };
        match (started, place) {
            (
                Ok(Started {
                    pod,
                    times,
                    without_agent,
                }),
                place,
            ) => Ok(OpenOutcome {
                without_agent,
                pod,
                times,
                origin: Origin::of(&place, &created),
                record,
            }),
            (Err(error), PlaceState::New) => Err(FailedAttempt {
                error,
                session: Some(OwnSession::New(NewSession {
                    record,
                    claim: created.claim,
                })),
            }),
            // The session stays, and so does what it lacked and got.
            (Err(Error::Cancelled { session, .. }), _) => {
                let goes_on = true;
                Err(Error::Cancelled { session, goes_on }.into())
            }
            (Err(error), PlaceState::Failed(earlier)) => Err(FailedAttempt {
                error,
                session: Some(OwnSession::Failed { record, earlier }),
            }),
            (Err(error), PlaceState::Held | PlaceState::GivenUp) => {
                Err(self.in_words_of_record(error, &record).await.into())
            }
        }
    }

    pub(super) fn session(&self) -> SessionContext<'_> {
        self.ctx.session(self.spec.owner(), self.spec.id())
    }

    /// Looks at what is there, and plans. Where the mode allows it, the look creates the record.
    fn look(&self) -> BoxFuture<'_, Result<Plan, Error>> {
        Box::pin(async move {
            let record = self.look_at_record().await?;
            let present = match &record {
                RecordState::Existing(record) if depends_on_objects(self.mode) => {
                    self.look_at_objects(record).await?
                }
                RecordState::Existing(_) | RecordState::Created(_) | RecordState::Missing => {
                    Present::default()
                }
            };
            Ok(plan(record, present, self.mode))
        })
    }

    async fn look_at_record(&self) -> Result<RecordState, Error> {
        let session = self.session();
        if self.mode == OpenMode::Attach {
            let found = session.record().await?.map(Box::new);
            return Ok(found.map_or(RecordState::Missing, RecordState::Existing));
        }
        let object: Object = podbay_manifests::record::record(&self.spec, &self.values).into();
        Ok(match session.create_record(object, &self.values.nonce).await? {
            Ensured::Created(record) => RecordState::Created(Box::new(record)),
            Ensured::Adopted(record) => RecordState::Existing(Box::new(record)),
        })
    }

    async fn look_at_objects(&self, record: &Record) -> Result<Present, Error> {
        let owner = record.owner();
        let workload = workload::find(self.session(), &record.spec, &owner).await?;
        let secret = match &workload {
            // It was made with its Secret.
            WorkloadState::Live(_) => true,
            WorkloadState::Missing | WorkloadState::Ended { .. } => {
                self.has_values_for(&record.spec) || self.secret_exists(record).await?
            }
        };
        Ok(Present { workload, secret })
    }

    /// Whether this client could write the Secret of the session: its record names variables, but not what is in them.
    fn has_values_for(&self, spec: &SessionSpec) -> bool {
        spec.env_names()
            .iter()
            .all(|name| self.secrets.env().any(|(known, _)| known == name))
    }

    /// Whether the session's Secret was written: then nobody needs to know what is in it.
    async fn secret_exists(&self, record: &Record) -> Result<bool, Error> {
        let key = self.session().key(Kind::Secret, record.spec.names().secret());
        let found = self.session().get(&key).await?;
        Ok(found.is_some_and(|secret| !secret.is_terminating() && is_owned(&secret, &record.owner())))
    }

    /// Removes the session that is to be replaced.
    fn remove<'a>(&'a self, old: &'a Record) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            delete_record(self.session(), old).await?;
            wait_for_objects(self.session(), old).await
        })
    }

    /// Tells those who follow the start of a step. Ready is told when the start is over.
    pub(super) fn report(&self, phase: StartPhase) {
        if phase < StartPhase::Ready {
            self.state.send_replace(SessionState::Starting(phase));
        }
    }

    /// Tells those who follow the start that record and Secret are stored. The Secret's key is told where it was read.
    pub(super) fn tell_stored(&self, record: &Record, key: Option<SecretString>) {
        let record = record.clone();
        self.stored.send_replace(Some(Stored { record, key }));
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
}

#[cfg(test)]
mod tests {
    use podbay_config::Config;
    use podbay_fake_cluster::ScriptedCluster;
    use podbay_k8s_client::WatchPolicy;
    use podbay_manifests::SessionRequest;

    use super::*;

    fn operation() -> OpenOperation {
        let config = Config::default();
        let request = SessionRequest {
            image: Some("debian:12".to_owned()),
            ..SessionRequest::default()
        };
        let id = "s".parse().unwrap();
        let (spec, secrets) = SessionSpec::validate(id, "default", &config, request).unwrap();
        OpenOperation {
            retries: RetryPolicy::of(&config).unwrap(),
            ctx: Arc::new(Context::new(
                Arc::new(ScriptedCluster::new()),
                config,
                "default".to_owned(),
                WatchScope::Namespace,
                WatchPolicy::FailFast,
            )),
            spec,
            secrets,
            values: creation_values(),
            mode: OpenMode::default(),
            keep_failed: false,
            owner_limit: None,
            means: Means::look(&Config::default()).unwrap(),
            state: watch::Sender::new(SessionState::Starting(StartPhase::Creating)),
            stored: watch::Sender::new(None),
            cancel: CancellationToken::new(),
        }
    }

    /// Bytes that the future of a start may have beside the operation itself.
    const MOST: usize = 1024;

    /// Thousands of sessions that start at once keep one such future each. What a step needs only while it runs is in a
    /// box of the step's.
    #[tokio::test]
    async fn a_start_that_waits_keeps_little_memory() {
        let future = size_of_val(&Box::new(operation()).open());
        assert!(future <= MOST, "{future} bytes");
    }
}
