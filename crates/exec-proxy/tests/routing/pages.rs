//! What a browser sees of a paused session, and what a person can do about it; and work ports that are public by choice.

use std::sync::Arc;
use std::time::Duration;

use podbay_exec_proxy::listen::{Limits, Listening};
use podbay_exec_proxy::routing::RoutingSettings;
use podbay_exec_proxy::routing::url::{Scheme, UrlStyle};
use podbay_exec_proxy::sessions::NotWoken;
use podbay_runtime::SessionState;

use crate::support::{Client, KEY, PORTS, Proxy, Scripted, answering, domain, host, id, ready, settings};

const BROWSER: &str = "Accept: text/html\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Site: none\r\n";

async fn over(sessions: &Arc<Scripted>, settings: RoutingSettings) -> Proxy {
    let mut settings = settings;
    settings.hold.browser = Duration::from_millis(20);
    settings.hold.starting = Duration::from_millis(50);
    Proxy::with(sessions, settings, Limits::default(), Listening::default()).await
}

fn work() -> String {
    format!("work-1-{}.example.test", id())
}

fn get(host: &str, path: &str, fields: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n")
}

fn post(host: &str, path: &str, fields: &str, form: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\n{fields}Content-Length: {}\r\n\r\n{form}",
        form.len()
    )
}

/// A cookie that lets a browser see the first work port.
async fn let_in(client: &mut Client) -> String {
    let (head, _) = client
        .ask(post(&work(), "/.podbay/enter", "", &format!("key={KEY}")))
        .await;
    assert_eq!(head.status, 303);
    head.cookie().to_owned()
}

#[tokio::test]
async fn a_browser_gets_a_page_with_a_button_and_the_key_behind_it_wakes() {
    let sessions = Arc::new(Scripted::default());
    sessions.is_in(SessionState::Paused);
    let proxy = over(&sessions, settings()).await;
    let mut client = proxy.client().await;
    let (head, page) = client.ask(get(&host(), "/", BROWSER)).await;
    assert_eq!(head.status, 503);
    assert!(
        page.contains("action=\"/.podbay/wake\"")
            && page.contains("type=\"password\"")
            && page.contains("<button>"),
        "{page}"
    );
    assert_eq!(sessions.wakes(), 0);
    let fields = format!("{BROWSER}Referer: http://{}/app\r\n", host());
    for (refused, has_form) in [
        (post(&host(), "/.podbay/wake", &fields, "key=wrong"), true),
        (post(&host(), "/.podbay/wake", &fields, ""), true),
        (get(&host(), &format!("/.podbay/wake?key={KEY}"), BROWSER), false),
        (get(&host(), "/.podbay/links", BROWSER), false),
    ] {
        let (head, page) = client.ask(refused).await;
        assert_eq!(head.status, 403);
        // The same again: on the session's own URL nobody is let in.
        let shown =
            page.contains("action=\"/.podbay/wake\"") && page.contains("name=\"back\" value=\"/app\"");
        assert_eq!((shown, page.contains("<form")), (has_form, has_form), "{page}");
    }
    assert_eq!(sessions.wakes(), 0);
    let form = format!("key={KEY}&back=%2Fapp");
    let (head, _) = client.ask(post(&host(), "/.podbay/wake", BROWSER, &form)).await;
    assert_eq!((head.status, head.get("location")), (303, Some("/app")));
    assert_eq!(sessions.wakes(), 1);
}

#[tokio::test]
async fn a_browser_that_was_let_in_wakes_by_the_button_and_by_nothing_else() {
    let sessions = Arc::new(Scripted::default());
    sessions.is_in(SessionState::Paused);
    let proxy = over(&sessions, settings()).await;
    let mut client = proxy.client().await;
    let cookie = let_in(&mut client).await;
    let fields = format!("{BROWSER}Cookie: {cookie}\r\n");
    let (head, page) = client.ask(get(&work(), "/", &fields)).await;
    assert_eq!(head.status, 503);
    assert!(
        page.contains("action=\"/.podbay/wake\"") && !page.contains("password"),
        "{page}"
    );
    // Without the cookie, by a page of a sibling, or on another host of the session.
    let sibling =
        format!("Cookie: {cookie}\r\nOrigin: http://work-1-x.example.test\r\nSec-Fetch-Mode: navigate\r\n");
    for (host, fields) in [(work(), BROWSER), (work(), &sibling), (host(), &fields)] {
        let (head, _) = client.ask(post(&host, "/.podbay/wake", fields, "")).await;
        assert_eq!(head.status, 403, "{host} {fields}");
    }
    assert_eq!(sessions.wakes(), 0);
    let own = format!(
        "{fields}Origin: http://{0}\r\nReferer: http://{0}/app?a\r\n",
        work()
    );
    let (head, _) = client.ask(post(&work(), "/.podbay/wake", &own, "")).await;
    assert_eq!((head.status, sessions.wakes()), (303, 1));
    assert_eq!(head.get("location"), Some("/app?a"));
}

