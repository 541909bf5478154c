//! Connections that break, at each point of a call.

use podbay_k8s_client::{ClusterClient as _, DeleteOptions, ErrorKind};

use super::answer::{Act, Answer, bookmark, event, list, pod};
use super::server::{Server, Step};
use super::setup::{client, key, object};
use super::watched::Watched;

fn ok() -> Answer {
    Answer::json(200, &pod("p", "7"))
}

/// An answer to a GET, or nothing of a POST's, on the second request of a connection.
fn then_reset() -> [Answer; 2] {
    [ok(), Answer::only(Act::Reset)]
}

/// Creates the pod, which must be told as a creation that may have happened.
async fn create_breaks(server: &Server) {
    let error = client(server).await.create(object()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Disconnected, "{error}");
    assert!(error.may_have_happened());
    assert_eq!(error.operation, "create pod team/p");
}

#[tokio::test]
async fn before_the_request_was_read() {
    let server = Server::start([Step::ResetUnread]).await;
    create_breaks(&server).await;
    assert_eq!(server.connections(), 1, "a creation is not sent twice");

    let server = Server::start([Step::ResetUnread, Step::ResetUnread, ok().into()]).await;
    assert!(client(&server).await.get(&key()).await.unwrap().is_some());
    assert_eq!(server.connections(), 3);
}

#[tokio::test]
async fn after_the_request_was_read() {
    for act in [Act::Reset, Act::Close] {
        let server = Server::start([Answer::only(act.clone()), ok()]).await;
        create_breaks(&server).await;
        assert_eq!(server.count("POST"), 1);

        let server = Server::start([Answer::only(act), ok()]).await;
        assert!(client(&server).await.get(&key()).await.unwrap().is_some());
        assert_eq!(server.count("GET"), 2);
    }
}

#[tokio::test]
async fn in_the_middle_of_the_head() {
    let cut = Answer::raw("HTTP/1.1 201 Created\r\nContent-Le").then(Act::Close);
    let server = Server::start([cut.clone()]).await;
    create_breaks(&server).await;
    assert_eq!(server.count("POST"), 1);

    let server = Server::start([cut, ok()]).await;
    assert!(client(&server).await.get(&key()).await.unwrap().is_some());
    assert_eq!(server.count("GET"), 2);
}

#[tokio::test]
async fn in_the_middle_of_a_body() {
    for act in [Act::Reset, Act::Close] {
        let cut = |code| Answer::part(code, &pod("p", "7"), 30).then(act.clone());
        let server = Server::start([cut(201)]).await;
        create_breaks(&server).await;
        assert_eq!(server.count("POST"), 1);

        let server = Server::start([cut(200), ok()]).await;
        assert!(client(&server).await.get(&key()).await.unwrap().is_some());
        assert_eq!(server.count("GET"), 2);
    }
}

#[tokio::test]
async fn in_the_middle_of_a_chunk() {
    let body = pod("p", "7").to_string();
    // A whole object, and then not the chunk that ends a body.
    for cut in [
        Answer::chunked().then(Act::Send(b"ffff\r\n{\"kind\"".to_vec())),
        Answer::chunked().chunk(body.as_bytes()),
    ] {
        let server = Server::start([cut.then(Act::Close), ok()]).await;
        assert!(client(&server).await.get(&key()).await.unwrap().is_some());
        assert_eq!(server.count("GET"), 2);
    }
}

#[tokio::test]
async fn on_a_connection_that_served_before() {
    let server = Server::start(then_reset()).await;
    let client = client(&server).await;
    client.get(&key()).await.unwrap();
    let error = client.create(object()).await.unwrap_err();
    assert!(error.may_have_happened());
    assert_eq!(error.kind, ErrorKind::Disconnected);
    let requests = server.requests();
    assert_eq!(requests.len(), 2, "the creation was not sent again");
    assert_eq!(requests[0].connection, requests[1].connection);
}

#[tokio::test]
async fn on_an_idle_connection() {
    for act in [Act::Close, Act::Reset] {
        let gate = std::sync::Arc::new(tokio::sync::Notify::new());
        let server = Server::start([
            ok().then(Act::Until(std::sync::Arc::clone(&gate))).then(act),
            Answer::json(201, &pod("p", "8")),
        ])
        .await;
        let client = client(&server).await;
        client.get(&key()).await.unwrap();
        gate.notify_one();
        // The end may be noticed before the creation is sent, or only when it was. It is never sent twice, and
        // success is never told of one that did not arrive.
        let created = client.create(object()).await;
        match created {
            Ok(_) => assert_eq!(server.count("POST"), 1),
            Err(error) => {
                assert!(error.may_have_happened());
                assert!(server.count("POST") <= 1);
            }
        }
        // The call after it finds a connection that serves.
        assert!(client.get(&key()).await.is_ok());
    }
}

#[tokio::test]
async fn a_deletion_is_asked_for_again() {
    let server = Server::start([
        Answer::only(Act::Reset),
        Answer::status(404, "NotFound", "the first one did it"),
    ])
    .await;
    let deleted = client(&server)
        .await
        .delete(&key(), DeleteOptions::only("u"))
        .await;
    assert!(!deleted.unwrap());
    assert_eq!(server.count("DELETE"), 2);
}

#[tokio::test]
async fn in_the_middle_of_an_event() {
    let half = b"20\r\n{\"type\":\"MODIFIED\",\"object\":{\"ki\r\n";
    for act in [Act::Reset, Act::Close] {
        let server = Server::start([
            Answer::json(200, &list("5", "", &[])),
            Answer::events([event("ADDED", &pod("a", "6"))])
                .then(Act::Send(half.to_vec()))
                .then(act.clone()),
            // Cut after a bookmark: the version it told is gone on from.
            Answer::events([event("MODIFIED", &pod("a", "7")), bookmark("9")])
                .then(Act::Send(half.to_vec()))
                .then(act),
            Answer::events([event("DELETED", &pod("a", "10"))]).then(Act::Stall),
        ])
        .await;
        let client = client(&server).await;
        let mut watched = Watched::of(&client);
        assert_eq!(watched.told().await, "reset");
        let told = watched.tells(3).await;
        // A reset may throw away what was sent before it; what must hold is that nothing comes twice, and that
        // each watch goes on from the last that was told.
        let versions = server.versions();
        assert_eq!(versions[0], "5");
        assert_eq!(told, ["applied a 6", "applied a 7", "deleted a"]);
        assert_eq!(versions, ["5", "6", "9"]);
    }
}
