//! Whether silence means that the connection is lost: a state machine over given times.

use std::time::Duration;

use tokio::time::Instant;

/// How long silence may last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// After a ping.
    pub(super) ping: Duration,
    /// After a ping that may stand behind input the command has not read.
    pub(super) unread_stdin: Duration,
}

/// Watches one connection.
///
/// A server reads frames one after the other: while the command does not read its standard input, the server's
/// loop is blocked on it (`wsstream` of `k8s.io/streaming` writes to a pipe), and a ping behind that input stays
/// unanswered though nothing is wrong. So an unanswered ping is judged by whether input was sent after the
/// last answered one.
#[derive(Debug)]
pub(super) struct Liveness {
    patience: Patience,
    /// Since when an answer is due, if one is.
    expecting_since: Option<Instant>,
    /// The number of the last ping sent; they count from 1.
    last_ping: u64,
    /// The ping whose answer shows that all input sent so far was read.
    stdin_read_by: u64,
    /// The highest ping that was answered.
    answered: u64,
    /// Whether reading from the socket rests, so that silence tells nothing.
    paused: bool,
    /// Whether pings can be sent no more, so that the peer must speak by itself.
    write_failed: bool,
}

impl Liveness {
    pub(super) const fn new(patience: Patience) -> Self {
        Self {
            patience,
            expecting_since: None,
            last_ping: 0,
            stdin_read_by: 0,
            answered: 0,
            paused: false,
            write_failed: false,
        }
    }

    /// A ping is about to be sent; returns its number.
    pub(super) fn ping(&mut self, now: Instant) -> u64 {
        self.last_ping += 1;
        self.expecting_since.get_or_insert(now);
        self.last_ping
    }

    /// Standard input is about to be sent. An answer is due from here on, as the write itself may block.
    pub(super) fn stdin(&mut self, now: Instant) {
        self.stdin_read_by = self.last_ping + 1;
        self.expecting_since.get_or_insert(now);
    }

    /// Something was received.
    pub(super) fn received(&mut self, now: Instant) {
        self.expecting_since = self.write_failed.then_some(now);
    }

    /// The answer to ping `number` was received. A number that was never sent is no answer.
    pub(super) fn pong(&mut self, number: u64) {
        if number <= self.last_ping {
            self.answered = self.answered.max(number);
        }
    }

    /// The highest ping that was answered; 0 before the first.
    pub(super) const fn answered(&self) -> u64 {
        self.answered
    }

    /// Nothing can be sent any more.
    pub(super) fn write_failed(&mut self, now: Instant) {
        self.write_failed = true;
        self.expecting_since.get_or_insert(now);
    }

    /// Reading rests until [`Liveness::resume`]: the receiver's queue is full.
    pub(super) const fn pause(&mut self) {
        self.paused = true;
    }

    /// Reading goes on.
    pub(super) fn resume(&mut self, now: Instant) {
        self.paused = false;
        if let Some(since) = &mut self.expecting_since {
            *since = now;
        }
    }

    /// How long the silence may last that is now going on.
    pub(super) const fn patience(&self) -> Duration {
        if self.answered < self.stdin_read_by && !self.write_failed {
            self.patience.unread_stdin
        } else {
            self.patience.ping
        }
    }

    /// The shorter of the two: no silence that starts from now on is too long before that.
    pub(super) fn shortest_patience(&self) -> Duration {
        self.patience.ping.min(self.patience.unread_stdin)
    }

    /// When the connection counts as lost unless something is received; none while nothing is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let since = self.expecting_since.filter(|_| !self.paused)?;
        Some(since + self.patience())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PING: Duration = Duration::from_secs(45);
    const UNREAD: Duration = Duration::from_secs(4000);

    fn start() -> (Liveness, Instant) {
        (
            Liveness::new(Patience {
                ping: PING,
                unread_stdin: UNREAD,
            }),
            Instant::now(),
        )
    }

    fn at(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn nothing_is_due_before_a_ping() {
        let (liveness, _) = start();
        assert_eq!(liveness.deadline(), None);
    }

    #[test]
    fn silence_counts_from_the_first_unanswered_ping() {
        let (mut liveness, t0) = start();
        liveness.ping(at(t0, 15));
        liveness.ping(at(t0, 30));
        assert_eq!(liveness.deadline(), Some(at(t0, 15 + 45)));
        liveness.received(at(t0, 31));
        assert_eq!(liveness.deadline(), None);
    }

    #[test]
    fn unread_input_has_more_patience_until_a_later_ping_is_answered() {
        let (mut liveness, t0) = start();
        assert_eq!(liveness.ping(t0), 1);
        liveness.stdin(at(t0, 1));
        assert_eq!(liveness.deadline(), Some(t0 + UNREAD));
        liveness.received(at(t0, 2));
        liveness.pong(1);
        assert_eq!(liveness.ping(at(t0, 3)), 2);
        assert_eq!(
            liveness.deadline(),
            Some(at(t0, 3) + UNREAD),
            "ping 1 stood before the input"
        );
        liveness.received(at(t0, 4));
        liveness.pong(2);
        liveness.ping(at(t0, 5));
        assert_eq!(liveness.deadline(), Some(at(t0, 5) + PING));
    }

    #[test]
    fn a_pong_nobody_asked_for_answers_nothing() {
        let (mut liveness, t0) = start();
        liveness.stdin(t0);
        liveness.pong(u64::MAX);
        assert_eq!(liveness.deadline(), Some(t0 + UNREAD));
    }

    #[test]
    fn a_rest_of_the_reader_does_not_count() {
        let (mut liveness, t0) = start();
        liveness.ping(t0);
        liveness.pause();
        assert_eq!(liveness.deadline(), None);
        liveness.resume(at(t0, 1000));
        assert_eq!(liveness.deadline(), Some(at(t0, 1000) + PING));
    }

    #[test]
    fn after_a_failed_write_the_peer_must_go_on_by_itself() {
        let (mut liveness, t0) = start();
        liveness.stdin(t0);
        liveness.write_failed(at(t0, 1));
        assert_eq!(liveness.deadline(), Some(t0 + PING));
        liveness.received(at(t0, 9));
        assert_eq!(liveness.deadline(), Some(at(t0, 9) + PING));
    }
}
