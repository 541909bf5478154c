//! Where the frames of a WebSocket begin and end (RFC 6455, section 5.2), with no look at what is in them.

/// The longest header of a frame: two bytes, a length of eight, a mask of four.
const LONGEST_HEADER: usize = 14;
/// The frame that closes a WebSocket.
const CLOSE: u8 = 8;
/// The bit of a frame that is the last of its message; control frames are always that.
const IS_LAST: u8 = 0x80;
/// The bit of a frame whose payload is masked, as a client's has to be.
const IS_MASKED: u8 = 0x80;
/// "An endpoint is going away, such as a server going down" (section 7.4.1).
const GOING_AWAY: [u8; 2] = 1001_u16.to_be_bytes();

/// What was passed on in one direction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Frames {
    header: [u8; LONGEST_HEADER],
    /// How much of a header has come.
    have: usize,
    /// How much of a payload has not come.
    left: u64,
    is_closed: bool,
}

impl Frames {
    /// Takes note of what comes.
    pub(super) fn pass(&mut self, mut bytes: &[u8]) {
        while let [first, rest @ ..] = bytes {
            if self.left > 0 {
                let payload = usize::try_from(self.left).map_or(bytes.len(), |left| left.min(bytes.len()));
                self.left -= payload as u64;
                bytes = &bytes[payload..];
                continue;
            }
            self.header[self.have] = *first;
            self.have += 1;
            bytes = rest;
            if self.have == self.header_length() {
                self.left = self.payload_length();
                self.is_closed |= self.header[0] & 0x0f == CLOSE;
                self.have = 0;
            }
        }
    }

    /// How many bytes that are still to come belong to a frame that has begun, at least; 0 between two.
    pub(super) fn rest(&self) -> u64 {
        match (self.left, self.have) {
            (0, 0) => 0,
            (0, have) => (self.header_length() - have) as u64,
            (left, _) => left,
        }
    }

    /// Whether this direction was closed: nothing may follow.
    pub(super) const fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// As far as is known from what has come.
    fn header_length(&self) -> usize {
        if self.have < 2 {
            return 2;
        }
        let length = match self.header[1] & !IS_MASKED {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mask = if self.header[1] & IS_MASKED == 0 { 0 } else { 4 };
        2 + length + mask
    }

    fn payload_length(&self) -> u64 {
        let bytes = |from: &[u8]| from.iter().fold(0, |length, byte| length << 8 | u64::from(*byte));
        match self.header[1] & !IS_MASKED {
            126 => bytes(&self.header[2..4]),
            127 => bytes(&self.header[2..10]),
            length => u64::from(length),
        }
    }
}

/// What a server says to a client before it goes away.
pub(super) fn close_to_client() -> Vec<u8> {
    [&[IS_LAST | CLOSE, 2], GOING_AWAY.as_slice()].concat()
}

/// What a client says to a server before it goes away, masked with `mask` (section 5.3).
pub(super) fn close_to_server(mask: [u8; 4]) -> Vec<u8> {
    let masked = [GOING_AWAY[0] ^ mask[0], GOING_AWAY[1] ^ mask[1]];
    [&[IS_LAST | CLOSE, IS_MASKED | 2], mask.as_slice(), &masked].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(first: u8, length: usize, is_masked: bool) -> Vec<u8> {
        let (short, more) = match length {
            0..126 => (u8::try_from(length).unwrap(), vec![]),
            126..0x1_0000 => (126, u16::try_from(length).unwrap().to_be_bytes().to_vec()),
            _ => (127, (length as u64).to_be_bytes().to_vec()),
        };
        let mask = if is_masked { IS_MASKED } else { 0 };
        let mut frame = vec![first, mask | short];
        frame.extend(more);
        frame.extend([7; 4].iter().take(if is_masked { 4 } else { 0 }));
        // What is in it may look like a header, a close too.
        frame.extend(std::iter::repeat_n(0x88, length));
        frame
    }

    #[test]
    fn frames_end_where_they_end_however_they_come() {
        for length in [0, 1, 125, 126, 65_535, 65_536] {
            for is_masked in [false, true] {
                let whole = frame(0x82, length, is_masked);
                for size in [1, 3, whole.len()] {
                    let mut frames = Frames::default();
                    let mut passed = 0;
                    for piece in whole.chunks(size) {
                        frames.pass(piece);
                        passed += piece.len();
                        let rest = usize::try_from(frames.rest()).unwrap();
                        assert_eq!(
                            rest == 0,
                            passed == whole.len(),
                            "{length} {is_masked} {size} {passed}"
                        );
                        assert!(rest <= whole.len() - passed);
                    }
                    assert!(!frames.is_closed());
                }
            }
        }
    }

    #[test]
    fn several_come_at_once_and_a_close_is_seen() {
        let mut frames = Frames::default();
        frames.pass(
            &[
                frame(0x01, 5, false),
                frame(0x89, 0, false),
                frame(0x80, 300, false),
            ]
            .concat(),
        );
        assert_eq!((frames.rest(), frames.is_closed()), (0, false));
        frames.pass(&close_to_client());
        assert_eq!((frames.rest(), frames.is_closed()), (0, true));
        let mut frames = Frames::default();
        frames.pass(&close_to_server([1, 2, 3, 4]));
        assert_eq!((frames.rest(), frames.is_closed()), (0, true));
    }

    #[test]
    fn a_close_is_as_the_rfc_has_it() {
        assert_eq!(close_to_client(), [0x88, 2, 0x03, 0xe9]);
        assert_eq!(
            close_to_server([0xff, 0x0f, 9, 9]),
            [0x88, 0x82, 0xff, 0x0f, 9, 9, 0xfc, 0xe6]
        );
    }
}
