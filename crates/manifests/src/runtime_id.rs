//! The id by which a session is found from outside.

use std::fmt;
use std::str::FromStr;

use podbay_protocol::hex::to_hex;

use crate::hex::is_hex;

/// Random bytes of an id.
const BYTES: usize = 16;

/// 128 random bits in lower-case hexadecimal: the id of one life of a session, the value of the label
/// `podbay.dev/runtime-id` on its record. Unlike the session's id nobody can guess it, and a session that is made anew has
/// another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuntimeId(String);

/// A text that is no runtime id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a runtime id is {} hexadecimal digits in lower case", 2 * BYTES)]
pub struct RuntimeIdError;

impl RuntimeId {
    /// The id made of 128 random bits. The caller draws them from a cryptographic generator.
    pub fn from_random(bytes: [u8; BYTES]) -> Self {
        Self(to_hex(&bytes))
    }

    /// The id's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RuntimeId {
    type Err = RuntimeIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        is_hex(text, BYTES)
            .then(|| Self(text.to_owned()))
            .ok_or(RuntimeIdError)
    }
}

impl fmt::Display for RuntimeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_32_digits_in_lower_case() {
        let id = RuntimeId::from_random([0xa5; 16]);
        assert_eq!(id.as_str(), "a5".repeat(16));
        assert_eq!(id.as_str().parse(), Ok(id));
        for text in ["", "a5", &"A5".repeat(16), &"g5".repeat(16), &"a5".repeat(17)] {
            assert_eq!(text.parse::<RuntimeId>(), Err(RuntimeIdError), "{text}");
        }
    }
}
