//! How much input may be on its way that the server has not taken: a state machine without clock.
//!
//! A command that ends without having read all its input is answered with its status and a closed connection. If more
//! input is being written at that moment, the write fails somewhere on the way (API server, kubelet, container runtime),
//! and a proxy whose one direction fails closes the other too, with the status still in it (`upgradeaware.go` of
//! `k8s.io/apimachinery` ends when either direction does): the command's code is lost. So input is held back until the
//! server has taken what was sent before, which the answer to a ping behind it tells; then nothing is being written while
//! a command does not read, and its status arrives.

use std::collections::VecDeque;

/// Bytes that may be on their way at first. A container runtime takes 64 KiB (a pipe) from a command that never reads.
const FIRST: usize = 64 * 1024;

/// The same for a command that reads. Enough for 20 MB/s at 50 ms, and less than the sockets on the way hold.
const LARGEST: usize = 1 << 20;

/// The input of one connection.
#[derive(Debug)]
pub(super) struct Window {
    size: usize,
    /// Bytes on their way in all.
    unread: usize,
    /// Bytes sent behind the last ping.
    unmarked: usize,
    /// The pings behind input, oldest first, and how many bytes each stands behind.
    marks: VecDeque<(u64, usize)>,
}

impl Window {
    pub(super) const fn new() -> Self {
        Self {
            size: FIRST,
            unread: 0,
            unmarked: 0,
            marks: VecDeque::new(),
        }
    }

    /// Bytes were sent.
    pub(super) const fn sent(&mut self, bytes: usize) {
        self.unread += bytes;
        self.unmarked += bytes;
    }

    /// Whether a ping is to be sent now.
    pub(super) const fn wants_mark(&self) -> bool {
        self.unmarked >= self.size / 2
    }

    /// A ping of this number was sent.
    pub(super) fn marked(&mut self, ping: u64) {
        if self.unmarked > 0 {
            self.marks.push_back((ping, self.unmarked));
            self.unmarked = 0;
        }
    }

    /// Whether more may be sent, with all pings up to `answered` answered.
    pub(super) fn is_open(&mut self, answered: u64) -> bool {
        while let Some((ping, bytes)) = self.marks.front().copied()
            && ping <= answered
        {
            self.marks.pop_front();
            self.unread -= bytes;
            self.size = (self.size * 2).min(LARGEST);
        }
        self.unread < self.size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_reads_stays_small() {
        let mut window = Window::new();
        let mut sent = 0;
        while window.is_open(0) {
            window.sent(32 * 1024);
            sent += 32 * 1024;
            if window.wants_mark() {
                window.marked(1);
            }
        }
        assert_eq!(sent, FIRST);
    }

    #[test]
    fn what_is_read_may_grow_up_to_the_largest() {
        let mut window = Window::new();
        for ping in 1..100 {
            assert!(window.is_open(ping - 1));
            while !window.wants_mark() {
                window.sent(1000);
            }
            window.marked(ping);
        }
        assert!(window.is_open(99));
        assert_eq!((window.size, window.unread), (LARGEST, 0));
    }

    #[test]
    fn an_answer_opens_as_much_as_stood_before_its_ping() {
        let mut window = Window::new();
        window.sent(FIRST / 2);
        window.marked(1);
        window.sent(FIRST / 2);
        window.marked(2);
        assert!(!window.is_open(0));
        assert!(window.is_open(1));
        assert_eq!(window.unread, FIRST / 2);
    }
}
