//! What is to happen when. Of two things due at once, the one that was asked for first comes first.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

/// Things to come.
#[derive(Debug)]
pub(super) struct Timers<T> {
    queue: BinaryHeap<Reverse<Timer<T>>>,
    asked: u64,
}

#[derive(Debug)]
struct Timer<T> {
    at: Duration,
    number: u64,
    due: T,
}

impl<T> Timers<T> {
    pub(super) const fn new() -> Self {
        Self {
            queue: BinaryHeap::new(),
            asked: 0,
        }
    }

    /// Has `due` happen at a time since the cluster's beginning.
    pub(super) fn set(&mut self, at: Duration, due: T) {
        self.asked += 1;
        let number = self.asked;
        self.queue.push(Reverse(Timer { at, number, due }));
    }

    /// When the next thing is due.
    pub(super) fn next(&self) -> Option<Duration> {
        self.queue.peek().map(|Reverse(timer)| timer.at)
    }

    /// Takes the next thing that is due by `now`, with the time it was due.
    pub(super) fn take(&mut self, now: Duration) -> Option<(Duration, T)> {
        if self.next()? > now {
            return None;
        }
        let Reverse(Timer { at, due, .. }) = self.queue.pop()?;
        Some((at, due))
    }
}

impl<T> Timer<T> {
    const fn order(&self) -> (Duration, u64) {
        (self.at, self.number)
    }
}

impl<T> PartialEq for Timer<T> {
    fn eq(&self, other: &Self) -> bool {
        self.order() == other.order()
    }
}

impl<T> Eq for Timer<T> {}

impl<T> PartialOrd for Timer<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Timer<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order().cmp(&other.order())
    }
}
