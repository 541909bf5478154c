//! What requests of one connection have in common.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::future::BoxFuture;
use tokio::sync::Notify;
use tokio::sync::watch;

use super::Services;
use super::watched::Closed;
use super::window::Budget;
use crate::action::{Delivery, Ending};

/// Answers of which a connection knows, at most, what came of them.
const ANSWERS: usize = 16;

/// A connection, as those see it who answer its requests.
pub(super) struct Connection {
    services: Arc<Services>,
    budget: Arc<Mutex<Budget>>,
    /// Whether the key was presented on it.
    known: AtomicBool,
    became_known: Notify,
    end: End,
    /// Answers to actions that its client may not have read.
    answers: Mutex<Vec<Kept>>,
    /// What is spoken on it once the request is answered that asked for another protocol.
    next: Mutex<Option<BoxFuture<'static, ()>>>,
    /// The stream, once nothing is read or written on it.
    closed: Mutex<Option<Closed>>,
}

struct Kept {
    delivery: Delivery,
    /// Whether all of it was given to the system.
    is_written: bool,
}

/// What an answer carries with it whose client may ask again for it. Dropped before the answer was taken, it tells that the
/// client does not have it.
pub(super) struct Receipt {
    delivery: Option<Delivery>,
    connection: Arc<Connection>,
    is_taken: bool,
}

impl Receipt {
    /// For an answer on this connection.
    pub(super) const fn new(delivery: Delivery, connection: Arc<Connection>) -> Self {
        Self {
            delivery: Some(delivery),
            connection,
            is_taken: false,
        }
    }

    /// All of the answer is with those who write it.
    pub(super) const fn is_taken(&mut self) {
        self.is_taken = true;
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if let Some(delivery) = self.delivery.take().filter(|_| self.is_taken) {
            self.connection.keep(delivery);
        }
    }
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
            answers: Mutex::default(),
            next: Mutex::default(),
            closed: Mutex::default(),
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

    /// Keeps an answer that is being written until the connection ends, or its client has read it.
    fn keep(&self, delivery: Delivery) {
        let mut answers = lock(&self.answers);
        answers.push(Kept {
            delivery,
            is_written: false,
        });
        // On HTTP/2 nothing tells that one was read: the last ones are enough.
        let surplus = answers.len().saturating_sub(ANSWERS);
        answers
            .drain(..surplus)
            .for_each(|kept| kept.delivery.ended(Ending::InOrder));
    }

    /// What there was to write is written.
    pub(super) fn flushed(&self) {
        for kept in lock(&self.answers).iter_mut().filter(|kept| !kept.is_written) {
            kept.is_written = true;
            kept.delivery.written();
        }
    }

    /// The client has sent another request on a connection that carries one at a time: it has read what came before.
    pub(super) fn has_read(&self) {
        self.ended(Ending::InOrder);
    }

    /// When the request that is being answered is, this takes the connection over.
    pub(super) fn becomes(&self, next: impl Future<Output = ()> + Send + 'static) {
        *lock(&self.next) = Some(Box::pin(next));
    }

    /// What takes the connection over, if anything does.
    pub(super) fn next(&self) -> Option<BoxFuture<'static, ()>> {
        lock(&self.next).take()
    }

    /// Nothing is read or written any longer.
    pub(super) fn is_closed(&self, stream: Closed) {
        *lock(&self.closed) = Some(stream);
    }

    /// Tells those whose answers the client may not have read how the connection ended, when that is certain.
    pub(super) async fn concludes(&self) {
        let closed = lock(&self.closed).take();
        let Some(closed) = closed.filter(|_| !lock(&self.answers).is_empty()) else {
            return;
        };
        tokio::select! {
            ending = closed.ending() => self.ended(ending),
            () = self.should_end() => {}
        }
    }

    fn ended(&self, ending: Ending) {
        let answers = std::mem::take(&mut *lock(&self.answers));
        for kept in answers {
            kept.delivery.ended(ending);
        }
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
