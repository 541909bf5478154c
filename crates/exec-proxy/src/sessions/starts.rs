//! Starts under way in this process, and how the last one of each session ended.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use podbay_runtime::{Error, SessionState, Starting, Stored};
use tokio::sync::watch;
use tokio::time::Instant;

use super::answering::Answering;
use super::known::SessionKey;
use super::steps::Steps;
use crate::telemetry::audit::{self, Action};
use crate::telemetry::{Metrics, Phase};

/// How long a start that failed is told, where nothing stays of its session.
const TOLD_FOR: Duration = Duration::from_secs(600);
/// Failed starts that are told, at most: the oldest goes first.
const TOLD: usize = 1000;

/// Starts under way, and failed ones.
#[derive(Clone, Default)]
pub(super) struct Starts(Arc<Mutex<HashMap<SessionKey, Start>>>);

/// A start, or what came of it.
#[derive(Clone)]
pub(super) struct Start {
    /// Where it is.
    pub(super) state: watch::Receiver<SessionState>,
    /// Whether what outlives this process is stored.
    pub(super) stored: watch::Receiver<Option<Stored>>,
    /// Why it failed, once it has.
    pub(super) failed: watch::Receiver<Option<Arc<Error>>>,
    /// Tells this start from a later one.
    number: u64,
    begun: Instant,
}

impl Start {
    /// What is known of the session once it is stored.
    pub(super) fn known(&self) -> Option<Stored> {
        self.stored.borrow().clone()
    }

    /// Why it failed.
    pub(super) fn failure(&self) -> Option<Arc<Error>> {
        self.failed.borrow().clone()
    }

    /// Whether it is under way, or has failed of late.
    fn is_told(&self) -> bool {
        self.failure().is_none() || self.begun.elapsed() < TOLD_FOR
    }

    /// Takes what there is now as seen, and tells whether it is still in this state.
    pub(super) fn is_still(&mut self, state: &SessionState) -> bool {
        self.stored.mark_unchanged();
        self.failed.mark_unchanged();
        *self.state.borrow_and_update() == *state
    }

    /// Waits until there is something new, other than what was seen.
    pub(super) async fn changed(&mut self) {
        // A channel whose sender is gone tells nothing any more.
        async fn of<T>(receiver: &mut watch::Receiver<T>) {
            if receiver.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
        tokio::select! {
            () = of(&mut self.state) => {}
            () = of(&mut self.stored) => {}
            () = of(&mut self.failed) => {}
        }
    }
}

impl Starts {
    /// The start of a session, if one is under way or has failed of late.
    pub(super) fn get(&self, key: &SessionKey) -> Option<Start> {
        self.all().get(key).filter(|start| start.is_told()).cloned()
    }

    /// A start that is under way.
    pub(super) fn under_way(&self, key: &SessionKey) -> Option<Start> {
        self.get(key).filter(|start| start.failure().is_none())
    }

    /// That of the session with this runtime id.
    pub(super) fn find(&self, id: &podbay_manifests::RuntimeId) -> Option<Start> {
        let all = self.all();
        let mut found = all.iter().filter(|(_, start)| {
            let stored = start.stored.borrow();
            start.is_told()
                && stored
                    .as_ref()
                    .is_some_and(|stored| stored.record.runtime_id.as_ref() == Some(id))
        });
        found.next().map(|(_, start)| start.clone())
    }

    /// Keeps a start until it is over, whoever waits for it. One that succeeds is forgotten: the session tells of itself.
    pub(super) fn keep(
        &self,
        key: SessionKey,
        starting: Starting,
        answering: Answering,
        is_on_this_machine: bool,
        metrics: Metrics,
        owner_name: Option<&str>,
    ) -> Start {
        let owner_name = owner_name.map(ToOwned::to_owned);
        let (failed, failures) = watch::channel(None);
        let mut all = self.all();
        let number = all.get(&key).map_or(0, |before| before.number + 1);
        let start = Start {
            state: starting.state(),
            stored: starting.stored(),
            failed: failures,
            number,
            begun: Instant::now(),
        };
        forget_old(&mut all);
        all.insert(key.clone(), start.clone());
        drop(all);
        let starts = self.clone();
        tokio::spawn(async move {
            let steps = Steps::begin(starting.state());
            let (ended, steps) = steps.until(starting.ready()).await;
            told(
                &metrics,
                &key,
                owner_name.as_deref(),
                ended.as_ref().map(drop),
                &steps,
            );
            match ended {
                Ok(session) => {
                    // That a local session's agent answers says nothing of its server; it may have been started anew.
                    if let Ok(Some(address)) = session.address().await {
                        if is_on_this_machine {
                            answering.forget(address.uid());
                        } else {
                            answering.add(address.uid());
                        }
                    }
                    starts.forget(&key, number);
                }
                Err(error) => {
                    tracing::info!(session = %key.id, error = error.chain(), "a start failed");
                    failed.send_replace(Some(Arc::new(error)));
                }
            }
        });
        start
    }

    /// Forgets a failure that is no longer what is to be told.
    pub(super) fn forget_failure(&self, key: &SessionKey) {
        let mut all = self.all();
        if all.get(key).is_some_and(|start| start.failure().is_some()) {
            all.remove(key);
        }
    }

    fn forget(&self, key: &SessionKey, number: u64) {
        let mut all = self.all();
        if all.get(key).is_some_and(|start| start.number == number) {
            all.remove(key);
        }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<SessionKey, Start>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts a start that is over, and writes down how it ended.
fn told(
    metrics: &Metrics,
    key: &SessionKey,
    owner_name: Option<&str>,
    ended: Result<(), &Error>,
    steps: &Steps,
) {
    for (phase, took) in steps.taken() {
        metrics.step(&phase.into(), took);
    }
    let label = key.owner.as_ref().map(podbay_manifests::SessionOwner::as_str);
    let (owner, id) = (owner_name.or(label), key.id.as_str());
    match ended {
        Ok(()) => {
            metrics.step(&Phase { phase: "total" }, steps.total());
            metrics.started();
            audit::by_service(Action::Started, owner, id, None);
        }
        Err(error) => {
            metrics.not_started(error.verdict().map(|verdict| verdict.cause));
            audit::by_service(Action::Started, owner, id, Some(&error.chain()));
        }
    }
}

/// Forgets failures that are old, and the oldest ones where there are too many.
fn forget_old(all: &mut HashMap<SessionKey, Start>) {
    all.retain(|_, start| start.is_told());
    while all.len() >= TOLD {
        let failed = all.iter().filter(|(_, start)| start.failure().is_some());
        let Some(oldest) = failed
            .min_by_key(|(_, start)| start.begun)
            .map(|(key, _)| key.clone())
        else {
            return;
        };
        all.remove(&oldest);
    }
}
