//! Watches: the endless one of the client trait, and those of the API beneath.

use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::BoxStream;
use podbay_fake_cluster::RawEvent;
use podbay_k8s_client::{Kind, Object, WatchEvent, WatchPolicy};
use serde_json::{Value, json};

use crate::behaviour::follow::LIMIT;
use crate::behaviour::raw::WatchFrom;
use crate::behaviour::stage::version;
use crate::behaviour::{Observed, Stage};

/// Longer than a bookmark takes: once a minute.
const BOOKMARK_LIMIT: Duration = Duration::from_secs(90);

fn labelled(name: &str, colour: &str) -> Value {
    json!({"metadata": {"name": name, "labels": {"colour": colour}}})
}

fn recolour(colour: &str) -> Value {
    json!({"metadata": {"labels": {"colour": colour}}})
}

fn shown(event: &str, object: &Object) -> String {
    let name = object.metadata().name.as_deref().unwrap_or_default();
    let labels = object.metadata().labels.as_ref();
    let colour = labels.and_then(|labels| labels.get("colour"));
    format!("{event} {name} {}", colour.map_or("", String::as_str))
}

pub(super) async fn endless(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    stage.create(Kind::Secret, labelled("first", "red")).await;
    stage.create(Kind::Secret, labelled("other", "blue")).await;
    let mut watch = stage.client.watch(
        Kind::Secret,
        &stage.namespace,
        "colour=red",
        WatchPolicy::FailFast,
    );
    let mut events = Vec::new();
    let mut next = async || {
        let event = tokio::time::timeout(LIMIT, watch.next()).await.expect("an event");
        let event = match event.expect("endless").expect("a watch") {
            WatchEvent::Reset(objects) => {
                let objects: Vec<_> = objects.iter().map(|object| shown("", object)).collect();
                format!("reset{}", objects.join(","))
            }
            WatchEvent::Applied(object) => shown("applied", &object),
            WatchEvent::Deleted(object) => shown("deleted", &object),
            WatchEvent::Interrupted(_) | WatchEvent::Resumed => {
                "told only of watches that persist".to_owned()
            }
        };
        events.push(event);
    };
    next().await;
    let key = |name| stage.key(Kind::Secret, name);
    stage.create(Kind::Secret, labelled("second", "red")).await;
    next().await;
    stage.patch(&key("second"), json!({"data": {"a": "Yg=="}})).await;
    next().await;
    stage.patch(&key("other"), recolour("red")).await;
    next().await;
    stage.patch(&key("second"), recolour("blue")).await;
    next().await;
    stage.delete(&key("first")).await;
    next().await;
    // Seen by nobody: it does not match.
    stage.delete(&key("second")).await;
    stage.delete(&key("other")).await;
    next().await;
    seen.note("events", events);
    seen
}

/// Reads `count` events of a raw watch.
async fn read(watch: &mut BoxStream<'static, RawEvent>, count: usize) -> Vec<String> {
    let mut events = Vec::new();
    let mut last = 0;
    while events.len() < count {
        let event = tokio::time::timeout(LIMIT, watch.next()).await.expect("an event");
        let (what, object) = match event.expect("a watch that goes on") {
            RawEvent::Added(object) => ("added", object),
            RawEvent::Modified(object) => ("modified", object),
            RawEvent::Deleted(object) => ("deleted", object),
            RawEvent::Bookmark { .. } => panic!("a bookmark that was not asked for"),
            RawEvent::Error(error) => panic!("{error}"),
        };
        assert!(last < version(&object), "versions go backwards");
        last = version(&object);
        events.push(shown(what, &object));
    }
    events
}

pub(super) async fn replay(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    stage.create(Kind::Secret, labelled("before", "red")).await;
    let list = stage
        .raw
        .list(Kind::Secret, &stage.namespace, "")
        .await
        .expect("a list");
    let first = stage.create(Kind::Secret, labelled("a", "red")).await;
    stage.patch(&stage.key(Kind::Secret, "a"), recolour("blue")).await;
    stage.create(Kind::Secret, labelled("b", "red")).await;
    stage.delete(&stage.key(Kind::Secret, "a")).await;
    stage.delete(&stage.key(Kind::Secret, "before")).await;
    for (from, version) in [("the list", list.version), ("a", version(&first).to_string())] {
        let from_there = WatchFrom {
            version,
            bookmarks: false,
        };
        let mut watch = stage
            .raw
            .watch(Kind::Secret, &stage.namespace, "", from_there)
            .await;
        let count = if from == "a" { 4 } else { 5 };
        seen.note(&format!("from {from}"), read(&mut watch, count).await);
    }
    seen
}

pub(super) async fn moved_by_labels(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    let list = stage
        .raw
        .list(Kind::Secret, &stage.namespace, "")
        .await
        .expect("a list");
    let key = stage.key(Kind::Secret, "a");
    stage.create(Kind::Secret, labelled("a", "blue")).await;
    for colour in ["red", "red", "blue", "red"] {
        stage.patch(&key, recolour(colour)).await;
    }
    stage.patch(&key, json!({"data": {"a": "Yg=="}})).await;
    stage.delete(&key).await;
    let from = WatchFrom {
        version: list.version,
        bookmarks: false,
    };
    let mut watch = stage
        .raw
        .watch(Kind::Secret, &stage.namespace, "colour=red", from)
        .await;
    seen.note("red", read(&mut watch, 5).await);
    seen
}

