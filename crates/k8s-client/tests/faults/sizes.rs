//! Answers larger than a page, and larger than sense.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use podbay_k8s_client::{ClusterClient as _, ErrorKind, Kind};
use tokio::time::Instant;

use super::answer::{Act, Answer, list, pod};
use super::server::Server;
use super::setup::{LONG, Setup, client, key, object};
use super::watched::Watched;

/// Long enough for the largest answer that is read, on a slow machine.
const A_WHILE: Duration = Duration::from_secs(10);

fn page(from: usize, to: usize, next: &str) -> Answer {
    let pods: Vec<_> = (from..to).map(|n| pod(&format!("p{n}"), "1")).collect();
    Answer::json(200, &list("5", next, &pods))
}

#[tokio::test]
async fn a_list_is_read_page_by_page() {
    let server = Server::start([page(0, 500, "one"), page(500, 1000, "two"), page(1000, 1001, "")]).await;
    let objects = client(&server)
        .await
        .list(Kind::Pod, "team", "app=x")
        .await
        .unwrap();
    let names: Vec<_> = objects.iter().map(|object| object.key().name).collect();
    assert_eq!(names, (0..1001).map(|n| format!("p{n}")).collect::<Vec<_>>());
    let asked: Vec<_> = server
        .requests()
        .into_iter()
        .map(|request| request.line)
        .collect();
    assert!(
        asked
            .iter()
            .all(|line| line.contains("limit=") && line.contains("labelSelector=app%3Dx"))
    );
    assert!(!asked[0].contains("continue="));
    assert!(asked[1].contains("continue=one") && asked[2].contains("continue=two"));
}

#[tokio::test]
async fn a_list_whose_token_expired_begins_anew() {
    let server = Server::start([
        page(0, 2, "one"),
        Answer::status(410, "Expired", "The provided continue parameter is too old"),
        page(0, 3, ""),
    ])
    .await;
    let objects = client(&server).await.list(Kind::Pod, "team", "").await.unwrap();
    assert_eq!(objects.len(), 3);
    assert!(!server.requests()[2].line.contains("continue="));
}

#[tokio::test]
async fn a_fault_between_pages_repeats_that_page_alone() {
    let server = Server::start([page(0, 2, "one"), Answer::only(Act::Reset), page(2, 3, "")]).await;
    let objects = client(&server).await.list(Kind::Pod, "team", "").await.unwrap();
    assert_eq!(objects.len(), 3);
    assert!(server.requests()[2].line.contains("continue=one"));
}

#[tokio::test]
async fn headers_without_end_end_the_call() {
    let flood = Answer::raw("HTTP/1.1 201 Created\r\n").then(Act::Flood(b"X-Y: zzzzzzzz\r\n".repeat(100)));
    let server = Server::start([flood]).await;
    let begun = Instant::now();
    let error = client(&server).await.create(object()).await.unwrap_err();
    assert!(begun.elapsed() < A_WHILE);
    assert_eq!(error.kind, ErrorKind::Disconnected, "{error}");
    assert!(error.may_have_happened());
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_body_without_end_ends_the_call() {
    for code in ["200 OK", "500 Internal Server Error"] {
        let flood = Answer::raw(format!("HTTP/1.1 {code}\r\nTransfer-Encoding: chunked\r\n\r\n"))
            .chunk(b"{\"x\": \"")
            .then(Act::Flood(super::answer::chunk(&vec![b'x'; 1 << 20])));
        let server = Server::start([flood]).await;
        let begun = Instant::now();
        let error = Setup::of(&server)
            .deadline(LONG)
            .client()
            .await
            .create(object())
            .await
            .unwrap_err();
        assert!(begun.elapsed() < A_WHILE, "{:?}: {error}", begun.elapsed());
        assert!(error.may_have_happened());
        assert!(error.to_string().contains("MiB"), "{error}");
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_length_beyond_sense_is_refused_unread() {
    let server = Server::start([
        Answer::raw("HTTP/1.1 200 OK\r\nContent-Length: 1099511627776\r\n\r\n{").then(Act::Stall),
    ])
    .await;
    let begun = Instant::now();
    let error = client(&server).await.get(&key()).await.unwrap_err();
    assert!(begun.elapsed() < A_WHILE);
    assert!(error.to_string().contains("MiB"), "{error}");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_watch_line_without_end_is_not_kept() {
    let line = super::answer::chunk(&vec![b'x'; 1 << 20]);
    let lists = AtomicUsize::new(0);
    let server = Server::judge(move |request| {
        if request.is_watch() {
            return Answer::chunked().then(Act::Flood(line.clone()));
        }
        let name = ["a", "b"][lists.fetch_add(1, Ordering::SeqCst).min(1)];
        Answer::json(200, &list("5", "", &[pod(name, "1")]))
    })
    .await;
    let client = client(&server).await;
    let told = Watched::of(&client).tells(2).await;
    assert_eq!(told, ["reset a", "reset b"], "what can't be read is listed anew");
}
