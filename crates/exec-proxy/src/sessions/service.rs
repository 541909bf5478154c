//! The sessions of the service: found, started, paused, woken and ended, of a cluster or of this machine.
//!
//! Nothing about a session is kept here that the cluster, or this machine's disk, does not have: only what is under way in this
//! process, and what was seen of late.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use podbay_config::Config;
use podbay_manifests::{Record, RuntimeId, SessionKind, SessionOwner};
use podbay_protocol::Verdict;
use podbay_runtime::dial::{BoxIo, DialError, SandboxAddress};
use podbay_runtime::{BackendKind, Error, EventLine, Podbay, SessionIndex, SessionState};
use secrecy::SecretString;
use tokio::time::Instant;

use super::answering::Answering;
use super::commands::CommandEnds;
use super::jobs::JobAddresses;
use super::known::{Known, SessionKey};
use super::pauses::Pauses;
use super::recovery::Recoveries;
use super::secrets::SessionKeys;
use super::starts::Starts;
use super::stopped::Stopped;
use super::told::{AllTold, Told};
use super::unknown::Questions;
use super::{NotKnown, NotWoken, QUIET, Route, Sessions};
use crate::keys::Owners;
use crate::telemetry::Metrics;
use crate::telemetry::audit::{self, Action};

/// How often a session of this machine, which nothing tells of, is looked at while somebody waits for it.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// How often a session of a cluster is looked at while somebody waits for it: for what no watch tells, such as whether its server
/// answers.
pub(super) const ASK_AGAIN: Duration = Duration::from_millis(200);
/// How long the watches may take to tell of a pause before whoever asked for it is answered all the same.
const PAUSE_TOLD_WITHIN: Duration = Duration::from_secs(2);

/// States by their words, as lists have them.
const STATES: [&str; 11] = [
    "Creating",
    "Scheduling",
    "Preparing",
    "Starting",
    "Ready",
    "NotReady",
    "Paused",
    "Stopping",
    "Failed",
    "Lost",
    "Unreadable",
];

/// The sessions of the service.
pub struct ServiceSessions {
    pub(super) podbay: Podbay,
    /// All sessions of the namespace; none where they are processes of this machine.
    pub(super) index: Option<SessionIndex>,
    /// The owner to whom sessions are shown that have none.
    pub(super) adopts: Option<SessionOwner>,
    /// How many sessions an owner may have at once of whom nothing else is known.
    owner_limit: Option<u32>,
    /// What is known of owners.
    pub(super) owners: Owners,
    pub(super) starts: Starts,
    pub(super) answering: Answering,
    pub(super) keys: SessionKeys,
    pub(super) questions: Mutex<Questions>,
    pub(super) pauses: Mutex<Pauses>,
    recoveries: Mutex<Recoveries>,
    commands: Mutex<CommandEnds>,
    pub(super) jobs: Mutex<JobAddresses>,
    stopped: Mutex<Stopped>,
    told: Mutex<AllTold>,
    pub(super) metrics: Metrics,
    /// What time it is.
    clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// One start of a session at a time: of several requests at once one makes it, and the others find it.
    pub(super) starting: Mutex<HashMap<SessionKey, Arc<tokio::sync::Mutex<()>>>>,
}

impl ServiceSessions {
    /// Those of `podbay`. Watches begin, on a cluster.
    pub fn new(podbay: Podbay, adopts: Option<SessionOwner>) -> Result<Self, Error> {
        let index = match podbay.kind() {
            BackendKind::Cluster => Some(podbay.index()?),
            BackendKind::Local => None,
        };
        Ok(Self {
            podbay,
            index,
            adopts,
            owner_limit: None,
            owners: Owners::default(),
            starts: Starts::default(),
            answering: Answering::default(),
            keys: SessionKeys::default(),
            questions: Mutex::default(),
            pauses: Mutex::default(),
            recoveries: Mutex::default(),
            commands: Mutex::default(),
            jobs: Mutex::default(),
            stopped: Mutex::default(),
            told: Mutex::default(),
            metrics: Metrics::default(),
            clock: Arc::new(Timestamp::now),
            starting: Mutex::default(),
        })
    }

    /// The same with another clock: a test's.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// The same with a limit for the sessions that one owner has at once, whoever starts or wakes them.
    #[must_use]
    pub const fn with_owner_limit(mut self, limit: Option<u32>) -> Self {
        self.owner_limit = limit;
        self
    }

