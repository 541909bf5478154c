//! Marks in a terminal's stream, by which a shell says where it is. They stand in the stream itself, so that what comes
//! before one was written before it.
//!
//! ```text
//!   ESC ] 7770 ; NONCE ; BODY ; NONCE BEL
//! ```
//!
//! An operating system command that no terminal knows: one that is shown leaves no trace. The nonce tells ours from what a
//! program wrote that has read this file.

use crate::action::held::{find, overlap};

/// The longest body: all that a shell exports.
const LONGEST: usize = 256 << 10;

/// What a stream is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Output.
    Text(Vec<u8>),
    /// The body of a mark.
    Mark(Vec<u8>),
}

/// Finds marks, however the stream is cut.
#[derive(Debug)]
pub struct Marks {
    begin: Vec<u8>,
    end: Vec<u8>,
    held: Vec<u8>,
}

impl Marks {
    /// Those with a nonce.
    pub fn new(nonce: &str) -> Self {
        Self {
            begin: format!("\x1b]7770;{nonce};").into_bytes(),
            end: format!(";{nonce}\x07").into_bytes(),
            held: Vec::new(),
        }
    }

    /// Takes the next bytes of the stream apart. What may be the beginning of a mark is held back.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Piece> {
        self.held.extend_from_slice(bytes);
        let mut pieces = Vec::new();
        loop {
            let Some(at) = find(&self.held, &self.begin) else {
                let keep = overlap(&self.held, &self.begin);
                let rest = self.held.split_off(self.held.len() - keep);
                push_text(&mut pieces, std::mem::replace(&mut self.held, rest));
                return pieces;
            };
            let body = at + self.begin.len();
            let Some(length) = find(&self.held[body..], &self.end) else {
                let rest = self.held.split_off(at);
                push_text(&mut pieces, std::mem::replace(&mut self.held, rest));
                if self.held.len() > LONGEST {
                    push_text(&mut pieces, std::mem::take(&mut self.held));
                }
                return pieces;
            };
            let mark = self.held[body..body + length].to_vec();
            let rest = self.held.split_off(body + length + self.end.len());
            self.held.truncate(at);
            push_text(&mut pieces, std::mem::replace(&mut self.held, rest));
            pieces.push(Piece::Mark(mark));
        }
    }
}

fn push_text(pieces: &mut Vec<Piece>, text: Vec<u8>) {
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(pieces: Vec<Piece>) -> (Vec<u8>, Vec<Vec<u8>>) {
        let (mut text, mut marks) = (Vec::new(), Vec::new());
        for piece in pieces {
            match piece {
                Piece::Text(bytes) => text.extend(bytes),
                Piece::Mark(body) => marks.push(body),
            }
        }
        (text, marks)
    }

    #[test]
    fn a_mark_stands_between_what_was_written_before_and_after() {
        let mut marks = Marks::new("n");
        let pieces = marks.feed(b"before\x1b]7770;n;0;/tmp;n\x07after");
        assert_eq!(
            pieces,
            [
                Piece::Text(b"before".to_vec()),
                Piece::Mark(b"0;/tmp".to_vec()),
                Piece::Text(b"after".to_vec())
            ]
        );
    }

    #[test]
    fn a_mark_of_another_is_output() {
        let text = b"\x1b]7770;other;0;other\x07";
        let mut marks = Marks::new("n");
        assert_eq!(all(marks.feed(text)).0, text);
    }

    #[test]
    fn what_never_ends_is_output_in_the_end() {
        let mut marks = Marks::new("n");
        let mut text = b"\x1b]7770;n;".to_vec();
        text.resize(LONGEST + 100, b'x');
        assert_eq!(all(marks.feed(&text)).0, text);
    }

    proptest! {
        #[test]
        fn cuts_make_no_difference(
            text in "(\\x1b\\]7770;n;|;n\\x07|\\x1b|\\]|[a-c;]){0,20}",
            cuts in proptest::collection::vec(1..5usize, 0..30),
        ) {
            let bytes = text.as_bytes();
            let mut whole = Marks::new("n");
            let expected = all(whole.feed(bytes));
            let mut marks = Marks::new("n");
            let (mut pieces, mut rest) = (Vec::new(), bytes);
            for cut in cuts {
                let (now, later) = rest.split_at(cut.min(rest.len()));
                pieces.extend(marks.feed(now));
                rest = later;
            }
            pieces.extend(marks.feed(rest));
            prop_assert_eq!(all(pieces), expected);
            prop_assert_eq!(&marks.held, &whole.held);
        }
    }
}
