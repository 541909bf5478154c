//! How often each key starts sessions. Pure; the time comes in.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

const MINUTE: Duration = Duration::from_secs(60);

/// Starts of the last minute, by the names of keys.
#[derive(Debug, Default)]
pub(crate) struct StartRate(HashMap<Arc<str>, VecDeque<Instant>>);

impl StartRate {
    /// Counts a start with this key at `now`; the time to wait if there were `most` in the last minute.
    pub(crate) fn count(&mut self, key: &Arc<str>, most: u32, now: Instant) -> Result<(), Duration> {
        let starts = self.0.entry(Arc::clone(key)).or_default();
        while starts.front().is_some_and(|first| *first + MINUTE <= now) {
            starts.pop_front();
        }
        match starts.front() {
            Some(first) if starts.len() >= usize::try_from(most).unwrap_or(usize::MAX) => {
                Err(*first + MINUTE - now)
            }
            _ => {
                starts.push_back(now);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_so_many_in_any_minute() {
        let (mut rate, now) = (StartRate::default(), Instant::now());
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        let at = |seconds| now + Duration::from_secs(seconds);
        assert_eq!(rate.count(&a, 2, at(0)), Ok(()));
        assert_eq!(rate.count(&a, 2, at(10)), Ok(()));
        assert_eq!(rate.count(&a, 2, at(20)), Err(Duration::from_secs(40)));
        assert_eq!(rate.count(&b, 2, at(20)), Ok(()));
        assert_eq!(rate.count(&a, 2, at(60)), Ok(()));
        assert_eq!(rate.count(&a, 2, at(69)), Err(Duration::from_secs(1)));
        assert_eq!(rate.count(&a, 2, at(70)), Ok(()));
    }
}