    /// The same with these owners, who have names and limits of their own.
    #[must_use]
    pub fn with_owners(self, owners: Owners) -> Self {
        Self { owners, ..self }
    }

    /// Those of another namespace, with the same settings. Watches begin there.
    pub(super) fn in_namespace(&self, name: &str) -> Result<Self, Error> {
        let sessions = Self::new(self.podbay.in_namespace(name)?, self.adopts.clone())?;
        let questions = self.questions().of_another_namespace();
        Ok(Self {
            owner_limit: self.owner_limit,
            questions: Mutex::new(questions),
            metrics: self.metrics.clone(),
            clock: Arc::clone(&self.clock),
            ..sessions
        })
    }

    /// How many sessions this owner may have at once, where nobody presents an API key.
    pub(super) fn limit_of(&self, owner: Option<&SessionOwner>) -> Option<u32> {
        owner.map_or(self.owner_limit, |owner| {
            self.owners.limit(owner, self.owner_limit)
        })
    }

    /// Whether it is known that this session is one of these, without asking anybody.
    pub(super) fn knows(&self, id: &RuntimeId) -> bool {
        let is_in_index = self.index.as_ref().is_some_and(|index| index.find(id).is_some());
        is_in_index || self.starts.find(id).is_some()
    }

    /// The same, with what happens to them counted there.
    #[must_use]
    pub fn with_metrics(self, metrics: Metrics) -> Self {
        Self { metrics, ..self }
    }

    /// How many sessions of the namespace are in each state, and how old that may be. `None` where there is no index.
    pub fn figures(&self) -> Option<(BTreeMap<&'static str, usize>, Duration)> {
        let index = self.index.as_ref()?;
        let now = self.now();
        // A state that no session is in is told as well.
        let mut states: BTreeMap<_, _> = STATES.iter().map(|state| (*state, 0)).collect();
        for view in index.list() {
            if let Some(state) = view.state(now) {
                *states.entry(state.as_str()).or_insert(0) += 1;
            }
        }
        Some((states, index.staleness()))
    }

    /// What time it is.
    pub(super) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// The configuration that sessions are made from.
    pub fn config(&self) -> &Config {
        self.podbay.config()
    }

    /// Whether sessions are processes of this machine.
    pub fn is_on_this_machine(&self) -> bool {
        self.index.is_none()
    }

    /// Whether it can be told which sessions there are.
    pub fn is_ready(&self) -> bool {
        self.index.as_ref().is_none_or(SessionIndex::knows_all_records)
    }

