//! Requests for sessions that are not there, or not yet.

use std::sync::Arc;
use std::time::Duration;

use podbay_exec_proxy::listen::{Limits, Listening};
use podbay_exec_proxy::sessions::NotWoken;
use podbay_protocol::{Cause, Hint, Verdict};
use podbay_runtime::{SessionState, StartPhase};

use crate::support::{KEY, Proxy, Scripted, answering, get, host, ready, settings, upgrade};

async fn quick(sessions: &Arc<Scripted>) -> Proxy {
    let mut settings = settings();
    settings.hold.starting = Duration::from_millis(100);
    settings.hold.waking = Duration::from_millis(300);
    settings.hold.browser = Duration::from_millis(50);
    Proxy::with(sessions, settings, Limits::default(), Listening::default()).await
}

fn ask(method: &str, path: &str, fields: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n{fields}\r\n", host())
}

fn with_key(method: &str, path: &str) -> String {
    ask(method, path, &format!("X-Session-API-Key: {KEY}\r\n"))
}

const BROWSER: &str = "Accept: text/html,*/*;q=0.8\r\nSec-Fetch-Mode: navigate\r\n";

#[tokio::test]
async fn an_unknown_session_is_404() {
    let sessions = Arc::new(Scripted::default());
    let proxy = quick(&sessions).await;
    let mut client = proxy.client().await;
    let (head, body) = client.ask(get("/alive")).await;
    assert_eq!(head.status, 404);
    assert_eq!(head.get("content-type"), Some("application/json"));
    assert!(
        body.starts_with("{\"detail\":\"there is no such session"),
        "{body}"
    );
    let (head, body) = client.ask(ask("GET", "/", BROWSER)).await;
    assert_eq!(head.status, 404);
    assert!(head.get("content-type").unwrap().starts_with("text/html"));
    assert!(body.contains("<p>there is no such session"), "{body}");
}

#[tokio::test]
async fn a_request_for_a_session_that_starts_is_held() {
    let sandbox = answering().await;
    let sessions = Scripted::serving(sandbox.address);
    sessions.is_in(SessionState::Starting(StartPhase::Scheduling));
    let proxy = Proxy::over(&sessions).await;
    let mut client = proxy.client().await;
    client
        .send(ask("POST", "/a", "Content-Length: 4\r\n") + "body")
        .await;
    sessions.is_in(SessionState::Starting(StartPhase::Preparing));
    tokio::task::yield_now().await;
    sessions.is_in(SessionState::Ready(None));
    let (head, body) = client.answer().await;
    assert_eq!(head.status, 200);
    assert!(body.starts_with("POST /a\n") && body.ends_with("body"), "{body}");
}

#[tokio::test]
async fn one_that_does_not_become_ready_is_504_and_for_those_who_understand_503() {
    let sessions = Arc::new(Scripted::default());
    sessions.is_in(SessionState::Starting(StartPhase::Scheduling));
    let proxy = quick(&sessions).await;
    let mut client = proxy.client().await;
    for v0 in [
        get("/alive"),
        with_key("POST", "/execute_action"),
        get("/server_info"),
    ] {
        let (head, body) = client.ask(&v0).await;
        assert_eq!((head.status, head.get("retry-after")), (504, None), "{v0}");
        assert!(body.contains("scheduling"), "{body}");
    }
    let (head, _) = client.ask(get("/api/conversations")).await;
    assert_eq!((head.status, head.get("retry-after")), (503, Some("2")));
    let (head, body) = client.ask(ask("GET", "/", BROWSER)).await;
    assert_eq!(
        (head.status, head.get("retry-after"), head.get("refresh")),
        (503, Some("2"), Some("2"))
    );
    assert!(body.contains("<p>the session is starting"), "{body}");
}

#[tokio::test]
async fn a_failed_session_is_502_with_the_verdict() {
    let sessions = Arc::new(Scripted::default());
    let proxy = quick(&sessions).await;
    let verdict = Verdict::new(
        Cause::ImageNotFound,
        "not found: <example/none:1>",
        Hint::OpenAgain,
    );
    for state in [SessionState::Failed(verdict.clone()), SessionState::Lost(verdict)] {
        sessions.is_in(state);
        let mut client = proxy.client().await;
        let (head, body) = client.ask(with_key("POST", "/execute_action")).await;
        assert_eq!(head.status, 502);
        assert!(
            body.contains("image_not_found") && body.contains("<example/none:1>"),
            "{body}"
        );
        let (head, body) = client.ask(ask("GET", "/", BROWSER)).await;
        assert_eq!(head.status, 502);
        assert!(body.contains("&#60;example/none:1&#62;"), "{body}");
    }
}

#[tokio::test]
async fn a_session_that_is_stopped_while_it_is_waited_for_is_told() {
    let sessions = Arc::new(Scripted::default());
    sessions.is_in(SessionState::Starting(StartPhase::Creating));
    let proxy = Proxy::over(&sessions).await;
    let mut client = proxy.client().await;
    client.send(get("/")).await;
    sessions.is_in(SessionState::Stopping);
    assert_eq!(client.answer().await.0.status, 404);
    sessions.is(None);
    assert_eq!(client.ask(get("/")).await.0.status, 404);
}

