//! The name of a process.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Characters of an id, at most: it stands in paths of requests and in logs.
const LENGTH_LIMIT: usize = 64;

/// Declares the name of something: 1 to 64 letters, digits, dashes and underscores of ASCII.
macro_rules! name {
    ($(#[$meta:meta])* $Name:ident, $(#[$error_meta:meta])* $Invalid:ident, $what:literal) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(pattern = "^[A-Za-z0-9_-]{1,64}$"))]
        #[serde(try_from = "String", into = "String")]
        pub struct $Name(String);

        $(#[$error_meta])*
        #[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
        #[error("{text:?} is no {}: 1 to 64 letters, digits, dashes and underscores", $what)]
        pub struct $Invalid {
            /// The text.
            pub text: String,
        }

        impl $Name {
            /// An id from a random number: 32 hexadecimal digits.
            pub fn from_random(number: u128) -> Self {
                Self(format!("{number:032x}"))
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $Name {
            type Error = $Invalid;

            fn try_from(text: String) -> Result<Self, $Invalid> {
                let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
                if (1..=LENGTH_LIMIT).contains(&text.len()) && text.bytes().all(allowed) {
                    Ok(Self(text))
                } else {
                    Err($Invalid { text })
                }
            }
        }

        impl FromStr for $Name {
            type Err = $Invalid;

            fn from_str(text: &str) -> Result<Self, $Invalid> {
                text.to_owned().try_into()
            }
        }

        impl From<$Name> for String {
            fn from(id: $Name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $Name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name! {
    /// The name of a process, chosen by whoever starts it: 1 to 64 letters, digits, dashes and underscores of ASCII. Of
    /// the processes of a session no two have the same one, so that a start whose answer was lost can be repeated.
    ProcessId,
    /// The text is no id of a process.
    InvalidProcessId,
    "process id"
}

name! {
    /// The name of one who reads a process's output and tells how much of it he has taken, so that the process can be
    /// made to wait for him. Chosen by the reader, kept when he reads on after a lost connection: 1 to 64 letters,
    /// digits, dashes and underscores of ASCII.
    ReaderId,
    /// The text is no id of a reader.
    InvalidReaderId,
    "reader id"
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
