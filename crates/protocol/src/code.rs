//! Stable codes of errors.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What kind of failure an error is, as a name that programs may match on.
///
/// The names are those of OpenHands' exception tree (`AgentRuntimeError` and below it `…BuildError`,
/// `…TimeoutError`, `…UnavailableError`; below the last `…NotReadyError`, `…DisconnectedError`,
/// `…NotFoundError`), so that a client which maps errors by name meets the ones it knows. The two that
/// OpenHands has no name for keep the shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ErrorCode {
    /// Any failure that none of the others describes.
    #[serde(rename = "AgentRuntimeError")]
    Runtime,
    /// The image cannot be had or cannot be run: not found, denied, invalid, no shell for the keep-alive.
    #[serde(rename = "AgentRuntimeBuildError")]
    Build,
    /// A deadline passed.
    #[serde(rename = "AgentRuntimeTimeoutError")]
    Timeout,
    /// The cluster refused or could not place the session: quota, admission, scheduling, no connection.
    #[serde(rename = "AgentRuntimeUnavailableError")]
    Unavailable,
    /// The session exists and is not ready (yet, or any longer).
    #[serde(rename = "AgentRuntimeNotReadyError")]
    NotReady,
    /// The connection to the session was lost, or the session's pod was.
    #[serde(rename = "AgentRuntimeDisconnectedError")]
    Disconnected,
    /// There is no such session.
    #[serde(rename = "AgentRuntimeNotFoundError")]
    NotFound,
    /// What was asked is not valid; nothing was created.
    #[serde(rename = "AgentRuntimeInvalidRequestError")]
    InvalidRequest,
    /// What was asked cannot be done on this path (for example `exec` over protocol v4 with a closed stdin).
    #[serde(rename = "AgentRuntimeUnsupportedError")]
    Unsupported,
}

impl ErrorCode {
    /// The name, as it stands in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Runtime => "AgentRuntimeError",
            Self::Build => "AgentRuntimeBuildError",
            Self::Timeout => "AgentRuntimeTimeoutError",
            Self::Unavailable => "AgentRuntimeUnavailableError",
            Self::NotReady => "AgentRuntimeNotReadyError",
            Self::Disconnected => "AgentRuntimeDisconnectedError",
            Self::NotFound => "AgentRuntimeNotFoundError",
            Self::InvalidRequest => "AgentRuntimeInvalidRequestError",
            Self::Unsupported => "AgentRuntimeUnsupportedError",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
