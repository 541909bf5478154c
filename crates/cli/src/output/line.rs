//! A line on the terminal that is written over.

use std::io::{Write as _, stderr};

use super::printable_cell;

/// A line on the terminal that is written over, and erased at the end.
#[derive(Debug)]
pub(super) struct Line {
    is_shown: bool,
}

impl Line {
    /// One that is shown, or not.
    pub(super) const fn new(is_shown: bool) -> Self {
        Self { is_shown }
    }

    /// Shows this in place of what was there.
    pub(super) fn show(&self, text: &str) {
        if self.is_shown {
            // To the line's begin, the text, erase what is left of the old one (ECMA-48 EL). No wrapping: a
            // line that is longer than the terminal could not be written over.
            let text = printable_cell(text);
            let width = usize::from(crate::terminal::size().width).saturating_sub(1);
            let text: String = text.chars().take(width).collect();
            write(&format!("\r{text}\x1b[K"));
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if self.is_shown {
            write("\r\x1b[K");
        }
    }
}

fn write(text: &str) {
    let mut stderr = stderr().lock();
    // Progress that can't be shown is no reason to fail.
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}
