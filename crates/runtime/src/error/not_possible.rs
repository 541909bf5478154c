//! What a transport can't do.

use podbay_protocol::ErrorCode;

/// What not every transport can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// Reading a file from an offset.
    GetFromOffset,
    /// Writing a file from an offset.
    PutFromOffset,
}

/// What was asked for is not possible over this transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} is not possible over {transport}", operation.as_str())]
pub struct NotPossible {
    /// What was asked for.
    pub operation: Operation,
    /// The transport's name.
    pub transport: &'static str,
}

impl Operation {
    /// What it is called in messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::GetFromOffset => "reading a file from an offset",
            Self::PutFromOffset => "writing a file from an offset",
        }
    }
}

impl NotPossible {
    /// The stable code.
    pub const fn code(&self) -> ErrorCode {
        ErrorCode::Unsupported
    }
}
