//! Servers that are not there.

use std::time::Duration;

use podbay_k8s_client::{ClusterClient as _, ErrorKind};
use tokio::net::TcpListener;
use tokio::time::Instant;

use super::answer::{Answer, pod};
use super::server::Server;
use super::setup::{Setup, key, object};

/// A port on which nobody listens.
async fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().port()
}

/// Well before any deadline.
const AT_ONCE: Duration = Duration::from_secs(2);

#[tokio::test]
async fn a_refused_connection_is_told_at_once_where_no_server_ever_answered() {
    let server = Server::start([Answer::json(200, &pod("p", "7"))]).await;
    let address = format!("http://127.0.0.1:{}", free_port().await);
    let client = Setup::of(&server).cluster("server", address).client().await;
    let begun = Instant::now();
    for error in [
        client.get(&key()).await.unwrap_err(),
        client.create(object()).await.unwrap_err(),
    ] {
        assert_eq!(error.kind, ErrorKind::Unreachable);
        assert!(error.to_string().contains("refused"), "{error}");
        assert!(!error.may_have_happened());
    }
    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_proxy_that_refuses_is_told_at_once_and_named() {
    let server = Server::start([Answer::json(200, &pod("p", "7"))]).await;
    let port = free_port().await;
    let setup = Setup::of(&server).cluster("proxy-url", format!("http://me:secret@127.0.0.1:{port}"));
    let begun = Instant::now();
    let error = setup.client().await.get(&key()).await.unwrap_err();
    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
    assert_eq!(error.kind, ErrorKind::Unreachable);
    let text = error.to_string();
    let named = format!("through the proxy http://127.0.0.1:{port}: ");
    assert!(text.contains(&named) && text.contains("refused"), "{text}");
    assert!(!text.contains("secret"), "{text}");
    assert_eq!(server.connections(), 0);
}
