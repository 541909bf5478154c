//! A process in a sandbox, as whoever carries it and whoever reads it tell one another.
//!
//! A process is a resource with a name that its caller chose, a standard input that is written at offsets, two outputs that
//! are logs of bytes with offsets, and a record of its end.

mod end;
mod id;
mod signal;

use serde::{Deserialize, Serialize};

pub use end::{EndRecord, ProcessEnd, StreamEnd};
pub use id::{InvalidProcessId, ProcessId};
pub use signal::{InvalidSignal, Signal, SignalTarget};

use crate::choices;
use crate::terminal::TerminalSize;

choices! {
    /// What becomes of output that nobody has taken yet. It is never dropped silently.
    pub enum Retention: "retention" {
        /// The process waits for the reader.
        Backpressure = "backpressure",
        /// It goes to a file of bounded size; at the limit the stream is truncated, and its end says so.
        Spool = "spool",
        /// The last bytes are kept; the end says how many there were.
        Tail = "tail",
    }
}

choices! {
    /// One of a process's outputs.
    pub enum StreamName: "stream" {
        /// Standard output; a terminal's, too.
        Stdout = "stdout",
        /// Standard error; empty with a terminal.
        Stderr = "stderr",
    }
}

/// What to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ProcessSpec {
    /// Its name.
    pub id: ProcessId,
    /// The program and its arguments; no shell is involved. Must not be empty.
    pub argv: Vec<String>,
    /// The directory it starts in. `None` is the session's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// The user it runs as. `None` is the session's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<ProcessUser>,
    /// Whether its standard input is written to; else it reads an end of file at once.
    pub stdin: bool,
    /// The size of its terminal. `None` if it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminal: Option<TerminalSize>,
    /// What becomes of output that nobody has taken yet.
    pub retention: Retention,
}

impl ProcessSpec {
    /// A program without standard input or terminal, which waits for the reader of its outputs.
    pub const fn new(id: ProcessId, argv: Vec<String>) -> Self {
        Self {
            id,
            argv,
            directory: None,
            user: None,
            stdin: false,
            terminal: None,
            retention: Retention::Backpressure,
        }
    }
}

/// A user of the sandbox, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessUser {
    /// The user's id.
    pub uid: i64,
    /// The group's id. `None` is the one that the sandbox has for the user, else 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gid: Option<i64>,
}

/// A place in both outputs of a process, in bytes from the beginning of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offsets {
    /// Of standard output.
    pub stdout: u64,
    /// Of standard error.
    pub stderr: u64,
}

/// A process in a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ProcessInfo {
    /// Its name.
    pub id: ProcessId,
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// How much it has written.
    pub written: Offsets,
    /// How it ended. `None` while it runs.
    pub end: Option<EndRecord>,
}

impl ProcessInfo {
    /// A process that has written so much and, if there is an `end`, has ended.
    pub const fn new(id: ProcessId, argv: Vec<String>, written: Offsets, end: Option<EndRecord>) -> Self {
        Self {
            id,
            argv,
            written,
            end,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_specification_keeps_its_shape_on_the_wire() {
        let mut spec = ProcessSpec::new("p-1".parse().unwrap(), vec!["cat".to_owned()]);
        let plain = r#"{"id":"p-1","argv":["cat"],"stdin":false,"retention":"backpressure"}"#;
        assert_eq!(serde_json::to_string(&spec).unwrap(), plain);
        spec.directory = Some("/w".to_owned());
        spec.terminal = Some(TerminalSize {
            width: 80,
            height: 24,
        });
        let text = serde_json::to_string(&spec).unwrap();
        assert_eq!(
            text,
            r#"{"id":"p-1","argv":["cat"],"directory":"/w","stdin":false,"terminal":{"width":80,"height":24},"retention":"backpressure"}"#
        );
        assert_eq!(serde_json::from_str::<ProcessSpec>(&text).unwrap(), spec);
    }

    #[test]
    fn an_end_keeps_its_shape_on_the_wire() {
        let record = EndRecord::new(ProcessEnd::Exited { code: 3 });
        let info = ProcessInfo::new(
            "p".parse().unwrap(),
            vec!["x".to_owned()],
            Offsets::default(),
            Some(record),
        );
        let text = serde_json::to_string(&info).unwrap();
        assert_eq!(
            text,
            r#"{"id":"p","argv":["x"],"written":{"stdout":0,"stderr":0},"end":{"end":{"kind":"exited","code":3},"stdout":{"truncated":false},"stderr":{"truncated":false}}}"#
        );
        assert_eq!(serde_json::from_str::<ProcessInfo>(&text).unwrap(), info);
    }
}
