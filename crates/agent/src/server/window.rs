//! How much clients may send ahead of what is read, on HTTP/2 connections.
//!
//! A window is memory that a client may fill. A small one makes uploads slow: each window's worth waits for a round trip.
//! So a connection begins with the smallest that the protocol knows, and while a large body moves its window grows to
//! [`LARGE`], as far as the [`Budget`] of all connections allows. When the last body has ended it is small again; what the
//! client was allowed until then it may still use, and so counts until it has (HTTP/2 cannot take a connection's window
//! back: RFC 9113, 6.9).

/// The window of a connection that has nothing large to move, in bytes: what every connection begins with (RFC 9113,
/// 6.9.2).
pub(super) const SMALL: u32 = 65_535;
/// The window of a connection that moves a large body, in bytes.
pub(super) const LARGE: u32 = 4 << 20;
/// What the windows of all connections may come to, in bytes.
pub(super) const TOTAL: u64 = 32 << 20;
/// How many times larger each step is.
const STEP: u32 = 4;

/// What all connections may have beyond [`SMALL`].
#[derive(Debug)]
pub(super) struct Budget {
    left: u64,
}

impl Budget {
    /// What is left of [`TOTAL`] if there are so many connections.
    pub(super) const fn new(connections: u64) -> Self {
        Self {
            left: TOTAL.saturating_sub(connections * SMALL as u64),
        }
    }

    fn take(&mut self, bytes: u64) -> bool {
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }

    const fn give(&mut self, bytes: u64) {
        self.left += bytes;
    }
}

/// The window of one connection.
#[derive(Debug)]
pub(super) struct Window {
    /// What it should be.
    target: u32,
    /// What the client may have been allowed, beyond [`SMALL`]: that much of the budget is held.
    held: u64,
    /// Bytes read since the last step.
    moved: u64,
    /// Bodies being read.
    bodies: u64,
}

impl Window {
    /// A small one.
    pub(super) const fn new() -> Self {
        Self {
            target: SMALL,
            held: 0,
            moved: 0,
            bodies: 0,
        }
    }

    /// What it should be, in bytes.
    pub(super) const fn target(&self) -> u32 {
        self.target
    }

    /// A body begins.
    pub(super) const fn body_begins(&mut self) {
        self.bodies += 1;
    }

    /// So many bytes of a body were read. Says whether the target changed.
    pub(super) fn read(&mut self, bytes: u64, budget: &mut Budget) -> bool {
        self.release(bytes, budget);
        self.moved += bytes;
        // Twice the window in one go: it is what the body waits for.
        if self.target == LARGE || self.moved < 2 * u64::from(self.target) {
            return false;
        }
        let next = if self.target > LARGE / (2 * STEP) {
            LARGE
        } else {
            self.target * STEP
        };
        let more = u64::from(next - SMALL).saturating_sub(self.held);
        if !budget.take(more) {
            return false;
        }
        self.held += more;
        self.target = next;
        self.moved = 0;
        true
    }

    /// A body has ended. Says whether the target changed.
    pub(super) fn body_ends(&mut self) -> bool {
        self.bodies = self.bodies.saturating_sub(1);
        if self.bodies > 0 {
            return false;
        }
        self.moved = 0;
        let changed = self.target != SMALL;
        self.target = SMALL;
        changed
    }

    /// The connection has ended.
    pub(super) fn closes(&mut self, budget: &mut Budget) {
        budget.give(self.held);
        self.held = 0;
    }

    /// What was read is not granted again while more is allowed than should be.
    fn release(&mut self, bytes: u64, budget: &mut Budget) {
        let surplus = self.held.saturating_sub(u64::from(self.target - SMALL));
        let released = surplus.min(bytes);
        self.held -= released;
        budget.give(released);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_large_body_gets_a_large_window_and_gives_it_back() {
        let (mut budget, mut window) = (Budget::new(256), Window::new());
        let whole = budget.left;
        window.body_begins();
        let mut steps = Vec::new();
        for _ in 0..1000 {
            if window.read(16 << 10, &mut budget) {
                steps.push(window.target());
            }
        }
        assert_eq!(steps, [SMALL * 4, SMALL * 16, LARGE]);
        assert_eq!(budget.left, whole - u64::from(LARGE - SMALL));
        assert!(window.body_ends());
        assert_eq!(window.target(), SMALL);
        // What the client was allowed counts until it has used it.
        assert_eq!(budget.left, whole - u64::from(LARGE - SMALL));
        window.body_begins();
        window.read(1 << 20, &mut budget);
        window.body_ends();
        window.body_begins();
        assert!(budget.left < whole);
        window.closes(&mut budget);
        assert_eq!(budget.left, whole);
    }

    #[test]
    fn small_bodies_and_empty_budgets_leave_it_small() {
        let (mut budget, mut window) = (Budget::new(256), Window::new());
        for _ in 0..1000 {
            window.body_begins();
            assert!(!window.read(64 << 10, &mut budget));
            assert!(!window.body_ends());
        }
        let mut empty = Budget { left: 0 };
        window.body_begins();
        assert!(!window.read(u64::from(LARGE), &mut empty));
        assert_eq!(window.target(), SMALL);
    }

    proptest! {
        /// A model of what clients may have on the way: whatever happens, it is within the budget.
        #[test]
        fn all_windows_together_stay_within_the_total(
            steps in proptest::collection::vec((0_usize..12, 0_u8..5, 1_u64..3_000_000), 0..400)
        ) {
            let count = 12;
            let mut budget = Budget::new(count);
            let mut windows: Vec<Window> = (0..count).map(|_| Window::new()).collect();
            // What each client may send, and what its window should be: as flow control does it.
            let mut allowed = vec![u64::from(SMALL); windows.len()];
            for (index, action, bytes) in steps {
                let (window, allowed_now) = (&mut windows[index], &mut allowed[index]);
                match action {
                    0 => window.body_begins(),
                    1 => {
                        window.body_ends();
                    }
                    _ => {
                        // Not more than it was allowed can have arrived.
                        let bytes = bytes.min(*allowed_now);
                        window.read(bytes, &mut budget);
                        *allowed_now = (*allowed_now - bytes).max(u64::from(window.target()));
                    }
                }
                prop_assert!(allowed.iter().sum::<u64>() <= TOTAL);
            }
            for window in &mut windows {
                window.closes(&mut budget);
            }
            prop_assert_eq!(budget.left, Budget::new(count).left);
        }
    }
}
