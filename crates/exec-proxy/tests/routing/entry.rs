//! Who may see what a program in a sandbox serves, over sockets.

use std::sync::Arc;

use podbay_exec_proxy::listen::{Limits, Listening};
use podbay_exec_proxy::routing::{Access, Router};

use crate::support::{KEY, PORTS, Proxy, Scripted, answering, get, host, id, settings};

fn work(path: &str, fields: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: work-1-{}.example.test\r\n{fields}\r\n",
        id()
    )
}

const BROWSER: &str = "Accept: text/html\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Site: none\r\n";

async fn serving() -> (crate::support::Sandbox, Arc<Scripted>, Proxy) {
    let sandbox = answering().await;
    let sessions = Scripted::serving(sandbox.address);
    sessions.leads("pod-1", PORTS.work[0], sandbox.address);
    sessions.leads("pod-1", PORTS.vscode, sandbox.address);
    let proxy = Proxy::over(&sessions).await;
    (sandbox, sessions, proxy)
}

#[tokio::test]
async fn a_browser_is_let_in_by_a_link_and_the_sandbox_sees_neither_key_nor_cookie() {
    let (sandbox, _sessions, proxy) = serving().await;
    let mut client = proxy.client().await;
    let (head, body) = client.ask(work("/", BROWSER)).await;
    assert_eq!(head.status, 403);
    // The form says where it stood, to this host alone.
    assert_eq!(head.get("referrer-policy"), Some("same-origin"));
    assert!(
        body.contains("<form method=\"post\" action=\"/.podbay/enter\">"),
        "{body}"
    );
    assert_eq!(sandbox.connections(), 0);

    let with_key =
        get("/.podbay/links").replace("\r\n\r\n", &format!("\r\nX-Session-API-Key: {KEY}\r\n\r\n"));
    assert_eq!(client.ask(get("/.podbay/links")).await.0.status, 403);
    let (head, links) = client.ask(with_key).await;
    assert_eq!(head.status, 200);
    assert!(!links.contains(KEY));
    let links: serde_json::Value = serde_json::from_str(&links).unwrap();
    let link = links["work"][0].as_str().unwrap();
    let path = &link[link.find("/.podbay").unwrap()..];
    let (head, _) = client.ask(work(path, BROWSER)).await;
    assert_eq!((head.status, head.get("location")), (303, Some("/")));
    let cookie = head.cookie().to_owned();
    assert_eq!(sandbox.connections(), 0);

    let fields = format!("{BROWSER}Cookie: theirs=1; {cookie}\r\n");
    let (head, seen) = client.ask(work("/app", &fields)).await;
    assert_eq!(head.status, 200);
    assert!(
        seen.contains("cookie: theirs=1\n") && !seen.contains("podbay"),
        "{seen}"
    );
    // The link works no longer, and a page of a sibling may not use the cookie.
    assert_eq!(client.ask(work(path, BROWSER)).await.0.status, 403);
    let sibling = format!("Cookie: {cookie}\r\nOrigin: http://{}\r\n", host());
    assert_eq!(client.ask(work("/app", &sibling)).await.0.status, 403);
}

