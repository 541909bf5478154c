//! A name for each request, by which it is found in the logs of whoever passed it on.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};

/// The header that carries it. No standard has it; proxies and clients agree on it.
const HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// Characters of one that is taken over, at most.
const MOST: usize = 128;

/// A request's name: its client's, where that can stand in a log, or one that is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RequestId(HeaderValue);

impl RequestId {
    /// That of a request, from exactly one header of letters, digits and `-_.:/+=`; else a new one.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut given = headers.get_all(HEADER).iter();
        match (given.next(), given.next()) {
            (Some(id), None) if is_sane(id.as_bytes()) => Self(id.clone()),
            _ => Self::new(rand::random()),
        }
    }

    fn new(random: u128) -> Self {
        // Hexadecimal digits can always stand in a header.
        let id = HeaderValue::try_from(format!("{random:032x}"));
        Self(id.unwrap_or_else(|_| HeaderValue::from_static("none")))
    }

    /// Names a request, or an answer, by it alone.
    pub(crate) fn put(&self, headers: &mut HeaderMap) {
        headers.insert(HEADER, self.0.clone());
    }
}

fn is_sane(id: &[u8]) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(byte);
    (1..=MOST).contains(&id.len()) && id.iter().all(is_plain)
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.to_str().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(given: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for id in given {
            headers.append(HEADER, HeaderValue::from_str(id).unwrap());
        }
        RequestId::of(&headers).to_string()
    }

    #[test]
    fn a_clients_own_is_taken_over() {
        let longest = "x".repeat(128);
        for id in [
            "1",
            "f7a7b1c2-9a01-4f3e-a0b4-3d2f5c1f9a10",
            "Root=1-67891233-abcdef",
            &longest,
        ] {
            assert_eq!(of(&[id]), id);
        }
    }

    #[test]
    fn what_could_mislead_who_reads_a_log_is_replaced() {
        let long = "x".repeat(129);
        for given in [
            &[][..],
            &[""],
            &["a b"],
            &["a\"b"],
            &["a\tb"],
            &[&long],
            &["a", "b"],
        ] {
            let made = of(given);
            assert_eq!(made.len(), 32, "{given:?}");
            assert!(made.bytes().all(|byte| byte.is_ascii_hexdigit()), "{made}");
            assert_ne!(made, of(given), "each has its own");
        }
    }
}