/// The link of OpenHands' V1 app to VS Code, of a session that was paused since.
#[tokio::test]
async fn a_browser_with_vscodes_token_wakes_by_the_button() {
    let sessions = Arc::new(Scripted::default());
    sessions.is_in(SessionState::Paused);
    let proxy = over(&sessions, settings()).await;
    let mut client = proxy.client().await;
    let vscode = format!("vscode-{}.example.test", id());
    let (head, page) = client.ask(get(&vscode, &format!("/?tkn={KEY}"), BROWSER)).await;
    assert_eq!(head.status, 503);
    assert!(page.contains("action=\"/.podbay/wake\""), "{page}");
    let cookie = head.cookie();
    let fields = format!("{BROWSER}Cookie: {cookie}\r\nOrigin: http://{vscode}\r\n");
    let (head, _) = client.ask(post(&vscode, "/.podbay/wake", &fields, "")).await;
    assert_eq!((head.status, sessions.wakes()), (303, 1));
}

#[tokio::test]
async fn a_wake_that_is_refused_is_told_on_a_page() {
    let sessions = Arc::new(Scripted::default());
    sessions.is_in(SessionState::Paused);
    sessions.refuses_to_wake(NotWoken::TooOften);
    let proxy = over(&sessions, settings()).await;
    let mut client = proxy.client().await;
    let fields = format!("{BROWSER}Referer: http://{}/app\r\n", host());
    let (head, page) = client
        .ask(post(&host(), "/.podbay/wake", &fields, &format!("key={KEY}")))
        .await;
    assert_eq!(head.status, 503);
    assert!(
        page.contains("woken too often")
            && page.contains("<button>")
            && page.contains("name=\"back\" value=\"/app\"")
            && !page.contains(KEY),
        "{page}"
    );
}

#[tokio::test]
async fn where_nothing_wakes_and_in_path_style_there_is_no_button() {
    let mut off = settings();
    off.hold.wake = false;
    let path = RoutingSettings::new(UrlStyle::Path {
        scheme: Scheme::Http,
        host: domain("example.test"),
    });
    for (settings, host, prefix) in [
        (off, host(), String::new()),
        (path, "example.test".to_owned(), format!("/{}", id())),
    ] {
        let sessions = Arc::new(Scripted::default());
        sessions.is_in(SessionState::Paused);
        let proxy = over(&sessions, settings).await;
        let mut client = proxy.client().await;
        let (head, page) = client.ask(get(&host, &format!("{prefix}/"), BROWSER)).await;
        assert!(head.status == 503 && !page.contains("<button>"), "{page}");
    }
}

#[tokio::test]
async fn a_session_s_work_ports_are_public_by_choice_and_nothing_else_of_it() {
    let sandbox = answering().await;
    let sessions = Scripted::serving(sandbox.address);
    sessions.leads("pod-1", PORTS.work[0], sandbox.address);
    sessions.leads("pod-1", PORTS.vscode, sandbox.address);
    let proxy = over(&sessions, settings()).await;
    let mut client = proxy.client().await;
    assert_eq!(client.ask(get(&work(), "/", "")).await.0.status, 403);
    let mut public = ready("pod-1");
    public.public = true;
    sessions.is(Some(public.clone()));
    assert_eq!(client.ask(get(&work(), "/", "")).await.0.status, 200);
    let vscode = format!("vscode-{}.example.test", id());
    assert_eq!(client.ask(get(&vscode, "/", "")).await.0.status, 403);
    assert_eq!(client.ask(get(&work(), "/.podbay/other", "")).await.0.status, 403);
    // In path style all sandboxes are one origin, and nothing is public.
    let path = RoutingSettings::new(UrlStyle::Path {
        scheme: Scheme::Http,
        host: domain("example.test"),
    });
    let proxy = over(&sessions, path).await;
    let mut client = proxy.client().await;
    let target = format!("/{}/work-1/", id());
    assert_eq!(client.ask(get("example.test", &target, "")).await.0.status, 403);
}
