//! Counts, hashes and keeps what comes out of a stream.

use podbay_protocol::hex::to_hex;
use podbay_protocol::{Content, StreamSummary};
use sha2::{Digest as _, Sha256};

/// What is known of a stream so far.
#[derive(Debug, Default)]
pub struct Tally {
    bytes: u64,
    hash: Sha256,
    kept: Vec<u8>,
    capacity: usize,
}

impl Tally {
    /// One that keeps the first `capacity` bytes.
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity,
            ..Self::default()
        }
    }

    /// Takes in the next piece.
    pub fn add(&mut self, piece: &[u8]) {
        self.bytes += piece.len() as u64;
        self.hash.update(piece);
        let room = self.capacity - self.kept.len();
        self.kept.extend_from_slice(&piece[..piece.len().min(room)]);
    }

    /// All there is to say. `truncated` is whether the stream's end was not seen.
    pub fn finish(self, truncated: bool) -> (StreamSummary, Content) {
        let Self {
            bytes,
            hash,
            kept,
            capacity: _,
        } = self;
        let capped = bytes > kept.len() as u64;
        (
            StreamSummary {
                bytes,
                sha256: to_hex(&hash.finalize()),
                truncated,
            },
            Content { bytes: kept, capped },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_counted_and_the_first_bytes_are_kept() {
        let mut tally = Tally::new(4);
        for piece in [b"ab".as_slice(), b"", b"c"] {
            tally.add(piece);
        }
        tally.add(b"de");
        let (summary, content) = tally.finish(false);
        assert_eq!(summary.bytes, 5);
        // sha256sum of "abcde".
        assert_eq!(
            summary.sha256,
            "36bbe50ed96841d10443bcb670d6554f0a34b761be67ec9c4a8ad2c0c44ca42c"
        );
        assert_eq!(
            content,
            Content {
                bytes: b"abcd".to_vec(),
                capped: true
            }
        );
    }

    #[test]
    fn an_empty_stream_has_the_hash_of_nothing() {
        let (summary, content) = Tally::new(4).finish(true);
        assert_eq!(
            summary.sha256,
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert!(summary.truncated && !content.capped);
    }
}
