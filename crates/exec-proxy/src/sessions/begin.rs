//! Sessions started and brought back: each by one at a time, and written down before anybody is answered.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use jiff::SignedDuration;
use podbay_runtime::{Error, OpenMode, SessionId, SessionRequest, SessionState, StartPhase};
use tokio::time::Instant;

use super::NotKnown;
use super::known::{BEGUN, Known, SessionKey};
use super::recovery::is_to_be_brought_back;
use super::service::ServiceSessions;
use super::starts::Start;
use crate::keys::Caller;
use crate::words::Http;

/// How long a start may take to write down what outlives this process, before its client is told to ask again.
const STORED_WITHIN: Duration = Duration::from_secs(10);
/// How long a session may be without a pod before its start is taken for one that nobody goes on with: its creator writes one
/// object after the other, under a rate limit.
const LEFT_AFTER: SignedDuration = SignedDuration::from_secs(5);

/// What came of a start.
#[derive(Clone, Debug)]
pub struct Begun {
    /// The session.
    pub known: Known,
    /// What was asked and the session that was there has otherwise, in words.
    pub differences: Vec<String>,
}

/// Why a session is not started, or not brought back.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NotStarted {
    /// Starting it failed before anything of it was written down.
    #[error("{}", .0.chain_in_words(&Http))]
    Session(Arc<Error>),
    /// The key starts too many, and may try again after so many seconds.
    #[error("this API key has started too many sessions in the last minute: try again in {seconds} s")]
    TooOften {
        /// After how long.
        seconds: u64,
    },
    /// It can't be told whether it is there, or whether it was written down.
    #[error(transparent)]
    NotKnown(#[from] NotKnown),
}

impl From<Error> for NotStarted {
    fn from(error: Error) -> Self {
        Self::Session(Arc::new(error))
    }
}

impl ServiceSessions {
    /// Finds a session or starts it; `admit` is asked only before a start. Returns once the record is stored, so that whoever asks
    /// next finds it.
    pub async fn start(
        &self,
        caller: &Caller,
        id: &SessionId,
        request: SessionRequest,
        admit: impl FnOnce() -> Result<(), NotStarted> + Send,
    ) -> Result<Begun, NotStarted> {
        let key = SessionKey {
            owner: Some(caller.owner.clone()),
            id: id.clone(),
        };
        let turn = self.turn(&key);
        let _turn = turn.lock().await;
        let mut mode = OpenMode::AttachOrCreate;
        let mut differences = Vec::new();
        if let Some(known) = self.find_by_key(&key).await? {
            let found = request.differences(&known.record.spec);
            differences = found
                .iter()
                .map(|difference| difference.in_words(&Http))
                .collect();
            if known.is_live() && self.is_carried_on(&known) {
                return Ok(Begun { known, differences });
            }
            // What failed is tried as it is asked for now.
            if matches!(known.state, SessionState::Failed(_)) && !differences.is_empty() {
                mode = OpenMode::Replace;
                differences.clear();
            }
        }
        admit()?;
        let start = self.begin(&key, request, mode, caller.max_sessions)?;
        let known = self.stored(&key, start).await?;
        Ok(Begun { known, differences })
    }

    /// Goes on with the start of a session that has no pod a while after it was written down: who began it may have died. From
    /// what is written down anybody can; where two do, what each makes is the other's, too.
    pub(super) async fn carry_on(&self, known: &Known) {
        let is_without_pod =
            known.state == SessionState::Starting(StartPhase::Creating) && known.address.is_none();
        let age = known
            .record
            .created
            .as_ref()
            .map(|created| self.now().duration_since(created.0));
        let key = known.key();
        if !is_without_pod
            || self.is_on_this_machine()
            || age.is_none_or(|age| age < LEFT_AFTER)
            || self.starts.get(&key).is_some()
        {
            return;
        }
        // Without its Secret nobody knows what is to be in it but its client, who may start it again.
        if self.session_key(known).await.is_err() || self.starts.get(&key).is_some() {
            return;
        }
        tracing::info!(session = %key.id, "a start that nobody seems to go on with is carried on");
        // It was let in before, by who began it; where it was not, by whatever its owner may have.
        let limit = self.limit_of(key.owner.as_ref());
        if let Err(error) = self.begin(&key, SessionRequest::default(), OpenMode::Attach, limit) {
            tracing::warn!(session = %key.id, error = error.chain(), "the start can't be carried on");
        }
    }

