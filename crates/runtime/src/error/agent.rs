//! Why a request to an agent was not answered as it should be.

use podbay_protocol::agent::{AgentError, AgentErrorCode};
use podbay_protocol::{DialWay, ErrorCode, PassedOver};

use super::chain;

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
    /// Each of several ways was tried.
    #[error("no way leads to the sandbox's agent: {}", in_words(tried))]
    NoWay {
        /// What was wrong with each.
        tried: Vec<TriedWay>,
    },
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

/// A way to an agent that was tried in vain.
#[derive(Debug)]
pub struct TriedWay {
    /// The way.
    pub way: DialWay,
    /// What was wrong with it.
    pub failure: AgentFailure,
}

impl TriedWay {
    /// The same in words.
    pub(crate) fn passed_over(&self) -> PassedOver {
        let why = match &self.failure {
            // That it can't be reached is said already.
            AgentFailure::Unreachable { source, .. } => chain(&**source),
            failure => chain(failure),
        };
        PassedOver { way: self.way, why }
    }
}

fn in_words(tried: &[TriedWay]) -> String {
    let words = tried.iter().map(|tried| {
        let PassedOver { way, why } = tried.passed_over();
        format!("{way}: {why}")
    });
    words.collect::<Vec<_>>().join("; ")
}

impl AgentFailure {
    /// What it comes to that these ways failed.
    pub(crate) fn of_ways(mut tried: Vec<TriedWay>) -> Self {
        match tried.pop() {
            Some(only) if tried.is_empty() => only.failure,
            last => {
                tried.extend(last);
                Self::NoWay { tried }
            }
        }
    }

    /// The ways that were tried, each with what was wrong with it, where there were several.
    pub(crate) fn passed_over(&self) -> Vec<PassedOver> {
        match self {
            Self::NoWay { tried } => tried.iter().map(TriedWay::passed_over).collect(),
            _ => Vec::new(),
        }
    }

    /// The stable code.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Unreachable { code, .. } => *code,
            Self::Lost { .. } => ErrorCode::Disconnected,
            Self::TimedOut { .. } => ErrorCode::Timeout,
            Self::Stranger { .. } => ErrorCode::Unavailable,
            // What may pass for one of them may pass for all.
            Self::NoWay { tried } => {
                let mut codes = tried.iter().map(|tried| tried.failure.code());
                let last = tried.last().map(|tried| tried.failure.code());
                codes
                    .find(|code| {
                        matches!(
                            code,
                            ErrorCode::Disconnected | ErrorCode::Timeout | ErrorCode::Unavailable
                        )
                    })
                    .or(last)
                    .unwrap_or(ErrorCode::Unavailable)
            }
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
