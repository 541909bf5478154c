//! What requests of one connection have in common.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;
use tokio::sync::watch;

use super::Services;
use super::window::Budget;

/// A connection, as those see it who answer its requests.
pub(super) struct Connection {
    services: Arc<Services>,
    budget: Arc<Mutex<Budget>>,
    /// Whether the key was presented on it.
    known: AtomicBool,
    became_known: Notify,
    end: End,
}

/// Why a connection should end.
#[derive(Clone)]
pub(super) struct End {
    /// True once the server is ending.
    pub(super) server: watch::Receiver<bool>,
    /// It was closed for another one, or did not present the key in time.
    pub(super) stranger: Arc<Notify>,
}

impl Connection {
    /// One that has shown nothing yet.
    pub(super) fn new(services: Arc<Services>, budget: Arc<Mutex<Budget>>, end: End) -> Self {
        Self {
            services,
            budget,
            known: AtomicBool::new(false),
            became_known: Notify::new(),
            end,
        }
    }

    /// What the requests are about.
    pub(super) const fn services(&self) -> &Arc<Services> {
        &self.services
    }

    /// What all connections may have on the way.
    pub(super) const fn budget(&self) -> &Arc<Mutex<Budget>> {
        &self.budget
    }

    /// The key was presented.
    pub(super) fn presented_the_key(&self) {
        if !self.known.swap(true, Ordering::Relaxed) {
            self.became_known.notify_one();
        }
    }

    /// Whether the key was presented.
    pub(super) fn is_known(&self) -> bool {
        self.known.load(Ordering::Relaxed)
    }

    /// Waits until the key is presented for the first time; for one waiter.
    pub(super) async fn becomes_known(&self) {
        self.became_known.notified().await;
    }

    /// Waits until it should end once its requests are answered.
    pub(super) async fn should_end(&self) {
        let mut server = self.end.server.clone();
        // That nobody can say it any longer means the same.
        let _ = server.wait_for(|ending| *ending).await;
    }

    /// Waits until it should end at once.
    pub(super) async fn is_closed_as_a_stranger(&self) {
        self.end.stranger.notified().await;
    }
}
