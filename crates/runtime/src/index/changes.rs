//! Which sessions have changed, for one who follows them all.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use super::view::SessionView;
use super::watch::SessionIndex;

/// Sessions that have changed and were not told yet. A session that changes twice stands in it once, so that a slow
/// listener holds no more than there are sessions.
#[derive(Debug, Default)]
pub(super) struct Pending {
    sessions: Mutex<BTreeSet<Arc<str>>>,
    added: Notify,
}

impl Pending {
    pub(super) fn add(&self, session: &Arc<str>) {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        if sessions.insert(Arc::clone(session)) {
            self.added.notify_one();
        }
    }

    fn take(&self) -> Option<Arc<str>> {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.pop_first()
    }
}

/// Follows all sessions of an index.
#[derive(Debug)]
pub struct Changes {
    pending: Arc<Pending>,
    index: SessionIndex,
}

impl Changes {
    pub(super) const fn new(pending: Arc<Pending>, index: SessionIndex) -> Self {
        Self { pending, index }
    }

    /// Waits until a session has changed. Returns its label and what is known of it now; changes in between are not told one
    /// by one. One that is gone is [unknown](SessionView::is_unknown).
    pub async fn next(&mut self) -> (Arc<str>, SessionView) {
        loop {
            if let Some(session) = self.pending.take() {
                let view = self.index.view_of(&session);
                return (session, view);
            }
            self.pending.added.notified().await;
        }
    }
}
