//! Headers, both ways: the first line has options, each other one is a header.
//!
//! `p` puts the sandbox below a prefix; the same headers are then filtered as those of an answer.

#![no_main]

use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode, Version};
use libfuzzer_sys::fuzz_target;
use podbay_exec_proxy::listen::request::RequestHost;
use podbay_exec_proxy::routing::endpoint::Endpoint;
use podbay_exec_proxy::routing::headers::{AnswerFrom, Asker, from_sandbox, to_sandbox};
use podbay_exec_proxy::routing::target::Target;
use podbay_exec_proxy::routing::url::Scheme;
use podbay_fuzz::header_model::{Field, cookies, is_ours, is_passed_on, is_protected, options};
use podbay_fuzz::script::Script;

const PREFIX: &str = "/0123456789abcdef0123456789abcdef";

fn fields(headers: &HeaderMap) -> Vec<Field> {
    headers
        .iter()
        .map(|(name, value)| {
            (
                name.to_string(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            )
        })
        .collect()
}

fn values<'a>(fields: &'a [Field], name: &'a str) -> Vec<&'a str> {
    fields
        .iter()
        .filter(|field| field.0 == name)
        .map(|field| field.1.as_str())
        .collect()
}

fn check_request(mut headers: HeaderMap, target: &Target, host: &RequestHost) {
    let before = fields(&headers);
    let options = options(&before);
    let asker = Asker {
        address: [10, 0, 0, 9].into(),
        scheme: Scheme::Https,
        is_proxy: false,
    };
    let passed = to_sandbox(&mut headers, Version::HTTP_11, host, target, &asker);
    let Ok(upgrade) = passed else {
        assert!(
            options
                .iter()
                .any(|option| is_protected(option) || HeaderName::try_from(option).is_err()),
            "{before:?} is refused"
        );
        return;
    };
    assert!(
        !options.iter().any(|option| is_protected(option)),
        "{before:?} is passed on"
    );
    let after = fields(&headers);
    if upgrade.is_some() {
        assert!(options.contains(&"upgrade".to_owned()));
        assert_eq!(values(&after, "connection"), ["Upgrade"]);
        assert_eq!(values(&after, "upgrade").len(), 1);
        for protocol in values(&after, "upgrade")[0].split(',') {
            let name = protocol.split('/').next().unwrap().trim().to_lowercase();
            assert!(!["h2c", "h2", "http"].contains(&name.as_str()), "{protocol}");
        }
    }
    // Ours, which are told anew.
    let told = [
        "connection",
        "cookie",
        "upgrade",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-forwarded-prefix",
    ];
    let others = |fields: &[Field]| -> Vec<Field> {
        let mut others: Vec<Field> = fields
            .iter()
            .filter(|field| !told.contains(&field.0.as_str()))
            .cloned()
            .collect();
        // Of one name the order counts, and of different ones it does not.
        others.sort_by(|one, other| one.0.cmp(&other.0));
        others
    };
    let mut expected = others(&before);
    expected.retain(|(name, _)| is_passed_on(name, &options));
    if values(&expected, "host").is_empty() {
        expected.push(("host".to_owned(), host.to_string()));
        expected.sort_by(|one, other| one.0.cmp(&other.0));
    }
    assert_eq!(others(&after), expected);
    let kept = cookies(&before);
    assert!(values(&after, "cookie").len() <= 1);
    let seen: Vec<String> = cookies(&after);
    assert_eq!(seen, kept);
    assert!(
        !values(&after, "cookie")
            .iter()
            .any(|value| value.split(';').any(is_ours))
    );
    assert_eq!(values(&after, "x-forwarded-for"), ["10.0.0.9"]);
    assert_eq!(values(&after, "x-forwarded-proto"), ["https"]);
}

fn check_answer(mut headers: HeaderMap, host: &RequestHost, prefix: &str) {
    let from = AnswerFrom {
        host,
        prefix,
        trusted_single_tenant: false,
    };
    from_sandbox(&mut headers, StatusCode::OK, &from);
    let after = fields(&headers);
    for name in [
        "connection",
        "transfer-encoding",
        "upgrade",
        "keep-alive",
        "alt-svc",
        "clear-site-data",
    ] {
        assert!(values(&after, name).is_empty(), "{name}");
    }
    for cookie in values(&after, "set-cookie") {
        let mut parts = cookie.split(';').map(|part| part.trim_matches([' ', '\t']));
        assert!(!is_ours(parts.next().unwrap()), "{cookie}");
        for part in parts {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let name = name.trim_matches([' ', '\t']).to_lowercase();
            assert!(name != "domain" || !part.contains('='), "{cookie}");
            let value = value.trim_matches([' ', '\t']);
            let is_below = value == prefix
                || value.starts_with(&format!("{prefix}/"))
                || value.starts_with(&format!("{prefix}?"))
                || value.starts_with(&format!("{prefix}#"));
            assert!(
                name != "path" || !part.contains('=') || prefix.is_empty() || is_below,
                "{cookie}"
            );
        }
    }
    if prefix.is_empty() {
        return;
    }
    assert!(
        values(&after, "content-security-policy")
            .iter()
            .any(|policy| policy.starts_with("sandbox"))
    );
    assert!(values(&after, "service-worker-allowed").is_empty());
    for location in values(&after, "location").into_iter().take(1) {
        let is_path = location.starts_with('/') && !location[1..].starts_with(['/', '\\']);
        assert!(!is_path || location.starts_with(prefix), "{location}");
    }
}

fuzz_target!(|data: &[u8]| {
    let script = Script::new(data);
    let mut headers = HeaderMap::new();
    for line in script.rest.split(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let name = HeaderName::from_bytes(&line[..colon]);
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    let prefix = if script.has(b'p') { PREFIX } else { "" };
    let target = Target {
        id: PREFIX[1..].parse().unwrap(),
        endpoint: Endpoint::Server,
        prefix: prefix.to_owned(),
    };
    let host = RequestHost::parse(b"run.example:8443").unwrap();
    check_request(headers.clone(), &target, &host);
    check_answer(headers, &host, prefix);
});
