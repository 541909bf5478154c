//! The id a client gives a session: any text, never a name by itself.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Longest id, in bytes. Clients use UUIDs, conversation ids and task names, all far shorter; the limit keeps
/// the annotation that carries the id a small part of the 256 KiB Kubernetes allows an object's annotations.
const MAX_BYTES: usize = 1024;

/// A session's id as its client wrote it. Two ids are the same session only when they are equal byte for
/// byte.
///
/// Ids need not be DNS names: [`SessionNames`](crate::SessionNames) maps any of them to one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SessionId(String);

/// Why a text is no session id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SessionIdError {
    /// The text is empty.
    #[error("a session id must not be empty")]
    Empty,
    /// The text is longer than 1024 bytes.
    #[error("a session id has at most {MAX_BYTES} bytes, this one has {bytes}")]
    TooLong {
        /// Length of the refused text in bytes.
        bytes: usize,
    },
    /// The text holds a character that would garble terminals and logs.
    #[error("a session id must not hold control characters, this one has {character:?} at byte {at}")]
    Control {
        /// The first such character.
        character: char,
        /// Its offset in bytes.
        at: usize,
    },
}

impl SessionId {
    /// The id as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SessionId {
    type Err = SessionIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::try_from(text.to_owned())
    }
}

impl TryFrom<String> for SessionId {
    type Error = SessionIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.is_empty() {
            return Err(SessionIdError::Empty);
        }
        if text.len() > MAX_BYTES {
            return Err(SessionIdError::TooLong { bytes: text.len() });
        }
        if let Some((at, character)) = text.char_indices().find(|(_, c)| c.is_control()) {
            return Err(SessionIdError::Control { character, at });
        }
        Ok(Self(text))
    }
}

impl From<SessionId> for String {
    fn from(id: SessionId) -> Self {
        id.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_printable_text_is_an_id() {
        for text in ["demo", "Demo_1", "a/b c", "セッション", &"x".repeat(MAX_BYTES)] {
            assert_eq!(text.parse::<SessionId>().unwrap().as_str(), text);
        }
    }

    #[test]
    fn empty_long_and_control_texts_are_refused() {
        assert_eq!("".parse::<SessionId>(), Err(SessionIdError::Empty));
        assert_eq!(
            "x".repeat(MAX_BYTES + 1).parse::<SessionId>(),
            Err(SessionIdError::TooLong { bytes: MAX_BYTES + 1 })
        );
        assert_eq!(
            "a\0b".parse::<SessionId>(),
            Err(SessionIdError::Control {
                character: '\0',
                at: 1
            })
        );
        assert!(serde_json::from_str::<SessionId>("\"a\\nb\"").is_err());
    }
}
