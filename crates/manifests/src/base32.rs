//! Hashes as text that may stand in names and labels.

use sha2::{Digest, Sha256};

/// RFC 4648 base 32 in lower case: every character may stand in a DNS label.
pub(crate) const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// The first `chars` characters, of 5 bits each, of the SHA-256 of `bytes`; at most 48 of its 52.
pub(crate) fn sha256_base32(bytes: &[u8], chars: usize) -> String {
    // Five bytes are exactly eight characters, so whole groups need no padding rule.
    Sha256::digest(bytes)
        .chunks_exact(5)
        .flat_map(|group| {
            let bits = group
                .iter()
                .fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
            (0..8)
                .rev()
                .map(move |index| char::from(ALPHABET[(bits >> (5 * index) & 31) as usize]))
        })
        .take(chars)
        .collect()
}
