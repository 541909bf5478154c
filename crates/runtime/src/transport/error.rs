//! Why a transport failed.

use podbay_protocol::ErrorCode;

use crate::error::{Error, FileError};

/// Why a transport failed: something of the files, or the session can't be reached.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The files.
    #[error(transparent)]
    Files(#[from] FileError),
    /// The session.
    #[error(transparent)]
    Session(#[from] Error),
}

impl TransportError {
    /// The stable code.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Files(error) => error.code(),
            Self::Session(error) => error.code(),
        }
    }
}
