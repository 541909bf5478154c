//! The cluster's time: tokio's, counted from a fixed day, so that a paused clock makes runs reproducible.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// When every scripted cluster begins: 2026-01-01T00:00:00Z.
pub const EPOCH: Timestamp = Timestamp::constant(1_767_225_600, 0);

/// Measures from the cluster's beginning.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock(Instant);

impl Clock {
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    /// The time since the beginning.
    pub(super) fn now(self) -> Duration {
        self.0.elapsed()
    }

    /// As an instant to sleep until.
    pub(super) fn instant(self, at: Duration) -> Instant {
        self.0 + at
    }
}

/// A time as the API writes it: whole seconds.
pub(super) fn timestamp(at: Duration) -> Timestamp {
    let seconds = i64::try_from(at.as_secs()).unwrap_or(i64::MAX);
    EPOCH
        .checked_add(SignedDuration::from_secs(seconds))
        .unwrap_or(Timestamp::MAX)
}
