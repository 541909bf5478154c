//! Why a copy failed.

use podbay_archive::Error as ArchiveError;
use podbay_protocol::ErrorCode;

/// Why a copy failed.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// Packing the files of this side failed, or what the session sent could not be written, or was refused.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
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
            Self::Archive(error) => match error {
                ArchiveError::Kind { .. }
                | ArchiveError::Target { .. }
                | ArchiveError::NoDirectory { .. } => ErrorCode::InvalidRequest,
                _ => ErrorCode::Runtime,
            },
            Self::Remote { .. } | Self::NotAllTaken { .. } | Self::EndedEarly | Self::Cancelled => {
                ErrorCode::Runtime
            }
            Self::RemotePath { .. } | Self::NoRemoteDirectory { .. } | Self::RemoteNotDirectory { .. } => {
                ErrorCode::InvalidRequest
            }
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
