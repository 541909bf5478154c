//! Which pieces of a standard input are to be sent, or sent again.

use std::collections::VecDeque;

use bytes::{Buf as _, Bytes};

/// The part of an input that the process is not known to have.
#[derive(Debug)]
pub(super) struct Unsent {
    /// How many bytes the process has, for sure.
    taken: u64,
    /// What follows, in order and without a gap.
    rest: VecDeque<Bytes>,
    /// How many bytes of the rest are on their way.
    sent: usize,
}

impl Unsent {
    /// Nothing yet, after so many bytes that the process has.
    pub(super) const fn new(taken: u64) -> Self {
        Self {
            taken,
            rest: VecDeque::new(),
            sent: 0,
        }
    }

    /// How many bytes there are that the process does not have, as far as is known.
    pub(super) fn len(&self) -> usize {
        self.rest.iter().map(Bytes::len).sum()
    }

    /// Adds the next bytes.
    pub(super) fn push(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.rest.push_back(bytes);
        }
    }

    /// The next bytes to be sent, at most so many, with their offset. From now on they are on their way.
    pub(super) fn next(&mut self, limit: usize) -> Option<(u64, Bytes)> {
        let mut before = self.sent;
        for bytes in &self.rest {
            if before < bytes.len() {
                let piece = bytes.slice(before..bytes.len().min(before + limit));
                let offset = self.taken + self.sent as u64;
                self.sent += piece.len();
                return Some((offset, piece));
            }
            before -= bytes.len();
        }
        None
    }

    /// The process has all before `reached`. Says whether that is news.
    pub(super) fn took(&mut self, reached: u64) -> bool {
        let news = reached.saturating_sub(self.taken);
        let mut left = usize::try_from(news).unwrap_or(usize::MAX);
        while left > 0
            && let Some(bytes) = self.rest.front_mut()
        {
            let part = left.min(bytes.len());
            bytes.advance(part);
            if bytes.is_empty() {
                self.rest.pop_front();
            }
            left -= part;
            self.taken += part as u64;
            self.sent = self.sent.saturating_sub(part);
        }
        news > 0
    }

    /// Nothing is on its way any longer: it is sent again.
    pub(super) const fn send_again(&mut self) {
        self.sent = 0;
    }
}

/// How much is on its way at once: little after a loss, so that something gets through a connection that breaks after little, and
/// more with each piece that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    /// Bytes of a piece, at most.
    pub(super) piece: usize,
    /// Pieces on their way, at most.
    pub(super) pieces: usize,
    most: (usize, usize),
}

impl Pace {
    /// A piece after a loss is not smaller than this, in bytes.
    const SMALLEST: usize = 2 << 10;

    /// As fast as it may be.
    pub(super) const fn new(piece: usize, pieces: usize) -> Self {
        Self {
            piece,
            pieces,
            most: (piece, pieces),
        }
    }

    /// A piece arrived.
    pub(super) fn arrived(&mut self) {
        self.piece = (self.piece * 2).min(self.most.0);
        self.pieces = (self.pieces + 1).min(self.most.1);
    }

    /// What was on its way is lost.
    pub(super) fn lost(&mut self) {
        self.piece = (self.piece / 4).max(Self::SMALLEST).min(self.most.0);
        self.pieces = 1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_piece_is_sent_once_unless_it_is_lost() {
        let mut unsent = Unsent::new(10);
        for text in ["abc", "", "de", "f"] {
            unsent.push(Bytes::from_static(text.as_bytes()));
        }
        let next = |unsent: &mut Unsent| unsent.next(9).map(|(offset, bytes)| (offset, bytes.to_vec()));
        assert_eq!(next(&mut unsent), Some((10, b"abc".to_vec())));
        assert_eq!(next(&mut unsent), Some((13, b"de".to_vec())));
        // The second was taken in part; both answers came.
        assert!(unsent.took(14));
        assert!(!unsent.took(13));
        unsent.send_again();
        assert_eq!(next(&mut unsent), Some((14, b"e".to_vec())));
        assert_eq!(next(&mut unsent), Some((15, b"f".to_vec())));
        assert_eq!(next(&mut unsent), None);
        assert!(unsent.took(16));
        assert_eq!((unsent.len(), unsent.taken), (0, 16));
    }

    #[test]
    fn after_a_loss_little_is_sent_until_it_arrives() {
        let mut pace = Pace::new(128 << 10, 8);
        for _ in 0..5 {
            pace.lost();
        }
        assert_eq!((pace.piece, pace.pieces), (2 << 10, 1));
        pace.arrived();
        assert_eq!((pace.piece, pace.pieces), (4 << 10, 2));
        for _ in 0..9 {
            pace.arrived();
        }
        assert_eq!(pace, Pace::new(128 << 10, 8));
        let mut small = Pace::new(100, 1);
        small.lost();
        assert_eq!(small, Pace::new(100, 1));
    }

    proptest! {
        /// Whatever is lost, the process gets all of it in order.
        #[test]
        fn every_byte_arrives_once(
            pieces in proptest::collection::vec(1..50_usize, 0..20),
            // What befalls what is on its way: lost, or taken up to some part.
            fates in proptest::collection::vec((any::<bool>(), 0..60_u64), 0..100),
            limit in 1..60_usize,
        ) {
            let mut all = Vec::new();
            let mut unsent = Unsent::new(0);
            for (number, length) in (0_u8..).zip(&pieces) {
                unsent.push(vec![number; *length].into());
                all.extend(vec![number; *length]);
            }
            let mut got: Vec<u8> = Vec::new();
            let mut fates = fates.into_iter();
            while unsent.len() > 0 {
                let (lost, part) = fates.next().unwrap_or((false, u64::MAX));
                let Some((offset, bytes)) = unsent.next(limit) else {
                    unsent.send_again();
                    continue;
                };
                let until = usize::try_from(offset).unwrap() + bytes.len().min(usize::try_from(part).unwrap_or(usize::MAX));
                let known = got.len() - usize::try_from(offset).unwrap().min(got.len());
                if usize::try_from(offset).unwrap() <= got.len() && until > got.len() {
                    let part = until - usize::try_from(offset).unwrap();
                    got.extend_from_slice(&bytes[known..part]);
                }
                if lost {
                    unsent.send_again();
                } else {
                    unsent.took(got.len() as u64);
                }
            }
            prop_assert_eq!(got, all);
        }
    }
}