pub(super) async fn any_version(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    for name in ["a", "b"] {
        stage.create(Kind::Secret, labelled(name, "red")).await;
    }
    // Version 0 may be answered from a cache that is behind; one that has seen a watch pass these is not.
    let mut watch = stage
        .client
        .watch(Kind::Secret, &stage.namespace, "", WatchPolicy::FailFast);
    watch.next().await.expect("endless").expect("a watch");
    let from = WatchFrom {
        version: "0".to_owned(),
        bookmarks: false,
    };
    let mut watch = stage.raw.watch(Kind::Secret, &stage.namespace, "", from).await;
    let mut events = Vec::new();
    for _ in 0..2 {
        match watch.next().await {
            Some(RawEvent::Added(object)) => events.push(shown("added", &object)),
            other => panic!("{other:?}"),
        }
    }
    events.sort();
    seen.note("what there is, in any order", events);
    stage.delete(&stage.key(Kind::Secret, "a")).await;
    seen.note("then what changes", read(&mut watch, 1).await);
    seen
}

pub(super) async fn bookmarks(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    let created = stage.create(Kind::Secret, labelled("a", "red")).await;
    let from = WatchFrom {
        version: version(&created).to_string(),
        bookmarks: true,
    };
    let mut watch = stage
        .raw
        .watch(Kind::Secret, &stage.namespace, "colour=red", from)
        .await;
    let unseen = stage.create(Kind::Secret, labelled("b", "blue")).await;
    let event = tokio::time::timeout(BOOKMARK_LIMIT, watch.next())
        .await
        .expect("a bookmark");
    match event {
        Some(RawEvent::Bookmark { resource_version }) => {
            let version_then: u64 = resource_version.parse().expect("a number");
            seen.note("is past what it did not send", version_then >= version(&unseen));
        }
        other => panic!("{other:?}"),
    }
    seen
}

pub(super) async fn forgotten_version(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    for name in ["a", "b", "c"] {
        stage.create(Kind::Secret, labelled(name, "red")).await;
    }
    let from = WatchFrom {
        version: stage.raw.forgotten_version().await,
        bookmarks: false,
    };
    let asked = from.version.clone();
    let mut watch = stage.raw.watch(Kind::Secret, &stage.namespace, "", from).await;
    match watch.next().await {
        Some(RawEvent::Error(error)) => {
            seen.note("means", error.kind.to_string());
            let message = error.message.unwrap_or_default();
            let start = format!("too old resource version: {asked} (");
            seen.note(
                "names both versions",
                message.starts_with(&start) && message.ends_with(')'),
            );
        }
        // A server forgets what etcd has compacted, every five minutes; one that is younger knows everything.
        Some(RawEvent::Added(_)) => {
            seen.cannot_be_seen("the server has forgotten nothing yet");
            return seen;
        }
        other => panic!("{other:?}"),
    }
    seen.note("and ends", watch.next().await.is_none());
    seen
}

pub(super) async fn future_version(stage: Stage) -> Observed {
    /// Shorter than a watch lasts.
    const SILENCE: Duration = Duration::from_secs(2);
    let mut seen = stage.observe();
    let created = stage.create(Kind::Secret, labelled("a", "red")).await;
    let from = WatchFrom {
        version: (version(&created) + 1_000_000).to_string(),
        bookmarks: false,
    };
    let mut watch = stage.raw.watch(Kind::Secret, &stage.namespace, "", from).await;
    stage.create(Kind::Secret, labelled("b", "red")).await;
    let event = tokio::time::timeout(SILENCE, watch.next()).await;
    seen.note("silence", event.is_err());
    seen
}

pub(super) async fn last_state(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    let mut secret = labelled("a", "red");
    secret["metadata"]["finalizers"] = json!(["example.com/held"]);
    let created = stage.create(Kind::Secret, secret).await;
    let key = stage.key(Kind::Secret, "a");
    stage.delete(&key).await;
    stage.patch(&key, json!({"metadata": {"finalizers": null}})).await;
    let from = WatchFrom {
        version: version(&created).to_string(),
        bookmarks: false,
    };
    let mut watch = stage.raw.watch(Kind::Secret, &stage.namespace, "", from).await;
    let mut last = 0;
    loop {
        let event = tokio::time::timeout(LIMIT, watch.next()).await.expect("an event");
        let (what, object) = match event.expect("a watch that goes on") {
            RawEvent::Modified(object) => ("modified", object),
            RawEvent::Deleted(object) => ("deleted", object),
            other => panic!("{other:?}"),
        };
        seen.note("newer", last < version(&object));
        last = version(&object);
        let metadata = object.metadata();
        let state = json!({
            "terminating": object.is_terminating(),
            "finalizers": metadata.finalizers,
            "colour": metadata.labels.as_ref().and_then(|labels| labels.get("colour")),
        });
        seen.note(what, state);
        if what == "deleted" {
            return seen;
        }
    }
}
