//! The wrapper as its test holds it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use podbay_k8s_client::{ClusterClient, Error, ErrorKind, Kind};
use tokio_util::sync::CancellationToken;

use super::fault::{Fault, When, error};
use super::matching::{About, On};
use super::recording::{Call, Operation, Outcome};
use super::watches::Watches;

/// A cluster some of whose calls go wrong. Handles are cheap to clone and share faults and recording.
///
/// Without any fault it hands everything on, and only records.
#[derive(Clone)]
pub struct FaultyCluster {
    pub(super) inner: Arc<dyn ClusterClient>,
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    state: Mutex<State>,
    pub(super) watches: Watches,
    crashed: CancellationToken,
}

#[derive(Default)]
struct State {
    rules: Vec<Rule>,
    calls: Vec<Call>,
    partitioned: bool,
}

struct Rule {
    on: On,
    fault: Fault,
    /// How many calls have matched so far.
    matched: usize,
}

impl FaultyCluster {
    /// Wraps a cluster.
    pub fn new(inner: Arc<dyn ClusterClient>) -> Self {
        Self {
            inner,
            shared: Arc::new(Shared {
                state: Mutex::default(),
                watches: Watches::default(),
                crashed: CancellationToken::new(),
            }),
        }
    }

    /// Has calls go wrong. Where several faults are meant for one call, the first that was injected happens.
    pub fn inject(&self, on: On, fault: Fault) {
        let matched = 0;
        self.state().rules.push(Rule { on, fault, matched });
    }

    /// Takes all faults away, but for a partition and what happened to watches.
    pub fn clear(&self) {
        self.state().rules.clear();
    }

    /// Cuts the client off: every call fails as unreachable, watches fall silent, and those that persist say so.
    pub fn partition(&self) {
        self.state().partitioned = true;
        self.shared.watches.cut(&On::any());
    }

    /// Ends a partition, and all stalls of watches: they start over with what there is then.
    pub fn heal(&self) {
        self.state().partitioned = false;
        self.shared.watches.resume();
    }

    /// Has watches fall silent, those that are open: what changes from now on is not told.
    pub fn stall_watches(&self, on: &On) {
        self.shared.watches.stall(on);
    }

    /// Ends all stalls: the watches start over with what there is now.
    pub fn resume_watches(&self) {
        self.shared.watches.resume();
    }

    /// Has open watches miss their next events; after so many they start over with what there is then.
    pub fn lose_watch_events(&self, on: &On, events: usize) {
        self.shared.watches.lose(on, events);
    }

    /// Has open watches start over at once, as one does whose version has expired (410).
    pub fn expire_watches(&self, on: &On) {
        self.shared.watches.lose(on, 0);
    }

    /// Ends open watches with an error that stands. Those that persist tell it, and are out of touch until
    /// [`FaultyCluster::resume_watches`].
    pub fn fail_watches(&self, on: &On, kind: ErrorKind) {
        self.shared.watches.fail(on, kind);
    }

    /// Cancelled when a [`Fault::Crash`] happens. Whoever waits for it then drops what ran on this client.
    pub fn crashed(&self) -> CancellationToken {
        self.shared.crashed.clone()
    }

    /// All calls so far, in the order they were made.
    pub fn calls(&self) -> Vec<Call> {
        self.state().calls.clone()
    }

    /// Forgets the calls so far. Calls that are still unanswered then are recorded no more.
    pub fn forget_calls(&self) {
        self.state().calls.clear();
    }

    /// How many calls there were of each operation and kind.
    pub fn counts(&self) -> BTreeMap<(Operation, Option<Kind>), usize> {
        let mut counts = BTreeMap::new();
        for call in &self.state().calls {
            *counts.entry((call.operation, call.kind)).or_default() += 1;
        }
        counts
    }

    /// How many calls changed objects, or tried to.
    pub fn writes(&self) -> usize {
        let state = self.state();
        state
            .calls
            .iter()
            .filter(|call| call.operation.is_write())
            .count()
    }

    /// How many calls read objects or events. Watches are not among them.
    pub fn reads(&self) -> usize {
        let is_read = |call: &&Call| {
            matches!(
                call.operation,
                Operation::Get | Operation::List | Operation::Events
            )
        };
        self.state().calls.iter().filter(is_read).count()
    }

    /// Makes a call, with what is meant to go wrong with it.
    pub(super) async fn call<T: Send>(
        &self,
        about: About<'_>,
        what: &str,
        call: impl Future<Output = Result<T, Error>> + Send,
    ) -> Result<T, Error> {
        if self.shared.crashed.is_cancelled() {
            return std::future::pending().await;
        }
        let (record, fault) = self.begin(&about);
        let result = match fault {
            None => call.await,
            Some(Fault::Latency(time) | Fault::Lag(time)) => {
                tokio::time::sleep(time).await;
                call.await
            }
            Some(Fault::Error { when, kind, message }) => {
                if when == When::After {
                    // Refused all the same: the refusal is lost too.
                    drop(call.await);
                }
                self.finish(record, Outcome::Faulted(kind));
                return Err(error(what, kind, message.as_deref()));
            }
            Some(Fault::Silence(when)) => {
                if when == When::After {
                    drop(call.await);
                }
                std::future::pending().await
            }
            Some(Fault::Crash(when)) => {
                if when == When::After {
                    drop(call.await);
                }
                self.crash();
                std::future::pending().await
            }
        };
        // A process that died meanwhile does not see the answer.
        if self.shared.crashed.is_cancelled() {
            return std::future::pending().await;
        }
        let outcome = match &result {
            Ok(_) => Outcome::Succeeded,
            Err(error) => Outcome::Failed(error.kind),
        };
        self.finish(record, outcome);
        result
    }

    /// Records a call, and finds what is to go wrong with it.
    pub(super) fn begin(&self, about: &About<'_>) -> (usize, Option<Fault>) {
        let mut state = self.state();
        state.calls.push(Call {
            operation: about.operation,
            kind: about.kind,
            namespace: about.namespace.to_owned(),
            name: about.name.to_owned(),
            outcome: Outcome::Unanswered,
        });
        let record = state.calls.len() - 1;
        if state.partitioned {
            return (record, Some(Fault::before(ErrorKind::Unreachable)));
        }
        let mut found = None;
        for rule in &mut state.rules {
            if rule.on.matches(about) {
                let number = rule.matched;
                rule.matched += 1;
                if found.is_none() && rule.on.is_turn(number) {
                    found = Some(rule.fault.clone());
                }
            }
        }
        (record, found)
    }

    pub(super) fn finish(&self, record: usize, outcome: Outcome) {
        if let Some(call) = self.state().calls.get_mut(record) {
            call.outcome = outcome;
        }
    }

    pub(super) fn crash(&self) {
        self.shared.crashed.cancel();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for FaultyCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultyCluster").finish_non_exhaustive()
    }
}
