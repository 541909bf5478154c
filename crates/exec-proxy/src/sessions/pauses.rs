//! When paused sessions may be woken by a request: not right after the pause, and not again and again. Pure; the time comes in.

use std::collections::HashMap;
use std::time::Duration;

use podbay_manifests::{RuntimeId, SessionOwner};
use tokio::time::Instant;

use super::NotWoken;

/// How long after a pause nothing wakes: what arrives then was on its way before.
pub(crate) const QUIET: Duration = Duration::from_secs(5);
/// How often one session is woken in a minute, at most.
const A_MINUTE: usize = 6;
/// How often sessions of one owner are woken in a minute, at most: each wake is a pod.
const A_MINUTE_OF_OWNER: usize = 60;
const MINUTE: Duration = Duration::from_secs(60);

/// Pauses and wakes of late.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    paused: HashMap<RuntimeId, Instant>,
    woken: HashMap<RuntimeId, Vec<Instant>>,
    woken_of: HashMap<Option<SessionOwner>, Vec<Instant>>,
}

impl Pauses {
    /// Notes that a session was paused at `now`.
    pub(super) fn paused(&mut self, id: &RuntimeId, now: Instant) {
        self.paused.retain(|_, since| now < *since + QUIET);
        self.paused.insert(id.clone(), now);
    }

    /// Whether a session may be woken at `now`; if so, that is counted.
    pub(super) fn may_wake(
        &mut self,
        id: &RuntimeId,
        owner: Option<&SessionOwner>,
        now: Instant,
    ) -> Result<(), NotWoken> {
        if self.paused.get(id).is_some_and(|since| now < *since + QUIET) {
            return Err(NotWoken::JustPaused);
        }
        forget_old(&mut self.woken, now);
        forget_old(&mut self.woken_of, now);
        let woken = self.woken.entry(id.clone()).or_default();
        let of_owner = self.woken_of.entry(owner.cloned()).or_default();
        if woken.len() >= A_MINUTE || of_owner.len() >= A_MINUTE_OF_OWNER {
            return Err(NotWoken::TooOften);
        }
        woken.push(now);
        of_owner.push(now);
        Ok(())
    }
}

fn forget_old<K: Eq + std::hash::Hash>(all: &mut HashMap<K, Vec<Instant>>, now: Instant) {
    all.retain(|_, woken| {
        woken.retain(|at| now < *at + MINUTE);
        !woken.is_empty()
    });
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
        assert_eq!(pauses.may_wake(&id(1), None, soon), Err(NotWoken::JustPaused));
        assert_eq!(pauses.may_wake(&id(2), None, soon), Ok(()));
        assert_eq!(pauses.may_wake(&id(1), None, now + QUIET), Ok(()));
    }

    #[test]
    fn a_session_is_woken_six_times_a_minute() {
        let (mut pauses, now) = (Pauses::default(), Instant::now());
        for _ in 0..6 {
            assert_eq!(pauses.may_wake(&id(1), None, now), Ok(()));
        }
        assert_eq!(pauses.may_wake(&id(1), None, now), Err(NotWoken::TooOften));
        assert_eq!(pauses.may_wake(&id(2), None, now), Ok(()));
        assert_eq!(pauses.may_wake(&id(1), None, now + MINUTE), Ok(()));
    }

    #[test]
    fn an_owner_s_sessions_are_woken_sixty_times_a_minute() {
        let (mut pauses, now) = (Pauses::default(), Instant::now());
        let (alice, bob) = (
            SessionOwner::of("alice").unwrap(),
            SessionOwner::of("bob").unwrap(),
        );
        for byte in 0..60 {
            assert_eq!(pauses.may_wake(&id(byte), Some(&alice), now), Ok(()));
        }
        assert_eq!(
            pauses.may_wake(&id(99), Some(&alice), now),
            Err(NotWoken::TooOften)
        );
        assert_eq!(pauses.may_wake(&id(99), Some(&bob), now), Ok(()));
        assert_eq!(pauses.may_wake(&id(98), Some(&alice), now + MINUTE), Ok(()));
    }
}
