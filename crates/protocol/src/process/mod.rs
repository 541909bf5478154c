//! A process in a sandbox, as whoever carries it and whoever reads it tell one another.
//!
//! A process is a resource with a name that its caller chose, a standard input that is written at offsets, two outputs that
//! are logs of bytes with offsets, and a record of its end.

mod end;
mod environment;
mod id;
mod signal;

use serde::{Deserialize, Serialize};

pub use end::{EndRecord, ProcessEnd, ResourceUsage, StreamEnd};
pub use environment::Environment;
pub use id::{InvalidProcessId, InvalidReaderId, ProcessId, ReaderId};
pub use signal::{InvalidSignal, Signal, SignalTarget, UnknownSignal};

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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct ProcessSpec {
    /// Its name.
    pub id: ProcessId,
    /// The program and its arguments; no shell is involved. Must not be empty, unless there is a text for a shell.
    pub argv: Vec<String>,
    /// A text for the sandbox's `sh`, in place of a program; `argv` are its positional parameters, from `$1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shell: Option<String>,
    /// Variables it gets besides the sandbox's, or in place of these.
    #[serde(default, skip_serializing_if = "Environment::is_empty")]
    pub environment: Environment,
    /// The directory it starts in. `None` is the session's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// The user it runs as. `None` is the session's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<ProcessUser>,
    /// The user it runs as, by a name of the sandbox's `/etc/passwd`. Together with `user` it is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_name: Option<String>,
    /// How long it may take, in seconds; then it and all it started is killed. That includes what it left behind, when
    /// it ended earlier by itself. `None` is without limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<f64>,
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
    pub fn new(id: ProcessId, argv: Vec<String>) -> Self {
        Self {
            id,
            argv,
            shell: None,
            environment: Environment::default(),
            directory: None,
            user: None,
            user_name: None,
            timeout_seconds: None,
            stdin: false,
            terminal: None,
            retention: Retention::Backpressure,
        }
    }
}

/// A user of the sandbox, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProcessUser {
    /// The user's id.
    pub uid: i64,
    /// The group's id. `None` is the one that the sandbox has for the user, else 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gid: Option<i64>,
}

/// A place in both outputs of a process, in bytes from the beginning of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Offsets {
    /// Of standard output.
    pub stdout: u64,
    /// Of standard error.
    pub stderr: u64,
}

/// A process in a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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
    /// The text for a shell that runs in place of a program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shell: Option<String>,
    /// The first byte of each output that can still be read. `None` if whoever carries it keeps none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<Offsets>,
    /// How much of its standard input was taken. `None` if it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<u64>,
    /// Its number in the sandbox. `None` before it was started, or if whoever carries it can't tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
    /// How long it has been running, or ran, in seconds. `None` if whoever carries it has not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// How long ago it was started, in seconds. `None` if whoever carries it has not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_seconds: Option<f64>,
    /// Whether it has a terminal.
    #[serde(default, skip_serializing_if = "is_false")]
    pub terminal: bool,
}

impl ProcessInfo {
    /// A process that has written so much and, if there is an `end`, has ended.
    pub const fn new(id: ProcessId, argv: Vec<String>, written: Offsets, end: Option<EndRecord>) -> Self {
        Self {
            id,
            argv,
            written,
            end,
            shell: None,
            first: None,
            stdin: None,
            pid: None,
            seconds: None,
            age_seconds: None,
            terminal: false,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
fn is_false(flag: &bool) -> bool {
    !*flag
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
