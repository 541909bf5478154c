use proptest::prelude::*;

use super::super::domain::Domain;
use super::super::url::Scheme;
use super::*;

fn id() -> RuntimeId {
    RuntimeId::from_random([0xa5; 16])
}

fn host_style(domain: &str, separator: Separator) -> UrlStyle {
    UrlStyle::Host {
        scheme: Scheme::Https,
        domain: domain.parse().unwrap(),
        separator,
    }
}

fn path_style() -> UrlStyle {
    UrlStyle::Path {
        scheme: Scheme::Https,
        host: "run.example.com".parse().unwrap(),
    }
}

/// Who is meant, with `ID` for the id.
fn meant(style: &UrlStyle, host: &str, path: &str) -> Meant {
    let filled = |text: &str| text.replace("ID", id().as_str());
    let host = RequestHost::parse(filled(host).as_bytes()).unwrap();
    style.meant(&host, &filled(path))
}

fn session(endpoint: Endpoint, prefix: &str) -> Meant {
    Meant::Session(Target {
        id: id(),
        endpoint,
        prefix: prefix.replace("ID", id().as_str()),
    })
}

#[test]
fn hosts_below_the_domain_are_sessions() {
    let style = host_style("example.com", Separator::Dot);
    let meant = |host: &str| meant(&style, host, "/");
    assert_eq!(meant("ID.example.com"), session(Endpoint::Server, ""));
    assert_eq!(meant("ID.EXAMPLE.com.:8443"), session(Endpoint::Server, ""));
    assert_eq!(meant("vscode-ID.example.com"), session(Endpoint::VsCode, ""));
    assert_eq!(meant("work-1-ID.example.com"), session(Endpoint::Work1, ""));
    assert_eq!(meant("WORK-2-ID.example.com"), session(Endpoint::Work2, ""));
    for nobody in [
        "www.example.com",
        "work-3-ID.example.com",
        "-ID.example.com",
        "xID.example.com",
        "IDx.example.com",
        "ID.ID.example.com",
        "ID-x.example.com",
        "vscode-work-1-ID.example.com",
        "ID..example.com",
    ] {
        assert_eq!(meant(nobody), Meant::Nobody, "{nobody}");
    }
    for api in [
        "example.com",
        "evil-example.com",
        "ID.example.com.evil",
        "IDexample.com",
        "127.0.0.1",
        "[::1]",
    ] {
        assert_eq!(meant(api), Meant::Api, "{api}");
    }
}

#[test]
fn hosts_beside_the_domain_are_sessions_only_if_they_look_like_one() {
    let style = host_style("run.example.com", Separator::Hyphen);
    let meant = |host: &str| meant(&style, host, "/");
    assert_eq!(meant("ID-run.example.com"), session(Endpoint::Server, ""));
    assert_eq!(meant("work-1-ID-run.example.com"), session(Endpoint::Work1, ""));
    for api in [
        "api-run.example.com",
        "run.example.com",
        "ID.run.example.com",
        "-run.example.com",
    ] {
        assert_eq!(meant(api), Meant::Api, "{api}");
    }
}

#[test]
fn the_first_segment_is_the_session_and_nothing_is_decoded() {
    let meant = |path: &str| meant(&path_style(), "run.example.com", path);
    for (path, endpoint, prefix) in [
        ("/ID", Endpoint::Server, "/ID"),
        ("/ID/", Endpoint::Server, "/ID"),
        ("/ID/alive", Endpoint::Server, "/ID"),
        ("/ID/vscode", Endpoint::VsCode, "/ID/vscode"),
        ("/ID/vscode/x", Endpoint::VsCode, "/ID/vscode"),
        ("/ID/vscodex", Endpoint::Server, "/ID"),
        ("/ID/vscode/connection_token", Endpoint::Server, "/ID"),
        ("/ID/vscode/connection_token/", Endpoint::VsCode, "/ID/vscode"),
        ("/ID//vscode", Endpoint::Server, "/ID"),
        ("/ID/work-2/../x", Endpoint::Work2, "/ID/work-2"),
        ("/ID/../0", Endpoint::Server, "/ID"),
    ] {
        assert_eq!(meant(path), session(endpoint, prefix), "{path}");
    }
    for nobody in [
        "/",
        "//ID",
        "/./ID",
        "/%61ID",
        "/ID%2f",
        "/ID;x",
        "/IDx",
        "*",
        "/api/sessions",
        "/../ID",
    ] {
        assert_eq!(meant(nobody), Meant::Nobody, "{nobody}");
    }
    assert_eq!(
        super::tests::meant(&path_style(), "api.example.com", "/ID/alive"),
        Meant::Api
    );
}

