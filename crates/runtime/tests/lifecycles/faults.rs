//! Calls that fail, before or after they took effect: what can be mended is, and what can't leaves nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use podbay_fake_cluster::{Fault, On, Operation};
use podbay_k8s_client::{ClusterClient as _, ErrorKind, Kind, Object};
use podbay_runtime::{Config, Error, Podbay, WatchScope};
use serde_json::json;

use crate::scenario::{Shape, open};
use crate::support::NAMESPACE;
use crate::watched_cluster::{SESSION_ID, WatchedCluster};

#[tokio::test(start_paused = true)]
async fn a_session_is_made_by_three_writes_and_removed_by_one() {
    let watched = WatchedCluster::new();
    // The first session of a namespace makes the policy that all share.
    watched
        .client()
        .session("first")
        .image("debian:12")
        .open()
        .await
        .unwrap();
    let (podbay, faulty) = watched.faulty(Config::default());
    let session = podbay
        .session(SESSION_ID)
        .image("debian:12")
        .open()
        .await
        .unwrap();
    assert_eq!(faulty.writes(), 3, "record, Secret, pod: {:?}", faulty.calls());
    assert_eq!(faulty.reads(), 1, "is the policy there: {:?}", faulty.calls());
    session.close().await.unwrap();
    assert_eq!(faulty.writes(), 4);
    faulty.forget_calls();
    // The next session of this process does not ask for the policy again.
    podbay.session("next").image("debian:12").open().await.unwrap();
    assert_eq!(faulty.reads(), 0, "{:?}", faulty.calls());
}

/// `podbay run`, whose process opens one session: each call of it, and no other.
#[tokio::test(start_paused = true)]
async fn a_run_makes_four_writes_one_watch_and_one_exec() {
    let watched = WatchedCluster::new();
    // The first session of a namespace makes the policy that all share.
    open(&watched.client(), Shape::Plain).await.unwrap();
    watched.client().close(SESSION_ID, true).await.unwrap();
    let faulty = watched.cluster.faulty();
    let builder = Podbay::builder(Config::default()).watch_scope(WatchScope::Session);
    let podbay = builder.with_client(Arc::new(faulty.clone()));
    let starting = podbay.session("run").image("debian:12").start().unwrap();
    // Following the start costs nothing.
    let _state = starting.state();
    let session = starting.ready().await.unwrap();
    session.exec(["true"]).await.unwrap();
    session.finish(true).await.unwrap();
    let expected = [
        (Operation::Create, Kind::ConfigMap),
        (Operation::Create, Kind::Secret),
        (Operation::Create, Kind::Pod),
        (Operation::Delete, Kind::ConfigMap),
        (Operation::Get, Kind::NetworkPolicy),
        (Operation::Watch, Kind::Pod),
        (Operation::Exec, Kind::Pod),
    ];
    let expected = expected.map(|(operation, kind)| ((operation, Some(kind)), 1));
    assert_eq!(faulty.counts(), BTreeMap::from(expected));
}

#[tokio::test(start_paused = true)]
async fn a_session_with_everything_is_made_and_removed_by_at_most_ten_writes() {
    let watched = WatchedCluster::new();
    watched
        .client()
        .session("first")
        .image("debian:12")
        .open()
        .await
        .unwrap();
    watched
        .client()
        .session("first")
        .image("debian:12")
        .open()
        .await
        .unwrap();
    let (podbay, faulty) = watched.faulty(Config::default());
    let mut request = Shape::Full.request();
    request.network = None;
    request.network = None;
    request.vscode = true;
    request.server = Some(podbay_manifests::ServerKind::OpenHands);
    request.profile = Some(podbay_runtime::Profile::Baseline);
    podbay.session("next").request(request).open().await.unwrap();
    podbay.delete(SESSION_ID, false).await.unwrap();
    assert!(faulty.writes() <= 10, "{}: {:?}", faulty.writes(), faulty.calls());
}

