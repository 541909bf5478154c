//! Sessions that this process has ended a moment ago: the index learns of it a little later, and until then would lead to a pod
//! that is going. Pure; the time comes in.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

/// How long it is remembered: far longer than a watch is behind, unless it is out of touch.
const REMEMBERED: Duration = Duration::from_secs(60);

/// Records that were deleted of late, by their uids: a session that is started anew has another.
#[derive(Debug, Default)]
pub(super) struct Stopped(HashMap<String, Instant>);

impl Stopped {
    /// Notes that the session of this record was ended at `now`.
    pub(super) fn add(&mut self, uid: &str, now: Instant) {
        self.0.retain(|_, since| now < *since + REMEMBERED);
        self.0.insert(uid.to_owned(), now);
    }

    /// Whether it was.
    pub(super) fn contains(&self, uid: &str) -> bool {
        self.0.contains_key(uid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_stopped_is_known_and_forgotten_in_time() {
        let (mut stopped, now) = (Stopped::default(), Instant::now());
        stopped.add("a", now);
        assert!(stopped.contains("a") && !stopped.contains("b"));
        stopped.add("b", now + REMEMBERED);
        assert!(!stopped.contains("a") && stopped.contains("b"));
    }
}