#[tokio::test]
async fn a_paused_session_comes_back_for_who_has_its_key() {
    let sandbox = answering().await;
    let sessions = Scripted::serving(sandbox.address);
    sessions.is_in(SessionState::Paused);
    let proxy = Proxy::over(&sessions).await;
    let mut client = proxy.client().await;
    client.send(with_key("GET", "/list_files")).await;
    sessions.until_woken().await;
    sessions.is_in(SessionState::Ready(None));
    let (head, body) = client.answer().await;
    assert_eq!(head.status, 200);
    assert!(body.starts_with("GET /list_files\n"));
    assert_eq!(sessions.wakes(), 1);
}

#[tokio::test]
async fn nothing_else_brings_it_back() {
    let sessions = Arc::new(Scripted::default());
    sessions.is_in(SessionState::Paused);
    let proxy = quick(&sessions).await;
    let id = crate::support::id();
    let work = with_key("POST", "/").replace(&host(), &format!("work-1-{id}.example.test"));
    let vscode = with_key("GET", "/").replace(&host(), &format!("vscode-{id}.example.test"));
    for request in [
        with_key("GET", "/alive"),
        with_key("GET", "/health?x=1"),
        with_key("GET", "/ready"),
        with_key("HEAD", "/server_info"),
        get("/list_files"),
        ask(
            "GET",
            "/",
            &format!("Cookie: podbay-x={KEY}; X-Session-API-Key={KEY}\r\n"),
        ),
        ask("POST", &format!("/?session_api_key={KEY}"), ""),
        ask("POST", "/", "X-Session-API-Key: another\r\n"),
        ask(
            "POST",
            "/",
            &format!("X-Session-API-Key: {KEY}\r\nX-Session-API-Key: another\r\n"),
        ),
        upgrade("/").replace("\r\n\r\n", &format!("\r\nX-Session-API-Key: {KEY}\r\n\r\n")),
        work,
        vscode,
    ] {
        let head = {
            let mut client = proxy.client().await;
            client.send(&request).await;
            client.head().await.unwrap()
        };
        assert_eq!(head.status, 504, "{request}");
    }
    assert_eq!(sessions.wakes(), 0);
    // One of an earlier version, whose key nobody here knows.
    sessions.is(Some(podbay_exec_proxy::sessions::Route {
        state: SessionState::Paused,
        failure: None,
        address: None,
        key: None,
        ..ready("pod-1")
    }));
    let (head, _) = proxy
        .client()
        .await
        .ask(with_key("POST", "/execute_action"))
        .await;
    assert_eq!((head.status, sessions.wakes()), (504, 0));
}

#[tokio::test]
async fn a_wake_that_is_refused_is_told() {
    let sessions = Arc::new(Scripted::default());
    sessions.is_in(SessionState::Paused);
    sessions.refuses_to_wake(NotWoken::Refused("20 of 20 sessions are running".to_owned()));
    let proxy = quick(&sessions).await;
    let mut client = proxy.client().await;
    let (head, body) = client.ask(with_key("POST", "/execute_action")).await;
    assert_eq!(head.status, 504);
    assert!(body.contains("20 of 20 sessions are running"), "{body}");
    let (head, _) = client.ask(with_key("GET", "/api/x")).await;
    assert_eq!(head.status, 503);
    // One that may be brought back by somebody else is waited for.
    sessions.refuses_to_wake(NotWoken::JustPaused);
    let (head, body) = client.ask(with_key("POST", "/execute_action")).await;
    assert_eq!(head.status, 504);
    assert!(body.contains("a moment ago"), "{body}");
    assert_eq!(sessions.wakes(), 3, "one for each request");
}

#[tokio::test]
async fn waking_can_be_switched_off() {
    let sessions = Arc::new(Scripted::default());
    sessions.is_in(SessionState::Paused);
    let mut settings = settings();
    settings.hold.wake = false;
    settings.hold.starting = Duration::from_millis(50);
    let proxy = Proxy::with(&sessions, settings, Limits::default(), Listening::default()).await;
    let (head, _) = proxy
        .client()
        .await
        .ask(with_key("POST", "/execute_action"))
        .await;
    assert_eq!((head.status, sessions.wakes()), (504, 0));
}

#[tokio::test]
async fn when_nobody_knows_that_is_told() {
    let sessions = Arc::new(Scripted::default());
    sessions.is_unknown("the API server does not answer");
    let proxy = quick(&sessions).await;
    let (head, body) = proxy.client().await.ask(get("/alive")).await;
    assert_eq!(head.status, 504);
    assert!(body.contains("the API server does not answer"), "{body}");
}

#[tokio::test]
async fn a_port_on_which_nothing_listens_is_502() {
    let sessions = Scripted::serving(crate::support::unbound().await);
    let proxy = quick(&sessions).await;
    let (head, body) = proxy.client().await.ask(get("/")).await;
    assert_eq!(head.status, 502);
    assert!(
        body.contains("nothing answers on port 60000") && body.contains("refused"),
        "{body}"
    );
    assert_eq!(
        sessions.dials(),
        1,
        "a server that was there and is gone is not waited for"
    );
}
