//! The name of a process.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Characters of an id, at most: it stands in paths of requests and in logs.
const LENGTH_LIMIT: usize = 64;

/// The name of a process, chosen by whoever starts it: 1 to 64 letters, digits, dashes and underscores of ASCII. Of the
/// processes of a session no two have the same one, so that a start whose answer was lost can be repeated.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProcessId(String);

/// The text is no id of a process.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no process id: 1 to 64 letters, digits, dashes and underscores")]
pub struct InvalidProcessId {
    /// The text.
    pub text: String,
}

impl ProcessId {
    /// An id from a random number: 32 hexadecimal digits.
    pub fn from_random(number: u128) -> Self {
        Self(format!("{number:032x}"))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ProcessId {
    type Error = InvalidProcessId;

    fn try_from(text: String) -> Result<Self, InvalidProcessId> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if (1..=LENGTH_LIMIT).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text))
        } else {
            Err(InvalidProcessId { text })
        }
    }
}

impl FromStr for ProcessId {
    type Err = InvalidProcessId;

    fn from_str(text: &str) -> Result<Self, InvalidProcessId> {
        text.to_owned().try_into()
    }
}

impl From<ProcessId> for String {
    fn from(id: ProcessId) -> Self {
        id.0
    }
}

impl fmt::Display for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_safe_in_a_path() {
        for text in ["a", "A-b_9", &"x".repeat(64), ProcessId::from_random(7).as_str()] {
            assert_eq!(text.parse::<ProcessId>().unwrap().as_str(), text);
        }
        for text in ["", "a/b", "..", "a b", "é", &"x".repeat(65)] {
            assert!(text.parse::<ProcessId>().is_err(), "{text:?}");
            assert!(
                serde_json::from_value::<ProcessId>(text.into()).is_err(),
                "{text:?}"
            );
        }
    }
}
