//! What `Connection` names.

use http::header::{CONNECTION, HeaderName, UPGRADE};
use http::{HeaderMap, HeaderValue, Version};

use super::request::{API_KEY, SESSION_KEY};

/// A request whose headers are not passed on, because nobody can be sure what would be left of them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefusedHeader {
    /// `Connection` names a header that others rely on: removing it would take a key or an address from them.
    #[error("the request's Connection header names {name}, which is no header of a connection")]
    Protected {
        /// The header.
        name: HeaderName,
    },
    /// `Connection` is no list of names.
    #[error("the request's Connection header is no list of header names")]
    NoList,
}

/// What a client or a sandbox says of its connection.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ConnectionOptions {
    /// The headers that are for this connection alone, other than those that are so by themselves.
    pub(super) named: Vec<HeaderName>,
    /// Whether `Upgrade` is among them.
    pub(super) upgrade: bool,
}

/// Headers of a request that nobody may have removed by naming them.
fn is_protected(name: &HeaderName) -> bool {
    use http::header::{
        AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, FORWARDED, HOST, ORIGIN,
        TRANSFER_ENCODING,
    };
    let protected = [
        AUTHORIZATION,
        CONTENT_ENCODING,
        CONTENT_LENGTH,
        CONTENT_TYPE,
        COOKIE,
        FORWARDED,
        HOST,
        ORIGIN,
        TRANSFER_ENCODING,
        API_KEY,
        SESSION_KEY,
    ];
    let prefixes = ["x-forwarded-", "x-real-", "sec-", "access-control-"];
    protected.contains(name) || prefixes.iter().any(|prefix| name.as_str().starts_with(prefix))
}

impl ConnectionOptions {
    /// Those of a request.
    pub(super) fn of_request(headers: &HeaderMap) -> Result<Self, RefusedHeader> {
        let options = Self::read(headers).ok_or(RefusedHeader::NoList)?;
        match options.named.iter().find(|name| is_protected(name)) {
            Some(name) => Err(RefusedHeader::Protected { name: name.clone() }),
            None => Ok(options),
        }
    }

    /// Those of an answer. What can't be read names nothing: the answer is passed on without the header.
    pub(super) fn of_answer(headers: &HeaderMap) -> Self {
        Self::read(headers).unwrap_or_default()
    }

    fn read(headers: &HeaderMap) -> Option<Self> {
        let mut options = Self::default();
        for value in headers.get_all(CONNECTION) {
            for option in value.as_bytes().split(|byte| *byte == b',') {
                let option = option.trim_ascii();
                if option.eq_ignore_ascii_case(b"upgrade") {
                    options.upgrade = true;
                } else if !(option.is_empty()
                    || option.eq_ignore_ascii_case(b"keep-alive")
                    || option.eq_ignore_ascii_case(b"close"))
                {
                    options.named.push(HeaderName::from_bytes(option).ok()?);
                }
            }
        }
        Some(options)
    }
}

/// A change of protocol that a client asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upgrade {
    /// What it would take, as it stands in `Upgrade`.
    protocols: HeaderValue,
}

impl Upgrade {
    /// What a request asks for. HTTP/2 over a connection that began with HTTP/1.1 (`h2c`) is never passed on: what comes after would be
    /// requests whose headers nobody looks at.
    pub(super) fn of_request(
        version: Version,
        options: &ConnectionOptions,
        headers: &HeaderMap,
    ) -> Option<Self> {
        if version != Version::HTTP_11 || !options.upgrade {
            return None;
        }
        let mut wanted: Vec<u8> = Vec::new();
        for protocol in protocols(headers) {
            if is_protocol(protocol) && !is_http2(protocol) {
                if !wanted.is_empty() {
                    wanted.extend_from_slice(b", ");
                }
                wanted.extend_from_slice(protocol);
            }
        }
        let protocols = HeaderValue::from_bytes(&wanted).ok()?;
        (!protocols.is_empty()).then_some(Self { protocols })
    }

    /// Asks the sandbox for the same.
    pub(super) fn ask(&self, headers: &mut HeaderMap) {
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, self.protocols.clone());
    }

    /// Whether an answer with 101 changes to a protocol that was asked for. Only after one that does are the connection's
    /// bytes something else than HTTP.
    pub fn is_granted_by(&self, answer: &HeaderMap) -> bool {
        let asked = || self.protocols.as_bytes().split(|byte| *byte == b',');
        let mut granted = protocols(answer).peekable();
        granted.peek().is_some()
            && granted.all(|protocol| asked().any(|asked| asked.trim_ascii().eq_ignore_ascii_case(protocol)))
    }

    /// The headers of an answer that grants it, beside those that are passed on anyway.
    pub fn grant(answer: &HeaderMap, passed_on: &mut HeaderMap) {
        passed_on.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        for protocol in answer.get_all(UPGRADE) {
            passed_on.append(UPGRADE, protocol.clone());
        }
    }
}

