//! Servers that hold a call: each ends at its deadline, by name.

use podbay_k8s_client::{ClusterClient as _, DeleteOptions, Error, ErrorKind, ExecRequest, Kind, LogRequest};
use tokio::time::Instant;

use super::answer::{Act, Answer, bookmark, event, list, pod};
use super::server::{Server, Step};
use super::setup::{LONG, SHORT, Setup, key, object};
use super::watched::Watched;

/// The points at which a server may fall silent.
fn silences() -> Vec<Step> {
    vec![
        Step::HoldUnread,
        Answer::only(Act::Stall).into(),
        Answer::raw("HTTP/1.1 200 OK\r\nContent-").then(Act::Stall).into(),
        Answer::part(200, &pod("p", "7"), 0).then(Act::Stall).into(),
        Answer::part(200, &pod("p", "7"), 40).then(Act::Stall).into(),
        Answer::chunked().chunk(b"{\"kind\"").then(Act::Stall).into(),
        // A refusal whose body never comes.
        Answer::raw("HTTP/1.1 403 Forbidden\r\nContent-Length: 9\r\n\r\n")
            .then(Act::Stall)
            .into(),
    ]
}

fn is_deadline(error: &Error, operation: &str, begun: Instant) {
    assert_eq!(error.kind, ErrorKind::Deadline(SHORT), "{error}");
    assert_eq!(error.operation, operation);
    assert!(begun.elapsed() >= SHORT && begun.elapsed() < LONG);
}

#[tokio::test]
async fn every_call_ends_wherever_the_server_falls_silent() {
    for step in silences() {
        let server = Server::start(vec![step; 4]).await;
        let client = Setup::of(&server).deadline(SHORT).client().await;
        let begun = Instant::now();
        // At once, so that the time of the test is one deadline for each silence.
        let pod = key();
        let (got, listed, created, deleted) = tokio::join!(
            client.get(&pod),
            client.list(Kind::Pod, "team", ""),
            client.create(object()),
            client.delete(&pod, DeleteOptions::default()),
        );
        is_deadline(&got.unwrap_err(), "get pod team/p", begun);
        is_deadline(&listed.unwrap_err(), "list pods in team", begun);
        is_deadline(&deleted.unwrap_err(), "delete pod team/p", begun);
        let error = created.unwrap_err();
        is_deadline(&error, "create pod team/p", begun);
        assert!(error.may_have_happened());
        assert_eq!(server.connections(), 4, "none was asked for again");
    }
}

#[tokio::test]
async fn an_exec_and_a_log_that_are_not_answered_end() {
    let server = Server::start(vec![Answer::only(Act::Stall); 2]).await;
    let client = Setup::of(&server).deadline(SHORT).client().await;
    let begun = Instant::now();
    let request = ExecRequest {
        container: "main".to_owned(),
        argv: vec!["true".to_owned()],
        stdin: false,
        tty: false,
    };
    let (ran, read) = tokio::join!(
        client.exec("team", "p", request),
        client.logs("team", "p", LogRequest::default()),
    );
    is_deadline(&ran.unwrap_err(), "exec in pod team/p", begun);
    is_deadline(&read.unwrap_err(), "read the log of pod team/p", begun);
}

#[tokio::test]
async fn a_tls_handshake_that_is_not_answered_ends() {
    let server = Server::start([Step::HoldUnread]).await;
    let https = server.address.replace("http:", "https:");
    let setup = Setup::of(&server).cluster("server", https).deadline(SHORT);
    let client = setup.client().await;
    let begun = Instant::now();
    let error = client.get(&key()).await.unwrap_err();
    is_deadline(&error, "get pod team/p", begun);
}

#[tokio::test]
async fn a_call_after_one_that_was_held_is_not_held() {
    let server = Server::start([
        Answer::part(200, &pod("p", "7"), 10).then(Act::Stall),
        Answer::json(200, &pod("p", "7")),
    ])
    .await;
    let client = Setup::of(&server).deadline(SHORT).client().await;
    assert!(client.get(&key()).await.is_err());
    assert!(client.get(&key()).await.unwrap().is_some());
    assert_eq!(server.connections(), 2, "not the connection that hangs");
}

#[tokio::test]
async fn a_watch_that_is_silent_beyond_its_bound_is_asked_for_again() {
    let server = Server::start([
        Answer::json(200, &list("5", "", &[pod("a", "1")])),
        // Not even a head.
        Answer::only(Act::Stall),
        Answer::events([event("MODIFIED", &pod("a", "6"))]).then(Act::Stall),
        Answer::events([bookmark("8")])
            .then(Act::Send(b"40\r\n{\"type\":".to_vec()))
            .then(Act::Stall),
        Answer::events([event("MODIFIED", &pod("a", "9"))]).then(Act::Stall),
    ])
    .await;
    let client = Setup::of(&server).deadline(SHORT).client().await;
    let mut watched = Watched::of(&client);
    assert_eq!(watched.tells(3).await, ["reset a", "applied a 6", "applied a 9"]);
    assert_eq!(server.versions(), ["5", "5", "6", "8"]);
}
