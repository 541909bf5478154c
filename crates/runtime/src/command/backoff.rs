//! How often a lost connection is made again, and for how long.

use std::time::Duration;

use tokio::time::Instant;

/// The pause before the first try; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How long a connection may be lost.
const LIMIT: Duration = Duration::from_secs(60);

/// A connection that held so long was one, even if nothing came over it.
const STEADY: Duration = Duration::from_secs(10);

/// When to try again.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    /// When the connection was lost that has not come back since.
    lost: Option<Instant>,
    tries: u32,
}

impl Backoff {
    /// The connection held for so long, and brought something or didn't.
    pub(crate) fn held(&mut self, long: Duration, progress: bool) {
        if progress || long >= STEADY {
            *self = Self::default();
        }
    }

    /// How long to wait before the next try. `None` when it has been tried for long enough.
    pub(crate) fn pause(&mut self, now: Instant) -> Option<Duration> {
        let lost = *self.lost.get_or_insert(now);
        if now.duration_since(lost) >= LIMIT {
            return None;
        }
        let pause = FIRST_PAUSE.saturating_mul(1 << self.tries.min(16));
        self.tries += 1;
        Some(pause.min(LONGEST_PAUSE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end() {
        let mut backoff = Backoff::default();
        let begun = Instant::now();
        let mut now = begun;
        let mut pauses = Vec::new();
        while let Some(pause) = backoff.pause(now) {
            now += pause;
            pauses.push(pause);
        }
        assert_eq!(pauses[..3], [100, 200, 400].map(Duration::from_millis));
        assert!(pauses.iter().all(|pause| *pause <= LONGEST_PAUSE));
        assert!(now - begun >= LIMIT && now - begun < LIMIT + LONGEST_PAUSE);
        backoff.held(STEADY / 2, false);
        assert_eq!(backoff.pause(now), None);
        backoff.held(Duration::ZERO, true);
        assert_eq!(backoff.pause(now), Some(FIRST_PAUSE));
        backoff.held(STEADY, false);
        assert_eq!(backoff.pause(now + LIMIT), Some(FIRST_PAUSE));
    }
}
