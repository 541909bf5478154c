//! UIDs and generated names, from a seed.

use std::fmt::Write as _;

use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::store::Birth;

/// The letters of generated names: no vowels, and nothing that looks like another (`apimachinery/pkg/util/rand`).
const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// How many of them a generated name ends with.
const LETTERS_PER_NAME: usize = 5;

/// Gives every object of a cluster its identity. The same seed gives the same ones in the same order.
#[derive(Debug)]
pub(crate) struct Identities(StdRng);

impl Identities {
    /// Identities that all follow from `seed`.
    pub(crate) fn from_seed(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    /// What an object created at `at` gets.
    pub(crate) fn birth(&mut self, at: Timestamp) -> Birth {
        Birth {
            uid: self.uid(),
            at,
            suffix: self.suffix(),
        }
    }

    /// What follows `generateName`.
    pub(crate) fn suffix(&mut self) -> String {
        let letters = (0..LETTERS_PER_NAME).filter_map(|_| {
            let letter = LETTERS.get(self.0.random_range(0..LETTERS.len()))?;
            Some(char::from(*letter))
        });
        letters.collect()
    }

    /// A version 4 UUID (RFC 9562, section 5.4).
    fn uid(&mut self) -> String {
        let mut bytes: [u8; 16] = self.0.random();
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let mut uid = String::with_capacity(36);
        for (index, byte) in bytes.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                uid.push('-');
            }
            write!(uid, "{byte:02x}").ok(); // Writing to a string doesn't fail.
        }
        uid
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uids_are_version_4_and_differ() {
        let mut identities = Identities::from_seed(1);
        let uids = [identities.uid(), identities.uid()];
        assert_ne!(uids[0], uids[1]);
        for uid in &uids {
            let parts: Vec<_> = uid.split('-').collect();
            let lengths: Vec<_> = parts.iter().map(|part| part.len()).collect();
            assert_eq!(lengths, [8, 4, 4, 4, 12]);
            assert!(
                parts[2].starts_with('4') && parts[3].starts_with(['8', '9', 'a', 'b']),
                "{uid}"
            );
        }
        let mut again = Identities::from_seed(1);
        assert_eq!([again.uid(), again.uid()], uids);
    }
}
