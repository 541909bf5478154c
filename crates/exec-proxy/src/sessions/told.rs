//! What the cluster says of sessions that do not start, as lines for people. A failed start keeps its record, but its pod goes, and
//! what the pod told with it: so that is kept here for a while. Bounded in what is kept and in how often the cluster is asked. Pure; the time
//! comes in.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

/// How old events may be that are told of a session which still starts.
const FRESH: Duration = Duration::from_secs(5);
/// How long what was told stays after the pod has gone.
const KEPT: Duration = Duration::from_secs(600);
/// Sessions of which it is kept, at most.
const MOST: usize = 500;
/// Lines of each kind, the last ones.
const LINES: usize = 20;
/// Characters of a line.
const CHARACTERS: usize = 500;

/// What a session's pod told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// Its events, oldest first.
    pub(crate) events: Vec<String>,
    /// The states of its containers.
    pub(crate) containers: Vec<String>,
}

/// What was told of sessions, by the uids of their records.
#[derive(Debug, Default)]
pub(super) struct AllTold(HashMap<String, (Instant, Told)>);

impl AllTold {
    /// Whether the cluster may be asked again for a session at `now`. If so, that is noted: of several who ask at once one does.
    pub(super) fn may_ask(&mut self, uid: &str, now: Instant) -> bool {
        if self.0.get(uid).is_some_and(|(since, _)| now < *since + FRESH) {
            return false;
        }
        if !self.0.contains_key(uid) {
            self.make_room(now);
        }
        self.0
            .entry(uid.to_owned())
            .or_insert_with(|| (now, Told::default()))
            .0 = now;
        true
    }

    /// Keeps what was told of a session. What says nothing new does not take the place of what was said before.
    pub(super) fn keep(&mut self, uid: &str, told: Told) {
        if let Some((_, kept)) = self.0.get_mut(uid) {
            let Told { events, containers } = told;
            if !events.is_empty() {
                kept.events = bounded(events);
            }
            if !containers.is_empty() {
                kept.containers = bounded(containers);
            }
        }
    }

    /// What was told of a session.
    pub(super) fn of(&self, uid: &str) -> Told {
        self.0.get(uid).map(|(_, told)| told.clone()).unwrap_or_default()
    }

    /// Forgets a session.
    pub(super) fn forget(&mut self, uid: &str) {
        self.0.remove(uid);
    }

    fn make_room(&mut self, now: Instant) {
        self.0.retain(|_, (since, _)| now < *since + KEPT);
        while self.0.len() >= MOST {
            let oldest = self.0.iter().min_by_key(|(_, (since, _))| *since);
            let Some(oldest) = oldest.map(|(uid, _)| uid.clone()) else {
                return;
            };
            self.0.remove(&oldest);
        }
    }
}

/// The last lines, each of them cut.
pub(crate) fn bounded(mut lines: Vec<String>) -> Vec<String> {
    lines.drain(..lines.len().saturating_sub(LINES));
    for line in &mut lines {
        if let Some((at, _)) = line.char_indices().nth(CHARACTERS) {
            line.truncate(at);
            line.push('…');
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(count: usize) -> Told {
        Told {
            events: (0..count)
                .map(|number| format!("{number} {}", "é".repeat(600)))
                .collect(),
            containers: vec!["c".to_owned()],
        }
    }

    #[test]
    fn the_last_lines_are_kept_and_cut() {
        let (mut all, now) = (AllTold::default(), Instant::now());
        assert!(all.may_ask("a", now));
        all.keep("a", events(50));
        let told = all.of("a");
        assert_eq!(told.events.len(), LINES);
        assert!(told.events[LINES - 1].starts_with("49 é"));
        assert!(
            told.events
                .iter()
                .all(|line| line.chars().count() == CHARACTERS + 1)
        );
        // The pod is gone, and says nothing.
        all.keep("a", Told::default());
        assert_eq!(all.of("a"), told);
        all.forget("a");
        assert_eq!(all.of("a"), Told::default());
    }

    #[test]
    fn the_cluster_is_asked_every_few_seconds_for_so_many_sessions() {
        let (mut all, now) = (AllTold::default(), Instant::now());
        assert!(all.may_ask("a", now) && !all.may_ask("a", now + Duration::from_millis(4999)));
        assert!(all.may_ask("a", now + FRESH));
        for number in 0..2 * MOST {
            assert!(all.may_ask(&format!("s{number}"), now + FRESH));
        }
        assert_eq!(all.0.len(), MOST);
        assert!(all.may_ask("b", now + FRESH + KEPT));
        assert_eq!(all.0.len(), 1);
    }
}
