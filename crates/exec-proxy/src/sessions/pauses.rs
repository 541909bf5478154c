//! When paused sessions may be woken by a request: not right after the pause, and not again and again. Pure; the time comes in.

use std::collections::HashMap;
use std::time::Duration;

use podbay_manifests::RuntimeId;
use tokio::time::Instant;

use super::NotWoken;

/// How long after a pause nothing wakes: what arrives then was on its way before.
const QUIET: Duration = Duration::from_secs(5);
/// How often one session is woken in a minute, at most.
const A_MINUTE: usize = 6;
const MINUTE: Duration = Duration::from_secs(60);

/// Pauses and wakes of late.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    paused: HashMap<RuntimeId, Instant>,
    woken: HashMap<RuntimeId, Vec<Instant>>,
}

impl Pauses {
    /// Notes that a session was paused at `now`.
    pub(super) fn paused(&mut self, id: &RuntimeId, now: Instant) {
        self.paused.retain(|_, since| now < *since + QUIET);
        self.paused.insert(id.clone(), now);
    }

    /// Whether a session may be woken at `now`; if so, that is counted.
    pub(super) fn may_wake(&mut self, id: &RuntimeId, now: Instant) -> Result<(), NotWoken> {
        if self.paused.get(id).is_some_and(|since| now < *since + QUIET) {
            return Err(NotWoken::JustPaused);
        }
        for woken in self.woken.values_mut() {
            woken.retain(|at| now < *at + MINUTE);
        }
        self.woken.retain(|_, woken| !woken.is_empty());
        let woken = self.woken.entry(id.clone()).or_default();
        if woken.len() >= A_MINUTE {
            return Err(NotWoken::TooOften);
        }
        woken.push(now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(byte: u8) -> RuntimeId {
        RuntimeId::from_random([byte; 16])
    }

    #[test]
    fn nothing_wakes_right_after_a_pause() {
        let (mut pauses, now) = (Pauses::default(), Instant::now());
        pauses.paused(&id(1), now);
        let soon = now + Duration::from_millis(4999);
        assert_eq!(pauses.may_wake(&id(1), soon), Err(NotWoken::JustPaused));
        assert_eq!(pauses.may_wake(&id(2), soon), Ok(()));
        assert_eq!(pauses.may_wake(&id(1), now + QUIET), Ok(()));
    }

    #[test]
    fn a_session_is_woken_six_times_a_minute() {
        let (mut pauses, now) = (Pauses::default(), Instant::now());
        for _ in 0..6 {
            assert_eq!(pauses.may_wake(&id(1), now), Ok(()));
        }
        assert_eq!(pauses.may_wake(&id(1), now), Err(NotWoken::TooOften));
        assert_eq!(pauses.may_wake(&id(2), now), Ok(()));
        assert_eq!(pauses.may_wake(&id(1), now + MINUTE), Ok(()));
    }
}
