//! Cookies: ours, which no sandbox sees or sets, and where those of a sandbox go.

use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue};

/// What the names of our cookies begin with. Browsers take one with `__Host-` from this very host alone, over TLS alone.
pub const OWN_COOKIE: &str = "__Host-podbay-";
/// The same where there is no TLS.
pub const OWN_COOKIE_WITHOUT_TLS: &str = "podbay-";

/// The values that a request has for one of our cookies. There may be several: another host of the same domain can set one of
/// the same name where there is no TLS, and a browser sends both.
pub fn own_cookies<'a>(headers: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    pairs(headers).filter_map(move |pair| {
        let (found, value) = split_pair(pair);
        (found == name.as_bytes()).then_some(value)
    })
}

/// Removes our cookies, and makes one header of several: HTTP/2 may cut it in pieces (RFC 9113, 8.2.3), HTTP/1.1 may not.
pub(super) fn remove_own(headers: &mut HeaderMap) {
    let mut fields = headers.get_all(COOKIE).iter();
    let first = fields.next();
    let is_single = fields.next().is_none();
    if first.is_none() || (is_single && !pairs(headers).any(|pair| is_own(split_pair(pair).0))) {
        return;
    }
    let mut kept = Vec::new();
    for pair in pairs(headers).filter(|pair| !is_own(split_pair(pair).0)) {
        if !kept.is_empty() {
            kept.extend_from_slice(b"; ");
        }
        kept.extend_from_slice(pair);
    }
    headers.remove(COOKIE);
    if let Ok(kept) = HeaderValue::from_bytes(&kept)
        && !kept.is_empty()
    {
        headers.insert(COOKIE, kept);
    }
}

/// Takes from a sandbox's cookies what reaches beyond it: a `Domain`, our names, and in path style paths that are not below `prefix`.
pub(super) fn confine(headers: &mut HeaderMap, prefix: &str) {
    if !headers.contains_key(SET_COOKIE) {
        return;
    }
    let confined: Vec<HeaderValue> = headers
        .get_all(SET_COOKIE)
        .iter()
        .filter_map(|cookie| confined(cookie, prefix))
        .collect();
    headers.remove(SET_COOKIE);
    for cookie in confined {
        headers.append(SET_COOKIE, cookie);
    }
}

fn confined(cookie: &HeaderValue, prefix: &str) -> Option<HeaderValue> {
    let mut parts = cookie
        .as_bytes()
        .split(|byte| *byte == b';')
        .map(<[u8]>::trim_ascii);
    let pair = parts.next()?;
    let name = split_pair(pair).0;
    // A browser sends a cookie without a name as its value alone, which may look like one of ours.
    if name.is_empty() || is_own(name) {
        return None;
    }
    // Such a one is for the whole host, which here is not the sandbox's alone.
    if !prefix.is_empty() && starts_with_ignoring_case(name, b"__host-") {
        return None;
    }
    let mut made = pair.to_vec();
    for part in parts {
        let (attribute, value) = split_pair(part);
        if attribute.eq_ignore_ascii_case(b"domain") {
            continue;
        }
        made.extend_from_slice(b"; ");
        if attribute.eq_ignore_ascii_case(b"path") && !prefix.is_empty() {
            made.extend_from_slice(b"Path=");
            made.extend_from_slice(&below(prefix, value));
        } else {
            made.extend_from_slice(part);
        }
    }
    HeaderValue::from_bytes(&made).ok()
}

/// A path of the sandbox as browsers see it. One that is below the prefix already stays.
pub(super) fn below(prefix: &str, path: &[u8]) -> Vec<u8> {
    let is_below = path
        .strip_prefix(prefix.as_bytes())
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'/' | b'?' | b'#')));
    match path {
        _ if is_below || prefix.is_empty() => path.to_vec(),
        b"" | b"/" => prefix.as_bytes().to_vec(),
        [b'/', ..] => [prefix.as_bytes(), path].concat(),
        // No path: a browser takes its own.
        _ => prefix.as_bytes().to_vec(),
    }
}

fn pairs(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    headers
        .get_all(COOKIE)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b';'))
        .map(<[u8]>::trim_ascii)
        .filter(|pair| !pair.is_empty())
}

