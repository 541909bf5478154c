//! How a command ended, with the proof that its output is complete.

use serde::{Deserialize, Serialize};

use crate::phase::PhaseTimes;
use crate::transport::TransportUsed;
use crate::verdict::Verdict;

/// Exit code for a command that ran into its time-out, as coreutils' `timeout` has it.
pub const EXIT_TIMED_OUT: i32 = 124;
/// Exit code for a failure of Podbay, the cluster or the connection, as `docker run` has it.
pub const EXIT_FAILED: i32 = 125;
/// Exit code for a command that exists and cannot be executed (POSIX shell, `env`, `docker run`).
pub const EXIT_CANNOT_EXECUTE: i32 = 126;
/// Exit code for a command that does not exist (POSIX shell, `env`, `docker run`).
pub const EXIT_NOT_FOUND: i32 = 127;
/// What a shell adds to a signal's number to make an exit code of it.
pub const EXIT_SIGNAL_BASE: i32 = 128;

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum End {
    /// It exited. Over Kubernetes' exec a signal arrives as the code `128 + n`: the protocol has no other way.
    Exited {
        /// Its exit code.
        code: i32,
    },
    /// A signal ended it (known where the process is our own child).
    Signaled {
        /// The signal's number.
        signal: i32,
    },
    /// The time-out passed, and it was killed with its descendants.
    TimedOut {
        /// The time-out, in seconds.
        seconds: f64,
    },
    /// It was cancelled by its caller, and killed with its descendants.
    Cancelled,
    /// It exists and could not be executed.
    CannotExecute {
        /// The system's own words.
        message: String,
    },
    /// There is no such program.
    NotFound {
        /// The system's own words.
        message: String,
    },
    /// The infrastructure ended it; the outcome's verdict says why.
    Killed,
    /// The connection was lost: whether and how it ended is not known.
    Lost {
        /// What was seen of it.
        message: String,
    },
}

impl End {
    /// The exit code a command line reports.
    pub fn exit_code(&self) -> i32 {
        match self {
            Self::Exited { code } => *code,
            Self::Signaled { signal } => EXIT_SIGNAL_BASE + signal,
            Self::TimedOut { .. } => EXIT_TIMED_OUT,
            Self::Cancelled => EXIT_SIGNAL_BASE + 2, // What a shell reports of a command ended by Ctrl-C (SIGINT is 2).
            Self::CannotExecute { .. } => EXIT_CANNOT_EXECUTE,
            Self::NotFound { .. } => EXIT_NOT_FOUND,
            Self::Killed | Self::Lost { .. } => EXIT_FAILED,
        }
    }
}

/// What is known of one output stream: the proof that nothing was lost, or the statement that something was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamSummary {
    /// How many bytes arrived.
    pub bytes: u64,
    /// Lower-case hexadecimal SHA-256 of all of them.
    pub sha256: String,
    /// Whether the stream's end was not seen: bytes may be missing after those counted.
    pub truncated: bool,
}

/// How a command ended, and what it wrote.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// How it ended.
    pub end: End,
    /// What arrived of its standard output.
    pub stdout: StreamSummary,
    /// What arrived of its standard error.
    pub stderr: StreamSummary,
    /// The captured part of its standard output.
    pub stdout_content: Content,
    /// The captured part of its standard error.
    pub stderr_content: Content,
    /// From the request to the end, in seconds.
    pub seconds: f64,
    /// Why it failed, where the infrastructure or the connection is the reason.
    pub verdict: Option<Verdict>,
    /// How it got into its sandbox.
    pub transport: TransportUsed,
}

impl Outcome {
    /// Whether the command exited with 0 and all its output arrived.
    pub fn success(&self) -> bool {
        self.end == (End::Exited { code: 0 }) && !self.stdout.truncated && !self.stderr.truncated
    }
}

/// The bytes of a stream that were kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// The first bytes of the stream, up to the cap.
    pub bytes: Vec<u8>,
    /// Whether the stream had more.
    pub capped: bool,
}

impl Content {
    /// The bytes as text, with U+FFFD where they are not UTF-8.
    pub fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.bytes)
    }
}

/// One line of JSON about a command, as `-o json` and `--outcome-file` write it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutcomeRecord {
    /// Version of this record's shape.
    pub schema_version: u32,
    /// The session's id; none where not even the cluster was found.
    pub session: Option<String>,
    /// What was run.
    pub command: Vec<String>,
    /// How it ended; none where it was never started (the verdict or the error says why).
    pub end: Option<End>,
    /// What Podbay exits with.
    pub exit_code: i32,
    /// Standard output.
    pub stdout: StreamRecord,
    /// Standard error.
    pub stderr: StreamRecord,
    /// Seconds of each step of the session's start; none where it was there already.
    pub start: Option<PhaseTimes>,
    /// Seconds from the request to the command's end.
    pub seconds: f64,
    /// Why it failed, where that is known.
    pub verdict: Option<Verdict>,
    /// The error's stable code and text, where Podbay or the cluster failed.
    pub error: Option<ErrorRecord>,
    /// How it got into its sandbox; none where it was never started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<TransportUsed>,
}

/// The current [`OutcomeRecord::schema_version`].
pub const OUTCOME_SCHEMA_VERSION: u32 = 1;

/// An error in an [`OutcomeRecord`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorRecord {
    /// The stable code, see [`crate::ErrorCode`].
    pub code: crate::ErrorCode,
    /// The error with its whole chain.
    pub message: String,
}

/// A stream in an [`OutcomeRecord`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamRecord {
    /// How many bytes arrived.
    pub bytes: u64,
    /// Lower-case hexadecimal SHA-256 of all of them.
    pub sha256: String,
    /// Whether the stream's end was not seen: bytes may be missing after those counted.
    pub truncated: bool,
    /// The content as text, where it was kept and is UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The content in base64 (RFC 4648, padded), where it was kept and is not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
    /// Whether `text` or `base64` holds only the first bytes; the counts and the hash are of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_capped: Option<bool>,
}

impl From<StreamSummary> for StreamRecord {
    fn from(summary: StreamSummary) -> Self {
        let StreamSummary {
            bytes,
            sha256,
            truncated,
        } = summary;
        Self {
            bytes,
            sha256,
            truncated,
            text: None,
            base64: None,
            content_capped: None,
        }
    }
}
