//! Headers of a request on its way to a sandbox.

use std::net::IpAddr;

use http::header::{EXPECT, FORWARDED, HOST, HeaderName};
use http::{HeaderMap, HeaderValue, Version};

use super::connection::{ConnectionOptions, RefusedHeader, Upgrade};
use super::{HOP_BY_HOP, cookies};
use crate::listen::request::RequestHost;
use crate::routing::endpoint::Endpoint;
use crate::routing::target::Target;
use crate::routing::url::Scheme;

/// The header with the key of the API, which no sandbox ever sees: whoever has it can stop all of its owner's sessions.
pub const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// The header with the session's key, which the sandbox's own server checks.
pub const SESSION_KEY: HeaderName = HeaderName::from_static("x-session-api-key");

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// What a client must not tell a sandbox about itself unless it is a proxy that is trusted.
const TOLD_BY_PROXIES: [HeaderName; 8] = [
    FORWARDED,
    FORWARDED_FOR,
    FORWARDED_HOST,
    FORWARDED_PROTO,
    HeaderName::from_static("x-forwarded-port"),
    HeaderName::from_static("x-forwarded-prefix"),
    HeaderName::from_static("x-forwarded-server"),
    HeaderName::from_static("x-real-ip"),
];

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asker {
    /// The address that the connection comes from.
    pub address: IpAddr,
    /// Whether it came with TLS.
    pub scheme: Scheme,
    /// Whether that address is a proxy's, whose word on who asks is taken.
    pub is_proxy: bool,
}

/// Makes of the headers of a request those that the sandbox gets. What came with an upgrade is asked for again.
pub fn to_sandbox(
    headers: &mut HeaderMap,
    version: Version,
    host: &RequestHost,
    target: &Target,
    asker: &Asker,
) -> Result<Option<Upgrade>, RefusedHeader> {
    let options = ConnectionOptions::of_request(headers)?;
    let upgrade = Upgrade::of_request(version, &options, headers);
    for name in options.named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
    headers.remove(API_KEY);
    // What a program in the sandbox serves is not the session's server.
    if target.endpoint != Endpoint::Server {
        headers.remove(SESSION_KEY);
    }
    headers.remove("http2-settings");
    // Answered by our server as soon as the sandbox takes the body.
    headers.remove(EXPECT);
    remove_look_alikes(headers);
    cookies::remove_own(headers);
    tell_who_asks(headers, host, asker);
    target.tell_prefix(headers);
    if !headers.contains_key(HOST)
        && let Ok(host) = HeaderValue::from_str(&host.to_string())
    {
        headers.insert(HOST, host);
    }
    if let Some(upgrade) = &upgrade {
        upgrade.ask(headers);
    }
    Ok(upgrade)
}

/// Many servers make variables of headers, in which a hyphen and an underscore are the same.
fn remove_look_alikes(headers: &mut HeaderMap) {
    let stands_for_ours = |name: &HeaderName| {
        let text = name.as_str();
        text.contains('_') && {
            let meant = text.replace('_', "-");
            meant == API_KEY.as_str()
                || meant == SESSION_KEY.as_str()
                || TOLD_BY_PROXIES.iter().any(|told| told.as_str() == meant)
        }
    };
    let alike: Vec<HeaderName> = headers
        .keys()
        .filter(|name| stands_for_ours(name))
        .cloned()
        .collect();
    for name in alike {
        headers.remove(name);
    }
}

fn tell_who_asks(headers: &mut HeaderMap, host: &RequestHost, asker: &Asker) {
    if !asker.is_proxy {
        for name in &TOLD_BY_PROXIES {
            headers.remove(name);
        }
    }
    let address = asker.address.to_canonical().to_string();
    let before = joined(headers, &FORWARDED_FOR);
    let chain = before.map_or(address.clone(), |before| format!("{before}, {address}"));
    let told = [
        (FORWARDED_FOR, Some(chain)),
        (
            FORWARDED_HOST,
            Some(host.to_string()).filter(|_| !headers.contains_key(FORWARDED_HOST)),
        ),
        (
            FORWARDED_PROTO,
            Some(asker.scheme.as_str().to_owned()).filter(|_| !headers.contains_key(FORWARDED_PROTO)),
        ),
    ];
    for (name, value) in told {
        if let Some(Ok(value)) = value.map(HeaderValue::try_from) {
            headers.insert(name, value);
        }
    }
}

/// All values of a header as one list.
fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let values: Vec<&str> = headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    (!values.is_empty()).then(|| values.join(", "))
}

#[cfg(test)]
mod tests {
    use podbay_manifests::RuntimeId;
    use proptest::prelude::*;

    use super::*;

    fn target(prefix: &str) -> Target {
        Target {
            id: RuntimeId::from_random([1; 16]),
            endpoint: Endpoint::Server,
            prefix: prefix.to_owned(),
        }
    }

    fn asker(is_proxy: bool) -> Asker {
        Asker {
            address: [10, 0, 0, 9].into(),
            scheme: Scheme::Https,
            is_proxy,
        }
    }

