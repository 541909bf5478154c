//! Why a process of a session could not be started, reached or written to.

use podbay_protocol::{ErrorCode, Hint, ProcessId, StreamName};

use super::Error;
use super::not_possible::NotPossible;

/// Why a process of a session could not be started, reached or written to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// The transport can't do that.
    #[error(transparent)]
    NotPossible(#[from] NotPossible),
    /// No process has this id, or it was forgotten.
    #[error("there is no process {id}")]
    Unknown {
        /// The id.
        id: ProcessId,
    },
    /// Another process has this id.
    #[error("there is another process {id}")]
    IdTaken {
        /// The id.
        id: ProcessId,
    },
    /// The output that was asked for is not kept any longer.
    #[error("of {stream}, what comes before byte {first} is not kept any longer")]
    OutputGone {
        /// Which of the outputs.
        stream: StreamName,
        /// The first byte that is kept.
        first: u64,
    },
    /// The process no longer reads its standard input, or has ended.
    #[error("the process no longer reads its standard input")]
    InputClosed,
    /// A signal did not reach all whom it was for.
    #[error("{0}")]
    SignalFailed(String),
    /// The session, or the connection to it.
    #[error(transparent)]
    Session(Box<Error>),
}

impl ProcessError {
    /// The stable code.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::NotPossible(error) => error.code(),
            Self::Unknown { .. } => ErrorCode::NotFound,
            Self::IdTaken { .. } => ErrorCode::InvalidRequest,
            Self::OutputGone { .. } | Self::InputClosed | Self::SignalFailed(_) => ErrorCode::Runtime,
            Self::Session(error) => error.code(),
        }
    }

    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<Hint> {
        match self {
            Self::NotPossible(refused) if refused.operation.needs_agent() => Some(Hint::OpenWithAgent),
            Self::Session(error) => error.hint(),
            _ => None,
        }
    }

    /// The text with those of all its sources, on one line.
    pub fn chain(&self) -> String {
        match self {
            Self::Session(error) => error.chain(),
            other => other.to_string(),
        }
    }

    /// Whether the same may succeed after a while, because the connection is at fault.
    pub(crate) fn may_pass(&self) -> bool {
        let Self::Session(error) = self else { return false };
        matches!(
            error.code(),
            ErrorCode::Disconnected | ErrorCode::Timeout | ErrorCode::Unavailable
        ) && error.verdict().is_none()
    }
}

impl From<Error> for ProcessError {
    fn from(error: Error) -> Self {
        Self::Session(Box::new(error))
    }
}

impl From<ProcessError> for Error {
    fn from(error: ProcessError) -> Self {
        match error {
            ProcessError::Session(error) => *error,
            other => Self::Process {
                source: Box::new(other),
            },
        }
    }
}