    pub(super) fn questions(&self) -> std::sync::MutexGuard<'_, Questions> {
        self.questions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn stopped(&self) -> std::sync::MutexGuard<'_, Stopped> {
        self.stopped.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn commands(&self) -> std::sync::MutexGuard<'_, CommandEnds> {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn recoveries(&self) -> std::sync::MutexGuard<'_, Recoveries> {
        self.recoveries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn pauses(&self) -> std::sync::MutexGuard<'_, Pauses> {
        self.pauses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the session's server was seen to answer; asks it, if it may and nobody did.
    pub async fn answers(&self, known: &Known) -> bool {
        if !matches!(known.state, SessionState::Ready(_)) {
            return false;
        }
        let port = known.ports().server;
        // One without a server has nothing to ask. An agent of this machine is up when its session is.
        let spec = &known.record.spec;
        let by_agent = self.is_on_this_machine() && spec.server().is_none();
        // What an image starts by itself may be no server at all.
        let is_open = spec.kind() == SessionKind::Image && spec.server().is_none();
        if port == 0 || by_agent || is_open {
            return true;
        }
        match &known.address {
            Some(address) => self.answering.ask(&self.podbay, address, port).await,
            None => false,
        }
    }

    /// How the command ended that a session was started for, which the session's agent runs; `None` while it runs. The agent is asked every
    /// few seconds at most.
    pub(crate) async fn ended_command(&self, known: &Known) -> Option<Verdict> {
        let is_command = known.record.spec.kind() == SessionKind::Command;
        let uid = known.address.as_ref().filter(|_| is_command)?.uid();
        if !matches!(known.state, SessionState::Ready(_)) {
            return None;
        }
        if self.commands().may_ask(uid, Instant::now()) {
            let podbay = self.podbay.of_owner(known.record.spec.owner().cloned());
            let asked = match podbay.existing(known.record.id().as_str()) {
                Ok(session) => session.ended_command().await,
                Err(error) => Err(error),
            };
            match asked {
                Ok(end) => self.commands().keep(uid, end),
                Err(error) => {
                    tracing::debug!(session = %known.record.id(), error = error.chain(), "it can't be told whether the command runs");
                }
            }
        }
        self.commands().of(uid)
    }

    /// What the cluster has told of a session that does not start, as far as it was asked.
    pub(crate) fn told(&self, known: &Known) -> Told {
        self.all_told().of(&known.record.uid)
    }

    /// Asks the cluster what it says of the pod of a session that starts or has failed; every few seconds at most.
    pub(crate) async fn ask_what_is_told(&self, known: &Known) {
        let is_asked = matches!(
            known.state,
            SessionState::Starting(_) | SessionState::Failed(_) | SessionState::Lost(_)
        );
        let Some(index) = self.index.as_ref().filter(|_| is_asked) else {
            return;
        };
        let view = index.get(&known.record.spec.names());
        let uid = &known.record.uid;
        let is_of_this = view.record().is_some_and(|record| record.uid == *uid);
        if !is_of_this || view.pod_name().is_none() || !self.all_told().may_ask(uid, Instant::now()) {
            return;
        }
        let events = match self.podbay.events_of(&view).await {
            Ok(events) => events.iter().map(event_in_words).collect(),
            // The right to read them may be missing; the rest is worth telling all the same.
            Err(error) => {
                tracing::debug!(session = %known.record.id(), error = error.chain(), "events can't be read");
                Vec::new()
            }
        };
        let containers = view.containers();
        self.all_told().keep(uid, Told { events, containers });
    }

    fn all_told(&self) -> std::sync::MutexGuard<'_, AllTold> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The key that the session's server takes.
    pub async fn session_key(&self, known: &Known) -> Result<SecretString, Error> {
        self.keys.of(&self.podbay, &known.record).await
    }

    /// Waits until there may be something new of a session, for a while at most.
    pub async fn changes(&self, known: &Known) {
        let key = known.key();
        let mut start = self.starts.under_way(&key);
        if let Some(start) = &mut start
            && !start.is_still(&known.state)
        {
            return;
        }
        let started = async {
            match &mut start {
                Some(start) => start.changed().await,
                None => std::future::pending().await,
            }
        };
        let Some(index) = &self.index else {
            tokio::select! {
                () = started => {}
                () = tokio::time::sleep(LOOK_AGAIN) => {}
            }
            return;
        };
        let mut receiver = index.watch(&known.record.spec.names());
        let seen = receiver.view().state(self.now());
        if self.starts.under_way(&key).is_none() && seen.as_ref() != Some(&known.state) {
            // It has changed since it was looked at, or is known by other means: do not spin over it.
            tokio::time::sleep(LOOK_AGAIN).await;
            return;
        }
        tokio::select! {
            () = started => {}
            () = receiver.changed() => {}
            () = tokio::time::sleep(ASK_AGAIN) => {}
        }
    }

    /// Frees what a session holds, and keeps its workspace.
    pub async fn pause(&self, known: &Known) -> Result<(), Error> {
        let podbay = self.podbay.of_owner(known.record.spec.owner().cloned());
        podbay.pause(known.record.id().as_str(), false).await?;
        if let Some(id) = &known.record.runtime_id {
            self.pauses().paused(id, Instant::now());
        }
        self.until_told_as_paused(known).await;
        Ok(())
    }

    /// Waits until the index knows of a pause that is done, for a while at most: its watches are a little behind, and whoever is told of
    /// the pause has to find it so.
    async fn until_told_as_paused(&self, known: &Known) {
        let Some(index) = &self.index else { return };
        let mut receiver = index.watch(&known.record.spec.names());
        let told = async {
            loop {
                let view = receiver.view();
                let is_this = view.record().is_some_and(|record| record.uid == known.record.uid);
                if !is_this || view.state(self.now()) == Some(SessionState::Paused) {
                    return;
                }
                receiver.changed().await;
            }
        };
        if tokio::time::timeout(PAUSE_TOLD_WITHIN, told).await.is_err() {
            tracing::debug!(session = %known.record.id(), "the pause is done, and the watches have not told of it");
        }
    }

    /// Removes failed sessions whose time is over (`podbay.failed_session_ttl_seconds`). Nothing is asked while there is none.
    pub async fn remove_expired(&self) {
        let Some(index) = &self.index else { return };
        let ttl = self.podbay.config().podbay.failed_session_ttl_seconds;
        let ttl = SignedDuration::from_secs(i64::try_from(ttl).unwrap_or(i64::MAX));
        let now = self.now();
        let is_over = |record: &Record| {
            let failure = record.last_failure.as_ref();
            failure.is_some_and(|failure| now.duration_since(failure.at) >= ttl)
        };
        if !index
            .list()
            .iter()
            .any(|view| view.record().is_some_and(|record| is_over(record)))
        {
            return;
        }
        match self.podbay.remove_expired(now).await {
            Ok(removed) => {
                for error in removed.iter().filter_map(|removed| removed.as_ref().err()) {
                    tracing::warn!(
                        error = error.chain(),
                        "a failed session whose time is over could not be removed"
                    );
                }
            }
            Err(error) => tracing::warn!(error = error.chain(), "failed sessions could not be looked for"),
        }
    }

    /// Ends a session, its workspace with it. Safe to repeat.
    pub async fn stop(&self, known: &Known) -> Result<(), Error> {
        let key = known.key();
        let podbay = self.podbay.of_owner(key.owner.clone());
        podbay.delete(key.id.as_str(), false).await?;
        self.stopped().add(&known.record.uid, Instant::now());
        self.keys.forget(&known.record.uid);
        self.all_told().forget(&known.record.uid);
        self.starts.forget_failure(&key);
        Ok(())
    }
}

/// An event as a line: when, which, what.
fn event_in_words(event: &EventLine) -> String {
    let EventLine {
        time,
        kind,
        reason,
        message,
    } = event;
    let time = time.map(|time| format!("{time} ")).unwrap_or_default();
    format!("{time}{kind} {reason}: {message}")
}

#[async_trait]
impl Sessions for ServiceSessions {
    async fn route(&self, id: &RuntimeId) -> Result<Option<Route>, NotKnown> {
        let found = self.find_any(id).await?;
        // One that belongs to nobody is nobody's to be led to, unless somebody adopts those.
        let found = found.filter(|known| known.record.spec.owner().is_some() || self.adopts.is_some());
        Ok(found.and_then(|known| known.route()))
    }