#[test]
fn the_sandbox_sees_its_own_paths() {
    let asked = |path: &str| {
        let path: PathAndQuery = path.replace("ID", id().as_str()).parse().unwrap();
        let Meant::Session(target) = meant(&path_style(), "run.example.com", path.path()) else {
            panic!("{path}");
        };
        target.path_in_sandbox(Some(&path)).to_string()
    };
    assert_eq!(asked("/ID"), "/");
    assert_eq!(asked("/ID?a=/b"), "/?a=/b");
    assert_eq!(asked("/ID/"), "/");
    assert_eq!(asked("/ID/a%2fb//c?d"), "/a%2fb//c?d");
    assert_eq!(asked("/ID/work-1/a"), "/a");
    assert_eq!(asked("/ID/work-1?q"), "/?q");
    assert_eq!(asked("/ID/vscode/a?tkn=t"), "/a?tkn=t");
    // V0's clients ask the session's server for VS Code's token, at a path of its own.
    assert_eq!(asked("/ID/vscode/connection_token"), "/vscode/connection_token");
}

proptest! {
    /// Each URL that is given leads back to its session and endpoint, and what is below it to the same.
    #[test]
    fn each_url_leads_back(
        bytes in any::<[u8; 16]>(),
        hyphen in any::<bool>(),
        by_path in any::<bool>(),
        domain in "[a-z0-9]{1,5}(-[a-z0-9]{1,5})?(\\.[a-z]{2,5}){1,2}",
        below in "(/[a-z0-9%.-]{0,8}){0,3}",
    ) {
        let id = RuntimeId::from_random(bytes);
        let domain: Domain = domain.parse().unwrap();
        let scheme = Scheme::Https;
        let style = if by_path {
            UrlStyle::Path { scheme, host: domain }
        } else {
            let separator = if hyphen { Separator::Hyphen } else { Separator::Dot };
            UrlStyle::Host { scheme, domain, separator }
        };
        let urls = style.urls(&id, None).unwrap();
        let [first, second] = urls.work.clone();
        for (endpoint, url) in Endpoint::ALL.into_iter().zip([urls.server, urls.vscode, first, second]) {
            let url: http::Uri = format!("{url}{below}").parse().unwrap();
            let host = RequestHost::parse(url.authority().unwrap().as_str().as_bytes()).unwrap();
            // In path style another endpoint's name may stand in what is below the server's.
            let path = if endpoint == Endpoint::Server && by_path { format!("/{id}") } else { url.path().to_owned() };
            let Meant::Session(target) = style.meant(&host, &path) else {
                return Err(TestCaseError::fail(format!("{url}")));
            };
            prop_assert_eq!((&target.id, target.endpoint), (&id, endpoint));
            if endpoint != Endpoint::Server {
                let expected = if below.is_empty() { "/" } else { below.as_str() };
                let seen = target.path_in_sandbox(url.path_and_query()).to_string();
                prop_assert_eq!(seen, expected);
            }
        }
    }

    /// Whatever is asked for, a session is meant only by its own id, written out.
    #[test]
    fn nobody_is_meant_by_chance(host in "[a-z0-9.-]{1,60}", path in "/[ -~]{0,60}") {
        let Ok(host) = RequestHost::parse(host.as_bytes()) else { return Ok(()) };
        for style in [host_style("example.com", Separator::Dot), host_style("example.com", Separator::Hyphen), path_style()] {
            if let Meant::Session(target) = style.meant(&host, &path) {
                let id = target.id.as_str();
                prop_assert!(host.name().contains(id) || path[1..].starts_with(id));
            }
        }
    }
}
