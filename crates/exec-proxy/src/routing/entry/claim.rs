//! What a request brings to be let in.

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue, ORIGIN};
use http::uri::PathAndQuery;

use crate::listen::request::RequestHost;
use crate::routing::headers::{OWN_COOKIE, OWN_COOKIE_WITHOUT_TLS, SESSION_KEY, own_cookies};
use crate::routing::url::Scheme;

/// The name of our cookie. With TLS browsers take it from its own host alone.
pub(in crate::routing) fn cookie_name(scheme: Scheme) -> String {
    let prefix = match scheme {
        Scheme::Https => OWN_COOKIE,
        Scheme::Http => OWN_COOKIE_WITHOUT_TLS,
    };
    format!("{prefix}entry")
}

/// What a request brings to be let in. It is read before the headers are made those that a sandbox gets.
///
/// Nothing prints it: cookies and tickets let in whoever has them.
#[derive(Default, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(in crate::routing) struct Claim {
    /// The path.
    pub(super) path: String,
    /// What our cookie holds. Where there is no TLS another host can set one of the same name, so there may be several.
    pub(super) cookies: Vec<Vec<u8>>,
    /// What was presented as the session's key.
    pub(super) key: Option<HeaderValue>,
    /// The query's `ticket`, that of a link.
    pub(super) ticket: Option<Vec<u8>>,
    /// The query's `tkn`, that of VS Code.
    pub(super) token: Option<HeaderValue>,
    /// What a form holds as the session's key.
    pub(super) form_key: Option<HeaderValue>,
    /// Whether a page of another host has the browser ask, other than to show this one. Our cookie is sent along if both are below
    /// one domain, as sandboxes are.
    pub(super) is_from_elsewhere: bool,
}

impl Claim {
    /// That of a request.
    pub(in crate::routing) fn of(
        headers: &HeaderMap,
        target: &PathAndQuery,
        host: &RequestHost,
        scheme: Scheme,
    ) -> Self {
        let query = |name: &str| {
            target.query()?.split('&').find_map(|pair| {
                let (found, value) = pair.split_once('=')?;
                (found == name).then(|| value.to_owned())
            })
        };
        let mut keys = headers.get_all(SESSION_KEY).iter();
        let key = keys.next().filter(|_| keys.next().is_none());
        Self {
            path: target.path().to_owned(),
            cookies: own_cookies(headers, &cookie_name(scheme))
                .map(<[u8]>::to_vec)
                .collect(),
            key: key.cloned().map(secret),
            ticket: query("ticket").map(String::into_bytes),
            token: query("tkn")
                .and_then(|token| HeaderValue::try_from(token).ok())
                .map(secret),
            form_key: None,
            is_from_elsewhere: is_from_elsewhere(headers, host, scheme),
        }
    }

    /// The same with the key that a form holds, in the form that browsers send it.
    pub(in crate::routing) fn with_form(self, form: &[u8]) -> Self {
        let key = form
            .split(|byte| *byte == b'&')
            .find_map(|pair| pair.strip_prefix(b"key="));
        Self {
            form_key: key
                .and_then(|key| HeaderValue::from_bytes(key.trim_ascii()).ok())
                .map(secret),
            ..self
        }
    }
}

fn secret(mut value: HeaderValue) -> HeaderValue {
    // Not shown by whatever prints it.
    value.set_sensitive(true);
    value
}

fn is_from_elsewhere(headers: &HeaderMap, host: &RequestHost, scheme: Scheme) -> bool {
    const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
    const MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
    let other_origin = headers.get(ORIGIN).is_some_and(|origin| {
        let own = origin
            .as_bytes()
            .strip_prefix(format!("{}://", scheme.as_str()).as_bytes())
            .and_then(|own| RequestHost::parse(own).ok());
        own.as_ref() != Some(host)
    });
    let other_site = headers
        .get(SITE)
        .is_some_and(|site| site != "same-origin" && site != "none");
    let shows_it = headers.get(MODE).is_some_and(|mode| mode == "navigate");
    other_origin || (other_site && !shows_it)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_elsewhere(fields: &[(&'static str, &'static str)]) -> bool {
        let headers = fields
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        let host = RequestHost::parse(b"work-1-x.example.test:8443").unwrap();
        is_from_elsewhere(&headers, &host, Scheme::Https)
    }

    /// A sandbox's page can have the browser ask another sandbox, and the cookie goes along: both are one site.
    #[test]
    fn a_sibling_is_elsewhere() {
        let own = "https://work-1-x.example.test:8443";
        assert!(!is_elsewhere(&[]));
        assert!(!is_elsewhere(&[
            ("origin", own),
            ("sec-fetch-site", "same-origin")
        ]));
        assert!(!is_elsewhere(&[
            ("sec-fetch-site", "none"),
            ("sec-fetch-mode", "navigate")
        ]));
        assert!(!is_elsewhere(&[
            ("sec-fetch-site", "same-site"),
            ("sec-fetch-mode", "navigate")
        ]));
        assert!(is_elsewhere(&[
            ("sec-fetch-site", "same-site"),
            ("sec-fetch-mode", "no-cors")
        ]));
        assert!(is_elsewhere(&[
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "websocket")
        ]));
        for origin in [
            "https://work-1-y.example.test:8443",
            "http://work-1-x.example.test:8443",
            "null",
            "https://work-1-x.example.test",
        ] {
            assert!(
                is_elsewhere(&[("origin", origin), ("sec-fetch-mode", "navigate")]),
                "{origin}"
            );
        }
    }

    #[test]
    fn a_claim_is_read() {
        let mut headers = HeaderMap::new();
        headers.insert(
            http::header::COOKIE,
            HeaderValue::from_static("__Host-podbay-entry=a; b=c; __Host-podbay-entry=d"),
        );
        headers.insert(SESSION_KEY, HeaderValue::from_static("k"));
        let target = PathAndQuery::from_static("/x?ticket=t&tkn=s&xtkn=u");
        let host = RequestHost::parse(b"h").unwrap();
        let claim = Claim::of(&headers, &target, &host, Scheme::Https).with_form(b"other=1&key=f0 ");
        assert_eq!(claim.cookies, [b"a".to_vec(), b"d".to_vec()]);
        assert_eq!(claim.key.unwrap(), "k");
        assert_eq!(claim.ticket.unwrap(), b"t");
        assert_eq!(claim.token.unwrap(), "s");
        assert_eq!(claim.form_key.unwrap(), "f0");
        headers.append(SESSION_KEY, HeaderValue::from_static("l"));
        assert_eq!(Claim::of(&headers, &target, &host, Scheme::Https).key, None);
    }
}
