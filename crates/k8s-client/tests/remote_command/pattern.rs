//! Bytes that can be checked: where they differ from what was sent, and how many there are.

use bytes::Bytes;

/// A stream of bytes that is told by its seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pattern(pub(crate) u8);

/// How bytes differ from the pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Difference {
    At { position: usize },
    Length { expected: usize, found: usize },
}

impl Pattern {
    /// No shift by a frame, a block or a page maps the stream onto itself.
    fn byte_at(self, position: usize) -> u8 {
        self.0 ^ (position.wrapping_mul(31) ^ (position / 251)).to_le_bytes()[0]
    }

    pub(crate) fn bytes(self, len: usize) -> Bytes {
        (0..len).map(|position| self.byte_at(position)).collect()
    }

    pub(crate) fn check(self, found: &[u8], expected: usize) -> Result<(), Difference> {
        let differs = |(position, &byte): (usize, &u8)| byte != self.byte_at(position);
        match found.iter().enumerate().position(differs) {
            Some(position) => Err(Difference::At { position }),
            None if found.len() != expected => Err(Difference::Length {
                expected,
                found: found.len(),
            }),
            None => Ok(()),
        }
    }
}

#[test]
fn what_is_missing_doubled_or_changed_is_noticed() {
    let pattern = Pattern(7);
    let bytes = pattern.bytes(100_000);
    assert_eq!(pattern.check(&bytes, 100_000), Ok(()));
    let cut = Difference::Length {
        expected: 100_000,
        found: 99_999,
    };
    assert_eq!(pattern.check(&bytes[..99_999], 100_000), Err(cut));
    for position in [0, 1, 4096, 65_535, 99_998] {
        let mut missing = bytes.to_vec();
        missing.remove(position);
        assert!(pattern.check(&missing, 100_000).is_err());
        let mut doubled = bytes.to_vec();
        doubled.insert(position, bytes[position]);
        assert!(pattern.check(&doubled, 100_000).is_err());
        let mut changed = bytes.to_vec();
        changed[position] ^= 1;
        assert_eq!(pattern.check(&changed, 100_000), Err(Difference::At { position }));
    }
    assert!(
        Pattern(8).check(&bytes, 100_000).is_err(),
        "the other stream's bytes"
    );
}
