//! What can go wrong with a session's directory.

use std::io;
use std::path::PathBuf;

use podbay_process::LeftBehind;

use crate::places::NoPlace;

/// An operation on a session's directory failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The place of all sessions can't be used.
    #[error(transparent)]
    Place(#[from] NoPlace),
    /// The path of the session's socket has more characters than the system allows.
    #[error("{} is too long for a socket's path: set XDG_RUNTIME_DIR to a shorter one", path.display())]
    PathTooLong {
        /// The path.
        path: PathBuf,
    },
    /// Something of it could not be read or written.
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
    /// What is written down of it can't be read.
    #[error("{} is not what Podbay writes", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// A newer Podbay made it.
    #[error("{} has version {found}, and this Podbay reads version {known}: use the one that made the session", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The version that this program knows.
        known: u32,
    },
    /// Another process was busy with it for too long.
    #[error("{} was still being changed by another process after {seconds} s", path.display())]
    Busy {
        /// The directory.
        path: PathBuf,
        /// How long was waited.
        seconds: u64,
    },
    /// Its agent could not be ended.
    #[error("the agent of {} could not be ended", path.display())]
    AgentStays {
        /// The directory.
        path: PathBuf,
        /// The system's own words.
        #[source]
        source: io::Error,
    },
    /// Its directories could not be removed as a whole. All that ran in it has ended.
    #[error(transparent)]
    LeftBehind(#[from] LeftBehind),
}

impl Error {
    /// For `map_err`: what was tried on what.
    pub(crate) fn system(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::System { doing, path, source }
    }
}
