//! What a session is known and entered by: its owner, its runtime id, the hash of its key.

use podbay_fake_cluster::{Fault, On, When};
use podbay_k8s_client::{ClusterClient as _, Kind, Object};
use podbay_manifests::labels::SESSION_ID as ID_ANNOTATION;
use podbay_manifests::{KeyHash, Record};
use podbay_runtime::{Config, Error, Podbay};

use crate::scenario::{Shape, open};
use crate::support::NAMESPACE;
use crate::watched_cluster::{SESSION_ID, WatchedCluster};

/// The records that are there.
async fn records(watched: &WatchedCluster) -> Vec<Record> {
    let objects = watched
        .cluster
        .scripted
        .list(Kind::ConfigMap, NAMESPACE, "")
        .await
        .unwrap();
    let maps = objects.into_iter().filter_map(Object::into_config_map);
    maps.map(|object| Record::parse(&object).unwrap()).collect()
}

/// The hash of the key in the Secret of `record`.
async fn key_in_secret(watched: &WatchedCluster, record: &Record) -> Option<KeyHash> {
    let secrets = watched
        .cluster
        .scripted
        .list(Kind::Secret, NAMESPACE, "")
        .await
        .unwrap();
    let secret = secrets
        .into_iter()
        .find(|secret| secret.metadata().name.as_ref() == Some(&record.spec.names().secret()));
    KeyHash::of_secret(&secret?.into_secret()?)
}

