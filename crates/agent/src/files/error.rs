//! Why something about a file failed.

use std::io;
use std::path::{Path, PathBuf};

use podbay_protocol::agent::{AgentError, AgentErrorCode as Code, FileKind};
use rustix::io::Errno;

/// Why something about a file failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The path is none that can be used.
    #[error("the path {path:?} {problem}")]
    Path {
        /// The path.
        path: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The system refused.
    #[error("{doing} {} failed", path.display())]
    System {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's own words.
        #[source]
        source: io::Error,
    },
    /// What is there is neither read nor written.
    #[error("{} is no regular file but a {kind}, which is neither read nor written", path.display())]
    Special {
        /// Where.
        path: PathBuf,
        /// What it is.
        kind: FileKind,
    },
    /// Reading would wait for somebody to write.
    #[error("{} has nothing to read at the moment, and would be waited for", path.display())]
    WouldWait {
        /// The file.
        path: PathBuf,
    },
    /// The file is another one than when it was opened.
    #[error("{} changed while it was read: it had {expected} bytes and has fewer", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// Its size when it was opened, in bytes.
        expected: u64,
    },
    /// The range is not in the file.
    #[error("the range is not in {}, which has {size} bytes", path.display())]
    Range {
        /// The file.
        path: PathBuf,
        /// Its size, in bytes.
        size: u64,
    },
    /// The content is not what its sender hashed.
    #[error("what arrived for {} has the SHA-256 {found}, and was sent as {expected}; nothing was changed", path.display())]
    Hash {
        /// The file.
        path: PathBuf,
        /// The sender's.
        expected: String,
        /// Of what arrived.
        found: String,
    },
    /// A tree is not what its sender hashed.
    #[error("the archive that arrived for {} has the SHA-256 {found}, and was sent as {expected}; what is there of it can't be relied upon", path.display())]
    TreeHash {
        /// The directory.
        path: PathBuf,
        /// The sender's.
        expected: String,
        /// Of what arrived.
        found: String,
    },
    /// A tree is another one than when the first part of its archive was sent.
    #[error("the tree at {} changed while it was sent", path.display())]
    OtherTree {
        /// Where.
        path: PathBuf,
    },
    /// A piece of a transfer begins behind what there is.
    #[error("the transfer to {} has {have} bytes, and was offered more from byte {offset} on", path.display())]
    TransferGap {
        /// The file.
        path: PathBuf,
        /// How much there is, in bytes.
        have: u64,
        /// Where the piece begins.
        offset: u64,
    },
    /// An earlier request still writes to the transfer.
    #[error("an earlier request still writes to the same transfer to {}", path.display())]
    TransferBusy {
        /// The file.
        path: PathBuf,
    },
    /// An archive was not packed or not extracted.
    #[error("the tree at {} was not copied", path.display())]
    Archive {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: podbay_archive::Error,
    },
    /// Something stays that should be removed.
    #[error("not all below {} was removed", path.display())]
    LeftBehind {
        /// What should be removed.
        path: PathBuf,
        /// What stays.
        #[source]
        source: podbay_process::LeftBehind,
    },
    /// All threads for files are at work, and were for long.
    #[error("too many files are being read and written; ask again later")]
    Busy,
    /// The work on a file broke off by a fault of ours.
    #[error("the work on a file broke off")]
    Fault,
}

impl FileError {
    /// An error of the system's.
    pub(crate) fn system(doing: &'static str, path: &Path, source: impl Into<io::Error>) -> Self {
        Self::System {
            doing,
            path: path.to_owned(),
            source: source.into(),
        }
    }

    /// The code that clients see.
    pub fn code(&self) -> Code {
        match self {
            Self::Path { .. } => Code::InvalidRequest,
            Self::System { source, .. } => of_system(source),
            Self::Special { .. } | Self::WouldWait { .. } => Code::SpecialFile,
            Self::Changed { .. } | Self::OtherTree { .. } => Code::Changed,
            Self::Range { .. } => Code::RangeNotSatisfiable,
            Self::Hash { .. } | Self::TreeHash { .. } => Code::HashMismatch,
            Self::TransferGap { .. } => Code::TransferGap,
            Self::TransferBusy { .. } => Code::TransferBusy,
            Self::Archive { source, .. } => of_archive(source),
            Self::LeftBehind { source, .. } => of_system(&source.source),
            Self::Busy => Code::Busy,
            Self::Fault => Code::Internal,
        }
    }

    /// The error as clients get it: the whole chain in its message.
    pub fn to_wire(&self) -> AgentError {
        let mut message = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(error) = source {
            message = format!("{message}: {error}");
            source = error.source();
        }
        let mut wire = AgentError::new(self.code(), message);
        let system = match self {
            Self::System { source, .. }
            | Self::Archive {
                source: podbay_archive::Error::Local { source, .. },
                ..
            } => Some(source),
            Self::LeftBehind { source, .. } => Some(&source.source),
            _ => None,
        };
        wire.errno = system
            .and_then(io::Error::raw_os_error)
            .map(|number| format!("{:?}", nix::errno::Errno::from_raw(number)));
        match self {
            Self::TransferGap { have, .. } => wire.offset = Some(*have),
            Self::Range { size, .. } => wire.size = Some(*size),
            _ => {}
        }
        wire
    }
}

/// The code for an error of the system's.
fn of_system(error: &io::Error) -> Code {
    let Some(errno) = Errno::from_io_error(error) else {
        return if error.kind() == io::ErrorKind::ResourceBusy {
            Code::InUse
        } else {
            Code::Io
        };
    };
    match errno {
        Errno::NOENT => Code::NotFound,
        Errno::NOTDIR => Code::NotADirectory,
        Errno::ISDIR => Code::IsADirectory,
        Errno::EXIST => Code::Exists,
        Errno::ACCESS | Errno::PERM => Code::PermissionDenied,
        Errno::NOSPC | Errno::DQUOT | Errno::FBIG => Code::NoSpace,
        Errno::ROFS => Code::ReadOnly,
        Errno::NAMETOOLONG => Code::NameTooLong,
        Errno::LOOP => Code::LinkLoop,
        Errno::NOTEMPTY => Code::NotEmpty,
        Errno::BUSY | Errno::TXTBSY => Code::InUse,
        Errno::XDEV => Code::OtherFilesystem,
        Errno::INVAL => Code::InvalidRequest,
        _ => Code::Io,
    }
}

fn of_archive(error: &podbay_archive::Error) -> Code {
    use podbay_archive::Error;

    match error {
        Error::Local { source, .. } => of_system(source),
        Error::Target {
            wanted: "a directory",
            ..
        } => Code::NotADirectory,
        Error::Target {
            found: "a directory", ..
        } => Code::IsADirectory,
        Error::Kind { .. } | Error::Target { .. } => Code::SpecialFile,
        Error::NoDirectory { .. } => Code::NotFound,
        Error::Changed { .. } => Code::Changed,
        Error::OverLimit { .. } => Code::OverLimit,
        Error::Refused { .. } => Code::ArchiveRefused,
        Error::Malformed { .. } => Code::ArchiveMalformed,
        _ => Code::Io,
    }
}
