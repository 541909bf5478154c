//! Why a request to an agent was not answered as it should be.

use podbay_protocol::ErrorCode;
use podbay_protocol::agent::{AgentError, AgentErrorCode};

type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why a request to an agent was not answered as it should be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentFailure {
    /// There is no connection.
    #[error("the sandbox's agent can't be reached")]
    Unreachable {
        /// The stable code of the reason.
        code: ErrorCode,
        /// The reason.
        #[source]
        source: Source,
    },
    /// There is no way to try.
    #[error("there is no way to the sandbox's agent")]
    NoWay,
    /// The connection broke, or what answers speaks no HTTP/2.
    #[error("the connection to the sandbox's agent was lost")]
    Lost {
        /// The words of the one who carried it.
        #[source]
        source: Source,
    },
    /// Nothing came back in time.
    #[error("the sandbox's agent did not answer within {seconds} s")]
    TimedOut {
        /// How long was waited, in seconds.
        seconds: u64,
    },
    /// What answers on the agent's port does not know the session's key: it is another program, or another pod's. Nothing was
    /// sent to it but a random number.
    #[error("what answers at the address of pod {pod} does not know the session's key")]
    Stranger {
        /// The pod that was meant.
        pod: String,
    },
    /// The agent refused.
    #[error("the sandbox's agent: {}", error.message)]
    Refused {
        /// The status of its answer.
        status: u16,
        /// What it said.
        error: Box<AgentError>,
    },
    /// The answer can't be read.
    #[error("the sandbox's agent gave an answer that can't be read: {reason}")]
    Unreadable {
        /// What is wrong with it.
        reason: String,
    },
}

impl AgentFailure {
    /// The stable code.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Unreachable { code, .. } => *code,
            Self::Lost { .. } => ErrorCode::Disconnected,
            Self::TimedOut { .. } => ErrorCode::Timeout,
            Self::Stranger { .. } | Self::NoWay => ErrorCode::Unavailable,
            Self::Refused { error, .. } => match error.code {
                AgentErrorCode::Busy => ErrorCode::Unavailable,
                AgentErrorCode::InvalidRequest | AgentErrorCode::IdTaken => ErrorCode::InvalidRequest,
                AgentErrorCode::UnknownProcess | AgentErrorCode::NotFound => ErrorCode::NotFound,
                _ => ErrorCode::Runtime,
            },
            Self::Unreadable { .. } => ErrorCode::Runtime,
        }
    }

    /// What the agent said, where it refused.
    pub(crate) fn refusal(&self) -> Option<&AgentError> {
        match self {
            Self::Refused { error, .. } => Some(error),
            _ => None,
        }
    }

    pub(crate) fn lost(source: impl Into<Source>) -> Self {
        Self::Lost {
            source: source.into(),
        }
    }
}
