//! How the commands ended that sessions were started for, as far as their agents were asked: nothing tells of it by itself, and the session
//! goes on. Pure; the time comes in.

use std::collections::HashMap;
use std::time::Duration;

use podbay_protocol::Verdict;
use tokio::time::Instant;

/// After how long an agent is asked again whether the command runs.
const FRESH: Duration = Duration::from_secs(5);
/// After how long it is asked again how the command ended: a new agent starts it again.
const ENDED: Duration = Duration::from_secs(60);
/// Sessions of which it is kept, at most.
const MOST: usize = 2000;

/// Ends of commands, by the uids of the sandboxes that ran them.
#[derive(Debug, Default)]
pub(super) struct CommandEnds(HashMap<String, (Instant, Option<Verdict>)>);

impl CommandEnds {
    /// Whether the agent may be asked at `now`. If so, that is noted: of several who ask at once one does.
    pub(super) fn may_ask(&mut self, uid: &str, now: Instant) -> bool {
        if let Some((since, end)) = self.0.get_mut(uid) {
            let rest = if end.is_some() { ENDED } else { FRESH };
            let may = now >= *since + rest;
            if may {
                *since = now;
            }
            return may;
        }
        if self.0.len() >= MOST {
            self.0.clear();
        }
        self.0.insert(uid.to_owned(), (now, None));
        true
    }

    /// Keeps what an agent told.
    pub(super) fn keep(&mut self, uid: &str, end: Option<Verdict>) {
        if let Some((_, kept)) = self.0.get_mut(uid) {
            *kept = end;
        }
    }

    /// How the command ended, if it is known to have.
    pub(super) fn of(&self, uid: &str) -> Option<Verdict> {
        self.0.get(uid)?.1.clone()
    }

    /// Forgets a sandbox whose command is started again.
    pub(super) fn forget(&mut self, uid: &str) {
        self.0.remove(uid);
    }
}

#[cfg(test)]
mod tests {
    use podbay_protocol::Cause;

    use super::*;

    #[test]
    fn one_that_runs_is_asked_after_more_often_than_one_that_has_ended() {
        let (mut all, now) = (CommandEnds::default(), Instant::now());
        assert!(all.may_ask("a", now) && !all.may_ask("a", now + FRESH - Duration::from_millis(1)));
        let later = now + FRESH;
        assert!(all.may_ask("a", later));
        all.keep("a", Some(Verdict::new(Cause::Exited, "exit code 1", "")));
        assert!(all.of("a").is_some() && !all.may_ask("a", later + FRESH));
        assert!(all.may_ask("a", later + ENDED));
        all.forget("a");
        assert!(all.of("a").is_none() && all.may_ask("a", later));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let (mut all, now) = (CommandEnds::default(), Instant::now());
        for number in 0..=MOST {
            assert!(all.may_ask(&number.to_string(), now));
        }
        assert_eq!(all.0.len(), 1);
    }
}
