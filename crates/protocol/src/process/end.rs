//! How a process ended, as whoever carried it knows it.

use serde::{Deserialize, Serialize};

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ProcessEnd {
    /// It exited.
    Exited {
        /// Its exit code.
        code: i32,
    },
    /// A signal ended it.
    Signaled {
        /// The signal's number.
        signal: i32,
    },
    /// Its time-out passed, and it was killed with its descendants.
    TimedOut {
        /// The time-out, in seconds.
        seconds: f64,
    },
    /// The kernel killed it, or one of its descendants, because the sandbox's memory limit was reached.
    OutOfMemory,
    /// It could not be started.
    NotStarted {
        /// The name of an errno (`ENOENT`), or a word of whoever should have started it.
        reason: String,
        /// The system's own words.
        message: String,
    },
}

/// What there is to say of an output once it has ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StreamEnd {
    /// How many bytes there are to read. `None` if whoever carried it has not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Lower-case hexadecimal SHA-256 of these. `None` if whoever carried it has not hashed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Whether the process, or one that it left behind, may have written more than was kept.
    pub truncated: bool,
}

/// The record of a process's end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EndRecord {
    /// How it ended.
    pub end: ProcessEnd,
    /// Its standard output.
    pub stdout: StreamEnd,
    /// Its standard error.
    pub stderr: StreamEnd,
}

impl EndRecord {
    /// An end with nothing to say of the outputs.
    pub fn new(end: ProcessEnd) -> Self {
        Self {
            end,
            stdout: StreamEnd::default(),
            stderr: StreamEnd::default(),
        }
    }
}
