//! What a way into a session can do.

use crate::error::{NotPossible, Operation};

/// What a transport can do. A caller asks before it begins; what is asked for all the same is refused as
/// [`NotPossible`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// The transport's name, for messages.
    pub transport: &'static str,
    /// Whether a file can be read from any offset.
    pub get_from_offset: bool,
    /// Whether a file that was written in part can be gone on with.
    pub put_from_offset: bool,
    /// Whether a file gets its name only when it is whole.
    pub put_is_atomic: bool,
    /// How it is known that what was carried is complete.
    pub integrity: Integrity,
}

/// How it is known that what was carried is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Integrity {
    /// Bytes or members are counted on both sides.
    Counted,
    /// A hash is taken on both sides.
    Hashed,
}

impl Capabilities {
    /// Refuses what can't be done.
    pub const fn require(&self, operation: Operation) -> Result<(), NotPossible> {
        let possible = match operation {
            Operation::GetFromOffset => self.get_from_offset,
            Operation::PutFromOffset => self.put_from_offset,
        };
        if possible {
            Ok(())
        } else {
            Err(NotPossible {
                operation,
                transport: self.transport,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use podbay_protocol::ErrorCode;

    use super::*;

    #[test]
    fn what_is_not_possible_is_told_by_the_capabilities_alone() {
        let capabilities = Capabilities {
            transport: "exec",
            get_from_offset: true,
            put_from_offset: false,
            put_is_atomic: false,
            integrity: Integrity::Counted,
        };
        assert_eq!(capabilities.require(Operation::GetFromOffset), Ok(()));
        let error = capabilities.require(Operation::PutFromOffset).unwrap_err();
        assert_eq!(
            (error.to_string().as_str(), error.code()),
            (
                "writing a file from an offset is not possible over exec",
                ErrorCode::Unsupported
            )
        );
    }
}
