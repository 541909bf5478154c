//! Runtime ids that the index does not know: how often the cluster may be asked for them. Pure; the time comes in.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use podbay_manifests::RuntimeId;
use tokio::time::Instant;

/// Questions a second, at most, for the whole process: what is asked from outside must not press the API server.
const A_SECOND: usize = 5;
/// How long an id that the cluster does not know is not asked for again.
const REMEMBERED: Duration = Duration::from_secs(5);
/// Unknown ids that are remembered, at most.
const MOST: usize = 10_000;

/// What to do about an id that the index does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unknown {
    /// Ask the cluster.
    Ask,
    /// It was not there a moment ago.
    NotThere,
    /// The cluster was asked too often.
    TooMany,
}

/// The questions of late.
#[derive(Debug, Default)]
pub(super) struct Questions {
    /// When questions were asked, of all namespaces of this process.
    asked: Arc<Mutex<VecDeque<Instant>>>,
    unknown: HashMap<RuntimeId, Instant>,
}

impl Questions {
    /// Those about another namespace, which count together with these.
    pub(super) fn of_another_namespace(&self) -> Self {
        Self {
            asked: Arc::clone(&self.asked),
            unknown: HashMap::new(),
        }
    }

    /// What to do about an id at `now`. A question that may be asked is counted.
    pub(super) fn about(&mut self, id: &RuntimeId, now: Instant) -> Unknown {
        if self
            .unknown
            .get(id)
            .is_some_and(|since| now < *since + REMEMBERED)
        {
            return Unknown::NotThere;
        }
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        while asked
            .front()
            .is_some_and(|first| *first + Duration::from_secs(1) <= now)
        {
            asked.pop_front();
        }
        if asked.len() >= A_SECOND {
            return Unknown::TooMany;
        }
        asked.push_back(now);
        Unknown::Ask
    }

    /// Notes that the cluster does not know an id.
    pub(super) fn not_there(&mut self, id: &RuntimeId, now: Instant) {
        self.unknown.retain(|_, since| now < *since + REMEMBERED);
        if self.unknown.len() < MOST {
            self.unknown.insert(id.clone(), now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(byte: u8) -> RuntimeId {
        RuntimeId::from_random([byte; 16])
    }

    #[test]
    fn the_cluster_is_asked_five_times_a_second() {
        let (mut questions, now) = (Questions::default(), Instant::now());
        for byte in 0..5 {
            assert_eq!(questions.about(&id(byte), now), Unknown::Ask);
        }
        assert_eq!(questions.about(&id(9), now), Unknown::TooMany);
        let mut of_another = questions.of_another_namespace();
        assert_eq!(of_another.about(&id(9), now), Unknown::TooMany);
        let later = now + Duration::from_millis(999);
        assert_eq!(questions.about(&id(9), later), Unknown::TooMany);
        assert_eq!(
            questions.about(&id(9), now + Duration::from_secs(1)),
            Unknown::Ask
        );
    }

    #[test]
    fn an_unknown_id_is_remembered_for_five_seconds() {
        let (mut questions, now) = (Questions::default(), Instant::now());
        assert_eq!(questions.about(&id(1), now), Unknown::Ask);
        questions.not_there(&id(1), now);
        let later = now + Duration::from_millis(4999);
        assert_eq!(questions.about(&id(1), later), Unknown::NotThere);
        assert_eq!(questions.about(&id(2), later), Unknown::Ask);
        assert_eq!(questions.about(&id(1), now + REMEMBERED), Unknown::Ask);
    }
}
