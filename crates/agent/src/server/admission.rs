//! Which connections are kept.
//!
//! Hostile code of the sandbox can open connections, too, and cannot present the key. One that has not presented it yet is a
//! stranger: there are few of them, and when there are too many the oldest is closed for a new one, so that a client
//! that does present the key always gets in.

use std::collections::VecDeque;

/// Names a connection.
pub(super) type ConnectionId = u64;

/// The connections there are.
#[derive(Debug)]
pub(super) struct Admission {
    next: ConnectionId,
    /// The oldest first.
    strangers: VecDeque<ConnectionId>,
    known: usize,
    most_strangers: usize,
    most: usize,
}

/// What becomes of a new connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// It is kept.
    Kept {
        /// Its name.
        id: ConnectionId,
        /// This one is closed for it.
        instead_of: Option<ConnectionId>,
    },
    /// There are too many.
    Refused,
}

impl Admission {
    /// At most `most` connections, of which `most_strangers` may be strangers.
    pub(super) const fn new(most: usize, most_strangers: usize) -> Self {
        Self {
            next: 0,
            strangers: VecDeque::new(),
            known: 0,
            most_strangers,
            most,
        }
    }

    /// A connection is opened.
    pub(super) fn arrives(&mut self) -> Arrival {
        let full = self.known + self.strangers.len() >= self.most;
        let instead_of = if full || self.strangers.len() >= self.most_strangers {
            match self.strangers.pop_front() {
                None => return Arrival::Refused,
                oldest => oldest,
            }
        } else {
            None
        };
        let id = self.next;
        self.next += 1;
        self.strangers.push_back(id);
        Arrival::Kept { id, instead_of }
    }

    /// A connection presented the key.
    pub(super) fn is_known(&mut self, id: ConnectionId) {
        if self.forget_stranger(id) {
            self.known += 1;
        }
    }

    /// A connection is closed; `known` if it had presented the key.
    pub(super) fn leaves(&mut self, id: ConnectionId, known: bool) {
        if !self.forget_stranger(id) && known {
            self.known = self.known.saturating_sub(1);
        }
    }

    fn forget_stranger(&mut self, id: ConnectionId) -> bool {
        let found = self.strangers.iter().position(|stranger| *stranger == id);
        found.is_some_and(|index| self.strangers.remove(index).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(arrival: &Arrival) -> (ConnectionId, Option<ConnectionId>) {
        match arrival {
            Arrival::Kept { id, instead_of } => (*id, *instead_of),
            Arrival::Refused => panic!("refused"),
        }
    }

    #[test]
    fn strangers_go_for_new_ones_and_who_is_known_stays() {
        let mut admission = Admission::new(4, 2);
        let (first, none) = kept(&admission.arrives());
        assert_eq!(none, None);
        admission.is_known(first);
        let (second, _) = kept(&admission.arrives());
        let (third, none) = kept(&admission.arrives());
        assert_eq!(none, None);
        let (fourth, instead_of) = kept(&admission.arrives());
        assert_eq!(instead_of, Some(second));
        admission.leaves(second, false);
        admission.is_known(third);
        admission.is_known(fourth);
        let (fifth, _) = kept(&admission.arrives());
        admission.is_known(fifth);
        assert_eq!(admission.arrives(), Arrival::Refused);
        admission.leaves(fifth, true);
        assert_eq!(kept(&admission.arrives()).1, None);
    }

    #[test]
    fn one_that_was_closed_for_another_can_not_become_known() {
        let mut admission = Admission::new(2, 1);
        let (first, _) = kept(&admission.arrives());
        let (_, instead_of) = kept(&admission.arrives());
        assert_eq!(instead_of, Some(first));
        admission.is_known(first);
        assert_eq!(admission.known, 0);
        admission.leaves(first, true);
        assert_eq!(admission.known, 0);
    }
}
