//! Whom a session belongs to.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::base32::{ALPHABET, sha256_base32};

/// Characters of the hash, 5 bits each: 160 bits, in which no two names meet.
const CHARS: usize = 32;

/// The owner of a session, as a hash of the owner's *name*: the value of the label `podbay.dev/owner`.
///
/// Of the name and not of a key, because one owner may have several keys, and one of them can be replaced without losing a
/// session. Hashed, because a name may be any text and need not be told to all who read labels; a guess can be checked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SessionOwner(String);

/// Why a text names no owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionOwnerError {
    /// It is empty.
    #[error("an owner has a name")]
    Empty,
    /// It holds control characters, or begins or ends with a space: two owners would look like one.
    #[error("an owner's name has no control characters, and no space at either end")]
    Characters,
    /// It is no hash of a name.
    #[error("an owner's label is {CHARS} characters of a to z and 2 to 7")]
    Label,
}

impl SessionOwner {
    /// The owner of this name.
    pub fn of(name: &str) -> Result<Self, SessionOwnerError> {
        if name.is_empty() {
            return Err(SessionOwnerError::Empty);
        }
        if name.chars().any(char::is_control) || name.trim() != name {
            return Err(SessionOwnerError::Characters);
        }
        Ok(Self(sha256_base32(name.as_bytes(), CHARS)))
    }

    /// The hash, as the label has it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for SessionOwner {
    type Error = SessionOwnerError;

    fn try_from(label: String) -> Result<Self, Self::Error> {
        let is_hash = label.len() == CHARS && label.bytes().all(|byte| ALPHABET.contains(&byte));
        is_hash.then_some(Self(label)).ok_or(SessionOwnerError::Label)
    }
}

impl From<SessionOwner> for String {
    fn from(owner: SessionOwner) -> Self {
        owner.0
    }
}

impl fmt::Display for SessionOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_known_by_the_name_alone() {
        let alice = SessionOwner::of("alice").unwrap();
        // `printf %s alice | sha256sum | xxd -r -p | base32 | tr A-Z a-z | cut -c1-32`
        assert_eq!(alice.as_str(), "fpmansl7byak6gq7ymzi7j3dvetjoi6i");
        assert_eq!(SessionOwner::of("alice"), Ok(alice.clone()));
        assert_ne!(SessionOwner::of("Alice"), Ok(alice.clone()));
        assert_eq!(SessionOwner::try_from(alice.to_string()), Ok(alice));
    }

    #[test]
    fn what_is_no_name_or_no_label_is_refused() {
        assert_eq!(SessionOwner::of(""), Err(SessionOwnerError::Empty));
        for name in [" alice", "alice ", "a\nb", "a\0b"] {
            assert_eq!(
                SessionOwner::of(name),
                Err(SessionOwnerError::Characters),
                "{name:?}"
            );
        }
        for label in ["", "alice", &"A".repeat(CHARS), &"a".repeat(CHARS + 1)] {
            let read = SessionOwner::try_from(label.to_owned());
            assert_eq!(read, Err(SessionOwnerError::Label), "{label}");
        }
    }
}
