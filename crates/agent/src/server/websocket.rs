//! What a request for a WebSocket says (RFC 6455, 4.2.1), and its answer.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::header::{
    CONNECTION, HeaderName, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use podbay_protocol::agent::terminal::{KEY_SUBPROTOCOL, SUBPROTOCOL};
use podbay_protocol::agent::{AgentError, AgentErrorCode};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::answer::{self, Answer};

/// A request for a WebSocket that can be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Handshake {
    accept: String,
    /// Whether the client asked for our subprotocol.
    is_named: bool,
}

impl Handshake {
    /// What a request's head says; an error says what it does not.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, AgentError> {
        let missing = |what: &str| {
            let message = format!("the path is spoken to over a WebSocket: {what}");
            Err(AgentError::new(AgentErrorCode::UpgradeRequired, message))
        };
        let says = |name, word: &str| tokens(headers, name).any(|token| token.eq_ignore_ascii_case(word));
        if !says(CONNECTION, "upgrade") || !says(UPGRADE, "websocket") {
            return missing("the request does not ask for one");
        }
        if one(headers, SEC_WEBSOCKET_VERSION) != Some("13") {
            return missing("of its version 13, and of no other");
        }
        let key = one(headers, SEC_WEBSOCKET_KEY).unwrap_or_default();
        if !STANDARD.decode(key).is_ok_and(|key| key.len() == 16) {
            return missing("the request's Sec-WebSocket-Key is not 16 bytes in base64");
        }
        Ok(Self {
            accept: derive_accept_key(key.as_bytes()),
            is_named: tokens(headers, SEC_WEBSOCKET_PROTOCOL).any(|token| token == SUBPROTOCOL),
        })
    }

    /// The answer after which the connection is a WebSocket.
    pub(super) fn answer(&self) -> Answer {
        let mut answer = answer::nothing();
        *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = answer.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        if let Ok(accept) = HeaderValue::from_str(&self.accept) {
            headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
        }
        if self.is_named {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
        }
        answer
    }
}

/// The session's key as a page in a browser presents it, if it is there exactly once.
pub(super) fn key(headers: &HeaderMap) -> Option<Vec<u8>> {
    let mut keys =
        tokens(headers, SEC_WEBSOCKET_PROTOCOL).filter_map(|token| token.strip_prefix(KEY_SUBPROTOCOL));
    let key = keys.next()?;
    match keys.next() {
        None => URL_SAFE_NO_PAD.decode(key).ok(),
        Some(_) => None,
    }
}

/// The value of a header that is there once.
fn one(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).into_iter();
    let value = values.next()?;
    match values.next() {
        None => value.to_str().ok().map(str::trim),
        Some(_) => None,
    }
}

/// What a header lists.
fn tokens(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let values = headers.get_all(name).into_iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    /// RFC 6455, 1.3.
    const ASKED: [(&str, &str); 4] = [
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "WebSocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];

    #[test]
    fn a_request_for_a_websocket_is_answered_as_the_standard_has_it() {
        let answer = Handshake::of(&headers(&ASKED)).unwrap().answer();
        assert_eq!(answer.status(), 101);
        assert_eq!(
            answer.headers()[SEC_WEBSOCKET_ACCEPT],
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
        assert!(!answer.headers().contains_key(SEC_WEBSOCKET_PROTOCOL));
        let named = [
            &ASKED[..],
            &[("sec-websocket-protocol", "other, podbay.terminal.v1")],
        ]
        .concat();
        let answer = Handshake::of(&headers(&named)).unwrap().answer();
        assert_eq!(answer.headers()[SEC_WEBSOCKET_PROTOCOL], SUBPROTOCOL);
    }

    #[test]
    fn what_is_none_is_told() {
        for without in 0..ASKED.len() {
            let mut lines = ASKED.to_vec();
            lines.remove(without);
            let error = Handshake::of(&headers(&lines)).unwrap_err();
            assert_eq!(error.code, AgentErrorCode::UpgradeRequired);
        }
        for wrong in [
            ("sec-websocket-version", "8"),
            ("sec-websocket-key", "c2hvcnQ="),
            ("sec-websocket-key", "?"),
        ] {
            let lines: Vec<_> = ASKED
                .iter()
                .map(|line| if line.0 == wrong.0 { wrong } else { *line })
                .collect();
            assert!(Handshake::of(&headers(&lines)).is_err(), "{wrong:?}");
        }
        let twice = [&ASKED[..], &ASKED[3..]].concat();
        assert!(Handshake::of(&headers(&twice)).is_err());
    }

    #[test]
    fn a_key_stands_among_the_subprotocols_once() {
        let key = |value| super::key(&headers(&[("sec-websocket-protocol", value)]));
        assert_eq!(key("podbay.terminal.v1, podbay.key.a2V5").unwrap(), b"key");
        assert_eq!(key("podbay.key."), Some(vec![]));
        for none in [
            "podbay.terminal.v1",
            "podbay.key.a2V5,podbay.key.a2V5",
            "podbay.key.=",
            "",
        ] {
            assert_eq!(key(none), None, "{none}");
        }
    }
}
