//! Tells where a command's own output ends in a stream that its descendants may still write to.
//!
//! The exec subresource ends when everyone who could write to the streams has closed them, and only then says how the
//! command ended. So the shell that carries the command writes its end between what the command wrote and what comes
//! later: a byte that no text holds, the command's mark, and its exit code.

use bytes::{Bytes, BytesMut};

/// ASCII's record separator. Rare, so that next to nothing is ever held back.
const SEPARATOR: u8 = 0x1e;

/// Digits of an exit code, at most.
const CODE: usize = 3;

/// Takes the mark out of a stream.
#[derive(Debug)]
pub(super) struct EndMark {
    /// What comes before the code.
    mark: Vec<u8>,
    /// The end of what came, where it may be the beginning of the mark.
    held: BytesMut,
    /// The mark was found: all else passes.
    found: bool,
}

impl EndMark {
    /// What the shell writes before the exit code and the end of the line, for a command of this mark.
    pub(super) fn of(mark: &str) -> String {
        format!("{}{mark}:", char::from(SEPARATOR))
    }

    /// Looks for the mark of such a command.
    pub(super) fn find(mark: &str) -> Self {
        Self {
            mark: Self::of(mark).into_bytes(),
            held: BytesMut::new(),
            found: false,
        }
    }

    /// Takes in the next piece: what of it (and of what was held back) is output, and the exit code if the mark was in
    /// it.
    pub(super) fn take(&mut self, piece: Bytes) -> (Bytes, Option<i32>) {
        if self.found || (self.held.is_empty() && !piece.contains(&SEPARATOR)) {
            return (piece, None);
        }
        self.held.extend_from_slice(&piece);
        let mut from = 0;
        while let Some(at) = position(&self.held[from..]) {
            from += at;
            match self.read(&self.held[from..]) {
                Reading::Mark { code, length } => {
                    self.found = true;
                    let mut output = self.held.split_to(from);
                    output.extend_from_slice(&self.held[length..]);
                    self.held.clear();
                    return (output.freeze(), Some(code));
                }
                Reading::Unfinished => return (self.held.split_to(from).freeze(), None),
                Reading::Other => from += 1,
            }
        }
        (self.held.split().freeze(), None)
    }

    /// What was held back at the end of the stream.
    pub(super) fn rest(&mut self) -> Bytes {
        self.held.split().freeze()
    }

    /// Reads what begins with a separator.
    fn read(&self, bytes: &[u8]) -> Reading {
        let common = bytes.len().min(self.mark.len());
        if bytes[..common] != self.mark[..common] {
            return Reading::Other;
        }
        let code = &bytes[common..];
        match code.iter().position(|byte| *byte == b'\n') {
            Some(digits) => std::str::from_utf8(&code[..digits])
                .ok()
                .and_then(|digits| digits.parse::<u8>().ok())
                .map_or(Reading::Other, |code| Reading::Mark {
                    code: code.into(),
                    length: common + digits + 1,
                }),
            None if code.len() <= CODE => Reading::Unfinished,
            None => Reading::Other,
        }
    }
}

enum Reading {
    /// The mark, with so many bytes.
    Mark { code: i32, length: usize },
    /// It may become the mark.
    Unfinished,
    /// The command's own bytes.
    Other,
}

fn position(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| *byte == SEPARATOR)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MARK: &str = "0123456789abcdef0123456789abcdef";

    /// Feeds `stream` in pieces of `length`.
    fn run(stream: &[u8], length: usize) -> (Vec<u8>, Vec<i32>) {
        let mut finder = EndMark::find(MARK);
        let (mut output, mut codes) = (Vec::new(), Vec::new());
        for piece in stream.chunks(length) {
            let (bytes, code) = finder.take(Bytes::copy_from_slice(piece));
            output.extend_from_slice(&bytes);
            codes.extend(code);
        }
        output.extend_from_slice(&finder.rest());
        (output, codes)
    }

    #[test]
    fn what_is_no_mark_is_not_held_back() {
        let mut finder = EndMark::find(MARK);
        let (output, code) = finder.take(Bytes::from_static(b"prompt 0123"));
        assert_eq!((output.as_ref(), code), (b"prompt 0123".as_slice(), None));
    }

    #[test]
    fn what_only_looks_like_a_mark_is_output() {
        for stream in [
            EndMark::of("ffff") + "0\n",
            EndMark::of(MARK) + "1234\n",
            EndMark::of(MARK) + "x\n",
            EndMark::of(MARK),
            "\u{1e}\u{1e}".to_owned(),
        ] {
            assert_eq!(run(stream.as_bytes(), 7), (stream.clone().into_bytes(), vec![]));
        }
    }

    proptest! {
        #[test]
        fn the_mark_is_found_wherever_it_is_cut(
            before in prop::collection::vec(prop_oneof![Just(SEPARATOR), Just(b'0'), any::<u8>()], 0..60),
            after in prop::collection::vec(any::<u8>(), 0..60),
            code in 0..256_i32,
            length in 1..80_usize,
        ) {
            let mark = format!("{}{code}\n", EndMark::of(MARK));
            let stream = [&before, mark.as_bytes(), &after].concat();
            prop_assert_eq!(run(&stream, length), ([before, after].concat(), vec![code]));
        }
    }
}
