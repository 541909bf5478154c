//! Why a copy failed.

use podbay_archive::{Error as ArchiveError, Left, LeftOut};
use podbay_protocol::ErrorCode;

use super::files::FileError;

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
    /// What should be copied out of the session is not there.
    #[error("there is no {path} in the session")]
    NoRemoteSource {
        /// What was asked for.
        path: String,
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
    /// The files of the session could not be read or written.
    #[error(transparent)]
    Files(#[from] FileError),
    /// Some of a directory could not be copied; all the rest was.
    #[error(
        "{files} files ({bytes} bytes) were written to {place}, and this was left out: {}",
        listed(left)
    )]
    LeftOut {
        /// What, and why.
        left: LeftOut,
        /// Files that were copied.
        files: u64,
        /// Their bytes.
        bytes: u64,
        /// Where they are.
        place: String,
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
            Self::Archive(error) => match error {
                ArchiveError::Kind { .. }
                | ArchiveError::Target { .. }
                | ArchiveError::NoDirectory { .. } => ErrorCode::InvalidRequest,
                _ => ErrorCode::Runtime,
            },
            Self::Files(error) => error.code(),
            Self::RemotePath { .. }
            | Self::NoRemoteSource { .. }
            | Self::NoRemoteDirectory { .. }
            | Self::RemoteNotDirectory { .. } => ErrorCode::InvalidRequest,
            Self::LeftOut { .. } => ErrorCode::Runtime,
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

/// Entries that are named in a message; the rest are counted.
const LISTED: usize = 10;

fn listed(left: &LeftOut) -> String {
    let named = left.named().iter().take(LISTED);
    let named: Vec<String> = named
        .map(|Left { entry, reason }| format!("{entry} ({reason})"))
        .collect();
    match left.total() - named.len() as u64 {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}