    async fn changed(&self, seen: &Route) {
        let key = SessionKey {
            owner: seen.owner.clone(),
            id: seen.session.clone(),
        };
        if let Ok(Some(known)) = self.find_by_key(&key).await {
            if known.route().as_ref() == Some(seen) {
                self.changes(&known).await;
            }
        } else {
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    async fn wake(&self, id: &RuntimeId) -> Result<(), NotWoken> {
        let refused = |message: String| NotWoken::Refused(message);
        let known = self
            .find_any(id)
            .await
            .map_err(|error| refused(error.to_string()))?;
        let known = known.ok_or_else(|| refused("there is no such session".to_owned()))?;
        // Of many who ask at once one wakes it, and is counted.
        let key = known.key();
        let turn = self.turn(&key);
        let _turn = turn.lock().await;
        let known = self
            .find_any(id)
            .await
            .map_err(|error| refused(error.to_string()))?;
        let Some(known) = known.filter(|known| known.state == SessionState::Paused) else {
            return Ok(());
        };
        // Another replica may have paused it.
        let since = known.record.paused_at.map(|at| self.now().duration_since(at));
        // Other clocks may be ahead.
        let since = since.and_then(|since| Duration::try_from(since).ok());
        if since.is_some_and(|since| since < QUIET) {
            return Err(NotWoken::JustPaused);
        }
        let may = self.pauses().may_wake(id, key.owner.as_ref(), Instant::now());
        if let Err(refused) = may {
            self.metrics.woken("too_soon");
            return Err(refused);
        }
        let limit = self.limit_of(key.owner.as_ref());
        let resumed = self.bring_back(&key, limit).await;
        let resumed = resumed.map(drop).map_err(|error| error.to_string());
        self.metrics
            .woken(if resumed.is_ok() { "done" } else { "refused" });
        audit::by_session_key(
            Action::Wake,
            &known.record,
            &self.owners,
            resumed.as_ref().err().map(String::as_str),
        );
        resumed.map_err(refused)
    }

    async fn connect(&self, address: &SandboxAddress, port: u16) -> Result<BoxIo, DialError> {
        let connected = self.podbay.dial(address, port).await;
        if connected.is_err() && self.is_on_this_machine() {
            // Its server may have ended: that is looked for when it is asked after next.
            self.answering.forget(address.uid());
        }
        connected
    }
}
