//! What is printed. Standard output carries results alone; everything else goes to standard error.

mod age;
mod format;
mod line;
mod printable;
mod progress;
mod table;
mod transfer;

use std::ffi::OsStr;
use std::fmt::Display;
use std::io::{self, Write as _};

pub(crate) use age::age;
pub(crate) use format::{Format, json, yaml};
pub(crate) use printable::{printable, printable_cell};
pub(crate) use progress::Progress;
pub(crate) use table::Table;
pub(crate) use transfer::follow_copy;

use crate::exit::Failure;

/// Prints a result on standard output.
pub(crate) fn print(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(bytes)
        .and_then(|()| stdout.flush())
        .map_err(Failure::Output)
}

/// Prints a result's line on standard output, for people.
pub(crate) fn print_line(line: impl Display) -> Result<(), Failure> {
    print(format!("{}\n", printable(&line.to_string())).as_bytes())
}

/// Says something on standard error, in one write, so that lines of several processes don't mix.
pub(crate) fn note(line: &str) {
    // Nowhere is left to tell that standard error can't be written.
    let _ = io::stderr()
        .lock()
        .write_all(format!("{}\n", printable(line)).as_bytes());
}

/// A value, or kubectl's word for what is not there.
pub(crate) fn or_none(value: Option<&String>) -> String {
    value.cloned().unwrap_or_else(|| "<none>".to_owned())
}

/// Warns on standard error.
pub(crate) fn warn(what: impl Display) {
    note(&format!("warning: {what}"));
}

/// Tells an error, which comes with its own words in front, on standard error.
pub(crate) fn complain(lines: &str) {
    note(lines);
}

/// Whether colours and other escape codes are unwanted, or the terminal does not have them.
pub(crate) fn is_plain() -> bool {
    let variable = |name: &str| std::env::var_os(name);
    wants_plain(variable("NO_COLOR").as_deref(), variable("TERM").as_deref())
}

/// `NO_COLOR` counts when it is set and not empty (<https://no-color.org>). A terminal whose kind is not said is as good
/// as a dumb one.
fn wants_plain(no_color: Option<&OsStr>, term: Option<&OsStr>) -> bool {
    no_color.is_some_and(|value| !value.is_empty())
        || term.is_none_or(|term| term.is_empty() || term == "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dumb_terminal_gets_no_escape_sequences() {
        let plain = |no_color: Option<&str>, term: Option<&str>| {
            wants_plain(no_color.map(OsStr::new), term.map(OsStr::new))
        };
        assert!(!plain(None, Some("xterm-256color")));
        assert!(!plain(Some(""), Some("vt100")));
        assert!(plain(None, Some("dumb")) && plain(None, Some("")) && plain(None, None));
        assert!(plain(Some("1"), Some("xterm")));
    }
}
