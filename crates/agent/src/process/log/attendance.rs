//! Whether the reader that a process waits for is there.

use std::time::Duration;

use podbay_protocol::ReaderId;
use tokio::time::Instant;

/// Who reads for good, and since when nobody does. The reader who attached last is the one; he stays it while he is
/// away, for as long as the grace allows.
#[derive(Debug)]
pub(crate) struct Attendance {
    reader: Option<ReaderId>,
    /// How many connections the reader has: a new one may come before the loss of the old one is seen.
    connections: usize,
    /// When he was last seen; the process's start if there never was one.
    seen: Instant,
    grace: Duration,
}

impl Attendance {
    /// Nobody yet.
    pub(crate) const fn new(grace: Duration, now: Instant) -> Self {
        Self {
            reader: None,
            connections: 0,
            seen: now,
            grace,
        }
    }

    /// A reader begins to read.
    pub(crate) fn attach(&mut self, reader: ReaderId, now: Instant) {
        if self.reader.as_ref() != Some(&reader) {
            self.reader = Some(reader);
            self.connections = 0;
        }
        self.connections += 1;
        self.seen = now;
    }

    /// A reader's connection has ended.
    pub(crate) fn detach(&mut self, reader: &ReaderId, now: Instant) {
        if self.is(reader) {
            self.connections = self.connections.saturating_sub(1);
            self.seen = now;
        }
    }

    /// A sign of life of the reader. Whether he is the one.
    pub(crate) fn saw(&mut self, reader: &ReaderId, now: Instant) -> bool {
        let is_the_one = self.is(reader);
        if is_the_one {
            self.seen = now;
        }
        is_the_one
    }

    /// When a process that waits for its reader has waited long enough; none while he is there.
    pub(crate) fn over(&self) -> Option<Instant> {
        (self.connections == 0).then(|| self.seen + self.grace)
    }

    fn is(&self, reader: &ReaderId) -> bool {
        self.reader.as_ref() == Some(reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(60);

    fn reader(name: &str) -> ReaderId {
        name.parse().unwrap()
    }

    #[test]
    fn a_reader_who_is_there_is_waited_for_without_end() {
        let start = Instant::now();
        let mut attendance = Attendance::new(GRACE, start);
        assert_eq!(attendance.over(), Some(start + GRACE));
        attendance.attach(reader("a"), start);
        assert_eq!(attendance.over(), None);
        let left = start + GRACE * 9;
        attendance.detach(&reader("a"), left);
        assert_eq!(attendance.over(), Some(left + GRACE));
    }

    #[test]
    fn the_loss_of_an_old_connection_does_not_end_the_new_one() {
        let now = Instant::now();
        let mut attendance = Attendance::new(GRACE, now);
        attendance.attach(reader("a"), now);
        attendance.attach(reader("a"), now);
        attendance.detach(&reader("a"), now);
        assert_eq!(attendance.over(), None);
    }

    #[test]
    fn the_reader_who_came_last_is_the_one() {
        let now = Instant::now();
        let mut attendance = Attendance::new(GRACE, now);
        attendance.attach(reader("a"), now);
        attendance.attach(reader("b"), now);
        assert!(!attendance.saw(&reader("a"), now));
        assert!(attendance.saw(&reader("b"), now));
        attendance.detach(&reader("a"), now);
        assert_eq!(attendance.over(), None);
    }
}
