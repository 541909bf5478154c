use http::header::LOCATION;
use http::uri::PathAndQuery;
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt as _;

use super::super::url::Separator;
use super::*;
use crate::listen::request::RequestHost;

const NOW: u64 = 1_000_000;

fn id() -> RuntimeId {
    RuntimeId::from_random([0xa5; 16])
}

fn style() -> UrlStyle {
    UrlStyle::Host {
        scheme: Scheme::Https,
        domain: "example.test".parse().unwrap(),
        separator: Separator::Dot,
    }
}

fn key() -> KeyHash {
    KeyHash::of(b"key")
}

/// What is known of a session whose agent serves no VS Code.
const fn of(key: Option<&KeyHash>) -> Hashes<'_> {
    Hashes {
        key,
        vscode_token: None,
    }
}

fn claim(path: &str, fields: &[(&'static str, &str)]) -> Claim {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, HeaderValue::from_str(value).unwrap());
    }
    let host = RequestHost::parse(b"h").unwrap();
    Claim::of(
        &headers,
        &path.parse::<PathAndQuery>().unwrap(),
        &host,
        Scheme::Https,
    )
}

fn admit(entry: &Entry, claim: &Claim, endpoint: Endpoint) -> Admission {
    entry.admit(claim, &style(), &id(), endpoint, of(Some(&key())), NOW)
}

fn passes(admission: &Admission) -> bool {
    matches!(admission, Admission::Pass(_))
}

async fn links(entry: &Entry) -> serde_json::Value {
    let claim = claim(LINKS, &[("x-session-api-key", "key")]);
    let urls = style().urls(&id(), None);
    let Admission::Answer(answer) = entry.links(&claim, urls, &style(), &id(), Some(&key()), NOW) else {
        panic!("no links");
    };
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    serde_json::from_slice(&body).unwrap()
}

/// The cookie that a browser has after an answer.
fn taken(answer: &Response<Body>) -> String {
    let cookie = answer.headers()[SET_COOKIE].to_str().unwrap();
    assert!(
        cookie.contains("; Path=/; HttpOnly; SameSite=Lax; Max-Age=43200; Secure"),
        "{cookie}"
    );
    cookie.split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_link_lets_a_browser_in_once() {
    let entry = Entry::new(Access::HandOver);
    let links = links(&entry).await;
    let link = links["work"][0].as_str().unwrap();
    let at = link
        .strip_prefix(&format!("https://work-1-{}.example.test", id()))
        .unwrap();
    assert!(!link.contains("key"));
    let Admission::Answer(answer) = admit(&entry, &claim(at, &[]), Endpoint::Work1) else {
        panic!("{link}");
    };
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    assert_eq!(answer.headers()[LOCATION], "/");
    let cookie = taken(&answer);
    let with = claim("/app", &[("cookie", &cookie)]);
    assert!(passes(&admit(&entry, &with, Endpoint::Work1)));
    // Not elsewhere, not later, not for another key, not asked by another host's page, and the link not again.
    assert!(!passes(&admit(&entry, &with, Endpoint::Work2)));
    let at_time = |now, key: &KeyHash| {
        passes(&entry.admit(&with, &style(), &id(), Endpoint::Work1, of(Some(key)), now))
    };
    assert!(at_time(NOW + COOKIE_SECONDS - 1, &key()));
    assert!(!at_time(NOW + COOKIE_SECONDS, &key()));
    assert!(!at_time(NOW, &KeyHash::of(b"new")));
    let sibling = claim("/app", &[("cookie", &cookie), ("origin", "https://sibling")]);
    assert!(!passes(&admit(&entry, &sibling, Endpoint::Work1)));
    assert!(matches!(
        admit(&entry, &claim(at, &[]), Endpoint::Work1),
        Admission::Refuse
    ));
}

#[tokio::test]
async fn a_link_is_for_its_endpoint_and_for_a_minute() {
    let entry = Entry::new(Access::HandOver);
    let links = links(&entry).await;
    let link = links["vscode"].as_str().unwrap();
    let at = &link[link.find("/.podbay").unwrap()..];
    let enter =
        |endpoint, now| entry.admit(&claim(at, &[]), &style(), &id(), endpoint, of(Some(&key())), now);
    assert!(matches!(enter(Endpoint::Work1, NOW), Admission::Refuse));
    assert!(matches!(
        enter(Endpoint::VsCode, NOW + LINK_SECONDS),
        Admission::Refuse
    ));
    assert!(matches!(
        enter(Endpoint::VsCode, NOW + LINK_SECONDS - 1),
        Admission::Answer(_)
    ));
}

#[test]
fn the_key_lets_in_in_a_header_in_a_form_and_as_the_token_of_vscode() {
    let entry = Entry::new(Access::HandOver);
    let with = |key| claim("/", &[("x-session-api-key", key)]);
    assert!(passes(&admit(&entry, &with("key"), Endpoint::Work1)));
    assert!(!passes(&admit(&entry, &with("other"), Endpoint::Work1)));
    let form = |text: &[u8]| admit(&entry, &claim(ENTER, &[]).with_form(text), Endpoint::Work2);
    assert!(matches!(form(b"key=key"), Admission::Answer(_)));
    assert!(matches!(form(b"key=other"), Admission::Refuse));
    let token = claim("/?tkn=key&folder=%2Fworkspace", &[]);
    assert!(matches!(
        admit(&entry, &token, Endpoint::VsCode),
        Admission::Pass(Some(_))
    ));
    assert!(matches!(
        admit(&entry, &token, Endpoint::Work1),
        Admission::Refuse
    ));
    let wrong = claim("/?tkn=other", &[]);
    assert!(matches!(
        admit(&entry, &wrong, Endpoint::VsCode),
        Admission::Refuse
    ));
}

/// V0's client asks the agent for a token, and makes a link with it.
#[test]
fn the_token_that_the_agent_tells_lets_in_to_vscode_alone() {
    let entry = Entry::new(Access::HandOver);
    let (key, token) = (key(), KeyHash::of_vscode_token(b"key"));
    let hashes = Hashes {
        key: Some(&key),
        vscode_token: Some(&token),
    };
    // `printf 'podbay vscode token v1\0key' | sha256sum`
    let link = claim(
        "/?tkn=eb8f653dfafea85e6f2fb9bacbfd61f48b82c0d5951190ea03723e529c32197f&folder=%2Fworkspace",
        &[],
    );
    let ask = |hashes, endpoint| entry.admit(&link, &style(), &id(), endpoint, hashes, NOW);
    let Admission::Pass(Some(cookie)) = ask(hashes, Endpoint::VsCode) else {
        panic!("not let in");
    };
    // VS Code's own resources are asked for without it.
    let cookie = cookie.to_str().unwrap().split_once(';').unwrap().0.to_owned();
    let with = claim("/stable/x.js", &[("cookie", &cookie)]);
    assert!(passes(&entry.admit(
        &with,
        &style(),
        &id(),
        Endpoint::VsCode,
        hashes,
        NOW
    )));
    assert!(matches!(ask(hashes, Endpoint::Work1), Admission::Refuse));
    assert!(matches!(ask(of(Some(&key)), Endpoint::VsCode), Admission::Refuse));
}

#[test]
fn who_is_let_in_depends_on_the_style_and_on_the_setting() {
    let nothing = claim("/", &[]);
    let lets_in = |entry: &Entry, style: &UrlStyle, claim: &Claim, key: Option<&KeyHash>| {
        passes(&entry.admit(claim, style, &id(), Endpoint::Work1, of(key), NOW))
    };
    let path = UrlStyle::Path {
        scheme: Scheme::Https,
        host: "run.example.test".parse().unwrap(),
    };
    let (handed, public) = (Entry::new(Access::HandOver), Entry::new(Access::Public));
    let key = key();
    assert!(!lets_in(&handed, &style(), &nothing, Some(&key)));
    assert!(!lets_in(&handed, &path, &nothing, Some(&key)));
    assert!(lets_in(&handed, &UrlStyle::Port, &nothing, Some(&key)));
    assert!(lets_in(&public, &style(), &nothing, Some(&key)) && lets_in(&public, &style(), &nothing, None));
    // In path style a cookie would be for all sandboxes.
    let with_key = claim("/", &[("x-session-api-key", "key")]);
    assert!(lets_in(&handed, &path, &with_key, Some(&key)));
    let form = claim(ENTER, &[]).with_form(b"key=key");
    assert!(matches!(
        handed.admit(&form, &path, &id(), Endpoint::Work1, of(Some(&key)), NOW),
        Admission::Refuse
    ));
    // A session of an earlier version, whose key nobody here knows.
    assert!(!lets_in(&handed, &style(), &with_key, None));
}

#[test]
fn replicas_with_one_secret_let_in_for_each_other() {
    let shared = || Entry::new(Access::Shared(SecretBox::new(Box::new([7; 32]))));
    let form = claim(ENTER, &[]).with_form(b"key=key");
    let Admission::Answer(answer) = admit(&shared(), &form, Endpoint::Work1) else {
        panic!("not let in");
    };
    let cookie = taken(&answer);
    let with = claim("/", &[("cookie", &cookie)]);
    assert!(passes(&admit(&shared(), &with, Endpoint::Work1)));
    assert!(!passes(&admit(
        &Entry::new(Access::HandOver),
        &with,
        Endpoint::Work1
    )));
}

#[test]
fn links_are_for_who_has_the_key() {
    let entry = Entry::new(Access::HandOver);
    for (path, presented) in [(LINKS, "other"), ("/.podbay/other", "key")] {
        let claim = claim(path, &[("x-session-api-key", presented)]);
        let links = entry.links(
            &claim,
            style().urls(&id(), None),
            &style(),
            &id(),
            Some(&key()),
            NOW,
        );
        assert!(matches!(links, Admission::Refuse), "{path}");
    }
}
