//! Requests that are the same as one before: which of them are a repetition of it, and get its answer.
//!
//! The clients that this is for send a request again, with the same body and nothing that tells it from another one, when
//! its connection breaks: up to five times, 4 to 15 seconds apart. A command must not run twice for it. So a request joins
//! an earlier equal one, but only if that one's connection is gone; of one that was answered, only if the connection ended
//! before the answer was written, or broke so soon after that the client may not have read it, and only once.
//!
//! A client that asks the same again on a connection that works means it; so does one that has its answer and closes the
//! connection in order.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

/// How soon after its answer was written a connection has to break for the answer to count as unread.
const UNREAD: Duration = Duration::from_secs(2);
/// How long an answer that nobody read is kept.
const KEPT: Duration = Duration::from_secs(60);
/// Answers that are kept, at most: the oldest gives way.
const ANSWERS: usize = 64;
/// Bytes of these, at most.
const BYTES: usize = 4 << 20;

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Its client closed it after it had read what was written, or said so by another request.
    InOrder,
    /// It was reset, or what was written may not have reached the client for another reason.
    Broken,
}

/// What tells bodies apart.
pub type Hash = [u8; 32];

/// One execution of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Run(u64);

/// What a request is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arrival<A> {
    /// A new one: to be carried out.
    New(Run),
    /// A repetition of one that is being carried out: its answer is to be waited for.
    Joins(Run),
    /// A repetition of one that was answered.
    Answered(Run, A),
}

/// Executions that a request may be a repetition of.
#[derive(Debug)]
pub struct Repeats<A> {
    runs: HashMap<u64, State<A>>,
    next: u64,
}

#[derive(Debug)]
struct State<A> {
    hash: Hash,
    /// Whether somebody waits for the answer, or may be reading it, on a connection that has not ended.
    is_connected: bool,
    answer: Option<Answer<A>>,
}

#[derive(Debug)]
struct Answer<A> {
    said: A,
    size: usize,
    ready: Instant,
    /// When all of it was written to a connection.
    written: Option<Instant>,
}

impl<A> Default for Repeats<A> {
    fn default() -> Self {
        Self {
            runs: HashMap::new(),
            next: 0,
        }
    }
}

impl<A: Clone> Repeats<A> {
    /// A request has come that may be a repetition.
    pub fn arrives(&mut self, hash: Hash, now: Instant) -> Arrival<A> {
        self.purge(now);
        // Of several, the first: each of them was meant.
        let found = self
            .runs
            .iter()
            .filter(|(_, state)| state.hash == hash && !state.is_connected)
            .map(|(run, _)| *run)
            .min();
        if let Some(run) = found
            && let Some(state) = self.runs.get_mut(&run)
        {
            state.is_connected = true;
            return match &mut state.answer {
                None => Arrival::Joins(Run(run)),
                Some(answer) => {
                    answer.written = None;
                    Arrival::Answered(Run(run), answer.said.clone())
                }
            };
        }
        Arrival::New(self.begins(hash))
    }

    /// A request has come that is carried out in any case.
    fn begins(&mut self, hash: Hash) -> Run {
        let run = self.next;
        self.next += 1;
        self.runs.insert(
            run,
            State {
                hash,
                is_connected: true,
                answer: None,
            },
        );
        Run(run)
    }

    /// The answer of one that was carried out.
    pub fn answer(&self, run: Run) -> Option<A> {
        self.runs
            .get(&run.0)?
            .answer
            .as_ref()
            .map(|answer| answer.said.clone())
    }

    /// It was carried out.
    pub fn ends(&mut self, run: Run, answer: A, size: usize, now: Instant) {
        if let Some(state) = self.runs.get_mut(&run.0) {
            state.answer = Some(Answer {
                said: answer,
                size,
                ready: now,
                written: None,
            });
        }
        self.purge(now);
    }

    /// All of its answer was written to its connection.
    pub fn written(&mut self, run: Run, now: Instant) {
        if let Some(answer) = self.runs.get_mut(&run.0).and_then(|state| state.answer.as_mut()) {
            answer.written = Some(now);
        }
    }

    /// The connection that its answer was, or is to be, written to has ended.
    pub fn disconnected(&mut self, run: Run, ending: Ending, now: Instant) {
        let Some(state) = self.runs.get_mut(&run.0) else {
            return;
        };
        let was_read = state
            .answer
            .as_ref()
            .and_then(|answer| answer.written)
            .is_some_and(|written| ending == Ending::InOrder || now.duration_since(written) > UNREAD);
        if was_read {
            self.runs.remove(&run.0);
        } else {
            state.is_connected = false;
        }
    }

