//! Answers cut into pieces anywhere: nothing depends on where a packet ends.

use podbay_k8s_client::{ClusterClient as _, Kind, Object, WatchEvent};
use serde_json::Value;

use super::answer::{Act, Answer, bookmark, chunk, event, list, noted, pod};
use super::server::Server;
use super::setup::{client, key, object};
use super::watched::Watched;

/// Characters of one to four bytes.
const LETTERS: &str = "aß水🦀";

fn note(object: &Object) -> &str {
    &object.metadata().annotations.as_ref().unwrap()["note"]
}

/// The notes of the next `count` changes.
async fn notes(watched: &mut Watched, count: usize) -> Vec<String> {
    let mut notes = Vec::new();
    for _ in 0..count {
        let event = watched.next().await.unwrap().unwrap();
        assert!(matches!(event, WatchEvent::Applied(_)), "{event:?}");
        if let WatchEvent::Applied(object) = event {
            notes.push(note(&object).to_owned());
        }
    }
    notes
}

/// A watch whose whole stream of lines is these bytes, cut into chunks of `size`.
fn lines(bytes: &[u8], size: usize) -> Answer {
    let chunks = bytes.chunks(size).flat_map(chunk).collect();
    Answer::chunked().then(Act::Send(chunks))
}

fn line(event: &Value) -> Vec<u8> {
    format!("{event}\n").into_bytes()
}

#[tokio::test]
async fn bodies_that_come_a_byte_at_a_time() {
    let stored = noted("p", "7", LETTERS);
    let server = Server::start([
        Answer::json(200, &stored).dripping(1),
        Answer::json(201, &stored).dripping(1),
        Answer::json(200, &list("5", "", std::slice::from_ref(&stored))).dripping(1),
        Answer::status(403, "Forbidden", LETTERS).dripping(1),
    ])
    .await;
    let client = client(&server).await;
    assert_eq!(note(&client.get(&key()).await.unwrap().unwrap()), LETTERS);
    assert_eq!(note(&client.create(object()).await.unwrap()), LETTERS);
    assert_eq!(
        note(&client.list(Kind::Pod, "team", "").await.unwrap()[0]),
        LETTERS
    );
    let error = client.get(&key()).await.unwrap_err();
    assert_eq!(error.message.as_deref(), Some(LETTERS));
    assert_eq!(server.requests().len(), 4);
}

#[tokio::test]
async fn watch_lines_cut_anywhere_characters_too() {
    let mut bytes = line(&event("ADDED", &noted("a", "6", LETTERS)));
    bytes.extend(line(&bookmark("7")));
    bytes.extend(line(&event("MODIFIED", &noted("a", "8", LETTERS))));
    for size in [1, 2, 3, 5, 7, 4096] {
        for drip in [1, 64] {
            let server = Server::start([
                Answer::json(200, &list("5", "", &[])),
                lines(&bytes, size).dripping(drip).then(Act::Stall),
            ])
            .await;
            let client = client(&server).await;
            let mut watched = Watched::of(&client);
            assert_eq!(watched.told().await, "reset");
            assert_eq!(notes(&mut watched, 2).await, [LETTERS, LETTERS]);
            assert_eq!(server.versions(), ["5"], "one watch was enough");
        }
    }
}

#[tokio::test]
async fn events_of_a_mebibyte() {
    // What an object may be at most: etcd's limit for a request is 1.5 MiB.
    let long = "水".repeat(1024 * 1024 / 3);
    let mut bytes = line(&event("ADDED", &noted("a", "6", &long)));
    bytes.extend(line(&event("MODIFIED", &noted("a", "7", &long))));
    let server = Server::start([
        Answer::json(200, &list("5", "", &[])),
        lines(&bytes, 10_007).dripping(16_384).then(Act::Stall),
    ])
    .await;
    let client = client(&server).await;
    let mut watched = Watched::of(&client);
    assert_eq!(watched.told().await, "reset");
    let notes = notes(&mut watched, 2).await;
    assert!(notes.iter().all(|note| *note == long));
}

#[tokio::test]
async fn many_events_in_one_packet() {
    let count = 500;
    let bytes: Vec<u8> = (0..count)
        .flat_map(|n| line(&event("ADDED", &noted(&format!("p{n}"), "6", &n.to_string()))))
        .collect();
    let server = Server::start([
        Answer::json(200, &list("5", "", &[])),
        lines(&bytes, bytes.len()).then(Act::Stall),
    ])
    .await;
    let client = client(&server).await;
    let mut watched = Watched::of(&client);
    assert_eq!(watched.told().await, "reset");
    let expected: Vec<String> = (0..count).map(|n| n.to_string()).collect();
    assert_eq!(notes(&mut watched, count).await, expected);
}

#[tokio::test]
async fn a_line_that_the_end_cuts_is_not_an_event() {
    let whole = line(&event("ADDED", &noted("a", "6", LETTERS)));
    let next = line(&event("MODIFIED", &noted("a", "7", LETTERS)));
    let text = String::from_utf8(next.clone()).unwrap();
    let in_character = text.find('水').unwrap() + 1;
    let in_version = text.find("\"7\"").unwrap() + 1;
    for cut in [1, 9, in_version, in_character, next.len() - 2] {
        let mut bytes = whole.clone();
        bytes.extend(&next[..cut]);
        let server = Server::start([
            Answer::json(200, &list("5", "", &[])),
            lines(&bytes, 4096).end(),
            lines(&next, 4096).then(Act::Stall),
        ])
        .await;
        let client = client(&server).await;
        let mut watched = Watched::of(&client);
        assert_eq!(
            watched.tells(3).await,
            ["reset", "applied a 6", "applied a 7"],
            "cut at {cut}"
        );
        assert_eq!(server.versions(), ["5", "6"]);
    }
}

#[tokio::test]
async fn a_last_line_without_its_break_is_told_once() {
    let text = event("ADDED", &pod("a", "6")).to_string();
    let server = Server::start([
        Answer::json(200, &list("5", "", &[])),
        lines(text.as_bytes(), 4096).end(),
        Answer::events([event("MODIFIED", &pod("a", "7"))]).then(Act::Stall),
    ])
    .await;
    let client = client(&server).await;
    let told = Watched::of(&client).tells(3).await;
    assert_eq!(told, ["reset", "applied a 6", "applied a 7"]);
    assert_eq!(server.versions(), ["5", "6"]);
}
