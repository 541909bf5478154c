//! Whether the server has something to do, and since when not.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// What the server has been doing. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Activity(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    started: Instant,
    /// Requests with the key that are being answered.
    running: usize,
    /// When the last one ended.
    last: Instant,
}

/// A request is being answered until this is dropped.
#[derive(Debug)]
pub(super) struct Busy(Activity);

impl Activity {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self(Arc::new(Mutex::new(State {
            started: now,
            running: 0,
            last: now,
        })))
    }

    /// A request begins.
    pub(super) fn begin(&self) -> Busy {
        self.with(|state| state.running += 1);
        Busy(self.clone())
    }

    /// How long the server has run, and how long it has had nothing to do.
    pub(super) fn times(&self) -> (Duration, Duration) {
        self.with(|state| {
            let idle = if state.running > 0 {
                Duration::ZERO
            } else {
                state.last.elapsed()
            };
            (state.started.elapsed(), idle)
        })
    }

    fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.with(|state| {
            state.running -= 1;
            state.last = Instant::now();
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn idle_is_since_the_last_request_ended() {
        let activity = Activity::new();
        tokio::time::advance(Duration::from_secs(3)).await;
        let busy = activity.begin();
        assert_eq!(activity.times(), (Duration::from_secs(3), Duration::ZERO));
        tokio::time::advance(Duration::from_secs(2)).await;
        drop(busy);
        tokio::time::advance(Duration::from_secs(4)).await;
        assert_eq!(activity.times(), (Duration::from_secs(9), Duration::from_secs(4)));
    }
}