    fn passed(fields: &[(&str, &str)], is_proxy: bool) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        let host = RequestHost::parse(b"t:8443").unwrap();
        to_sandbox(
            &mut headers,
            Version::HTTP_11,
            &host,
            &target(""),
            &asker(is_proxy),
        )
        .unwrap();
        let mut passed: Vec<String> = headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        passed.sort();
        passed
    }

    const TOLD: [&str; 3] = [
        "x-forwarded-for: 10.0.0.9",
        "x-forwarded-host: t:8443",
        "x-forwarded-proto: https",
    ];

    /// OpenSandbox#1689 and #1502: the key of the tenant, and headers that a router goes by, reached the sandbox.
    #[test]
    fn the_key_of_the_api_does_not_reach_a_sandbox() {
        let fields = [
            ("host", "t:8443"),
            ("x-api-key", "secret"),
            ("x_api_key", "secret"),
            ("cookie", "__Host-podbay-1=secret"),
            ("proxy-authorization", "secret"),
            ("x-session-api-key", "key"),
            ("x-session_api-key", "other"),
            ("authorization", "Bearer of-the-application"),
            ("x-custom", "stays"),
            ("x_custom", "stays"),
        ];
        let mut expected = vec![
            "authorization: Bearer of-the-application",
            "host: t:8443",
            "x-custom: stays",
            "x-session-api-key: key",
            "x_custom: stays",
        ];
        expected.extend(TOLD);
        expected.sort_unstable();
        assert_eq!(passed(&fields, false), expected);
    }

    /// pingora#674, #713, #945: headers of one connection were passed on to the next.
    #[test]
    fn what_is_about_a_connection_stays_on_it() {
        let fields = [
            ("host", "t:8443"),
            ("connection", "close, x-hop"),
            ("x-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("trailer", "x"),
            ("upgrade", "websocket"),
            ("transfer-encoding", "chunked"),
            ("http2-settings", "AAMAAABkAARAAAAAAAIAAAAA"),
            ("expect", "100-continue"),
            ("proxy-connection", "keep-alive"),
        ];
        let mut expected = vec!["host: t:8443"];
        expected.extend(TOLD);
        assert_eq!(passed(&fields, false), expected);
    }

    #[test]
    fn an_upgrade_is_asked_for_again() {
        let fields = [
            ("host", "t:8443"),
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-key", "k"),
            ("sec-websocket-protocol", "p"),
        ];
        let passed = passed(&fields, false);
        for expected in [
            "connection: Upgrade",
            "upgrade: websocket",
            "sec-websocket-key: k",
            "sec-websocket-protocol: p",
        ] {
            assert!(passed.iter().any(|field| field == expected), "{passed:?}");
        }
    }

    #[test]
    fn only_a_proxy_is_believed_who_asks() {
        let fields = [
            ("host", "t:8443"),
            ("x-forwarded-for", "1.2.3.4"),
            ("x-forwarded-proto", "http"),
            ("x_forwarded_proto", "http"),
            ("forwarded", "for=1.2.3.4"),
            ("x-real-ip", "1.2.3.4"),
        ];
        assert_eq!(passed(&fields, false)[1..], TOLD);
        assert_eq!(
            passed(&fields, true),
            [
                "forwarded: for=1.2.3.4",
                "host: t:8443",
                "x-forwarded-for: 1.2.3.4, 10.0.0.9",
                "x-forwarded-host: t:8443",
                "x-forwarded-proto: http",
                "x-real-ip: 1.2.3.4",
            ]
        );
    }

    #[test]
    fn the_sandbox_learns_its_prefix_and_its_host() {
        let mut headers = HeaderMap::new();
        let host = RequestHost::parse(b"t").unwrap();
        to_sandbox(
            &mut headers,
            Version::HTTP_2,
            &host,
            &target("/ID"),
            &asker(false),
        )
        .unwrap();
        assert_eq!(headers["x-forwarded-prefix"], "/ID");
        assert_eq!(headers["host"], "t");
    }

    proptest! {
        /// Whatever is sent: what a sandbox gets has none of our secrets, one host, and nothing of the connection but an upgrade.
        #[test]
        fn no_secret_is_passed_on(fields in prop::collection::vec((
            "(connection|upgrade|x[-_]api[-_]key|x-session-api-key|cookie|te|keep-alive|transfer-encoding|x-[a-c]|host)",
            "(close|upgrade|websocket|h2c|x-api-key|podbay-a=secret|__host-podbay-a=secret; b=1|x-[a-c]|[ -~]{0,12})(, (close|upgrade|x-[a-c]))?",
        ), 0..8)) {
            let mut headers = HeaderMap::new();
            for (name, value) in &fields {
                headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
            }
            let host = RequestHost::parse(b"t").unwrap();
            let upgrade = to_sandbox(&mut headers, Version::HTTP_11, &host, &target(""), &asker(false));
            if let Ok(upgrade) = upgrade {
                prop_assert!(headers.get("x-api-key").is_none() && headers.get("x_api_key").is_none());
                prop_assert!(cookies::own_cookies(&headers, "podbay-a").next().is_none());
                let kept = HOP_BY_HOP.iter().filter(|name| headers.contains_key(*name)).count();
                prop_assert_eq!(kept, if upgrade.is_some() { 2 } else { 0 });
            }
        }
    }
}
