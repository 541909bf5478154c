//! Stable codes of errors.

use crate::choices;

choices! {
    /// What kind of failure an error is, as a name that programs may match on.
    ///
    /// The names are those of OpenHands' exception tree (`AgentRuntimeError` and below it `…BuildError`,
    /// `…TimeoutError`, `…UnavailableError`; below the last `…NotReadyError`, `…DisconnectedError`,
    /// `…NotFoundError`), so that a client which maps errors by name meets the ones it knows. The two that
    /// OpenHands has no name for keep the shape.
    pub enum ErrorCode: "error code" {
        /// Any failure that none of the others describes.
        Runtime = "AgentRuntimeError",
        /// The image cannot be had or cannot be run: not found, denied, invalid, no shell for the keep-alive.
        Build = "AgentRuntimeBuildError",
        /// A deadline passed.
        Timeout = "AgentRuntimeTimeoutError",
        /// The cluster refused or could not place the session: quota, admission, scheduling, no connection.
        Unavailable = "AgentRuntimeUnavailableError",
        /// The session exists and is not ready (yet, or any longer).
        NotReady = "AgentRuntimeNotReadyError",
        /// The connection to the session was lost, or the session's pod was.
        Disconnected = "AgentRuntimeDisconnectedError",
        /// There is no such session.
        NotFound = "AgentRuntimeNotFoundError",
        /// What was asked is not valid; nothing was created.
        InvalidRequest = "AgentRuntimeInvalidRequestError",
        /// What was asked cannot be done on this path (for example `exec` over protocol v4 with a closed stdin).
        Unsupported = "AgentRuntimeUnsupportedError",
    }
}