/// A call that fails at any place: the start succeeds all the same (its answer was lost and the object is found to be ours),
/// or fails and leaves nothing.
#[tokio::test(start_paused = true)]
async fn a_start_that_meets_a_fault_succeeds_or_leaves_nothing() {
    for shape in Shape::ALL {
        let watched = WatchedCluster::new();
        let (podbay, faulty) = watched.faulty(Config::default());
        open(&podbay, shape).await.unwrap();
        let (calls, whole) = (faulty.calls().len(), watched.cluster.counts());
        let mut succeeded = 0;
        for call in 0..calls {
            let before = [
                ErrorKind::Disconnected,
                ErrorKind::Server { status: 500 },
                ErrorKind::Forbidden,
            ]
            .map(Fault::before);
            let after = [ErrorKind::Disconnected, ErrorKind::Server { status: 504 }].map(Fault::after);
            for fault in before.into_iter().chain(after) {
                let what = format!("{shape:?}, call {call}, {fault:?}");
                let watched = WatchedCluster::new();
                let (podbay, faulty) = watched.faulty(Config::default());
                faulty.inject(On::any().nth(call), fault);
                let opened = podbay.session(SESSION_ID).request(shape.request()).open().await;
                match opened {
                    Ok(session) => {
                        succeeded += 1;
                        assert!(
                            !session.report().attached,
                            "{what}: its own record was taken for another's"
                        );
                        assert_eq!(watched.cluster.counts(), whole, "{what}");
                    }
                    Err(error) => {
                        tokio::time::sleep(Duration::from_secs(5)).await;
                        assert_eq!(
                            watched.cluster.counts(),
                            BTreeMap::new(),
                            "{what}: {}",
                            error.chain()
                        );
                        assert!(
                            matches!(error, Error::Call { .. } | Error::Start { .. }),
                            "{what}: {error:?}"
                        );
                    }
                }
            }
        }
        // At least each creation whose answer alone was lost.
        assert!(succeeded >= 2 * 3, "{shape:?}: {succeeded}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_object_of_somebody_else_is_left_alone() {
    let strange = [
        (Kind::Secret, "openhands-runtime-s-env"),
        (Kind::Pod, "openhands-runtime-s"),
        (Kind::ConfigMap, "openhands-runtime-s"),
    ];
    for (kind, name) in strange {
        let watched = WatchedCluster::new();
        let spec = json!({"containers": [{"name": "c", "image": "x"}]});
        let object = json!({"metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec});
        let object = Object::from_json(kind, object).unwrap();
        let object = watched.cluster.scripted.create(object).await.unwrap();
        let error = open(&watched.client(), Shape::Plain).await.unwrap_err();
        assert!(
            matches!(error, Error::NameTaken { .. } | Error::Record { .. }),
            "{kind}: {error:?}"
        );
        let left = watched
            .cluster
            .scripted
            .get(&object.key())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(left.uid(), object.uid());
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(watched.cluster.counts(), BTreeMap::from([(kind, 1)]));
    }
}

#[tokio::test(start_paused = true)]
async fn waiting_sessions_share_one_watch_and_read_nothing() {
    let watched = WatchedCluster::new();
    let slow = podbay_fake_cluster::Script::ready().pull_for(Duration::from_secs(60));
    watched.cluster.script(slow);
    let (podbay, faulty) = watched.faulty(Config::default());
    let opening = (0..50).map(|number| podbay.session(format!("s{number}")).image("debian:12").open());
    for opened in futures::future::join_all(opening).await {
        opened.unwrap();
    }
    let counts = faulty.counts();
    assert_eq!(counts[&(Operation::Watch, Some(Kind::Pod))], 1, "{counts:?}");
    assert_eq!(counts[&(Operation::Create, Some(Kind::Pod))], 50, "{counts:?}");
    assert_eq!(
        counts[&(Operation::Get, Some(Kind::NetworkPolicy))],
        1,
        "{counts:?}"
    );
    assert_eq!(
        counts[&(Operation::Create, Some(Kind::NetworkPolicy))],
        1,
        "{counts:?}"
    );
    // Events are read for pods that stay in preparation, once in a long while, and for no other reason.
    assert!(
        counts.keys().all(|(operation, _)| *operation != Operation::List),
        "{counts:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn close_and_delete_may_be_repeated() {
    let watched = WatchedCluster::new();
    let podbay = watched.client();
    open(&podbay, Shape::Full).await.unwrap();
    assert!(podbay.close(SESSION_ID, true).await.unwrap().existed);
    assert!(!podbay.close(SESSION_ID, true).await.unwrap().existed);
    assert!(podbay.delete(SESSION_ID, true).await.unwrap().claim.is_some());
    assert!(podbay.delete(SESSION_ID, true).await.unwrap().claim.is_none());
}
