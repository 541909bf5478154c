//! Why a copy failed.

use podbay_protocol::ErrorCode;

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
}

impl CopyError {
    /// The stable code.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Local { .. } => ErrorCode::Runtime,
        }
    }
}
