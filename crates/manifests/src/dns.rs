//! The two DNS forms that Kubernetes takes names in (RFC 1123, as in `apimachinery/pkg/util/validation`).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Longest DNS label, in bytes (RFC 1123).
pub const MAX_LABEL: usize = 63;
/// Longest DNS subdomain, in bytes (RFC 1123).
pub const MAX_SUBDOMAIN: usize = 253;

/// An RFC 1123 label: the form of namespaces and of most object names that become host names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DnsLabel(String);

/// An RFC 1123 subdomain: labels joined by dots, the form of Secret and storage class names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DnsSubdomain(String);

/// Why a text is no DNS name of the wanted form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DnsError {
    /// Not an RFC 1123 label.
    #[error(
        "{0:?} is not a DNS label: 1 to 63 lower-case letters, digits and \"-\", with a letter or digit at both ends"
    )]
    Label(String),
    /// Not an RFC 1123 subdomain.
    #[error(
        "{0:?} is not a DNS subdomain: at most 253 characters, lower-case letters, digits, \"-\" and \".\", with a \
         letter or digit at both ends of each part"
    )]
    Subdomain(String),
}

/// Whether `text` is an RFC 1123 label.
pub(crate) fn is_label(text: &str) -> bool {
    text.len() <= MAX_LABEL && is_part(text)
}

/// Whether `text` is an RFC 1123 subdomain. As in Kubernetes, its parts may be longer than a label.
pub(crate) fn is_subdomain(text: &str) -> bool {
    text.len() <= MAX_SUBDOMAIN && text.split('.').all(is_part)
}

fn is_part(text: &str) -> bool {
    let alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    bytes.first().is_some_and(alphanumeric)
        && bytes.last().is_some_and(alphanumeric)
        && bytes.iter().all(|byte| alphanumeric(byte) || *byte == b'-')
}

macro_rules! dns_name {
    ($name:ident, $check:path, $error:path) => {
        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = DnsError;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                if $check(&text) {
                    Ok(Self(text))
                } else {
                    Err($error(text))
                }
            }
        }

        impl FromStr for $name {
            type Err = DnsError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::try_from(text.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

dns_name!(DnsLabel, is_label, DnsError::Label);
dns_name!(DnsSubdomain, is_subdomain, DnsError::Subdomain);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels() {
        for good in ["a", "0", "team-a", &"a".repeat(63)] {
            assert!(is_label(good), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a.b", "a_b", "é", &"a".repeat(64)] {
            assert!(!is_label(bad), "{bad}");
        }
    }

    #[test]
    fn subdomains() {
        for good in ["a", "a.b-c.d", &"a".repeat(253)] {
            assert!(is_subdomain(good), "{good}");
        }
        for bad in ["", "a..b", ".a", "a.", "a.-b", "A.b", &"a".repeat(254)] {
            assert!(!is_subdomain(bad), "{bad}");
        }
    }
}
