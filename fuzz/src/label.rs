//! What names of Kubernetes objects must be, and how a name is made from an id, by the documentation alone.

use sha2::{Digest as _, Sha256};

/// Longest RFC 1123 label.
const LONGEST: usize = 63;
/// What an object's name starts with.
pub const PREFIX: &str = "openhands-runtime-";
/// The longest suffix that OpenHands gives a name.
pub const LONGEST_SUFFIX: &str = "-ingress-code";
/// Longest part of a name that stands for the id.
pub const LONGEST_STEM: usize = LONGEST - PREFIX.len() - LONGEST_SUFFIX.len();
/// Characters of a hash.
const HASH: usize = 20;

/// Whether `text` is an RFC 1123 label.
pub fn is_label(text: &str) -> bool {
    (1..=LONGEST).contains(&text.len())
        && text.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '-'))
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// Whether `stem` ends like one that holds a hash.
pub fn is_hashed_form(stem: &str) -> bool {
    let bytes = stem.as_bytes();
    bytes.len() > HASH + 1
        && bytes[bytes.len() - HASH..]
            .iter()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7'))
        && &bytes[bytes.len() - HASH - 2..bytes.len() - HASH] == b"-x"
}

/// The first 100 bits of an id's SHA-256 in base 32 (RFC 4648) in lower case.
pub fn hash(id: &str) -> String {
    let digest: [u8; 32] = Sha256::digest(id.as_bytes()).into();
    let bit = |index: usize| digest[index / 8] >> (7 - index % 8) & 1;
    (0..HASH)
        .map(|character| {
            let value = (0..5).fold(0, |value, place| value << 1 | bit(character * 5 + place));
            char::from(if value < 26 {
                b'a' + value
            } else {
                b'2' + value - 26
            })
        })
        .collect()
}