    /// Starts a session again whose pod was lost, where the policy says so: when somebody asks after it, or for what it serves.
    pub(super) fn recover(&self, known: &mut Known) {
        let SessionState::Lost(verdict) = &known.state else {
            return;
        };
        let record = &known.record;
        let is_wanted = !self.is_on_this_machine()
            && known.failure.is_none()
            && is_to_be_brought_back(self.podbay.config(), record, verdict)
            && self.recoveries().may_try(&record.uid, Instant::now());
        if !is_wanted {
            return;
        }
        let key = known.key();
        tracing::info!(session = %key.id, %verdict, "a session whose pod was lost is started again");
        // It has its place among those of its owner.
        match self.begin(&key, SessionRequest::default(), OpenMode::Attach, None) {
            Ok(_) => known.state = BEGUN,
            Err(error) => {
                tracing::warn!(session = %key.id, error = error.chain(), "the session can't be started again");
            }
        }
    }

    /// Whether somebody sees to it that a session which is there becomes ready: this process, or whoever has made its pod.
    fn is_carried_on(&self, known: &Known) -> bool {
        self.starts.under_way(&known.key()).is_some()
            || self.is_on_this_machine()
            || known.address.is_some()
            || matches!(known.state, SessionState::Ready(_))
    }

    pub(super) fn turn(&self, key: &SessionKey) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.starting.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that nobody waits for are forgotten.
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        Arc::clone(turns.entry(key.clone()).or_default())
    }

    /// Begins a start that goes on by itself.
    fn begin(
        &self,
        key: &SessionKey,
        request: SessionRequest,
        mode: OpenMode,
        owner_limit: Option<u32>,
    ) -> Result<Start, Error> {
        let starting = self
            .podbay
            .of_owner(key.owner.clone())
            .session(key.id.as_str())
            .request(request)
            .mode(mode)
            .keep_failed(true)
            .owner_limit(owner_limit.filter(|_| key.owner.is_some()))
            .start()?;
        Ok(self.starts.keep(
            key.clone(),
            starting,
            self.answering.clone(),
            self.is_on_this_machine(),
            self.metrics.clone(),
            key.owner.as_ref().and_then(|owner| self.owners.name(owner)),
        ))
    }

    /// Waits until the session of a start is written down, or the start has failed before it was.
    async fn stored(&self, key: &SessionKey, mut start: Start) -> Result<Known, NotStarted> {
        let deadline = Instant::now() + STORED_WITHIN;
        loop {
            if let Some(stored) = start.known() {
                if let Some(secret) = &stored.key {
                    self.keys.keep(&stored.record.uid, secret.clone());
                }
                // One that was there and is ready at once is forgotten as a start by now.
                let known = Self::of_start(&start);
                return known.ok_or_else(|| unfinished().into());
            }
            if let Some(error) = start.failure() {
                self.starts.forget_failure(key);
                return Err(NotStarted::Session(error));
            }
            tokio::select! {
                () = start.changed() => {}
                () = tokio::time::sleep_until(deadline) => return Err(unfinished().into()),
            }
        }
    }

    /// Brings a session back that is paused, has failed or was lost; one that is there stays as it is.
    pub async fn resume(&self, caller: &Caller, known: &Known) -> Result<Known, NotStarted> {
        let key = known.key();
        let turn = self.turn(&key);
        let _turn = turn.lock().await;
        self.bring_back(&key, caller.max_sessions).await
    }

    /// The same by one whose turn it is.
    pub(super) async fn bring_back(
        &self,
        key: &SessionKey,
        owner_limit: Option<u32>,
    ) -> Result<Known, NotStarted> {
        let now = self.find_by_key(key).await?;
        let now = match now {
            Some(now) if now.is_live() && self.is_carried_on(&now) => return Ok(now),
            now => now,
        };
        if let Some(address) = now.as_ref().and_then(|now| now.address.as_ref()) {
            self.commands().forget(address.uid());
        }
        let start = self.begin(key, SessionRequest::default(), OpenMode::Attach, owner_limit)?;
        self.stored(key, start).await
    }
}

fn unfinished() -> NotKnown {
    NotKnown {
        message: format!(
            "its start was not written down within {} s",
            STORED_WITHIN.as_secs()
        ),
    }
}
