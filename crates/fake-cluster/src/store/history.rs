//! What changed, in order: the one revision counter, and for each kind and namespace the changes that a watch
//! can still be given.
//!
//! Watches read the log themselves, each from its own place. A change so costs the same however many follow, and
//! a watch that is too slow meets the end of the log and is told so (410), as in the API.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use podbay_k8s_client::Kind;
use tokio::sync::watch;

use super::kept::Kept;

/// A change of one object: at least one side is there.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Change {
    /// The cluster's revision after it; the object's `resourceVersion`.
    pub revision: u64,
    /// The object before; none if it was created.
    pub before: Option<Arc<Kept>>,
    /// The object after; none if it was deleted.
    pub after: Option<Arc<Kept>>,
}

/// All changes of a cluster that are still known.
#[derive(Debug)]
pub(crate) struct History {
    /// The last revision given out; read by watches, for their bookmarks.
    revision: Arc<AtomicU64>,
    /// The newest revision whose change was forgotten.
    compacted: u64,
    limit: usize,
    /// Which log holds each known change, oldest first.
    order: VecDeque<(Kind, Arc<str>)>,
    logs: HashMap<(Kind, Arc<str>), Log>,
}

/// The changes of one kind in one namespace. Dropping it ends the watches that read it, after what it holds.
#[derive(Debug)]
struct Log {
    changes: Arc<Mutex<Changes>>,
    grown: watch::Sender<()>,
}

/// See [`Log`].
#[derive(Debug, Default)]
pub(crate) struct Changes {
    known: VecDeque<Arc<Change>>,
    compacted: u64,
}

/// A place in a log.
#[derive(Debug)]
pub(crate) struct Cursor {
    changes: Arc<Mutex<Changes>>,
    grown: watch::Receiver<()>,
    revision: Arc<AtomicU64>,
    /// All up to this revision was seen.
    seen: u64,
}

/// What stands at a [`Cursor`].
#[derive(Debug)]
pub(crate) enum Next {
    /// The next change; the cursor is behind it now.
    Change(Arc<Change>),
    /// Nothing new. All up to this revision was seen.
    UpToDate(u64),
    /// Changes after `seen` are no longer known; the oldest that is comes after `oldest`.
    Gone {
        /// The cursor's place.
        seen: u64,
        /// The newest forgotten revision.
        oldest: u64,
    },
}

impl History {
    /// An empty one, which remembers the last `limit` changes.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            revision: Arc::default(),
            compacted: 0,
            limit,
            order: VecDeque::new(),
            logs: HashMap::new(),
        }
    }

    /// The current revision.
    pub(crate) fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }

    /// The newest revision whose change was forgotten.
    pub(crate) const fn compacted(&self) -> u64 {
        self.compacted
    }

    /// The revision the next change will have.
    pub(crate) fn next_revision(&self) -> u64 {
        self.revision() + 1
    }

    /// Adds a change, whose revision must be [`History::next_revision`].
    pub(crate) fn push(&mut self, kind: Kind, namespace: &str, change: Arc<Change>) {
        let revision = change.revision;
        let place = (kind, Arc::from(namespace));
        let log = self.logs.entry(place.clone()).or_default();
        locked(&log.changes).known.push_back(change);
        // After the change is in the log: who reads this revision and then an empty log has missed nothing.
        self.revision.store(revision, Ordering::Release);
        log.grown.send_replace(());
        self.order.push_back(place);
        self.forget_beyond(self.limit);
    }

    /// Forgets all but the last `keep` changes (etcd's compaction).
    pub(crate) fn forget_beyond(&mut self, keep: usize) {
        while self.order.len() > keep {
            let Some(place) = self.order.pop_front() else {
                return;
            };
            let Some(log) = self.logs.get(&place) else {
                continue;
            };
            let mut changes = locked(&log.changes);
            if let Some(oldest) = changes.known.pop_front() {
                changes.compacted = oldest.revision;
                self.compacted = self.compacted.max(oldest.revision);
            }
        }
    }

    /// A cursor behind `seen`.
    pub(crate) fn cursor(&mut self, kind: Kind, namespace: &str, seen: u64) -> Cursor {
        let log = self.logs.entry((kind, Arc::from(namespace))).or_default();
        Cursor {
            changes: Arc::clone(&log.changes),
            grown: log.grown.subscribe(),
            revision: Arc::clone(&self.revision),
            seen,
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self {
            changes: Arc::default(),
            grown: watch::Sender::new(()),
        }
    }
}

impl Cursor {
    /// What comes next, without waiting.
    pub(crate) fn next(&mut self) -> Next {
        let now = self.revision.load(Ordering::Acquire);
        let changes = locked(&self.changes);
        if changes.compacted > self.seen {
            return Next::Gone {
                seen: self.seen,
                oldest: changes.compacted,
            };
        }
        let at = changes
            .known
            .partition_point(|change| change.revision <= self.seen);
        if let Some(change) = changes.known.get(at) {
            self.seen = change.revision;
            Next::Change(Arc::clone(change))
        } else {
            self.seen = self.seen.max(now);
            Next::UpToDate(self.seen)
        }
    }

    /// Waits for more; false once there can be none.
    pub(crate) async fn grown(&mut self) -> bool {
        self.grown.changed().await.is_ok()
    }
}

/// A panic while it is held leaves it usable: each change of it is complete in itself.
fn locked(changes: &Mutex<Changes>) -> MutexGuard<'_, Changes> {
    changes.lock().unwrap_or_else(PoisonError::into_inner)
}