#[tokio::test]
async fn the_key_in_a_form_lets_a_browser_in() {
    let (_sandbox, _sessions, proxy) = serving().await;
    let mut client = proxy.client().await;
    for (key, status) in [("wrong", 403), (KEY, 303)] {
        let form = format!("key={key}");
        let id = id();
        let request = format!(
            "POST /.podbay/enter HTTP/1.1\r\nHost: work-1-{id}.example.test\r\n\
             Referer: http://work-1-{id}.example.test/app?a=b\r\nContent-Length: {}\r\n\r\n{form}",
            form.len()
        );
        let (head, _) = client.ask(request).await;
        // To the page that showed the form.
        let location = (status == 303).then_some("/app?a=b");
        assert_eq!((head.status, head.get("location")), (status, location));
    }
    // A page shows the form again to who has typed a wrong one, and knows where it began.
    let wrong = |form: &str, referer: &str| {
        let host = format!("work-1-{}.example.test", id());
        format!(
            "POST /.podbay/enter HTTP/1.1\r\nHost: {host}\r\nReferer: http://{host}{referer}\r\n{BROWSER}\
             Content-Length: {}\r\n\r\n{form}",
            form.len()
        )
    };
    let (head, page) = client.ask(wrong("key=wrong", "/app?a=%22&b")).await;
    assert_eq!(head.status, 403);
    assert!(
        page.contains("action=\"/.podbay/enter\"")
            && page.contains("<input type=\"hidden\" name=\"back\" value=\"/app?a=%22&#38;b\">"),
        "{page}"
    );
    let again = format!("key={KEY}&back=%2Fapp%3Fa%3D%2522%26b");
    let (head, _) = client.ask(wrong(&again, "/.podbay/enter")).await;
    assert_eq!((head.status, head.get("location")), (303, Some("/app?a=%22&b")));
    // The longest address that browsers tell, as they write it.
    let long = format!("/{}", "&".repeat(4095));
    let (_, page) = client.ask(wrong("key=wrong", &long)).await;
    assert!(page.contains(&"&#38;".repeat(4095)));
    let again = format!("key={KEY}&back=%2F{}", "%26".repeat(4095));
    let (head, _) = client.ask(wrong(&again, "/.podbay/enter")).await;
    assert_eq!((head.status, head.get("location")), (303, Some(long.as_str())));
    let large = format!(
        "POST /.podbay/enter HTTP/1.1\r\nHost: work-1-{}.example.test\r\nContent-Length: 20000\r\n\r\n{}",
        id(),
        "key=".repeat(5000)
    );
    assert_eq!(client.ask(large).await.0.status, 403);
}

#[tokio::test]
async fn a_program_with_the_key_is_let_in_and_the_program_in_the_sandbox_does_not_get_it() {
    let (_sandbox, _sessions, proxy) = serving().await;
    let mut client = proxy.client().await;
    let (head, seen) = client
        .ask(work("/a", &format!("X-Session-API-Key: {KEY}\r\n")))
        .await;
    assert_eq!(head.status, 200);
    assert!(!seen.contains(KEY), "{seen}");
    let (head, body) = client.ask(work("/a", "")).await;
    assert_eq!(head.status, 403);
    assert!(body.starts_with("{\"detail\":"), "{body}");
}

/// OpenHands' V1 app makes the link to VS Code with the session's key as its token.
#[tokio::test]
async fn the_token_of_vscode_lets_a_browser_in_and_stays() {
    let (_sandbox, _sessions, proxy) = serving().await;
    let mut client = proxy.client().await;
    let vscode = |path: &str, fields: &str| {
        format!(
            "GET {path} HTTP/1.1\r\nHost: vscode-{}.example.test\r\n{BROWSER}{fields}\r\n",
            id()
        )
    };
    let (head, seen) = client
        .ask(vscode(&format!("/?tkn={KEY}&folder=%2Fworkspace"), ""))
        .await;
    assert_eq!(head.status, 200);
    assert!(
        seen.starts_with(&format!("GET /?tkn={KEY}&folder=%2Fworkspace\n")),
        "{seen}"
    );
    let cookie = head.cookie().to_owned();
    let (head, _) = client
        .ask(vscode("/static/x.js", &format!("Cookie: {cookie}\r\n")))
        .await;
    assert_eq!(head.status, 200);
    assert_eq!(client.ask(vscode("/static/x.js", "")).await.0.status, 403);
}

#[tokio::test]
async fn where_all_is_public_the_url_is_enough() {
    let (_sandbox, sessions, _) = serving().await;
    let proxy = Proxy::of(
        Router::new(Arc::clone(&sessions), settings()).with_access(Access::Public),
        Limits::default(),
        Listening::default(),
    )
    .await;
    let (head, seen) = proxy.client().await.ask(work("/.podbay/enter", "")).await;
    assert_eq!(head.status, 200);
    assert!(seen.starts_with("GET /.podbay/enter\n"), "{seen}");
}
