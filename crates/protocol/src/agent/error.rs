//! Errors of the API.

use serde::{Deserialize, Serialize};

use crate::choices;
use crate::process::StreamName;

choices! {
    /// What went wrong, as a name that programs may match on. A client that meets one it does not know goes by the
    /// status of the answer.
    pub enum AgentErrorCode: "code of an agent's error" {
        /// The key is missing or another one.
        Unauthorized = "unauthorized",
        /// The path is none of the API's.
        UnknownPath = "unknown_path",
        /// The path is there, and has no such method.
        MethodNotAllowed = "method_not_allowed",
        /// The request is not what the path takes; the message says what is wrong with it.
        InvalidRequest = "invalid_request",
        /// The body is larger than the path takes.
        BodyTooLarge = "body_too_large",
        /// The body did not come in time.
        BodyTimeout = "body_timeout",
        /// The body broke off: the connection or the stream was closed before its end.
        BodyCut = "body_cut",
        /// There is too much to do at the moment; the same request may succeed later.
        Busy = "busy",
        /// A fault of the server itself.
        Internal = "internal",

        /// Another process has the id.
        IdTaken = "id_taken",
        /// There is no such process (any longer).
        UnknownProcess = "unknown_process",
        /// The process could not be started or kept.
        NotStarted = "not_started",
        /// What was asked for is not kept any longer; `stream` and `first` say what is.
        OutputGone = "output_gone",
        /// The process waits for another reader, who attached later.
        OtherReader = "other_reader",
        /// The input is written behind the end of what the server has; `offset` says how much that is.
        StdinGap = "stdin_gap",
        /// The process has no standard input, or its end was written, or it reads no longer.
        StdinClosed = "stdin_closed",
        /// The process has no terminal.
        NoTerminal = "no_terminal",
        /// The path is spoken to over a WebSocket, which the request does not ask for as RFC 6455 wants it.
        UpgradeRequired = "upgrade_required",
        /// The process has ended.
        ProcessEnded = "process_ended",

        /// There is no such file or directory.
        NotFound = "not_found",
        /// A file stands where a directory is needed.
        NotADirectory = "not_a_directory",
        /// A directory stands where a file is needed.
        IsADirectory = "is_a_directory",
        /// Something has the name already.
        Exists = "exists",
        /// The sandbox's user may not do that.
        PermissionDenied = "permission_denied",
        /// It is a named pipe, a socket, a terminal or a device: such are neither read nor written.
        SpecialFile = "special_file",
        /// The device or the quota is full.
        NoSpace = "no_space",
        /// The filesystem is read-only.
        ReadOnly = "read_only",
        /// A name or a path is too long for the system.
        NameTooLong = "name_too_long",
        /// Symbolic links lead in a circle.
        LinkLoop = "link_loop",
        /// The directory is not empty.
        NotEmpty = "not_empty",
        /// Something is mounted there, or the system uses it.
        InUse = "in_use",
        /// The two names are in different filesystems: it has to be copied.
        OtherFilesystem = "other_filesystem",
        /// The file changed while it was read.
        Changed = "changed",
        /// The range is not in the file; `size` says how large it is.
        RangeNotSatisfiable = "range_not_satisfiable",
        /// The content is not what the sender's hash says; nothing was changed.
        HashMismatch = "hash_mismatch",
        /// The piece begins behind what the server has of the transfer; `offset` says how much that is.
        TransferGap = "transfer_gap",
        /// An earlier request of the same transfer is still at work; it ends soon after its connection does.
        TransferBusy = "transfer_busy",
        /// The archive has an entry that must not be written.
        ArchiveRefused = "archive_refused",
        /// The bytes are no archive, or not all of one.
        ArchiveMalformed = "archive_malformed",
        /// More bytes or entries than are accepted.
        OverLimit = "over_limit",
        /// Any other failure of the system; `errno` is its name.
        Io = "io",
    }
}

/// The body of every answer that is no success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct AgentError {
    /// What went wrong.
    pub code: AgentErrorCode,
    /// What was tried, on what, and why it failed, for people.
    pub message: String,
    /// The system's name of the error (`ENOENT`), where it is the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errno: Option<String>,
    /// With [`AgentErrorCode::OutputGone`]: the stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<StreamName>,
    /// With [`AgentErrorCode::OutputGone`]: the first offset that is still kept, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<u64>,
    /// With [`AgentErrorCode::StdinGap`], [`AgentErrorCode::StdinClosed`] and [`AgentErrorCode::TransferGap`]: how much the server has, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// With [`AgentErrorCode::RangeNotSatisfiable`]: the size of the file, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
}

impl AgentError {
    /// An error with nothing but a code and a message.
    pub fn new(code: AgentErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            errno: None,
            stream: None,
            first: None,
            offset: None,
            size: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_only_the_fields_it_needs() {
        let mut error = AgentError::new(AgentErrorCode::OutputGone, "gone");
        error.stream = Some(StreamName::Stdout);
        error.first = Some(7);
        let text = r#"{"code":"output_gone","message":"gone","stream":"stdout","first":7}"#;
        assert_eq!(serde_json::to_string(&error).unwrap(), text);
        assert_eq!(serde_json::from_str::<AgentError>(text).unwrap(), error);
    }
}
