//! Pages for browsers: a title, a sentence, and nothing that could be asked for. And what leads from one to the next.

use std::fmt::Write as _;

use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, REFERRER_POLICY,
    REFRESH,
};
use http::{Response, StatusCode};

use crate::body::Body;

const STYLE: &str = "body{font:1rem/1.5 system-ui,sans-serif;max-width:40rem;margin:15vh auto;padding:0 1rem}h1{font-size:1.25rem}";

/// The field for the session's key.
const KEY_FIELD: &str =
    "<label>Session key <input type=\"password\" name=\"key\" autocomplete=\"off\" required></label> ";

/// What a page lets a person do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Present the session's key.
    Enter,
    /// Resume the session.
    Wake,
    /// Resume it with its key.
    WakeWithKey,
}

impl Form {
    /// As a document has it. `back` is where a person is led who is let in, in answer to a form that came to nothing: the page's own
    /// address does not tell that any more.
    fn html(self, back: Option<&str>) -> String {
        let (action, field, button) = match self {
            Self::Enter => ("enter", KEY_FIELD, "Enter"),
            Self::Wake => ("wake", "", "Resume the session"),
            Self::WakeWithKey => ("wake", KEY_FIELD, "Resume the session"),
        };
        let back = back.map_or_else(String::new, |back| {
            format!(
                "<input type=\"hidden\" name=\"{BACK_FIELD}\" value=\"{}\">",
                escaped(back)
            )
        });
        format!(
            "<form method=\"post\" action=\"/.podbay/{action}\">{field}{back}<button>{button}</button></form>"
        )
    }
}

/// The field of a form that says where a person is led who is let in.
pub(super) const BACK_FIELD: &str = "back";

/// A page about what was met. With `again` the browser asks again after so many seconds; with `form` a person can do
/// something about it, and is led back there.
pub(super) fn answer(
    status: StatusCode,
    words: &str,
    again: Option<u32>,
    form: Option<(Form, Option<&str>)>,
) -> Response<Body> {
    let title = status.canonical_reason().unwrap_or("Not available");
    let html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title><style>{STYLE}</style></head>\
         <body><h1>{title}</h1><p>{}.</p>{}</body></html>\n",
        escaped(words),
        form.map_or_else(String::new, |(form, back)| form.html(back)),
    );
    let mut answer = Response::new(Body::from(html));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'",
        ),
    );
    // Its form tells us, and nobody else, which page was asked for: there a person is led who was let in.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(
        HeaderName::from_static("x-content-type-options"),
        HeaderValue::from_static("nosniff"),
    );
    if let Some(seconds) = again {
        headers.insert(REFRESH, HeaderValue::from(seconds));
    }
    answer
}

/// Leads a browser on after what it has sent, without telling where it was.
pub(super) fn see_other(to: HeaderValue) -> Response<Body> {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = StatusCode::SEE_OTHER;
    let headers = answer.headers_mut();
    headers.insert(LOCATION, to);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    answer
}

/// As text in a document: what a cluster says of an image may hold anything.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '<' | '>' | '&' | '"' | '\'' => {
                // Writing to a string can't fail.
                let _ = write!(escaped, "&#{};", u32::from(character));
            }
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn words_are_text() {
        let answer = answer(
            StatusCode::BAD_GATEWAY,
            "<script>alert('x')</script>&",
            Some(2),
            None,
        );
        assert_eq!(answer.headers()[REFRESH], "2");
        let html = answer.into_body().collect().await.unwrap().to_bytes();
        let html = std::str::from_utf8(&html).unwrap();
        assert!(html.contains("&#60;script&#62;alert(&#39;x&#39;)"), "{html}");
        assert!(!html.contains("<script"));
    }
}
