use http::header::{HeaderName, HeaderValue};
use proptest::prelude::*;

use super::*;

fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(
            HeaderName::from_static(name),
            HeaderValue::from_str(value).unwrap(),
        );
    }
    headers
}

fn host_of(
    version: Version,
    method: &Method,
    uri: &str,
    fields: &[(&'static str, &str)],
) -> Result<String, RefusedRequest> {
    RequestHost::of(version, method, &uri.parse().unwrap(), &headers(fields)).map(|host| host.to_string())
}

fn of_http1(uri: &str, fields: &[(&'static str, &str)]) -> Result<String, RefusedRequest> {
    host_of(Version::HTTP_11, &Method::GET, uri, fields)
}

#[test]
fn one_host_is_the_one() {
    assert_eq!(
        of_http1("/", &[("host", "T.example.")]),
        Ok("t.example".to_owned())
    );
    assert_eq!(of_http1("/", &[("host", "t:8080")]), Ok("t:8080".to_owned()));
    assert_eq!(
        of_http1("/", &[("host", "[::1]:8080")]),
        Ok("[::1]:8080".to_owned())
    );
    assert_eq!(of_http1("/", &[("host", "t:")]), Ok("t".to_owned()));
}

#[test]
fn two_hosts_and_none_are_refused() {
    assert_eq!(of_http1("/", &[]), Err(RefusedRequest::NoHost));
    assert_eq!(of_http1("http://t/", &[]), Err(RefusedRequest::NoHost));
    let two = [("host", "t"), ("host", "t")];
    assert_eq!(of_http1("/", &two), Err(RefusedRequest::TwoHosts));
    assert_eq!(
        host_of(Version::HTTP_2, &Method::GET, "http://t/", &two),
        Err(RefusedRequest::TwoHosts)
    );
    assert_eq!(
        host_of(Version::HTTP_10, &Method::GET, "/", &[]),
        Err(RefusedRequest::NoHost)
    );
}

#[test]
fn a_target_with_another_host_is_refused() {
    for (uri, host) in [
        ("http://evil/a", "t"),
        ("http://t:81/a", "t"),
        ("https://t:80/a", "t"),
        ("http://t/a", "t.evil"),
    ] {
        let got = of_http1(uri, &[("host", host)]);
        assert_eq!(got, Err(RefusedRequest::OtherHost), "{uri} {host}");
    }
    assert_eq!(of_http1("http://T:80/a", &[("host", "t")]), Ok("t".to_owned()));
    assert_eq!(
        of_http1("https://t/a", &[("host", "t:443")]),
        Ok("t:443".to_owned())
    );
    assert_eq!(
        host_of(Version::HTTP_2, &Method::GET, "http://evil/a", &[("host", "t")]),
        Err(RefusedRequest::OtherHost)
    );
}

#[test]
fn http2_has_its_host_in_the_target() {
    let of_http2 = |uri: &str, fields: &[_]| host_of(Version::HTTP_2, &Method::GET, uri, fields);
    assert_eq!(of_http2("http://t:1/a", &[]), Ok("t:1".to_owned()));
    assert_eq!(of_http2("/a", &[("host", "t")]), Ok("t".to_owned()));
    assert_eq!(of_http2("/a", &[]), Err(RefusedRequest::NoHost));
}

#[test]
fn what_is_no_host_is_refused() {
    for host in [
        "",
        " ",
        ".",
        "a b",
        "user@t",
        "user:password@t",
        "t:80:90",
        "t:+80",
        "t:99999",
        "t:x",
        "t/..",
        "t?",
        "t#",
        "t,evil",
        "[::1",
        "::1",
        "[t]",
        "t%00",
        "a\\b",
        "*",
    ] {
        let got = of_http1("/", &[("host", host)]);
        assert_eq!(got, Err(RefusedRequest::NotAHost), "{host:?}");
    }
}

#[test]
fn tunnels_and_other_targets_are_refused() {
    let host = [("host", "t")];
    let of = |method, uri| host_of(Version::HTTP_11, method, uri, &host);
    assert_eq!(of(&Method::CONNECT, "t:443"), Err(RefusedRequest::Connect));
    assert_eq!(of(&Method::GET, "t:443"), Err(RefusedRequest::Target));
    assert_eq!(of(&Method::GET, "ftp://t/a"), Err(RefusedRequest::Target));
    assert_eq!(of(&Method::GET, "*"), Err(RefusedRequest::Target));
    assert_eq!(of(&Method::OPTIONS, "*"), Ok("t".to_owned()));
}

#[test]
fn two_lengths_are_refused_where_they_are_seen() {
    let both = [
        ("host", "t"),
        ("content-length", "3"),
        ("transfer-encoding", "chunked"),
    ];
    assert_eq!(of_http1("/", &both), Err(RefusedRequest::TwoLengths));
}

#[test]
fn only_names_of_this_machine_are_its_own() {
    let is = |host: &str| RequestHost::parse(host.as_bytes()).unwrap().is_this_machine();
    assert!(is("localhost:21000") & is("127.0.0.1") & is("[::1]:1") & is("LOCALHOST."));
    assert!(!is("localhost.evil") & !is("127.0.0.2") & !is("evil") & !is("127.0.0.1.evil"));
}

proptest! {
    /// Whatever is accepted reads the same again, and has nothing in it that ends a name for anybody.
    #[test]
    fn what_is_accepted_is_plain(text in "\\PC{0,40}") {
        if let Ok(host) = RequestHost::parse(text.as_bytes()) {
            prop_assert_eq!(RequestHost::parse(host.to_string().as_bytes()), Ok(host.clone()));
            prop_assert!(!host.name().contains(['/', '@', '?', '#', ',', ' ', '\\', '%']));
            prop_assert_eq!(host.name(), host.name().to_ascii_lowercase());
        }
    }
}