/// Checks what must hold whenever a session has been opened: its record tells the key that its Secret holds.
pub(crate) async fn the_record_tells_the_key(watched: &WatchedCluster, what: &str) {
    for record in records(watched).await {
        assert!(record.key_hash.is_some(), "{what}");
        assert_eq!(record.key_hash, key_in_secret(watched, &record).await, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_is_found_by_an_id_that_is_new_for_each_of_its_lives() {
    let watched = WatchedCluster::new();
    let podbay = watched.client();
    let mut ids = Vec::new();
    for _ in 0..2 {
        open(&podbay, Shape::Plain).await.unwrap();
        the_record_tells_the_key(&watched, "opened").await;
        let record = records(&watched).await.remove(0);
        ids.push(record.runtime_id.unwrap());
        podbay.close(SESSION_ID, true).await.unwrap();
    }
    assert_ne!(ids[0], ids[1]);
}

#[tokio::test(start_paused = true)]
async fn a_key_is_checked_by_the_record_alone() {
    let watched = WatchedCluster::new();
    let session = watched
        .client()
        .session(SESSION_ID)
        .image("debian:12")
        .open()
        .await
        .unwrap();
    let key = session.session_key().await.unwrap();
    let presented = KeyHash::of(secrecy::ExposeSecret::expose_secret(&key).as_bytes());
    let record = records(&watched).await.remove(0);
    assert_eq!(record.key_hash, Some(presented));
}

/// Who talks to a session's server keeps its key over a pause, and reads it during one.
#[tokio::test(start_paused = true)]
async fn a_key_lasts_as_long_as_its_session() {
    let watched = WatchedCluster::new();
    let podbay = watched.client();
    let key = async |id: &str| podbay.existing(id).unwrap().session_key().await;
    let there = async || secrecy::ExposeSecret::expose_secret(&key(SESSION_ID).await.unwrap()).to_owned();
    open(&podbay, Shape::Full).await.unwrap();
    let first = there().await;
    podbay.pause(SESSION_ID, true).await.unwrap();
    assert_eq!(there().await, first, "paused");
    podbay.resume(SESSION_ID).await.unwrap();
    assert_eq!(there().await, first, "resumed");
    for id in ["other", "S"] {
        assert!(matches!(key(id).await, Err(Error::NotFound { .. })), "{id}");
    }
    podbay.close(SESSION_ID, true).await.unwrap();
    assert!(matches!(key(SESSION_ID).await, Err(Error::NotFound { .. })));
    open(&podbay, Shape::Full).await.unwrap();
    assert_ne!(there().await, first, "another life has another key");
}

/// The creator dies with the record written and not the Secret, whose key only it knew: who comes next makes another key, and
/// says so in the record.
#[tokio::test(start_paused = true)]
async fn who_writes_the_secret_of_a_dead_creator_puts_the_hash_of_its_key_in_the_record() {
    let watched = WatchedCluster::new();
    let (podbay, faulty) = watched.faulty(Config::default());
    faulty.inject(On::any().kind(Kind::Secret).writes(), Fault::Crash(When::Before));
    let crashed = faulty.crashed();
    tokio::select! {
        biased;
        () = crashed.cancelled() => {}
        done = open(&podbay, Shape::Plain) => panic!("it went on: {done:?}"),
    }
    let first = records(&watched).await.remove(0);
    assert_eq!(key_in_secret(&watched, &first).await, None);
    open(&watched.client(), Shape::Plain).await.unwrap();
    the_record_tells_the_key(&watched, "adopted").await;
    let adopted = records(&watched).await.remove(0);
    assert_eq!(
        (&adopted.uid, &adopted.runtime_id),
        (&first.uid, &first.runtime_id)
    );
    assert_ne!(adopted.key_hash, first.key_hash);
}

#[tokio::test(start_paused = true)]
async fn one_id_of_two_owners_and_of_none_is_three_sessions() {
    let watched = WatchedCluster::new();
    let anybody = watched.client();
    let (alice, bob) = (
        anybody.for_owner("alice").unwrap(),
        anybody.for_owner("bob").unwrap(),
    );
    let ids = async |podbay: &Podbay| podbay.list("").await.unwrap().len();
    open(&alice, Shape::Full).await.unwrap();
    assert_eq!(
        (ids(&alice).await, ids(&bob).await, ids(&anybody).await),
        (1, 0, 1)
    );
    assert!(matches!(
        bob.resume(SESSION_ID).await,
        Err(Error::NotFound { .. })
    ));
    assert!(matches!(
        anybody.resume(SESSION_ID).await,
        Err(Error::NotFound { .. })
    ));
    let of_bob = anybody
        .session(SESSION_ID)
        .owner("bob")
        .request(Shape::Full.request());
    let of_bob = of_bob.open().await.unwrap();
    assert!(!of_bob.report().attached);
    open(&anybody, Shape::Full).await.unwrap();
    assert_eq!(
        (ids(&alice).await, ids(&bob).await, ids(&anybody).await),
        (1, 1, 3)
    );
    the_record_tells_the_key(&watched, "three").await;
    // Each is used, paused and ended without the others.
    of_bob.exec(["true"]).await.unwrap();
    of_bob.session_key().await.unwrap();
    of_bob.describe().await.unwrap();
    bob.pause(SESSION_ID, true).await.unwrap();
    alice.existing(SESSION_ID).unwrap().exec(["true"]).await.unwrap();
    assert!(bob.resume(SESSION_ID).await.unwrap().report().resumed);
    assert!(bob.delete(SESSION_ID, true).await.unwrap().existed);
    assert_eq!(
        (ids(&alice).await, ids(&bob).await, ids(&anybody).await),
        (1, 0, 2)
    );
    for closed in alice.close_all("", true).await.unwrap() {
        closed.unwrap();
    }
    assert_eq!((ids(&alice).await, ids(&anybody).await), (0, 1));
    // Who names no owner may leave those of owners alone, also where he came by one; who sees all may end all.
    open(&alice, Shape::Full).await.unwrap();
    open(&bob, Shape::Full).await.unwrap();
    let listed = anybody.list("").await.unwrap();
    let owners: Vec<_> = listed.iter().map(|summary| summary.owner.is_some()).collect();
    assert_eq!(owners.iter().filter(|owned| **owned).count(), 2, "{listed:?}");
    for podbay in [&anybody, &alice] {
        let ended = podbay.close_unowned("", true).await.unwrap();
        assert_eq!(ended.owned, 2);
        assert!(ended.closed.len() <= 1);
    }
    assert_eq!(
        (ids(&alice).await, ids(&bob).await, ids(&anybody).await),
        (1, 1, 2)
    );
    assert!(bob.delete(SESSION_ID, true).await.unwrap().existed);
    open(&anybody, Shape::Full).await.unwrap();
    assert_eq!(anybody.close_all("", true).await.unwrap().len(), 2);
    assert!(alice.delete(SESSION_ID, true).await.unwrap().claim.is_some());
    watched.is_left_empty("in the end").await;
}

#[tokio::test(start_paused = true)]
async fn what_an_owned_session_has_carries_its_raw_id_and_its_owners_label() {
    let watched = WatchedCluster::new();
    let alice = watched.client().for_owner("alice").unwrap();
    open(&alice, Shape::Full).await.unwrap();
    let record = records(&watched).await.remove(0);
    let owner = record.spec.owner().unwrap();
    for kind in [
        Kind::ConfigMap,
        Kind::Secret,
        Kind::Pod,
        Kind::Service,
        Kind::PersistentVolumeClaim,
    ] {
        for object in watched.cluster.scripted.list(kind, NAMESPACE, "").await.unwrap() {
            let metadata = object.metadata();
            let label = metadata
                .labels
                .as_ref()
                .and_then(|labels| labels.get("podbay.dev/owner"));
            assert_eq!(label.map(String::as_str), Some(owner.as_str()), "{kind:?}");
            let annotations = metadata.annotations.as_ref().unwrap();
            assert_eq!(annotations[ID_ANNOTATION], SESSION_ID, "{kind:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_no_owners_is_refused_before_anything_is_made() {
    let watched = WatchedCluster::new();
    let podbay = watched.client();
    for name in ["", " alice", "a\nb"] {
        assert!(
            matches!(podbay.for_owner(name), Err(Error::Owner { .. })),
            "{name:?}"
        );
        let opened = podbay
            .session(SESSION_ID)
            .image("debian:12")
            .owner(name)
            .open()
            .await;
        assert!(matches!(opened, Err(Error::Owner { .. })), "{name:?}");
    }
    assert!(watched.cluster.counts().is_empty());
}