/// Whether an answer changes to a WebSocket, and nothing else.
pub(in crate::routing) fn is_websocket(answer: &HeaderMap) -> bool {
    let mut granted = protocols(answer);
    let first = granted.next();
    first.is_some_and(|protocol| protocol.eq_ignore_ascii_case(b"websocket")) && granted.next().is_none()
}

fn protocols(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    headers
        .get_all(UPGRADE)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|protocol| !protocol.is_empty())
}

/// A name, and perhaps a version, of the characters that names of headers have (RFC 9110, 7.8). What else stands there one reader may take
/// for another protocol than the next.
fn is_protocol(protocol: &[u8]) -> bool {
    let mut parts = protocol.splitn(2, |byte| *byte == b'/');
    parts.all(|part| HeaderName::from_bytes(part).is_ok())
}

fn is_http2(protocol: &[u8]) -> bool {
    let name = protocol.split(|byte| *byte == b'/').next().unwrap_or_default();
    name.eq_ignore_ascii_case(b"h2c")
        || name.eq_ignore_ascii_case(b"h2")
        || name.eq_ignore_ascii_case(b"http")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(HeaderName, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name.clone(), HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn asked(fields: &[(HeaderName, &str)]) -> Option<Upgrade> {
        let headers = headers(fields);
        let options = ConnectionOptions::of_request(&headers).unwrap();
        Upgrade::of_request(Version::HTTP_11, &options, &headers)
    }

    /// OpenSandbox#1822: a browser's `Connection: keep-alive, Upgrade` was not seen as an upgrade.
    #[test]
    fn an_upgrade_is_seen_among_other_options() {
        for connection in [
            "Upgrade",
            "keep-alive, Upgrade",
            "keep-alive,upgrade",
            ", UPGRADE ,",
        ] {
            assert!(
                asked(&[(CONNECTION, connection), (UPGRADE, "websocket")]).is_some(),
                "{connection}"
            );
        }
        let in_two = [
            (CONNECTION, "keep-alive"),
            (CONNECTION, "upgrade"),
            (UPGRADE, "websocket"),
        ];
        assert!(asked(&in_two).is_some());
        assert_eq!(asked(&[(CONNECTION, "keep-alive"), (UPGRADE, "websocket")]), None);
        assert_eq!(asked(&[(CONNECTION, "upgrade")]), None);
    }

    #[test]
    fn http2_is_no_upgrade() {
        assert_eq!(asked(&[(CONNECTION, "upgrade"), (UPGRADE, "h2c")]), None);
        assert_eq!(
            asked(&[(CONNECTION, "upgrade"), (UPGRADE, "HTTP/2.0, H2C")]),
            None
        );
        for odd in ["h2c /x", "h2c;x", "h2c/1/2", "/", "h2c\t/1"] {
            assert_eq!(asked(&[(CONNECTION, "upgrade"), (UPGRADE, odd)]), None, "{odd}");
        }
        let upgrade = asked(&[(CONNECTION, "upgrade"), (UPGRADE, "h2c, websocket")]).unwrap();
        assert_eq!(upgrade.protocols, "websocket");
    }

    #[test]
    fn only_a_protocol_that_was_asked_for_is_granted() {
        let upgrade = asked(&[(CONNECTION, "upgrade"), (UPGRADE, "websocket, other/1")]).unwrap();
        let is_granted = |fields: &[_]| upgrade.is_granted_by(&headers(fields));
        assert!(is_granted(&[(UPGRADE, "WebSocket")]));
        assert!(is_granted(&[(UPGRADE, "other/1")]));
        assert!(!is_granted(&[(UPGRADE, "other/2")]));
        assert!(!is_granted(&[(UPGRADE, "websocket, else")]));
        assert!(!is_granted(&[]));
    }

    #[test]
    fn nobody_has_a_key_removed_by_naming_it() {
        for name in [
            "x-session-api-key",
            "X-API-Key",
            "Host",
            "cookie",
            "authorization",
            "content-length",
            "Transfer-Encoding",
            "X-Forwarded-For",
            "sec-websocket-key",
            "origin",
        ] {
            let headers = headers(&[(CONNECTION, &format!("close, {name}"))]);
            let refused = ConnectionOptions::of_request(&headers);
            assert!(matches!(refused, Err(RefusedHeader::Protected { .. })), "{name}");
        }
        let headers = headers(&[(CONNECTION, "close, a b")]);
        assert_eq!(
            ConnectionOptions::of_request(&headers),
            Err(RefusedHeader::NoList)
        );
    }
}
