//! The host names that sessions are found under.

use std::fmt;
use std::str::FromStr;

/// Longest host name (RFC 1035, 2.3.4), less the longest label in front of it with its dot.
const LONGEST: usize = 253 - 64;

/// A domain name in lower case, without a dot at its end, and the port where URLs have one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Domain {
    name: String,
    port: Option<u16>,
}

/// A text that is no domain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no domain: labels of letters, digits and hyphens with dots between them, and a port after a colon if URLs have one"
)]
pub struct DomainError {
    /// The text.
    pub text: String,
}

impl Domain {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The port in its URLs; `None` for the one that the scheme has by itself.
    pub const fn port(&self) -> Option<u16> {
        self.port
    }

    /// The same without a port of its own in URLs, with this one.
    #[must_use]
    pub fn or_port(self, port: Option<u16>) -> Self {
        Self {
            port: self.port.or(port),
            ..self
        }
    }
}

impl FromStr for Domain {
    type Err = DomainError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || DomainError {
            text: text.to_owned(),
        };
        let (name, port) = match text.split_once(':') {
            None => (text, None),
            Some((name, port)) => (name, Some(port.parse().map_err(|_| error())?)),
        };
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        // One that ends with digits is taken for an address by browsers.
        let is_address = name
            .rsplit('.')
            .next()
            .is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
        if name.len() <= LONGEST && name.split('.').all(is_label) && !is_address && port != Some(0) {
            Ok(Self { name, port })
        } else {
            Err(error())
        }
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        && !label.starts_with('-')
        && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_are_read() {
        for (text, shown) in [
            ("example.com", "example.com"),
            ("Runtime.Example.COM.", "runtime.example.com"),
            ("localhost:8000", "localhost:8000"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ] {
            let domain: Domain = text.parse().unwrap();
            assert_eq!(domain.to_string(), shown);
        }
    }

    #[test]
    fn what_is_no_domain_is_refused() {
        for text in [
            "",
            ".",
            "a..b",
            "-a.b",
            "a-.b",
            "a_b.c",
            "a b",
            "a/b",
            "a@b",
            "a:",
            "a:0",
            "a:99999",
            "a:1:2",
            "10.0.0.1",
            "[::1]",
            "*.example.com",
            "bücher.example",
        ] {
            assert!(text.parse::<Domain>().is_err(), "{text}");
        }
        assert!(format!("{}com", "a.".repeat(100)).parse::<Domain>().is_err());
    }
}
