//! Why a copy failed.

use podbay_protocol::ErrorCode;

use super::archive::Malformed;
use super::policy::Refusal;

/// Why a copy failed.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// Reading or writing a file of this side failed.
    #[error("{path}")]
    Local {
        /// The file.
        path: String,
        /// The system's own words.
        #[source]
        source: std::io::Error,
    },
    /// A file of this side is of a kind that is not copied.
    #[error("{path} is {kind}: only files, directories and symbolic links go into a session")]
    LocalKind {
        /// The file.
        path: String,
        /// What it is.
        kind: &'static str,
    },
    /// What stands at the destination on this side is not what the source is.
    #[error("{path} is {found}, and can't be replaced by {wanted}")]
    LocalTarget {
        /// The destination.
        path: String,
        /// What it is.
        found: &'static str,
        /// What was to be put there.
        wanted: &'static str,
    },
    /// The directory on this side that the copy should go into is not there.
    #[error("there is no directory {path} on this side")]
    NoLocalDirectory {
        /// The directory.
        path: String,
    },
    /// A file of this side changed its size while it was read.
    #[error("{path} changed while it was read: it had {expected} bytes, then {found}")]
    Changed {
        /// The file.
        path: String,
        /// Its size when it was opened, in bytes.
        expected: u64,
        /// What it had in the end.
        found: &'static str,
    },
    /// The path in the session is no path.
    #[error("{path:?} is no path in a session: {message}")]
    RemotePath {
        /// The path.
        path: String,
        /// What is wrong with it.
        message: &'static str,
    },
    /// The directory in the session that the copy should go into is not there.
    #[error("there is no directory {path} in the session")]
    NoRemoteDirectory {
        /// The directory.
        path: String,
    },
    /// The destination in the session is a file, and a directory was needed.
    #[error("{path} in the session is not a directory")]
    RemoteNotDirectory {
        /// The destination.
        path: String,
    },
    /// The image has no `tar`.
    #[error(
        "the session's image has no tar, which files are copied with: use an image that has one ({message})"
    )]
    NoTar {
        /// The words of the shell or the runtime.
        message: String,
    },
    /// The program that reads or writes the files in the session failed.
    #[error("{program} in the session ended with exit code {code}: {words}")]
    Remote {
        /// The program.
        program: &'static str,
        /// Its exit code, `128 + n` for signal n.
        code: i32,
        /// What it wrote to its standard error, cut.
        words: String,
    },
    /// The program that reads the archive in the session ended well, and did not take it all.
    #[error("tar in the session took {extracted} of {sent} members, and called it a success")]
    NotAllTaken {
        /// Members of the archive.
        sent: u64,
        /// Members that were extracted, as tar lists them.
        extracted: u64,
    },
    /// The program that reads the archive in the session ended well before the archive did.
    #[error("tar in the session ended before the archive did, and called it a success")]
    EndedEarly,
    /// The connection was lost, or the pod was.
    #[error("the copy was cut off: {message}")]
    Lost {
        /// What is known of it.
        message: String,
    },
    /// The caller cancelled it.
    #[error("the copy was cancelled")]
    Cancelled,
    /// More than the caller allows.
    #[error("more than {limit} {unit}: the copy is limited to that")]
    OverLimit {
        /// The limit.
        limit: u64,
        /// Of what: `bytes` or `entries`.
        unit: &'static str,
    },
    /// The session sent an entry that must not be written.
    #[error("entry {entry:?} was refused")]
    Refused {
        /// The entry's name, with what is not text escaped.
        entry: String,
        /// Why.
        #[source]
        reason: Refusal,
    },
    /// The session sent something that is no archive.
    #[error("the archive from the session can't be read")]
    Archive {
        /// What is wrong with it.
        #[source]
        source: Malformed,
    },
    /// A directory was copied in part; what was written whole is still there.
    #[error("only {files} files ({bytes} bytes) were written to {place}")]
    Partial {
        /// Files written whole.
        files: u64,
        /// Their bytes.
        bytes: u64,
        /// Where they are.
        place: String,
        /// Why it ended there.
        #[source]
        source: Box<Self>,
    },
}

impl CopyError {
    /// The stable code.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Local { .. }
            | Self::Changed { .. }
            | Self::Remote { .. }
            | Self::NotAllTaken { .. }
            | Self::EndedEarly
            | Self::Cancelled
            | Self::OverLimit { .. }
            | Self::Refused { .. }
            | Self::Archive { .. } => ErrorCode::Runtime,
            Self::LocalKind { .. }
            | Self::LocalTarget { .. }
            | Self::NoLocalDirectory { .. }
            | Self::RemotePath { .. }
            | Self::NoRemoteDirectory { .. }
            | Self::RemoteNotDirectory { .. } => ErrorCode::InvalidRequest,
            Self::NoTar { .. } => ErrorCode::Unsupported,
            Self::Lost { .. } => ErrorCode::Disconnected,
            Self::Partial { source, .. } => source.code(),
        }
    }

    /// The failure itself, without what was written before it.
    pub fn root(&self) -> &Self {
        match self {
            Self::Partial { source, .. } => source.root(),
            other => other,
        }
    }
}
