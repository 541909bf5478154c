//! Entries that are left out of a copy although they were meant to be in it. Values.

/// How many of them are named; the rest are counted.
pub(crate) const NAMED: usize = 100;

/// An entry that is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// What.
    pub entry: String,
    /// Why.
    pub reason: String,
}

/// Entries that are left out: those that came first by name, and how many there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    named: Vec<Left>,
    total: u64,
}

impl LeftOut {
    /// Adds one.
    pub fn push(&mut self, entry: String, reason: String) {
        self.total = self.total.saturating_add(1);
        if self.named.len() < NAMED {
            self.named.push(Left { entry, reason });
        }
    }

    /// Adds `more` that have no names here.
    pub(crate) const fn count(&mut self, more: u64) {
        self.total = self.total.saturating_add(more);
    }

    /// Adds those of another part.
    pub fn extend(&mut self, other: Self) {
        let unnamed = other.total - other.named.len() as u64;
        for Left { entry, reason } in other.named {
            self.push(entry, reason);
        }
        self.count(unnamed);
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// How many there are.
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// Those that are named.
    pub fn named(&self) -> &[Left] {
        &self.named
    }
}
