//! Text that others wrote, made fit for a terminal: keys of files, messages of the API server, last lines of logs. Escape
//! sequences in it would be carried out.

use std::borrow::Cow;

/// The text with control characters written out (`\u{1b}`), line ends and tabs apart.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    written_out(text, |c| is_harmful(c) && c != '\n' && c != '\t')
}

/// The text for one cell of a table, where a line end would begin a row that is none.
pub(crate) fn printable_cell(text: &str) -> Cow<'_, str> {
    written_out(text, is_harmful)
}

fn written_out(text: &str, unwanted: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&unwanted) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if unwanted(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// Control characters (C0, DEL, and C1, whose U+009B begins a sequence as ESC [ does), and those that change the order
/// in which text is shown (Unicode's bidirectional formatting).
fn is_harmful(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_of_others_are_written_out() {
        assert_eq!(
            printable("a\u{1b}[2J\u{9b}1m\u{7f}\r\u{202e}b"),
            "a\\u{1b}[2J\\u{9b}1m\\u{7f}\\r\\u{202e}b"
        );
        assert_eq!(printable("two\nlines\tgr\u{fc}n"), "two\nlines\tgr\u{fc}n");
        assert_eq!(printable_cell("a\nb\tc"), "a\\nb\\tc");
        assert!(matches!(printable("plain"), Cow::Borrowed(_)));
    }
}
