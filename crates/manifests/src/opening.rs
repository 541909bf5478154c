//! What a session may reach besides what its network mode lets it: `network_allow`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::cidr::{Cidr, CidrError};

/// A range of addresses, perhaps at one port only, perhaps by one protocol only: `10.1.2.0/24`,
/// `10.1.2.3:5432`, `10.1.2.0/24:53/UDP`, `[fd00::/8]:443`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Opening {
    pub(crate) to: Cidr,
    pub(crate) port: Option<(u16, Protocol)>,
}

/// A protocol above IP that a NetworkPolicy knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// TCP, which is meant where none is named.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

/// Why a text is no opening.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpeningError {
    /// The addresses can't be read.
    #[error(transparent)]
    Cidr(#[from] CidrError),
    /// What follows the addresses is no port.
    #[error("{0:?} has a bad port: 1 to 65535, then perhaps /TCP, /UDP or /SCTP")]
    Port(String),
}

impl Protocol {
    const ALL: [Self; 3] = [Self::Tcp, Self::Udp, Self::Sctp];

    /// The API's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::Sctp => "SCTP",
        }
    }
}

/// The addresses and what follows their colon. IPv6 addresses, which are full of colons, stand in brackets
/// where something follows.
fn split(text: &str) -> (&str, Option<&str>) {
    if let Some((range, rest)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return match rest {
            "" => (range, None),
            // Without its colon it is refused as a port.
            rest => (range, Some(rest.strip_prefix(':').unwrap_or(""))),
        };
    }
    match text.split_once(':') {
        Some((range, port)) if !port.contains(':') => (range, Some(port)),
        _ => (text, None),
    }
}

fn port(text: &str) -> Option<(u16, Protocol)> {
    let (port, protocol) = match text.split_once('/') {
        Some((port, name)) => {
            let named = |protocol: &Protocol| protocol.as_str().eq_ignore_ascii_case(name);
            (port, Protocol::ALL.into_iter().find(named)?)
        }
        None => (text, Protocol::Tcp),
    };
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port.parse().ok().filter(|port| digits && *port > 0)?;
    Some((port, protocol))
}

impl FromStr for Opening {
    type Err = OpeningError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let (range, rest) = split(text);
        Ok(Self {
            to: range.parse()?,
            port: rest
                .map(|rest| port(rest).ok_or_else(|| OpeningError::Port(text.into())))
                .transpose()?,
        })
    }
}

impl TryFrom<String> for Opening {
    type Error = OpeningError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Opening> for String {
    fn from(opening: Opening) -> Self {
        opening.to_string()
    }
}

impl fmt::Display for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { to, port } = self;
        match port {
            None => write!(f, "{to}"),
            Some((port, protocol)) => write!(f, "[{to}]:{port}/{}", protocol.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_forms_are_read() {
        for (text, shown) in [
            ("10.1.2.0/24", "10.1.2.0/24"),
            ("10.1.2.3", "10.1.2.3/32"),
            ("10.1.2.3/32:5432", "[10.1.2.3/32]:5432/TCP"),
            (" 10.1.2.3:53/udp", "[10.1.2.3/32]:53/UDP"),
            ("fd00::/8", "fd00::/8"),
            ("fd00::1", "fd00::1/128"),
            ("[fd00::/8]", "fd00::/8"),
            ("[fd00::/8]:443", "[fd00::/8]:443/TCP"),
            ("[10.0.0.0/8]:9/SCTP", "[10.0.0.0/8]:9/SCTP"),
        ] {
            let opening: Opening = text.parse().unwrap();
            assert_eq!(opening.to_string(), shown);
            assert_eq!(shown.parse(), Ok(opening));
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "10.0.0.1:0",
            "10.0.0.1:",
            "10.0.0.1:+1",
            "10.0.0.1:65536",
            "10.0.0.1:1/ICMP",
            "[::1]443",
        ] {
            assert_eq!(
                text.parse::<Opening>(),
                Err(OpeningError::Port(text.into())),
                "{text}"
            );
        }
        for text in ["", "example.com:443", "[::1", "10.0.0.0/8/9"] {
            assert!(
                matches!(text.parse::<Opening>(), Err(OpeningError::Cidr(_))),
                "{text}"
            );
        }
    }
}
