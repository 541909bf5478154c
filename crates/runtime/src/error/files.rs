//! Why something on the other side failed.

use podbay_protocol::ErrorCode;

use super::agent::AgentFailure;
use super::not_possible::NotPossible;

/// Why files of a session could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The transport can't do that.
    #[error(transparent)]
    NotPossible(#[from] NotPossible),
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
    /// A directory has files without a size that could be believed, so that no archive of it would be right.
    #[error(
        "{path} has files of {mount}, whose sizes are not those of their contents: copy single files, which are read to \
         their ends"
    )]
    Sizeless {
        /// What was asked for.
        path: String,
        /// Where the filesystem is mounted.
        mount: String,
    },
    /// A single file has no size that could be believed, so that it is to be read to its end.
    #[error("{path} has no size that is that of its contents")]
    SizelessFile {
        /// The file.
        path: String,
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
    /// A file arrived with another number of bytes than was sent, or its end did not arrive.
    #[error("{path} is not complete: {arrived} bytes arrived")]
    Incomplete {
        /// The file.
        path: String,
        /// Bytes that arrived.
        arrived: u64,
    },
    /// The session's agent refused.
    #[error("{doing} {path} in the session failed")]
    Agent {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: String,
        /// What the agent said.
        #[source]
        source: Box<AgentFailure>,
    },
    /// What was read is another file or tree than when the first part of it was sent.
    #[error("{path} changed while it was copied, and the connection had to be made anew: copy it again")]
    Changed {
        /// The file or the directory.
        path: String,
    },
    /// The hashes of what was sent and of what arrived differ.
    #[error("what arrived of {path} is not what was sent: their SHA-256 differ")]
    Hash {
        /// The file or the directory.
        path: String,
    },
    /// The connection was lost, or the pod was.
    #[error("the copy was cut off: {message}")]
    Lost {
        /// What is known of it.
        message: String,
    },
    /// The caller cancelled it.
    #[error("the copy was cancelled")]
    Cancelled,
}

impl FileError {
    /// The stable code.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::NotPossible(error) => error.code(),
            Self::Agent { source, .. } => source.code(),
            Self::NoTar { .. } | Self::Sizeless { .. } | Self::SizelessFile { .. } => ErrorCode::Unsupported,
            Self::Lost { .. } => ErrorCode::Disconnected,
            Self::Remote { .. }
            | Self::NotAllTaken { .. }
            | Self::EndedEarly
            | Self::Incomplete { .. }
            | Self::Changed { .. }
            | Self::Hash { .. }
            | Self::Cancelled => ErrorCode::Runtime,
        }
    }
}
