//! What of a request decides how it is treated while its sandbox does not answer.

use http::header::{ACCEPT, HeaderName, HeaderValue};
use http::{HeaderMap, Method};
use podbay_manifests::KeyHash;
use subtle::ConstantTimeEq as _;

use super::endpoint::Endpoint;
use super::headers::SESSION_KEY;
use super::page::Form;

/// Paths that clients ask again and again to learn whether a server is there. That they ask does not mean that they need it.
const PROBES: [&str; 4] = ["/alive", "/health", "/ready", "/server_info"];
/// What the paths of OpenHands' V1 server begin with. Its clients know what 503 means; those of V0 take it for *paused* and resume
/// the session themselves, under a lock that they never get.
const V1_ROUTES: [&str; 3] = ["/api/", "/sockets/", "/v1/"];

/// What of a request decides how it is treated while its sandbox does not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// Whether a person will read the answer: a browser asks for a document.
    pub(super) by_browser: bool,
    /// Whether its client knows what 503 with `Retry-After` means.
    pub(super) knows_unavailable: bool,
    /// Whether it asks no more than whether a server is there.
    pub(super) is_probe: bool,
    /// What a page about a paused session has a person do.
    pub(super) wake_form: Option<Form>,
    /// What a page has a person do who is not let in.
    pub(super) key_form: Option<Form>,
    /// Where a form leads back to that a person has sent, if it is one.
    pub(super) back: Option<HeaderValue>,
    /// What was presented as the session's key, with a request that brings a paused session back.
    key: Option<HeaderValue>,
}

impl Asked {
    /// Looks at a request. `path` is the one in the sandbox.
    pub(super) fn of(
        endpoint: Endpoint,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
        is_upgrade: bool,
    ) -> Self {
        let by_browser = method == Method::GET && !is_upgrade && wants_page(headers);
        let is_probe = matches!(*method, Method::GET | Method::HEAD) && PROBES.contains(&path);
        let mut keys = headers.get_all(SESSION_KEY).iter();
        let key = keys.next().filter(|_| {
            // Of two keys the sandbox may take another than we do.
            keys.next().is_none() && endpoint == Endpoint::Server && !is_probe && !is_upgrade
        });
        Self {
            by_browser,
            is_probe,
            wake_form: None,
            // On the session's own URL its server checks the key.
            key_form: (endpoint != Endpoint::Server).then_some(Form::Enter),
            back: None,
            knows_unavailable: by_browser
                || endpoint == Endpoint::Server && V1_ROUTES.iter().any(|route| path.starts_with(route)),
            key: key.cloned().map(|mut key| {
                // Not shown by whatever prints it.
                key.set_sensitive(true);
                key
            }),
        }
    }

    /// The same with a page that lets a person bring a paused session back: one on the session's own URL needs the key, one on another
    /// was let in before.
    pub(super) fn with_wake_form(self, endpoint: Endpoint) -> Self {
        let form = match endpoint {
            Endpoint::Server => Form::WakeWithKey,
            _ => Form::Wake,
        };
        Self {
            wake_form: Some(form),
            ..self
        }
    }

    /// The same of a form with these headers, which a person has sent and who is led back there. If it was refused that was to bring
    /// the session back, its page has the person try that again.
    pub(super) fn with_form(self, headers: &HeaderMap, is_wake: bool, back: HeaderValue) -> Self {
        let by_browser = wants_page(headers);
        let key_form = if is_wake {
            self.wake_form.map(|_| Form::WakeWithKey)
        } else {
            self.key_form
        };
        Self {
            by_browser,
            knows_unavailable: by_browser,
            key_form,
            back: Some(back),
            ..self
        }
    }

    /// Whether it brings a paused session back whose key has this hash: it asks the session's server for something, and knows the
    /// session's key. A cookie is sent by whatever page a browser shows, and what is asked on other ports comes without a key.
    pub(super) fn wakes(&self, key: Option<&KeyHash>) -> bool {
        self.key.as_ref().zip(key).is_some_and(|(presented, key)| {
            let presented = KeyHash::of(presented.as_bytes());
            bool::from(presented.as_str().as_bytes().ct_eq(key.as_str().as_bytes()))
        })
    }
}

