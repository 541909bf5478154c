//! What is printed. Standard output carries results alone; everything else goes to standard error.

mod age;
mod format;
mod progress;
mod table;

use std::fmt::Display;
use std::io::{self, Write as _};

pub(crate) use age::age;
pub(crate) use format::{Format, json, yaml};
pub(crate) use progress::Progress;
pub(crate) use table::Table;

use crate::exit::Failure;

/// Prints a result on standard output.
pub(crate) fn print(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(bytes)
        .and_then(|()| stdout.flush())
        .map_err(Failure::Output)
}

/// Prints a result's line on standard output.
pub(crate) fn print_line(line: impl Display) -> Result<(), Failure> {
    print(format!("{line}\n").as_bytes())
}

/// Says something on standard error, in one write, so that lines of several processes don't mix.
pub(crate) fn note(line: &str) {
    // Nowhere is left to tell that standard error can't be written.
    let _ = io::stderr().lock().write_all(format!("{line}\n").as_bytes());
}

/// Warns on standard error.
pub(crate) fn warn(what: impl Display) {
    note(&format!("warning: {what}"));
}

/// Tells an error, which comes with its own words in front, on standard error.
pub(crate) fn complain(lines: &str) {
    note(lines);
}

/// Whether colours and other escape codes are unwanted (`NO_COLOR`, <https://no-color.org>: set and not
/// empty).
pub(crate) fn is_plain() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}
