//! What a request brings to be let in.

use http::header::{HeaderName, HeaderValue, ORIGIN, REFERER};
use http::uri::PathAndQuery;
use http::{HeaderMap, Uri};

use super::OWN_PATHS;
use crate::listen::request::RequestHost;
use crate::routing::headers::{OWN_COOKIE, OWN_COOKIE_WITHOUT_TLS, SESSION_KEY, own_cookies};
use crate::routing::page::BACK_FIELD;
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
    /// Whether it is a form.
    is_form: bool,
    /// What a form holds as the session's key.
    pub(super) form_key: Option<HeaderValue>,
    /// Whether a page of another host has the browser ask, other than to show this one. Our cookie is sent along if both are below
    /// one domain, as sandboxes are.
    pub(super) is_from_elsewhere: bool,
    /// The path and query of the page on this host that has the browser ask.
    page: Option<HeaderValue>,
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
            is_form: false,
            form_key: None,
            is_from_elsewhere: is_from_elsewhere(headers, host, scheme),
            page: page(headers, host, scheme).map(secret),
        }
    }

    /// Whether it is a form that a person has sent.
    pub(in crate::routing) const fn is_form(&self) -> bool {
        self.is_form
    }

    /// Where a person is led whose form did what they wanted: to the page that showed it first, else to the host's root.
    pub(in crate::routing) fn way_back(&self) -> HeaderValue {
        self.page.clone().unwrap_or_else(|| HeaderValue::from_static("/"))
    }

    /// The same with what a form holds, in the form that browsers send it: a key, and the way back from a page that was shown in
    /// answer to another form.
    pub(in crate::routing) fn with_form(self, form: &[u8]) -> Self {
        let field = |name: &str| {
            let mut fields = form_urlencoded::parse(form);
            fields.find_map(|(found, value)| (found == name).then(|| value.into_owned()))
        };
        let back = field(BACK_FIELD).filter(|back| leads_back(back));
        Self {
            is_form: true,
            form_key: field("key")
                .and_then(|key| HeaderValue::try_from(key.trim_ascii()).ok())
                .map(secret),
            page: back
                .and_then(|back| HeaderValue::try_from(back).ok())
                .map(secret)
                .or(self.page),
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

/// The path and query that `Referer` names, where they are of this host and lead to none of our own paths, nor away from the host.
fn page(headers: &HeaderMap, host: &RequestHost, scheme: Scheme) -> Option<HeaderValue> {
    let page: Uri = headers.get(REFERER)?.to_str().ok()?.parse().ok()?;
    let authority = page.authority()?.as_str().as_bytes();
    let is_own = page.scheme_str() == Some(scheme.as_str()) && RequestHost::parse(authority).ok()? == *host;
    let page = page.path_and_query().filter(|_| is_own)?.as_str();
    leads_back(page).then(|| HeaderValue::try_from(page).ok())?
}

/// Whether a path and query are of a page of the same host, and of none of ours.
fn leads_back(page: &str) -> bool {
    // A URL may leave the path out, and a query alone is one of the page that asks. Browsers take a `Location` that begins with two
    // slashes of either kind for one on another host, and leave out tabs and line feeds first.
    let is_path = page.starts_with('/') && page.parse::<PathAndQuery>().is_ok();
    let leads_away = page.starts_with("//") || page.starts_with("/\\");
    is_path && !leads_away && !page.starts_with(OWN_PATHS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_is_to_a_page_of_the_host() {
        let back = |referer: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(REFERER, HeaderValue::from_str(referer).unwrap());
            let host = RequestHost::parse(b"work-1-x.example.test:8443").unwrap();
            Claim::of(&headers, &PathAndQuery::from_static("/"), &host, Scheme::Https).way_back()
        };
        let own = "https://work-1-x.example.test:8443";
        for kept in ["/", "/app", "/app/?a=%2F&b=//c", "/app//b"] {
            assert_eq!(back(&format!("{own}{kept}")), kept);
        }
        for other in [
            own.to_owned(),
            format!("{own}?a=b"),
            format!("{own}//evil.test/"),
            format!("{own}/\\evil.test/"),
            format!("{own}/.podbay/enter"),
            "https://work-1-y.example.test:8443/app".to_owned(),
            "https://work-1-x.example.test/app".to_owned(),
            "http://work-1-x.example.test:8443/app".to_owned(),
            "https://u@work-1-x.example.test:8443/app".to_owned(),
            "/app".to_owned(),
            "work-1-x.example.test:8443".to_owned(),
            String::new(),
        ] {
            assert_eq!(back(&other), "/", "{other}");
        }
    }

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
    fn a_form_leads_back_to_a_page_of_the_host() {
        let own = "http://h/app?a=b";
        let back = |form: &str| {
            let headers = [(REFERER, HeaderValue::from_static(own))].into_iter().collect();
            let host = RequestHost::parse(b"h").unwrap();
            let claim = Claim::of(&headers, &PathAndQuery::from_static("/"), &host, Scheme::Http);
            claim.with_form(form.as_bytes()).way_back()
        };
        assert_eq!(back("key=k&back=%2Fother%3Fc%3Dd%26e"), "/other?c=d&e");
        for other in [
            "",
            "back=",
            "back=other",
            "back=%2F%2Fevil.test%2F",
            "back=%2F%5Cevil.test",
            "back=%2F%09%2Fevil.test",
            "back=%2F%0A%2Fevil.test",
            "back=%2F.podbay%2Fenter",
            "back=http%3A%2F%2Fevil.test%2F",
            "back=%2Fa%0D%0ASet-Cookie%3A+a",
        ] {
            assert_eq!(back(other), "/app?a=b", "{other}");
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
