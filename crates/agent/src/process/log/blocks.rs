//! Bytes in the order in which they came, in blocks: what was taken can go piece by piece, and no allocation is so large that
//! an allocator would keep its room for the next.

use std::collections::VecDeque;

use bytes::Bytes;

/// The most that is in one block, in bytes. Well below what the GNU C library takes from the system apart (128 KiB, mallopt(3)
/// `M_MMAP_THRESHOLD`): each such piece that is given back makes it keep more of all that is free from then on.
const BLOCK: usize = 32 * 1024;

/// A queue of bytes.
#[derive(Debug)]
pub(super) struct Blocks {
    /// None is empty, and all but the last are full.
    list: VecDeque<Vec<u8>>,
    /// How many bytes of the first block are dropped: fewer than it has.
    dropped: usize,
    length: usize,
}

impl Blocks {
    pub(super) const fn new() -> Self {
        Self {
            list: VecDeque::new(),
            dropped: 0,
            length: 0,
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.length
    }

    /// Adds bytes at the end.
    pub(super) fn extend(&mut self, mut piece: &[u8]) {
        self.length += piece.len();
        if let Some(last) = self.list.back_mut() {
            let (more, rest) = piece.split_at(piece.len().min(BLOCK - last.len()));
            let needed = last.len() + more.len();
            if needed > last.capacity() {
                let capacity = needed.max(2 * last.capacity()).min(BLOCK);
                last.reserve_exact(capacity - last.len());
            }
            last.extend_from_slice(more);
            piece = rest;
        }
        // The first may stay small; after it, much comes.
        let least = if self.list.is_empty() { 0 } else { BLOCK };
        for block in piece.chunks(BLOCK) {
            let mut last = Vec::with_capacity(block.len().max(least));
            last.extend_from_slice(block);
            self.list.push_back(last);
        }
    }

    /// Drops bytes from the beginning, at most all.
    pub(super) fn drop_front(&mut self, count: usize) {
        let count = count.min(self.length);
        self.length -= count;
        self.dropped += count;
        while let Some(first) = self.list.front()
            && self.dropped >= first.len()
        {
            self.dropped -= first.len();
            self.list.pop_front();
        }
    }

    /// Copies `length` bytes from the `from`th on; fewer where there are fewer.
    pub(super) fn copy(&self, from: usize, length: usize) -> Bytes {
        let length = length.min(self.length.saturating_sub(from));
        let mut copied = Vec::with_capacity(length);
        let start = self.dropped + from;
        let mut skipped = start % BLOCK;
        for block in self.list.iter().skip(start / BLOCK) {
            if copied.len() == length {
                break;
            }
            let end = block.len().min(skipped + length - copied.len());
            copied.extend_from_slice(&block[skipped..end]);
            skipped = 0;
        }
        copied.into()
    }

    /// Gives back what is reserved for more.
    pub(super) fn shrink(&mut self) {
        if self.list.len() == 1 && self.dropped > 0 {
            let rest = self.copy(0, self.length);
            *self = Self::new();
            self.extend(&rest);
        }
        if let Some(last) = self.list.back_mut() {
            last.shrink_to_fit();
        }
        self.list.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Extend(usize),
        Drop(usize),
        Shrink,
    }

    fn step() -> impl Strategy<Value = Step> {
        let size = || prop_oneof![0..40usize, 0..3 * BLOCK, Just(BLOCK), Just(BLOCK - 1)];
        prop_oneof![
            4 => size().prop_map(Step::Extend),
            2 => size().prop_map(Step::Drop),
            1 => Just(Step::Shrink),
        ]
    }

    proptest! {
        #[test]
        fn they_are_a_queue_of_bytes(steps in vec(step(), 1..30), from in 0..3 * BLOCK, length in 0..3 * BLOCK) {
            let (mut blocks, mut model) = (Blocks::new(), VecDeque::new());
            let mut next = 0usize;
            for step in steps {
                match step {
                    Step::Extend(count) => {
                        let piece: Vec<u8> = (next..next + count).map(|number| u8::try_from(number % 251).unwrap()).collect();
                        next += count;
                        blocks.extend(&piece);
                        model.extend(piece);
                    }
                    Step::Drop(count) => {
                        blocks.drop_front(count);
                        model.drain(..count.min(model.len()));
                    }
                    Step::Shrink => blocks.shrink(),
                }
                prop_assert_eq!(blocks.len(), model.len());
                prop_assert!(blocks.list.iter().all(|block| !block.is_empty() && block.capacity() <= BLOCK));
                let part: Vec<u8> = model.iter().copied().skip(from).take(length).collect();
                prop_assert_eq!(blocks.copy(from, length), part);
                let all: Vec<u8> = model.iter().copied().collect();
                prop_assert_eq!(blocks.copy(0, usize::MAX), all);
            }
        }
    }

    #[test]
    fn little_takes_little() {
        let mut blocks = Blocks::new();
        blocks.extend(b"abc");
        blocks.drop_front(1);
        blocks.shrink();
        assert_eq!(
            (blocks.list[0].capacity(), blocks.copy(0, 9)),
            (2, Bytes::from("bc"))
        );
        blocks.drop_front(9);
        assert_eq!((blocks.len(), blocks.list.len()), (0, 0));
    }
}
