//! Headers of an answer on its way from a sandbox.

use http::header::{
    ALT_SVC, CONTENT_LOCATION, CONTENT_SECURITY_POLICY, HeaderName, LOCATION, STRICT_TRANSPORT_SECURITY,
    UPGRADE,
};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::connection::ConnectionOptions;
use super::{HOP_BY_HOP, cookies};
use crate::listen::request::RequestHost;

const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");
/// What a sandbox may not say of a host that is not its own.
const ABOUT_THE_HOST: [HeaderName; 5] = [
    STRICT_TRANSPORT_SECURITY,
    HeaderName::from_static("service-worker-allowed"),
    HeaderName::from_static("nel"),
    HeaderName::from_static("report-to"),
    HeaderName::from_static("reporting-endpoints"),
];
/// Documents get an origin of their own, which is no other sandbox's: they can do all but what needs a known origin (cookies,
/// storage, workers).
const SANDBOXED: HeaderValue =
    HeaderValue::from_static("sandbox allow-downloads allow-forms allow-modals allow-popups allow-scripts");

/// What an answer comes from.
#[derive(Clone, Copy, Debug)]
pub struct AnswerFrom<'a> {
    /// The host that was asked for.
    pub host: &'a RequestHost,
    /// What stands before the sandbox's own paths; empty unless in path style.
    pub prefix: &'a str,
    /// In path style: all sandboxes are one tenant's, whose documents may see each other.
    pub trusted_single_tenant: bool,
}

/// Makes of the headers of a sandbox's answer those that the client gets.
pub fn from_sandbox(headers: &mut HeaderMap, status: StatusCode, from: &AnswerFrom<'_>) {
    let options = ConnectionOptions::of_answer(headers);
    // What a client would have to change to is told with this status alone.
    let required = (status == StatusCode::UPGRADE_REQUIRED)
        .then(|| headers.get(UPGRADE).cloned())
        .flatten();
    for name in options.named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
    if let Some(required) = required {
        headers.insert(UPGRADE, required);
    }
    // Of a host with a port that are not the sandbox's to speak of: other ways to it, and what its siblings have stored.
    headers.remove(ALT_SVC);
    headers.remove(CLEAR_SITE_DATA);
    cookies::confine(headers, from.prefix);
    if from.prefix.is_empty() {
        return;
    }
    for name in ABOUT_THE_HOST {
        headers.remove(name);
    }
    for name in [LOCATION, CONTENT_LOCATION] {
        if let Some(moved) = headers.get(&name).and_then(|location| moved(location, from)) {
            headers.insert(name, moved);
        }
    }
    if !from.trusted_single_tenant {
        // Beside the sandbox's own policies: a browser keeps all of them.
        headers.append(CONTENT_SECURITY_POLICY, SANDBOXED);
    }
}

/// Where a redirect leads as clients see it, if that differs.
fn moved(location: &HeaderValue, from: &AnswerFrom<'_>) -> Option<HeaderValue> {
    let text = location.as_bytes().trim_ascii();
    // A path, and no host: some browsers take a backslash for a slash.
    if text.starts_with(b"/") && !matches!(text.get(1), Some(b'/' | b'\\')) {
        return HeaderValue::from_bytes(&below(from.prefix, text)).ok();
    }
    // A URL with our own host.
    let (scheme, rest) = split_once(text, b"://")?;
    if !(scheme.eq_ignore_ascii_case(b"http") || scheme.eq_ignore_ascii_case(b"https")) {
        return None;
    }
    let end = rest
        .iter()
        .position(|byte| matches!(byte, b'/' | b'?' | b'#'))
        .unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    if RequestHost::parse(authority).as_ref() != Ok(from.host) {
        return None;
    }
    let made = [scheme, b"://", authority, &below(from.prefix, path)].concat();
    HeaderValue::from_bytes(&made).ok()
}

fn below(prefix: &str, path: &[u8]) -> Vec<u8> {
    match path.first() {
        Some(b'?' | b'#') => [prefix.as_bytes(), path].concat(),
        // The root itself, which a cookie's path has no slash for.
        Some(b'/') if path.len() == 1 => [prefix.as_bytes(), b"/"].concat(),
        _ => cookies::below(prefix, path),
    }
}

fn split_once<'a>(text: &'a [u8], separator: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = text
        .windows(separator.len())
        .position(|window| window == separator)?;
    Some((&text[..at], &text[at + separator.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(fields: &[(&str, &str)], prefix: &str, trusted: bool, status: u16) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        let host = RequestHost::parse(b"run.example.com").unwrap();
        let from = AnswerFrom {
            host: &host,
            prefix,
            trusted_single_tenant: trusted,
        };
        from_sandbox(&mut headers, StatusCode::from_u16(status).unwrap(), &from);
        headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect()
    }

    #[test]
    fn what_is_about_a_connection_stays_on_it() {
        let fields = [
            ("content-type", "text/plain"),
            ("connection", "close, x-hop"),
            ("x-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("alt-svc", "h3=\":443\""),
            ("clear-site-data", "\"cookies\""),
        ];
        assert_eq!(passed(&fields, "", false, 200), ["content-type: text/plain"]);
        assert_eq!(passed(&[("upgrade", "x")], "", false, 426), ["upgrade: x"]);
    }

    /// OpenSandbox#1515: a redirect from the root left the path of its sandbox.
    #[test]
    fn in_path_style_redirects_keep_the_prefix() {
        let moved = |location: &str| passed(&[("location", location)], "/ID", true, 302)[0].clone();
        for (location, expected) in [
            ("/", "/ID/"),
            ("/x", "/ID/x"),
            ("/x?y=/z#a", "/ID/x?y=/z#a"),
            ("/ID/x", "/ID/x"),
            ("/ID", "/ID"),
            ("/IDx", "/ID/IDx"),
            ("x", "x"),
            ("?x", "?x"),
            ("//evil/x", "//evil/x"),
            ("/\\evil/x", "/\\evil/x"),
            ("https://run.example.com/x", "https://run.example.com/ID/x"),
            ("https://run.example.com", "https://run.example.com/ID"),
            ("https://run.example.com?x", "https://run.example.com/ID?x"),
            ("http://RUN.example.com/", "http://RUN.example.com/ID/"),
            ("https://run.example.com.evil/x", "https://run.example.com.evil/x"),
            ("https://other.example/x", "https://other.example/x"),
            ("mailto:x@run.example.com", "mailto:x@run.example.com"),
        ] {
            assert_eq!(moved(location), format!("location: {expected}"), "{location}");
        }
        assert_eq!(passed(&[("location", "/x")], "", false, 302), ["location: /x"]);
    }

    #[test]
    fn in_path_style_documents_are_sandboxed() {
        let fields = [
            ("content-security-policy", "default-src 'self'"),
            ("service-worker-allowed", "/"),
            ("strict-transport-security", "max-age=1"),
        ];
        let passed_on = passed(&fields, "/ID", false, 200);
        assert_eq!(passed_on.len(), 2);
        assert_eq!(passed_on[0], "content-security-policy: default-src 'self'");
        assert!(passed_on[1].starts_with("content-security-policy: sandbox "));
        assert!(!passed_on[1].contains("allow-same-origin"));
        assert_eq!(passed(&fields, "/ID", true, 200).len(), 1);
        assert_eq!(passed(&fields, "", false, 200).len(), 3);
    }
}
