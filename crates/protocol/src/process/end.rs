//! How a process ended, as whoever carried it knows it.

use serde::{Deserialize, Serialize};

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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
    /// How it ended is not known: whoever watched it was itself ended. Never to be taken for success.
    Lost {
        /// What was seen of it.
        message: String,
    },
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
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct StreamEnd {
    /// How many bytes there are to read. `None` if whoever carried it has not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Lower-case hexadecimal SHA-256 of these. `None` if whoever carried it has not hashed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Whether the process, or one that it left behind, may have written more than was counted here: a limit was
    /// reached, or the end of the stream was not waited for.
    pub truncated: bool,
    /// The first byte that could still be read when the process ended: 0, unless the output was kept as a
    /// [`tail`](crate::Retention::Tail), or its reader had taken more than is kept for others.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub first: u64,
    /// Whether nobody took the output of a process that should wait for its reader, so that it went on and the
    /// output went to a file.
    #[serde(default, skip_serializing_if = "is_false")]
    pub spooled: bool,
}

/// What a process and the descendants it waited for used (getrusage(2)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct ResourceUsage {
    /// Processor time in user mode, in seconds.
    pub user_seconds: f64,
    /// Processor time in the kernel, in seconds.
    pub system_seconds: f64,
    /// The most memory that one of them had resident, in bytes.
    pub max_resident_bytes: u64,
}

/// The record of a process's end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct EndRecord {
    /// How it ended.
    pub end: ProcessEnd,
    /// Its standard output.
    pub stdout: StreamEnd,
    /// Its standard error.
    pub stderr: StreamEnd,
    /// From its start to its end, in seconds. `None` if whoever carried it has not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// What it used. `None` if it was not started, or whoever carried it can't tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<ResourceUsage>,
    /// How many processes of the sandbox the kernel killed for memory while it ran.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub oom_kills: u64,
}

impl EndRecord {
    /// An end with nothing to say of the outputs.
    pub fn new(end: ProcessEnd) -> Self {
        Self {
            end,
            stdout: StreamEnd::default(),
            stderr: StreamEnd::default(),
            seconds: None,
            usage: None,
            oom_kills: 0,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
fn is_false(flag: &bool) -> bool {
    !*flag
}
