//! Hosts and paths of requests: the first line is a host, each other one a path.
//!
//! `ID` stands for a runtime id, so that mutations need not find one.

#![no_main]

use http::uri::PathAndQuery;
use libfuzzer_sys::fuzz_target;
use podbay_exec_proxy::listen::request::RequestHost;
use podbay_exec_proxy::routing::endpoint::Endpoint;
use podbay_exec_proxy::routing::target::{Meant, Target};
use podbay_exec_proxy::routing::url::{Scheme, Separator, UrlStyle};
use podbay_fuzz::route_model::{self, Session};

const DOMAIN: &str = "run.example";
const ID: &str = "0123456789abcdef0123456789abcdef";
/// Paths that are looked at.
const MOST_PATHS: usize = 8;

fn styles() -> [UrlStyle; 3] {
    let domain = || DOMAIN.parse().unwrap();
    let scheme = Scheme::Https;
    let host = |separator| UrlStyle::Host {
        scheme,
        domain: domain(),
        separator,
    };
    [
        host(Separator::Dot),
        host(Separator::Hyphen),
        UrlStyle::Path {
            scheme,
            host: domain(),
        },
    ]
}

fn session(target: &Target) -> Session {
    Session {
        id: target.id.to_string(),
        endpoint: target.endpoint.name().to_owned(),
    }
}

fn check_host(host: &RequestHost, path: &str) {
    let [dot, hyphen, _] = styles();
    for (style, separator) in [(dot, "."), (hyphen, "-")] {
        let expected = route_model::by_host(host.name(), separator, DOMAIN);
        match style.meant(host, path) {
            Meant::Session(target) => {
                assert_eq!(Some(session(&target)), expected, "{host}");
                assert_eq!(target.prefix, "");
            }
            Meant::Api | Meant::Nobody => assert_eq!(expected, None, "{host}"),
        }
        // Nobody reaches the API by a name below the domain.
        let is_below = host.name().len() > DOMAIN.len() + 1 && host.name().ends_with(&format!(".{DOMAIN}"));
        if separator == "." && is_below {
            assert_ne!(style.meant(host, path), Meant::Api, "{host}");
        }
    }
}

fn check_path(host: &RequestHost, path: &PathAndQuery) {
    let [.., style] = styles();
    let meant = style.meant(host, path.path());
    if host.name() != DOMAIN {
        assert_eq!(meant, Meant::Api);
        return;
    }
    let expected = route_model::by_path(path.path());
    let Meant::Session(target) = meant else {
        assert_eq!(meant, Meant::Nobody);
        assert_eq!(expected, None, "{path}");
        return;
    };
    let (meant, below) = expected.unwrap();
    assert_eq!(session(&target), meant, "{path}");
    let seen = target.path_in_sandbox(Some(path));
    let below = if below.is_empty() { "/" } else { &below };
    assert_eq!((seen.path(), seen.query()), (below, path.query()), "{path}");
}

fn check_urls(id: &str) {
    let Ok(id) = id.parse() else { return };
    for style in styles() {
        let urls = style.urls(&id, None).unwrap();
        let [first, second] = urls.work;
        for (endpoint, url) in Endpoint::ALL
            .into_iter()
            .zip([urls.server, urls.vscode, first, second])
        {
            let url: http::Uri = url.parse().unwrap();
            let host = RequestHost::parse(url.authority().unwrap().as_str().as_bytes()).unwrap();
            let Meant::Session(target) = style.meant(&host, url.path()) else {
                panic!("{url} means nobody");
            };
            assert_eq!((&target.id, target.endpoint), (&id, endpoint));
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data).replace("ID", ID);
    let mut lines = text.split('\n');
    let host = lines.next().unwrap_or_default();
    let expected = route_model::host(host);
    let parsed = RequestHost::parse(host.as_bytes());
    let Ok(parsed) = parsed else {
        assert_eq!(expected, None, "{host:?} is a host");
        return;
    };
    let (name, port) = expected.unwrap_or_else(|| panic!("{host:?} is no host"));
    assert_eq!((parsed.name(), parsed.port()), (name.as_str(), port));
    for path in lines.take(MOST_PATHS) {
        if let Ok(path) = PathAndQuery::try_from(path) {
            check_host(&parsed, path.path());
            check_path(&parsed, &path);
        }
    }
    check_host(&parsed, "/");
    check_urls(name.get(..32).unwrap_or_default());
});
