//! Port style: listeners of this machine for each session.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use podbay_exec_proxy::listen::{Limits, PortListeners};
use podbay_exec_proxy::routing::ports::PortRange;
use podbay_exec_proxy::routing::url::UrlStyle;
use podbay_exec_proxy::routing::{Router, RoutingSettings};
use podbay_manifests::RuntimeId;
use tokio::net::TcpListener;

use crate::support::{Client, Routing, Scripted, answering, id};

/// Where no other test listens.
fn range(first: u16) -> PortRange {
    PortRange::new(first, first + 39).unwrap()
}

struct Style {
    listeners: PortListeners<Routing>,
    _answer: Arc<Routing>,
}

async fn begin(sessions: &Arc<Scripted>, range: PortRange, kept: Option<&Path>) -> Style {
    let settings = RoutingSettings::new(UrlStyle::Port);
    let answer = Arc::new(Routing(Arc::new(Router::new(Arc::clone(sessions), settings))));
    let sessions: Arc<Scripted> = Arc::clone(sessions);
    let listeners = PortListeners::new(sessions, range, kept.map(Path::to_owned), Limits::default());
    listeners.begin(&answer).await;
    Style {
        listeners,
        _answer: answer,
    }
}

fn address(url: &str) -> SocketAddr {
    url.strip_prefix("http://").unwrap().parse().unwrap()
}

async fn ask(url: &str, path: &str) -> (u16, String) {
    let address = address(url);
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
    let (head, body) = Client::connect(address).await.ask(request).await;
    (head.status, body)
}

#[tokio::test]
async fn a_sessions_urls_lead_to_it_and_keep_answering_when_it_is_gone() {
    let sandbox = answering().await;
    let sessions = Scripted::serving(sandbox.address);
    let style = begin(&sessions, range(23_000), None).await;
    let urls = style.listeners.urls(&id()).await.unwrap();
    assert_eq!(style.listeners.urls(&id()).await.as_ref(), Some(&urls));
    let (status, body) = ask(&urls.server, "/a").await;
    assert_eq!(status, 200);
    assert!(body.starts_with("GET /a\n"), "{body}");
    assert_eq!(
        ask(&urls.work[0], "/").await.0,
        502,
        "nothing listens there in the sandbox"
    );
    sessions.is(None);
    assert_eq!(ask(&urls.server, "/alive").await.0, 404);
    style.listeners.end().await;
    assert!(
        tokio::net::TcpStream::connect(address(&urls.server))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn after_a_restart_a_session_has_the_ports_that_its_clients_know() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ports.json");
    let sandbox = answering().await;
    let sessions = Scripted::serving(sandbox.address);
    // Two that want the same ports: the first eight digits say which.
    let other: RuntimeId = format!("{}{}", &id().as_str()[..8], "0".repeat(24))
        .parse()
        .unwrap();
    let style = begin(&sessions, range(23_100), Some(&file)).await;
    let first = style.listeners.urls(&other).await.unwrap();
    let second = style.listeners.urls(&id()).await.unwrap();
    assert_ne!(first, second);
    style.listeners.end().await;
    drop(style);

    let style = begin(&sessions, range(23_100), Some(&file)).await;
    // Before anybody asks for its URLs.
    assert_eq!(ask(&second.server, "/a").await.0, 200);
    assert_eq!(style.listeners.urls(&id()).await.unwrap(), second);
    // The other session is gone, and its ports are free.
    assert!(
        tokio::net::TcpStream::connect(address(&first.server))
            .await
            .is_err()
    );
    style.listeners.end().await;
}

#[tokio::test]
async fn ports_that_another_program_has_are_passed_over() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ports.json");
    let sandbox = answering().await;
    let sessions = Scripted::serving(sandbox.address);
    let style = begin(&sessions, range(23_200), Some(&file)).await;
    let before = style.listeners.urls(&id()).await.unwrap();
    style.listeners.end().await;
    drop(style);
    // The last of its ports is enough.
    let _taken = TcpListener::bind(address(&before.work[1])).await.unwrap();
    let style = begin(&sessions, range(23_200), Some(&file)).await;
    let now = style.listeners.urls(&id()).await.unwrap();
    assert_ne!(now, before);
    assert_eq!(ask(&now.server, "/a").await.0, 200);
    style.listeners.end().await;
}

#[tokio::test]
async fn without_ports_left_there_are_no_urls() {
    let sandbox = answering().await;
    let sessions = Scripted::serving(sandbox.address);
    let one = PortRange::new(23_300, 23_303).unwrap();
    let style = begin(&sessions, one, None).await;
    assert!(style.listeners.urls(&id()).await.is_some());
    assert_eq!(style.listeners.urls(&RuntimeId::from_random([1; 16])).await, None);
    style.listeners.end().await;
}
