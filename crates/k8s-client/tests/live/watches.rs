//! Watches over everything that ends, stalls or breaks one.

use std::time::Duration;

use futures::StreamExt as _;
use podbay_k8s_client::{ClusterClient, ErrorKind, Kind, WatchEvent, WatchPolicy};

use super::client;
use super::server::{Answer, Server, Then, event, list, pod, status};

/// What a watch tells, in short: `reset a b`, `applied a 7`, `deleted a`, until `count` were told.
async fn told(server: &Server, count: usize) -> Vec<String> {
    let client = client(server.port, Duration::from_secs(5)).await;
    let events = client.watch(Kind::Pod, "team", "app=x", WatchPolicy::FailFast);
    let names = |object: &podbay_k8s_client::Object| object.metadata().name.clone().unwrap();
    let short = |event: Result<WatchEvent, podbay_k8s_client::Error>| match event {
        Ok(WatchEvent::Reset(objects)) => format!(
            "reset {}",
            objects.iter().map(names).collect::<Vec<_>>().join(" ")
        )
        .trim()
        .to_owned(),
        Ok(WatchEvent::Applied(object)) => {
            assert!(object.metadata().managed_fields.is_none());
            format!(
                "applied {} {}",
                names(&object),
                object.metadata().resource_version.clone().unwrap()
            )
        }
        Ok(WatchEvent::Deleted(object)) => format!("deleted {}", names(&object)),
        Ok(event) => format!("{event:?}"),
        Err(error) => format!("{:?}", error.kind),
    };
    events.take(count).map(short).collect().await
}

/// The resource versions that were asked for, one a watch request.
fn versions(server: &Server) -> Vec<String> {
    let version = |request: String| {
        let query = request.split_once("resourceVersion=")?.1.to_owned();
        Some(query.split('&').next()?.to_owned())
    };
    server
        .requests()
        .into_iter()
        .filter(|request| request.contains("watch=true"))
        .filter_map(version)
        .collect()
}

#[tokio::test]
async fn it_lists_by_pages_then_follows() {
    let server = Server::start([
        Answer::Json(200, list("5", "next", &[pod("a", "1")])),
        Answer::Json(200, list("5", "", &[pod("b", "2")])),
        Answer::Events(
            vec![event("ADDED", &pod("c", "6")), event("DELETED", &pod("a", "7"))],
            Then::End,
        ),
    ])
    .await;
    assert_eq!(told(&server, 3).await, ["reset a b", "applied c 6", "deleted a"]);
    assert!(server.requests()[1].contains("continue=next"));
    assert_eq!(versions(&server), ["5"]);
}

#[tokio::test]
async fn an_end_a_cut_and_a_stall_lose_nothing() {
    let bookmark = serde_json::json!({"type": "BOOKMARK", "object": {"kind": "Pod", "apiVersion": "v1",
        "metadata": {"resourceVersion": "8"}}});
    let server = Server::start([
        Answer::Json(200, list("5", "", &[])),
        Answer::Events(vec![event("ADDED", &pod("a", "6"))], Then::End),
        Answer::Events(vec![event("MODIFIED", &pod("a", "7"))], Then::Cut),
        Answer::Events(vec![bookmark], Then::Stall),
        Answer::Close,
        Answer::Json(503, status(503, "", "restarting")),
        Answer::Events(vec![event("MODIFIED", &pod("a", "9"))], Then::End),
    ])
    .await;
    assert_eq!(
        told(&server, 4).await,
        ["reset", "applied a 6", "applied a 7", "applied a 9"]
    );
    // Each goes on from the last version seen, bookmarks too.
    assert_eq!(versions(&server), ["5", "6", "7", "8", "8", "8"]);
}

#[tokio::test]
async fn a_version_that_is_too_old_lists_again() {
    let expired = event("ERROR", &status(410, "Expired", "too old resource version"));
    let server = Server::start([
        Answer::Json(200, list("5", "", &[pod("a", "1")])),
        Answer::Events(vec![expired], Then::End),
        Answer::Json(200, list("50", "", &[pod("b", "40")])),
        // Also where the request itself is refused so.
        Answer::Json(410, status(410, "Expired", "too old resource version")),
        Answer::Json(200, list("60", "", &[pod("c", "55")])),
    ])
    .await;
    assert_eq!(told(&server, 3).await, ["reset a", "reset b", "reset c"]);
    assert_eq!(versions(&server), ["5", "50"]);
}

#[tokio::test]
async fn a_missing_right_ends_it() {
    let server = Server::start([Answer::Json(403, status(403, "Forbidden", "may not"))]).await;
    assert_eq!(told(&server, 5).await, [format!("{:?}", ErrorKind::Forbidden)]);
}

#[tokio::test]
async fn a_list_that_hangs_is_asked_for_again() {
    let server = Server::start([
        Answer::Silence,
        Answer::Json(200, list("5", "", &[pod("a", "1")])),
    ])
    .await;
    let client = client(server.port, Duration::from_millis(300)).await;
    let first = client
        .watch(Kind::Pod, "team", "", WatchPolicy::FailFast)
        .next()
        .await
        .unwrap()
        .unwrap();
    assert!(matches!(first, WatchEvent::Reset(objects) if objects.len() == 1));
}
