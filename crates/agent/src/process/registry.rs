//! Which processes there are, and for how long the ended ones are kept.

use std::collections::hash_map::DefaultHasher;
use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use podbay_protocol::ProcessId;
use tokio::time::Instant;

/// How many ids of processes that were dropped are remembered, so that a late repetition of their start does not run
/// them again.
const EXPIRED: usize = 10_000;

/// Values by process id, dropped some time after their process's end.
#[derive(Debug)]
pub(super) struct Registry<T> {
    entries: HashMap<Arc<ProcessId>, Entry<T>>,
    /// The ended ones, the oldest first.
    ended: VecDeque<(Instant, Arc<ProcessId>)>,
    expired: HashSet<u64>,
    expired_order: VecDeque<u64>,
    next: u64,
    kept: usize,
    kept_for: Duration,
}

#[derive(Debug)]
struct Entry<T> {
    /// Tells it from a later one with its id; and the order of starts.
    number: u64,
    has_ended: bool,
    value: T,
}

impl<T> Registry<T> {
    pub(super) fn new(kept: usize, kept_for: Duration) -> Self {
        Self {
            entries: HashMap::new(),
            ended: VecDeque::new(),
            expired: HashSet::new(),
            expired_order: VecDeque::new(),
            next: 0,
            kept,
            kept_for,
        }
    }

    pub(super) fn get(&self, id: &ProcessId) -> Option<&T> {
        self.entries.get(id).map(|entry| &entry.value)
    }

    /// All, in the order of their start.
    pub(super) fn list(&self) -> Vec<&T> {
        let mut all: Vec<_> = self.entries.values().collect();
        all.sort_unstable_by_key(|entry| entry.number);
        all.into_iter().map(|entry| &entry.value).collect()
    }

    /// Whether it was there and dropped for its age.
    pub(super) fn has_expired(&self, id: &ProcessId) -> bool {
        self.expired.contains(&hash(id))
    }

    /// Adds one. Gives the number by which its end is told.
    pub(super) fn insert(&mut self, id: Arc<ProcessId>, value: T) -> u64 {
        let number = self.next;
        self.next += 1;
        let entry = Entry {
            number,
            has_ended: false,
            value,
        };
        self.entries.insert(id, entry);
        number
    }

    /// Takes one out; its id is free.
    pub(super) fn remove(&mut self, id: &ProcessId) -> Option<T> {
        let entry = self.entries.remove(id)?;
        // What was forgotten takes no place from others.
        if entry.has_ended {
            self.ended.retain(|(_, ended)| **ended != *id);
        }
        Some(entry.value)
    }

    /// A process has ended. Told again, it changes nothing.
    pub(super) fn ended(&mut self, id: &Arc<ProcessId>, number: u64, now: Instant) {
        if let Some(entry) = self.entries.get_mut(id)
            && entry.number == number
            && !entry.has_ended
        {
            entry.has_ended = true;
            self.ended.push_back((now, Arc::clone(id)));
        }
        self.purge(now);
    }

    /// Drops those that have been kept long enough, and those above the number.
    pub(super) fn purge(&mut self, now: Instant) {
        while let Some((ended, id)) = self.ended.front() {
            let is_old = now.duration_since(*ended) >= self.kept_for;
            if !is_old && self.ended.len() <= self.kept {
                return;
            }
            let hash = hash(id);
            self.entries.remove(id);
            self.ended.pop_front();
            self.remember(hash);
        }
    }

    fn remember(&mut self, id: u64) {
        if self.expired.insert(id) {
            self.expired_order.push_back(id);
        }
        if self.expired_order.len() > EXPIRED
            && let Some(oldest) = self.expired_order.pop_front()
        {
            self.expired.remove(&oldest);
        }
    }
}

/// Eight bytes in place of an id of up to 64: two in ten thousand are the same once in 10^11.
fn hash(id: &ProcessId) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn id(text: &str) -> Arc<ProcessId> {
        Arc::new(text.parse().unwrap())
    }

    #[test]
    fn the_last_ones_are_kept_and_for_a_time() {
        let start = Instant::now();
        let mut registry = Registry::new(2, HOUR);
        for name in ["a", "b", "c"] {
            let number = registry.insert(id(name), name);
            registry.ended(&id(name), number, start);
        }
        assert_eq!(registry.list(), [&"b", &"c"]);
        assert!(registry.has_expired(&id("a")) && !registry.has_expired(&id("b")));
        registry.purge(start + HOUR);
        assert!(registry.list().is_empty());
    }

    #[test]
    fn what_was_forgotten_takes_no_place() {
        let start = Instant::now();
        let mut registry = Registry::new(2, HOUR);
        for name in ["kept", "a", "b", "c"] {
            let number = registry.insert(id(name), name);
            registry.ended(&id(name), number, start);
            if name != "kept" {
                assert_eq!(registry.remove(&id(name)), Some(name));
            }
        }
        assert_eq!(registry.list(), [&"kept"]);
    }

    #[test]
    fn what_runs_is_never_dropped() {
        let start = Instant::now();
        let mut registry = Registry::new(0, Duration::ZERO);
        registry.insert(id("a"), ());
        registry.purge(start + HOUR * 1000);
        assert!(registry.get(&id("a")).is_some());
    }

    #[test]
    fn an_id_used_again_is_not_dropped_for_its_predecessor() {
        let start = Instant::now();
        let mut registry = Registry::new(10, HOUR);
        let first = registry.insert(id("a"), 1);
        registry.ended(&id("a"), first, start);
        registry.remove(&id("a"));
        registry.insert(id("a"), 2);
        registry.ended(&id("a"), first, start);
        registry.purge(start + HOUR);
        assert_eq!(registry.get(&id("a")), Some(&2));
        assert!(!registry.has_expired(&id("a")));
    }

    proptest! {
        // One of the bugs of others: a look-up by name that gave another process.
        #[test]
        fn an_id_finds_its_own_process(names in vec("[a-c]{1,3}", 1..40), removed in vec(any::<bool>(), 40)) {
            let mut registry = Registry::new(1000, HOUR);
            let mut model: Vec<(String, usize)> = Vec::new();
            for (number, (name, remove)) in names.iter().zip(removed).enumerate() {
                let there = model.iter().position(|(known, _)| known == name);
                prop_assert_eq!(registry.get(&id(name)).copied(), there.map(|at| model[at].1));
                match (there, remove) {
                    (None, _) => {
                        registry.insert(id(name), number);
                        model.push((name.clone(), number));
                    }
                    (Some(at), true) => {
                        prop_assert_eq!(registry.remove(&id(name)), Some(model.remove(at).1));
                    }
                    (Some(_), false) => {}
                }
                let listed: Vec<usize> = registry.list().into_iter().copied().collect();
                prop_assert_eq!(listed, model.iter().map(|(_, value)| *value).collect::<Vec<_>>());
            }
        }
    }
}
