//! Ranges of addresses.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A range of addresses, `address/prefix`, whose address has no bits set behind the prefix. An address alone is
/// the range of just itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cidr {
    address: IpAddr,
    prefix: u8,
}

/// Why a text is no range of addresses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CidrError {
    /// Not an address and a prefix.
    #[error("{0:?} is not a range of addresses such as 10.1.2.0/24 or fd00::/8")]
    Syntax(String),
    /// The address is one inside the range.
    #[error(
        "{given:?} has address bits behind its prefix: did you mean {range}, or the one address {address}?"
    )]
    HostBits {
        /// The refused text.
        given: String,
        /// The range that the address is in.
        range: Cidr,
        /// The address.
        address: IpAddr,
    },
}

impl Cidr {
    /// Whether all of `other` is in this range.
    pub fn contains(&self, other: &Self) -> bool {
        self.address.is_ipv4() == other.address.is_ipv4()
            && self.prefix <= other.prefix
            && masked(other.address, self.prefix) == self.address
    }
}

fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V4((address.to_bits() & mask).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V6((address.to_bits() & mask).into())
        }
    }
}

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let syntax = || CidrError::Syntax(text.into());
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| syntax())?;
        let prefix = match prefix {
            // Rust takes "+8" for a number, Kubernetes does not.
            Some(prefix) if prefix.bytes().all(|byte| byte.is_ascii_digit()) => {
                prefix.parse().map_err(|_| syntax())?
            }
            Some(_) => return Err(syntax()),
            None => bits(address),
        };
        if prefix > bits(address) {
            return Err(syntax());
        }
        let range = Self {
            address: masked(address, prefix),
            prefix,
        };
        if range.address == address {
            Ok(range)
        } else {
            Err(CidrError::HostBits {
                given: text.into(),
                range,
                address,
            })
        }
    }
}

impl TryFrom<String> for Cidr {
    type Error = CidrError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Cidr> for String {
    fn from(range: Cidr) -> Self {
        range.to_string()
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> Cidr {
        text.parse().unwrap()
    }

    #[test]
    fn ranges_and_addresses_are_read() {
        for (text, shown) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("10.1.2.3", "10.1.2.3/32"),
            ("fd00::/8", "fd00::/8"),
            ("::/0", "::/0"),
            ("fd00:ec2::254", "fd00:ec2::254/128"),
        ] {
            assert_eq!(range(text).to_string(), shown);
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "10",
            "10.0.0.0/33",
            "10.0.0.0/-1",
            "10.0.0.0/+8",
            "10.0.0.0/",
            "::/129",
            "a/8",
            "[::]/0",
        ] {
            assert_eq!(
                text.parse::<Cidr>(),
                Err(CidrError::Syntax(text.into())),
                "{text}"
            );
        }
        let error = "10.1.2.3/24".parse::<Cidr>().unwrap_err().to_string();
        assert!(
            error.ends_with("did you mean 10.1.2.0/24, or the one address 10.1.2.3?"),
            "{error}"
        );
    }

    #[test]
    fn containment() {
        for (outer, inner, contains) in [
            ("10.0.0.0/8", "10.2.0.0/16", true),
            ("10.0.0.0/8", "10.0.0.0/8", true),
            ("10.2.0.0/16", "10.0.0.0/8", false),
            ("0.0.0.0/0", "1.2.3.4", true),
            ("0.0.0.0/0", "::/0", false),
            ("2000::/3", "2001:db8::/32", true),
            ("2000::/3", "fd00::/8", false),
        ] {
            assert_eq!(range(outer).contains(&range(inner)), contains, "{outer} {inner}");
        }
    }
}
