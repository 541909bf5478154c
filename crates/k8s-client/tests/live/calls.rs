//! One call each: meaning, repetition, deadline.

use std::time::Duration;

use podbay_k8s_client::{ClusterClient, DeleteOptions, Error, ErrorKind, Kind, Object, ObjectKey};
use serde_json::json;
use tokio::time::Instant;

use super::client;
use super::server::{Answer, Server, pod, status};

const DEADLINE: Duration = Duration::from_secs(20);

fn key() -> ObjectKey {
    ObjectKey::new(Kind::Pod, "team", "p")
}

fn object() -> Object {
    Object::Pod(serde_json::from_value(pod("p", "")).unwrap())
}

async fn create(script: Vec<Answer>) -> (Result<Object, Error>, Vec<String>) {
    let server = Server::start(script).await;
    let created = client(server.port, DEADLINE).await.create(object()).await;
    (created, server.requests())
}

#[tokio::test]
async fn the_contexts_namespace_is_the_default() {
    let server = Server::start([]).await;
    assert_eq!(client(server.port, DEADLINE).await.default_namespace(), "team");
    assert!(server.requests().is_empty(), "connecting asks nothing");
}

#[tokio::test]
async fn refusals_of_a_creation_are_told_by_meaning_and_not_repeated() {
    for (code, reason, kind) in [
        (409, "AlreadyExists", ErrorKind::AlreadyExists),
        (403, "Forbidden", ErrorKind::Forbidden),
        (422, "Invalid", ErrorKind::Invalid),
        (401, "Unauthorized", ErrorKind::Unauthorized),
        // Given also when the write was stored.
        (504, "Timeout", ErrorKind::Server { status: 504 }),
        (500, "InternalError", ErrorKind::Server { status: 500 }),
    ] {
        let (created, requests) = create(vec![Answer::Json(code, status(code, reason, "its words"))]).await;
        let error = created.unwrap_err();
        assert_eq!(error.kind, kind);
        assert_eq!(error.message.as_deref(), Some("its words"));
        assert!(error.to_string().starts_with("create pod team/p: "), "{error}");
        assert_eq!(requests.len(), 1, "{requests:?}");
    }
}

#[tokio::test]
async fn a_creation_whose_connection_breaks_is_not_repeated_and_may_have_happened() {
    let (created, requests) = create(vec![Answer::Close]).await;
    let error = created.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Disconnected);
    assert!(error.may_have_happened());
    assert_eq!(requests.len(), 1, "{requests:?}");
}

#[tokio::test]
async fn too_many_requests_are_waited_out_even_for_a_creation() {
    let begun = Instant::now();
    let (created, requests) = create(vec![
        Answer::JsonWith(
            429,
            "Retry-After",
            "1",
            json!({"kind": "Status", "apiVersion": "v1", "metadata": {},
            "status": "Failure", "code": 429, "reason": "TooManyRequests", "message": "slow down",
            "details": {"retryAfterSeconds": 1}}),
        ),
        Answer::Json(201, pod("p", "7")),
    ])
    .await;
    assert_eq!(created.unwrap().metadata().resource_version.as_deref(), Some("7"));
    assert_eq!(requests.len(), 2);
    assert!(
        begun.elapsed() >= Duration::from_secs(1),
        "it asked for a second: {:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn reads_are_repeated_through_faults() {
    let server = Server::start([
        Answer::Close,
        Answer::Text(502, "<html>bad gateway</html>"),
        Answer::Json(503, status(503, "ServiceUnavailable", "not yet")),
        Answer::Json(200, pod("p", "7")),
    ])
    .await;
    let found = client(server.port, DEADLINE).await.get(&key()).await.unwrap();
    assert_eq!(found.unwrap().uid(), "p");
    assert_eq!(server.requests().len(), 4);
}

#[tokio::test]
async fn what_is_not_there_is_none() {
    let server = Server::start([Answer::Json(404, status(404, "NotFound", "no"))]).await;
    assert_eq!(
        client(server.port, DEADLINE).await.get(&key()).await.unwrap(),
        None
    );
}

#[tokio::test]
async fn a_deletion_is_of_one_uid() {
    for (answer, there) in [
        (Answer::Json(200, pod("p", "7")), true),
        (Answer::Json(404, status(404, "NotFound", "no")), false),
        (
            Answer::Json(
                409,
                status(409, "Conflict", "the UID in the precondition is another"),
            ),
            false,
        ),
    ] {
        let server = Server::start([answer]).await;
        let client = client(server.port, DEADLINE).await;
        assert_eq!(
            client.delete(&key(), DeleteOptions::only("u")).await.unwrap(),
            there
        );
        assert!(server.requests()[0].starts_with("DELETE /api/v1/namespaces/team/pods/p"));
    }
}

#[tokio::test]
async fn a_server_that_never_answers_ends_at_the_deadline() {
    let server = Server::start([Answer::Silence]).await;
    let deadline = Duration::from_millis(300);
    let error = client(server.port, deadline).await.get(&key()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Deadline(deadline));
}

#[tokio::test]
async fn no_server_is_told_as_such() {
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let error = client(port, Duration::from_millis(500))
        .await
        .create(object())
        .await
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unreachable);
    assert!(!error.may_have_happened());
    assert!(error.message.unwrap().contains("refused"));
}

#[tokio::test]
async fn the_servers_version_is_read_of_clusters_that_decorate_it_too() {
    let info = |minor: &str| {
        json!({
            "major": "1", "minor": minor, "gitVersion": "v1.35.1", "gitCommit": "c", "gitTreeState": "clean",
            "buildDate": "2026-01-01T00:00:00Z", "goVersion": "go1.25", "compiler": "gc", "platform": "linux/amd64"
        })
    };
    for (minor, read) in [("35+", Some("1.35")), ("new", None)] {
        let server = Server::start([Answer::Json(200, info(minor))]).await;
        let version = client(server.port, DEADLINE).await.version().await.unwrap();
        assert_eq!(version.map(|version| version.to_string()).as_deref(), read);
        assert_eq!(server.requests(), ["GET /version"]);
    }
}