    /// Drops what nobody can want any more.
    fn purge(&mut self, now: Instant) {
        self.runs.retain(|_, state| match &state.answer {
            None => true,
            Some(answer) => match answer.written {
                // Read for sure, though its connection is still open.
                Some(written) if state.is_connected => now.duration_since(written) <= UNREAD,
                _ => now.duration_since(answer.ready) <= KEPT,
            },
        });
        // What somebody waits for is not dropped before he has it.
        let droppable = |state: &State<A>| {
            let answer = state.answer.as_ref()?;
            (!state.is_connected || answer.written.is_some()).then_some(answer.size)
        };
        loop {
            let kept = self
                .runs
                .iter()
                .filter_map(|(run, state)| Some((*run, droppable(state)?)));
            let (count, bytes, oldest) = kept
                .fold((0, 0, u64::MAX), |(count, bytes, oldest), (run, size)| {
                    (count + 1, bytes + size, oldest.min(run))
                });
            if count <= ANSWERS && bytes <= BYTES {
                return;
            }
            self.runs.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Hash = [1; 32];
    const B: Hash = [2; 32];

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn new(repeats: &mut Repeats<&'static str>, hash: Hash, now: Instant) -> Run {
        match repeats.arrives(hash, now) {
            Arrival::New(run) => run,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn on_a_connection_that_works_each_is_new() {
        let (mut repeats, now) = (Repeats::default(), Instant::now());
        let first = new(&mut repeats, A, now);
        // At the same time, on another connection.
        let second = new(&mut repeats, A, now);
        assert_ne!(first, second);
        repeats.ends(first, "a", 1, now);
        repeats.written(first, now);
        assert_ne!(new(&mut repeats, A, now), first);
    }

    #[test]
    fn what_runs_is_joined_when_its_connection_is_gone() {
        let (mut repeats, now) = (Repeats::default(), Instant::now());
        let run = new(&mut repeats, A, now);
        repeats.disconnected(run, Ending::Broken, now);
        new(&mut repeats, B, now);
        assert_eq!(repeats.arrives(A, now + seconds(3600)), Arrival::Joins(run));
        // Somebody waits for it again.
        new(&mut repeats, A, now);
        repeats.disconnected(run, Ending::Broken, now);
        repeats.ends(run, "a", 1, now);
        assert_eq!(repeats.arrives(A, now), Arrival::Answered(run, "a"));
    }

    #[test]
    fn an_answer_is_given_once_and_for_a_minute() {
        let (mut repeats, now) = (Repeats::default(), Instant::now());
        let run = new(&mut repeats, A, now);
        repeats.disconnected(run, Ending::Broken, now);
        repeats.ends(run, "a", 1, now);
        assert_eq!(repeats.arrives(A, now + seconds(60)), Arrival::Answered(run, "a"));
        repeats.written(run, now + seconds(60));
        new(&mut repeats, A, now + seconds(60));

        let late = new(&mut repeats, B, now);
        repeats.disconnected(late, Ending::Broken, now);
        repeats.ends(late, "b", 1, now);
        new(&mut repeats, B, now + seconds(61));
    }

    #[test]
    fn an_answer_counts_as_unread_for_two_seconds() {
        for (after, is_read) in [(0, false), (2, false), (3, true)] {
            let (mut repeats, now) = (Repeats::default(), Instant::now());
            let run = new(&mut repeats, A, now);
            repeats.ends(run, "a", 1, now);
            repeats.written(run, now);
            repeats.disconnected(run, Ending::Broken, now + seconds(after));
            let again = repeats.arrives(A, now + seconds(after));
            assert_eq!(matches!(again, Arrival::New(_)), is_read, "{after}: {again:?}");
        }
    }

    #[test]
    fn what_was_read_is_not_kept() {
        let (mut repeats, now) = (Repeats::default(), Instant::now());
        let run = new(&mut repeats, A, now);
        repeats.ends(run, "a", 1, now);
        repeats.written(run, now);
        repeats.disconnected(run, Ending::InOrder, now);
        new(&mut repeats, A, now);
        let other = new(&mut repeats, B, now);
        repeats.ends(other, "b", 1, now);
        repeats.written(other, now);
        new(&mut repeats, A, now + seconds(3));
        assert!(!repeats.runs.contains_key(&other.0));
    }

    /// A client that closes in order before all was written to it can't have it.
    #[test]
    fn what_was_not_written_was_not_read() {
        let (mut repeats, now) = (Repeats::default(), Instant::now());
        let run = new(&mut repeats, A, now);
        repeats.ends(run, "a", 1, now);
        repeats.disconnected(run, Ending::InOrder, now);
        assert_eq!(repeats.arrives(A, now), Arrival::Answered(run, "a"));
    }

    #[test]
    fn memory_is_bounded() {
        let (mut repeats, now) = (Repeats::default(), Instant::now());
        for number in 0..200 {
            let run = new(&mut repeats, [number; 32], now);
            repeats.disconnected(run, Ending::Broken, now);
            repeats.ends(run, "a", 100_000, now);
        }
        assert!(repeats.runs.len() <= BYTES / 100_000);
        assert!(matches!(repeats.arrives([199; 32], now), Arrival::Answered(..)));
    }
}
