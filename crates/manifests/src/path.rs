//! Paths inside the container.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Longest path, in bytes: Linux' `PATH_MAX` without the final NUL.
const MAX_BYTES: usize = 4095;

/// An absolute path in the container, with no `..`, no repeated and no trailing slash.
///
/// Normal form matters: Kubernetes compares mount paths as text and refuses a pod that mounts one twice.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContainerPath(String);

/// Why a text is no path in the container.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContainerPathError {
    /// Does not start with a slash.
    #[error("{0:?} is not an absolute path: it must start with \"/\"")]
    Relative(String),
    /// Leaves its parent.
    #[error("{0:?} must not contain \"..\"")]
    Parent(String),
    /// Has a character that mount paths can't have.
    #[error("{0:?} must not contain \":\" or control characters")]
    Character(String),
    /// Is longer than Linux takes.
    #[error("a path has at most {MAX_BYTES} bytes, this one has {0}")]
    TooLong(usize),
}

impl ContainerPath {
    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is `/`.
    pub fn is_root(&self) -> bool {
        self.0 == "/"
    }
}

impl FromStr for ContainerPath {
    type Err = ContainerPathError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !text.starts_with('/') {
            return Err(ContainerPathError::Relative(text.into()));
        }
        if text.len() > MAX_BYTES {
            return Err(ContainerPathError::TooLong(text.len()));
        }
        // Kubernetes refuses ":" in a mount path, which once separated host and container paths.
        if text.chars().any(|c| c == ':' || c.is_control()) {
            return Err(ContainerPathError::Character(text.into()));
        }
        if text.split('/').any(|part| part == "..") {
            return Err(ContainerPathError::Parent(text.into()));
        }
        let parts: Vec<_> = text
            .split('/')
            .filter(|part| !part.is_empty() && *part != ".")
            .collect();
        Ok(Self(format!("/{}", parts.join("/"))))
    }
}

impl TryFrom<String> for ContainerPath {
    type Error = ContainerPathError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ContainerPath> for String {
    fn from(path: ContainerPath) -> Self {
        path.0
    }
}

impl fmt::Display for ContainerPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_normalised() {
        for (text, path) in [
            ("/", "/"),
            ("/w", "/w"),
            ("//w/./x//", "/w/x"),
            ("/a b", "/a b"),
            ("/..a", "/..a"),
        ] {
            assert_eq!(text.parse::<ContainerPath>().unwrap().as_str(), path);
        }
    }

    #[test]
    fn other_paths_are_refused() {
        for text in ["", "w", "./w", "~"] {
            assert_eq!(
                text.parse::<ContainerPath>(),
                Err(ContainerPathError::Relative(text.into()))
            );
        }
        for text in ["/a:b", "/a\nb"] {
            assert_eq!(
                text.parse::<ContainerPath>(),
                Err(ContainerPathError::Character(text.into()))
            );
        }
        assert_eq!(
            "/a/../b".parse::<ContainerPath>(),
            Err(ContainerPathError::Parent("/a/../b".into()))
        );
        let long = format!("/{}", "a".repeat(MAX_BYTES));
        assert_eq!(
            long.parse::<ContainerPath>(),
            Err(ContainerPathError::TooLong(4096))
        );
    }
}
