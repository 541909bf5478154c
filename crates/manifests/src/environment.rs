//! The environment a user gives a session: names that Kubernetes takes and sizes that a node can start.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

/// Longest name: with the prefix of its key in the Secret it makes 253, the longest key Kubernetes takes.
const MAX_NAME: usize = 249;
/// Most bytes of one `NAME=value` with its NUL (`MAX_ARG_STRLEN`, 32 pages): with more, `execve` of every
/// process in the container fails with `E2BIG`.
const MAX_VARIABLE: usize = 128 * 1024;
/// Most bytes of all names and values. A Secret holds 1 MiB of values (`MaxSecretSize`); 4 KiB are left for
/// the session key.
const MAX_TOTAL: usize = 1024 * 1024 - 4 * 1024;
/// Most variables. The Pod holds each name three times (`managedFields` too) and some 250 bytes beside; with
/// the longest names, 1024 of them take 1 MiB of the 1.5 MiB that etcd stores of one object.
const MAX_VARIABLES: usize = 1024;

/// Name of an environment variable: `[A-Za-z_][A-Za-z0-9_]*` (POSIX: a shell drops others, and shells carry
/// commands), at most 249 bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EnvName(String);

/// Why an environment is refused. No message holds a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvError {
    /// The name can't be a key of a Secret or a variable's name.
    #[error(
        "{0:?} is not a variable name: a letter or \"_\", then letters, digits and \"_\", at most \
         {MAX_NAME}"
    )]
    Name(String),
    /// The value holds a NUL, which ends a variable.
    #[error("the value of {0} must not contain a NUL character")]
    Nul(EnvName),
    /// No process could be started with it.
    #[error("{name} has {bytes} bytes with its value: Linux takes at most {MAX_VARIABLE}")]
    TooLong {
        /// The variable.
        name: EnvName,
        /// Length of `NAME=value` and its NUL.
        bytes: usize,
    },
    /// There are too many.
    #[error("{0} variables are too many: a session may have {MAX_VARIABLES}")]
    TooMany(usize),
    /// Together they don't fit the Secret.
    #[error(
        "all variables have {0} bytes together: a session may have {MAX_TOTAL}, which is what a Secret holds"
    )]
    Total(usize),
}

// === impl EnvName ===

impl EnvName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EnvName {
    type Err = EnvError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::try_from(text.to_owned())
    }
}

impl TryFrom<String> for EnvName {
    type Error = EnvError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let valid = text.len() <= MAX_NAME
            && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if valid {
            Ok(Self(text))
        } else {
            Err(EnvError::Name(text))
        }
    }
}

impl From<EnvName> for String {
    fn from(name: EnvName) -> Self {
        name.0
    }
}

impl fmt::Display for EnvName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Checks one variable.
pub(crate) fn variable(name: &str, value: &SecretString) -> Result<EnvName, EnvError> {
    let name: EnvName = name.parse()?;
    let value = value.expose_secret();
    if value.contains('\0') {
        return Err(EnvError::Nul(name));
    }
    let bytes = name.as_str().len() + value.len() + 2;
    if bytes > MAX_VARIABLE {
        return Err(EnvError::TooLong { name, bytes });
    }
    Ok(name)
}

/// Checks what all variables of a session come to.
pub(crate) fn totals(variables: &BTreeMap<EnvName, SecretString>) -> Vec<EnvError> {
    let bytes = variables
        .iter()
        .map(|(name, value)| name.as_str().len() + value.expose_secret().len())
        .sum::<usize>();
    let too_many = (variables.len() > MAX_VARIABLES).then_some(EnvError::TooMany(variables.len()));
    let total = (bytes > MAX_TOTAL).then_some(EnvError::Total(bytes));
    too_many.into_iter().chain(total).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, value: impl Into<String>) -> Result<EnvName, EnvError> {
        variable(name, &SecretString::from(value.into()))
    }

    #[test]
    fn names_and_values_that_a_process_takes() {
        for name in ["A", "_", "aB_c1", &"N".repeat(MAX_NAME)] {
            assert_eq!(check(name, "v=\nü").unwrap().as_str(), name);
        }
        assert!(check("A", "v".repeat(MAX_VARIABLE - 3)).is_ok());
    }

    #[test]
    fn others_are_refused_without_their_value() {
        for name in [
            "",
            "1A",
            "A B",
            "A=B",
            "-A",
            "A.B",
            "A-B",
            "Ä",
            &"N".repeat(MAX_NAME + 1),
        ] {
            assert_eq!(check(name, "v"), Err(EnvError::Name(name.into())));
        }
        let name: EnvName = "A".parse().unwrap();
        assert_eq!(check("A", "hidden\0"), Err(EnvError::Nul(name.clone())));
        assert_eq!(
            check("A", "v".repeat(MAX_VARIABLE - 2)),
            Err(EnvError::TooLong {
                name,
                bytes: MAX_VARIABLE + 1
            })
        );
    }

    #[test]
    fn number_and_size_are_bounded() {
        let variables = |count: usize, bytes: usize| {
            let one = |n| {
                (
                    format!("V{n:04}").parse().unwrap(),
                    SecretString::from("v".repeat(bytes)),
                )
            };
            totals(&(0..count).map(one).collect())
        };
        assert_eq!(variables(MAX_VARIABLES, 1), []);
        assert_eq!(
            variables(MAX_VARIABLES + 1, 1),
            [EnvError::TooMany(MAX_VARIABLES + 1)]
        );
        assert_eq!(variables(10, 103_000), []);
        assert_eq!(variables(10, 105_000), [EnvError::Total(1_050_050)]);
    }
}