/// Whether it is a browser that shows a document, and not a program or a page's script.
fn wants_page(headers: &HeaderMap) -> bool {
    const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
    let is_navigation = headers.get(FETCH_MODE).is_none_or(|mode| mode == "navigate");
    is_navigation
        && headers.get_all(ACCEPT).iter().any(|accept| {
            accept
                .as_bytes()
                .split(|byte| *byte == b',')
                .any(|kind| kind.trim_ascii().split(|byte| *byte == b';').next() == Some(b"text/html"))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(HeaderName, &'static str)]) -> HeaderMap {
        fields
            .iter()
            .map(|(name, value)| (name.clone(), HeaderValue::from_static(value)))
            .collect()
    }

    fn asked(endpoint: Endpoint, method: &Method, path: &str, key: &'static str) -> Asked {
        Asked::of(endpoint, method, path, &headers(&[(SESSION_KEY, key)]), false)
    }

    #[test]
    fn the_sessions_key_on_its_url_wakes() {
        let key = KeyHash::of(b"key");
        let wakes = |asked: Asked| asked.wakes(Some(&key));
        assert!(wakes(asked(
            Endpoint::Server,
            &Method::POST,
            "/execute_action",
            "key"
        )));
        assert!(wakes(asked(
            Endpoint::Server,
            &Method::GET,
            "/api/conversations",
            "key"
        )));
        assert!(wakes(asked(Endpoint::Server, &Method::POST, "/alive", "key")));
        for path in PROBES {
            assert!(
                !wakes(asked(Endpoint::Server, &Method::GET, path, "key")),
                "{path}"
            );
        }
        assert!(!wakes(asked(
            Endpoint::Server,
            &Method::POST,
            "/execute_action",
            "other"
        )));
        assert!(!wakes(asked(Endpoint::VsCode, &Method::POST, "/", "key")));
        assert!(!wakes(asked(Endpoint::Work1, &Method::POST, "/", "key")));
        assert!(!asked(Endpoint::Server, &Method::POST, "/", "key").wakes(None));
        let upgrade = Asked::of(
            Endpoint::Server,
            &Method::GET,
            "/",
            &headers(&[(SESSION_KEY, "key")]),
            true,
        );
        assert!(!wakes(upgrade));
        let mut two = headers(&[(SESSION_KEY, "key")]);
        two.append(SESSION_KEY, HeaderValue::from_static("other"));
        assert!(!wakes(Asked::of(
            Endpoint::Server,
            &Method::POST,
            "/",
            &two,
            false
        )));
        let cookie = headers(&[(http::header::COOKIE, "podbay-x=key")]);
        assert!(!wakes(Asked::of(
            Endpoint::Server,
            &Method::POST,
            "/",
            &cookie,
            false
        )));
    }

    #[test]
    fn only_browsers_and_v1_are_told_that_it_is_unavailable() {
        let knows = |path: &str, fields: &[_]| {
            Asked::of(Endpoint::Server, &Method::GET, path, &headers(fields), false).knows_unavailable
        };
        assert!(knows("/api/conversations", &[]));
        assert!(knows("/sockets/events/x", &[]));
        assert!(!knows("/execute_action", &[]));
        assert!(!knows("/alive", &[(ACCEPT, "*/*")]));
        assert!(!knows("/apix", &[]));
        assert!(knows("/", &[(ACCEPT, "application/xhtml+xml, text/html;q=0.9")]));
    }

    #[test]
    fn a_page_is_for_who_shows_a_document() {
        const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
        assert!(wants_page(&headers(&[(ACCEPT, "text/html")])));
        assert!(wants_page(&headers(&[
            (ACCEPT, "text/html"),
            (FETCH_MODE, "navigate")
        ])));
        assert!(!wants_page(&headers(&[
            (ACCEPT, "text/html"),
            (FETCH_MODE, "cors")
        ])));
        assert!(!wants_page(&headers(&[(ACCEPT, "application/json")])));
        assert!(!wants_page(&headers(&[])));
    }
}
