//! The version of an API server.

use std::fmt;

/// A version of Kubernetes, as far as features depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServerVersion {
    /// 1.
    pub major: u32,
    /// What stands after the first dot.
    pub minor: u32,
}

impl ServerVersion {
    /// Reads the two as `GET /version` has them. Some clusters put a word after the number (`"31+"`).
    pub fn parse(major: &str, minor: &str) -> Option<Self> {
        let number = |text: &str| {
            let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
            text[..end].parse().ok()
        };
        Some(Self {
            major: number(major)?,
            minor: number(minor)?,
        })
    }
}

impl fmt::Display for ServerVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_numbers_with_a_word_after_them_at_most() {
        let version = |major, minor| ServerVersion::parse(major, minor).map(|version| version.to_string());
        assert_eq!(version("1", "35").as_deref(), Some("1.35"));
        assert_eq!(version("1", "31+").as_deref(), Some("1.31"));
        assert_eq!(version("1", ""), None);
        assert_eq!(version("v1", "31"), None);
        assert!(ServerVersion::parse("2", "0") > ServerVersion::parse("1", "35"));
        assert!(ServerVersion::parse("1", "9") < ServerVersion::parse("1", "35"));
    }
}
