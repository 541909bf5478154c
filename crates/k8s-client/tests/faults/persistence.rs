//! Watches that never end, whatever the server says.

use podbay_k8s_client::{ErrorKind, WatchEvent};
use tokio::time::Instant;

use super::answer::{Act, Answer, event, list, pod};
use super::server::Server;
use super::setup::client;
use super::watched::Watched;

/// What ends a watch that fails fast.
fn standing() -> Vec<(Answer, &'static str)> {
    vec![
        (Answer::status(401, "Unauthorized", "who?"), "Unauthorized"),
        (Answer::status(403, "Forbidden", "no right"), "Forbidden"),
        (Answer::status(400, "BadRequest", "what?"), "Invalid"),
        (Answer::status(404, "NotFound", "where?"), "NotFound"),
        (
            Answer::status(520, "", "a load balancer's own"),
            "Server { status: 520 }",
        ),
        (
            Answer::whole(302, "Location: https://login.example/\r\n", b""),
            "Server { status: 302 }",
        ),
    ]
}

#[tokio::test]
async fn a_refused_list_is_asked_for_again_by_a_watch_that_persists() {
    for (answer, kind) in standing() {
        let server = Server::start([
            answer.clone(),
            Answer::json(200, &list("5", "", &[pod("a", "1")])),
            Answer::events([event("MODIFIED", &pod("a", "6"))]).then(Act::Stall),
        ])
        .await;
        let told = Watched::persistent(&client(&server).await).tells(3).await;
        assert_eq!(
            told,
            [format!("interrupted {kind}").as_str(), "reset a", "applied a 6"]
        );

        let server = Server::start([answer]).await;
        let told = Watched::of(&client(&server).await).tells(2).await;
        assert_eq!(
            told,
            [format!("failed {kind}").as_str(), "end"],
            "as told to one that fails fast"
        );
    }
}

#[tokio::test]
async fn a_refused_watch_goes_on_from_where_it_was_and_says_that_it_missed_nothing() {
    for (answer, kind) in standing() {
        let server = Server::start([
            Answer::json(200, &list("5", "", &[pod("a", "1")])),
            answer.clone(),
            answer,
            Answer::events([event("MODIFIED", &pod("a", "6"))]).then(Act::Stall),
        ])
        .await;
        let mut watched = Watched::persistent(&client(&server).await);
        let told = watched.tells(4).await;
        let interrupted = format!("interrupted {kind}");
        assert_eq!(
            told,
            ["reset a", &interrupted, "resumed", "applied a 6"],
            "told once of each kind"
        );
        assert_eq!(server.versions(), ["5", "5", "5"]);
    }
}

#[tokio::test]
async fn an_interruption_says_since_when_what_is_known_is_old() {
    let server = Server::start([
        Answer::json(200, &list("5", "", &[])),
        Answer::status(401, "Unauthorized", "the words"),
    ])
    .await;
    let mut watched = Watched::persistent(&client(&server).await);
    let begun = Instant::now();
    assert_eq!(watched.told().await, "reset");
    let Some(Ok(WatchEvent::Interrupted(interruption))) = watched.next().await else {
        panic!("not interrupted")
    };
    assert_eq!(interruption.kind, ErrorKind::Unauthorized);
    assert!(
        interruption.message.contains("the words"),
        "{}",
        interruption.message
    );
    assert!(interruption.since.elapsed() <= begun.elapsed());
    // Beyond its script the server knows nothing, and the watch goes on.
    assert_eq!(watched.told().await, "interrupted NotFound");
}
