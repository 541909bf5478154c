//! Styles of URLs, over sockets.

use podbay_exec_proxy::listen::{Limits, Listening};
use podbay_exec_proxy::routing::RoutingSettings;
use podbay_exec_proxy::routing::endpoint::Endpoint;
use podbay_exec_proxy::routing::target::Target;
use podbay_exec_proxy::routing::url::{Scheme, UrlStyle};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{KEY, PORTS, Proxy, Scripted, answering, domain, get, id, raw};

fn path_style() -> RoutingSettings {
    RoutingSettings::new(UrlStyle::Path {
        scheme: Scheme::Http,
        host: domain("run.example.test"),
    })
}

fn at(host: &str, path: &str) -> String {
    format!(
        "GET {} HTTP/1.1\r\nHost: {host}\r\nX-Session-API-Key: {KEY}\r\n\r\n",
        path.replace("ID", id().as_str())
    )
}

#[tokio::test]
async fn each_endpoint_has_its_port() {
    let sessions = std::sync::Arc::new(Scripted::default());
    let mut sandboxes = Vec::new();
    for port in [PORTS.server, PORTS.vscode, PORTS.work[0], PORTS.work[1]] {
        let sandbox = raw(move |mut stream, _| async move {
            let mut read = vec![0; 4096];
            let _ = stream.read(&mut read).await;
            let body = port.to_string();
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            let _ = stream.write_all(answer.as_bytes()).await;
        })
        .await;
        sessions.leads("pod-1", port, sandbox.address);
        sandboxes.push(sandbox);
    }
    sessions.is(Some(crate::support::ready("pod-1")));
    let proxy = Proxy::over(&sessions).await;
    let mut client = proxy.client().await;
    for (prefix, port) in [
        ("", "60000"),
        ("vscode-", "60001"),
        ("work-1-", "12000"),
        ("work-2-", "12001"),
    ] {
        let request = at(&format!("{prefix}{}.example.test", id()), "/");
        assert_eq!(client.ask(request).await.1, port);
    }
    let proxy = Proxy::with(&sessions, path_style(), Limits::default(), Listening::default()).await;
    let mut client = proxy.client().await;
    for (path, port) in [
        ("/ID", "60000"),
        ("/ID/vscode/", "60001"),
        ("/ID/work-1/x", "12000"),
        ("/ID/work-2", "12001"),
    ] {
        assert_eq!(client.ask(at("run.example.test", path)).await.1, port);
    }
}

/// OpenSandbox#1515: a redirect from the root left the path of its sandbox.
#[tokio::test]
async fn in_path_style_what_a_sandbox_says_stays_below_its_prefix() {
    let sandbox = raw(|mut stream, _| async move {
        let mut read = vec![0; 4096];
        let count = stream.read(&mut read).await.unwrap();
        let asked = String::from_utf8_lossy(&read[..count]).into_owned();
        let answer = format!(
            "HTTP/1.1 302 Found\r\nLocation: /login?next=/x\r\nSet-Cookie: a=1; Path=/\r\nContent-Length: {}\r\n\r\n{asked}",
            asked.len()
        );
        let _ = stream.write_all(answer.as_bytes()).await;
    })
    .await;
    let sessions = Scripted::serving(sandbox.address);
    let proxy = Proxy::with(&sessions, path_style(), Limits::default(), Listening::default()).await;
    let mut client = proxy.client().await;
    let (head, seen) = client.ask(at("run.example.test", "/ID/a?b=c")).await;
    assert_eq!(
        head.get("location"),
        Some(format!("/{}/login?next=/x", id()).as_str())
    );
    assert_eq!(
        head.get("set-cookie"),
        Some(format!("a=1; Path=/{}", id()).as_str())
    );
    assert!(
        head.get("content-security-policy")
            .unwrap()
            .starts_with("sandbox ")
    );
    assert!(seen.starts_with("GET /a?b=c HTTP/1.1\r\n"), "{seen}");
    assert!(
        seen.contains(&format!("x-forwarded-prefix: /{}\r\n", id())),
        "{seen}"
    );
    // The API's host has no sandboxes, and that of sandboxes no API.
    assert_eq!(client.ask(at("api.example.test", "/ID/a")).await.1, "the API");
    for path in ["/start", "/", "//ID/a", "/%61ID"] {
        assert_eq!(
            client.ask(at("run.example.test", path)).await.0.status,
            404,
            "{path}"
        );
    }
}

/// A name that somebody made up for this machine would have a browser take a sandbox for his own host.
#[tokio::test]
async fn in_port_style_only_this_machine_is_asked() {
    let sandbox = answering().await;
    let sessions = Scripted::serving(sandbox.address);
    let listening = Listening {
        target: Some(Target::of_listener(id(), Endpoint::Server)),
        ..Listening::default()
    };
    let settings = RoutingSettings::new(UrlStyle::Port);
    let proxy = Proxy::with(&sessions, settings, Limits::default(), listening).await;
    let mut client = proxy.client().await;
    let port = proxy.address.port();
    for host in ["localhost", "127.0.0.1", "[::1]", "LOCALHOST"] {
        let (head, body) = client.ask(at(&format!("{host}:{port}"), "/a")).await;
        assert_eq!(head.status, 200, "{host}");
        assert!(body.starts_with("GET /a\n"));
    }
    for host in [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.nip.example",
        "0.0.0.0",
        "10.0.0.1",
    ] {
        assert_eq!(
            client.ask(at(&format!("{host}:{port}"), "/a")).await.0.status,
            421,
            "{host}"
        );
    }
    // Nor does the host say which session is meant.
    assert_eq!(client.ask(get("/")).await.0.status, 421);
}