/// Name and value. What has no `=` has no name.
fn split_pair(pair: &[u8]) -> (&[u8], &[u8]) {
    match pair.iter().position(|byte| *byte == b'=') {
        Some(at) => (pair[..at].trim_ascii(), pair[at + 1..].trim_ascii()),
        None if is_attribute(pair) => (pair, b""),
        None => (b"", pair),
    }
}

/// Whether it is a flag of a cookie, which has no value.
fn is_attribute(part: &[u8]) -> bool {
    [b"secure".as_slice(), b"httponly", b"partitioned"]
        .iter()
        .any(|flag| part.eq_ignore_ascii_case(flag))
}

fn is_own(name: &[u8]) -> bool {
    [OWN_COOKIE, OWN_COOKIE_WITHOUT_TLS]
        .iter()
        .any(|own| starts_with_ignoring_case(name, own.as_bytes()))
}

fn starts_with_ignoring_case(text: &[u8], prefix: &[u8]) -> bool {
    text.get(..prefix.len())
        .is_some_and(|begin| begin.eq_ignore_ascii_case(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &http::HeaderName, values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name.clone(), HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn left(values: &[&str]) -> Vec<String> {
        let mut headers = with(&COOKIE, values);
        remove_own(&mut headers);
        shown(&headers, &COOKIE)
    }

    fn shown(headers: &HeaderMap, name: &http::HeaderName) -> Vec<String> {
        headers
            .get_all(name)
            .iter()
            .map(|value| value.to_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn ours_do_not_reach_a_sandbox() {
        assert_eq!(left(&["a=1; b=2"]), ["a=1; b=2"]);
        assert_eq!(left(&["a=1; __Host-podbay-x=s; b=2"]), ["a=1; b=2"]);
        assert_eq!(left(&["podbay-x=s"]), Vec::<String>::new());
        assert_eq!(left(&["__HOST-PODBAY-x=s;a=1"]), ["a=1"]);
        assert_eq!(left(&["a=1", "podbay-x = s", "b=2"]), ["a=1; b=2"]);
        assert_eq!(left(&["a=podbay-x=1"]), ["a=podbay-x=1"]);
        assert_eq!(left(&[]), Vec::<String>::new());
    }

    /// coder#19930: of two cookies of one name the first was taken, and it was the other host's.
    #[test]
    fn of_two_cookies_of_one_name_both_are_seen() {
        let headers = with(&COOKIE, &["podbay-x=theirs; podbay-x=ours", "podbay-xy=no"]);
        let found: Vec<_> = own_cookies(&headers, "podbay-x").collect();
        assert_eq!(found, [b"theirs".as_slice(), b"ours"]);
    }

    fn set(cookies: &[&str], prefix: &str) -> Vec<String> {
        let mut headers = with(&SET_COOKIE, cookies);
        confine(&mut headers, prefix);
        shown(&headers, &SET_COOKIE)
    }

    #[test]
    fn a_sandbox_sets_cookies_for_itself_alone() {
        assert_eq!(
            set(
                &[
                    "a=1; Domain=example.com; Path=/; HttpOnly",
                    "b=2; domain = .example.com;Secure",
                    "c=3"
                ],
                ""
            ),
            ["a=1; Path=/; HttpOnly", "b=2; Secure", "c=3"]
        );
        let ours = [
            "__Host-podbay-x=1; Path=/",
            "podbay-x=1",
            "=podbay-x=1",
            "podbay-x",
            "",
            ";a=1",
        ];
        assert_eq!(set(&ours, ""), Vec::<String>::new());
    }

    #[test]
    fn in_path_style_cookies_stay_below_the_prefix() {
        assert_eq!(
            set(
                &[
                    "a=1; Path=/",
                    "b=1; path=/x; Secure",
                    "c=1",
                    "d=1; Path=/ID/y",
                    "e=1; Path=/IDx",
                    "f=1; Path=x"
                ],
                "/ID"
            ),
            [
                "a=1; Path=/ID",
                "b=1; Path=/ID/x; Secure",
                "c=1",
                "d=1; Path=/ID/y",
                "e=1; Path=/ID/IDx",
                "f=1; Path=/ID"
            ]
        );
        assert_eq!(set(&["__Host-a=1; Path=/; Secure"], "/ID"), Vec::<String>::new());
    }
}
