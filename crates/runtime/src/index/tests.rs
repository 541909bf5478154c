//! The join against a model, without any client, and the index on a scripted cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use podbay_config::Config;
use podbay_fake_cluster::{FaultyCluster, On, Operation, ScriptedCluster};
use podbay_k8s_client::{ClusterClient, DeleteOptions, ErrorKind, Kind, Object, WatchPolicy};
use podbay_manifests::labels::{SESSION, selector_all};
use podbay_manifests::{SessionNames, SessionRequest, SessionSpec};
use podbay_protocol::{SessionState, StartPhase};
use proptest::prelude::*;
use serde_json::json;

use super::join::{Change, Join};
use super::view::SessionView;
use super::{PodState, SessionIndex};
use crate::lifecycle::creation_values;

/// An object of the model: its session's label, if it has one, and the version of its last change.
type Stored = (Option<String>, u64);

/// What there is, by kind and name.
#[derive(Clone, Debug, Default)]
struct Model {
    records: BTreeMap<String, Stored>,
    pods: BTreeMap<String, Stored>,
}

impl Model {
    fn of(&mut self, kind: Kind) -> &mut BTreeMap<String, Stored> {
        match kind {
            Kind::ConfigMap => &mut self.records,
            _ => &mut self.pods,
        }
    }

    fn objects(&mut self, kind: Kind) -> Vec<Object> {
        let stored = self.of(kind).iter();
        stored.map(|(name, stored)| object(kind, name, stored)).collect()
    }

    /// By session, the versions of its records and pods by name.
    fn sessions(&self) -> Sessions {
        let mut sessions = Sessions::new();
        for (name, (label, version)) in &self.records {
            let session = label.clone().unwrap_or_else(|| name.clone());
            sessions
                .entry(session)
                .or_default()
                .0
                .insert(name.clone(), *version);
        }
        for (name, (label, version)) in &self.pods {
            if let Some(session) = label {
                let pods = &mut sessions.entry(session.clone()).or_default().1;
                pods.insert(name.clone(), *version);
            }
        }
        sessions
    }
}

type Sessions = BTreeMap<String, (BTreeMap<String, u64>, BTreeMap<String, u64>)>;

/// The same of the join.
fn sessions(join: &Join) -> Sessions {
    let mut found: Sessions = join
        .sessions()
        .map(|session| {
            let pods = join.pods(session).iter();
            let pods = pods.map(|pod| {
                let version = pod.metadata.resource_version.as_ref().unwrap();
                (pod.metadata.name.clone().unwrap(), version.parse().unwrap())
            });
            (session.to_string(), (BTreeMap::new(), pods.collect()))
        })
        .collect();
    for (session, record) in join.records() {
        let records = &mut found.get_mut(session).unwrap().0;
        assert_eq!(
            records.insert(record.name.clone(), record.place.version().unwrap()),
            None
        );
    }
    found
}

fn object(kind: Kind, name: &str, (label, version): &Stored) -> Object {
    let mut object = match kind {
        Kind::ConfigMap => Object::from(ConfigMap::default()),
        _ => Object::from(Pod::default()),
    };
    let metadata = object.metadata_mut();
    metadata.name = Some(name.to_owned());
    metadata.resource_version = Some(version.to_string());
    metadata.labels = label
        .as_ref()
        .map(|label| [(SESSION.to_owned(), label.clone())].into());
    object
}

/// Something that happens to the cluster; a watch tells of it unless it is lost.
#[derive(Clone, Debug)]
enum Step {
    Apply { kind: Kind, name: u8, label: Option<u8> },
    Delete { kind: Kind, name: u8 },
    Reset { kind: Kind },
}

fn kind() -> impl Strategy<Value = Kind> {
    prop::sample::select(vec![Kind::ConfigMap, Kind::Pod])
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (kind(), 0..5_u8, prop::option::weighted(0.9, 0..4_u8))
            .prop_map(|(kind, name, label)| Step::Apply { kind, name, label }),
        3 => (kind(), 0..5_u8).prop_map(|(kind, name)| Step::Delete { kind, name }),
        1 => kind().prop_map(|kind| Step::Reset { kind }),
    ]
}

/// Changes the model, and returns what the join says of it, unless the watch misses it.
fn take(step: &Step, version: u64, missed: bool, model: &mut Model, join: &mut Join) -> Vec<Change> {
    match step {
        Step::Apply { kind, name, label } => {
            let name = format!("object-{name}");
            let stored = (label.map(|label| format!("session-{label}")), version);
            model.of(*kind).insert(name.clone(), stored.clone());
            if missed {
                return Vec::new();
            }
            join.apply(object(*kind, &name, &stored))
        }
        Step::Delete { kind, name } => {
            let name = format!("object-{name}");
            match model.of(*kind).remove(&name) {
                Some(stored) if !missed => join.delete(object(*kind, &name, &stored)),
                _ => Vec::new(),
            }
        }
        Step::Reset { kind } => join.reset(*kind, model.objects(*kind)),
    }
}

proptest! {
    #[test]
    fn the_join_is_what_the_model_is_after_each_event(steps in prop::collection::vec(step(), 0..60)) {
        let (mut model, mut join) = (Model::default(), Join::default());
        for (version, step) in (1..).zip(&steps) {
            let before = sessions(&join);
            let changes = take(step, version, false, &mut model, &mut join);
            let after = sessions(&join);
            prop_assert_eq!(&after, &model.sessions(), "{:?}", step);
            // Whoever follows a session is told of each change of it.
            let told: BTreeSet<String> = changes.iter().map(|change| change.session.to_string()).collect();
            for session in before.keys().chain(after.keys()) {
                prop_assert!(before.get(session) == after.get(session) || told.contains(session), "{}", session);
            }
            // That a pod was the last one is told if, and only if, none is left.
            for change in &changes {
                let pods = |sessions: &Sessions| {
                    sessions.get(&*change.session).map_or(0, |(_, pods)| pods.len())
                };
                prop_assert!(change.gone.is_none() || pods(&before) > 0);
            }
            for (session, (_, pods)) in &before {
                let left = after.get(session).map_or(0, |(_, pods)| pods.len());
                let gone = changes.iter().any(|change| *change.session == **session && change.gone.is_some());
                prop_assert_eq!(!pods.is_empty() && left == 0, gone, "{}", session);
            }
        }
    }

    #[test]
    fn after_any_gap_a_reset_of_each_kind_makes_it_whole(
        steps in prop::collection::vec((step(), any::<bool>()), 0..60),
    ) {
        let (mut model, mut join) = (Model::default(), Join::default());
        for (version, (step, missed)) in (1..).zip(&steps) {
            take(step, version, *missed, &mut model, &mut join);
        }
        for kind in [Kind::Pod, Kind::ConfigMap] {
            join.reset(kind, model.objects(kind));
        }
        prop_assert_eq!(sessions(&join), model.sessions());
        // Nothing of what was there is kept but what is there.
        let mut fresh = Join::default();
        for kind in [Kind::ConfigMap, Kind::Pod] {
            fresh.reset(kind, model.objects(kind));
        }
        prop_assert_eq!(join.size(), fresh.size());
    }
}

fn names(id: &str) -> SessionNames {
    SessionNames::of(None, &id.parse().unwrap())
}

fn record(id: &str) -> Object {
    let request = SessionRequest {
        image: Some("debian:12".to_owned()),
        ..SessionRequest::default()
    };
    let spec = SessionSpec::validate(id.parse().unwrap(), "default", &Config::default(), request);
    podbay_manifests::record::record(&spec.unwrap().0, &creation_values()).into()
}

fn pod(id: &str) -> Object {
    let pod = json!({
        "metadata": {
            "name": names(id).object(),
            "namespace": "default",
            "labels": record(id).metadata().labels,
        },
        "spec": {"containers": [{"name": "runtime", "image": "debian:12"}]},
    });
    Object::from_json(Kind::Pod, pod).unwrap()
}

fn index(cluster: &FaultyCluster, policy: WatchPolicy) -> SessionIndex {
    let client: Arc<dyn ClusterClient> = Arc::new(cluster.clone());
    SessionIndex::new(&client, "default", selector_all(), policy)
}

fn cluster() -> FaultyCluster {
    FaultyCluster::new(Arc::new(ScriptedCluster::new()))
}

fn state(view: &SessionView) -> Option<SessionState> {
    // The scripted cluster counts its time from an epoch of its own.
    let created = view.record.as_ref()?.record.as_ref().ok()?.created.as_ref()?.0;
    view.state(created)
}

#[tokio::test(start_paused = true)]
async fn one_session_is_followed_from_its_record_to_its_end() {
    let cluster = cluster();
    let index = index(&cluster, WatchPolicy::FailFast);
    let mut receiver = index.watch(&names("s"));
    assert!(receiver.view().is_unknown());
    let stored = cluster.create(record("s")).await.unwrap();
    receiver.changed().await;
    assert_eq!(receiver.view().id(), Some("s"));
    assert_eq!(
        state(&receiver.view()),
        Some(SessionState::Starting(StartPhase::Creating))
    );
    let stored_pod = cluster.create(pod("s")).await.unwrap();
    while state(&receiver.view()) != Some(SessionState::Ready(None)) {
        receiver.changed().await;
    }
    assert!(receiver.view().pod_ip().is_some() && receiver.view().node().is_some());
    assert_eq!(receiver.view().pod_name(), Some(names("s").object().as_str()));
    for key in [stored_pod.key(), stored.key()] {
        cluster.delete(&key, DeleteOptions::default()).await.unwrap();
    }
    while !receiver.view().is_unknown() {
        receiver.changed().await;
    }
    assert!(matches!(receiver.pod(), PodState::Gone(_)));
    assert!(index.list().is_empty());
}

#[tokio::test(start_paused = true)]
async fn all_sessions_are_followed_and_a_slow_listener_is_told_the_last_state_once() {
    let cluster = cluster();
    let index = index(&cluster, WatchPolicy::FailFast);
    let mut changes = index.changes();
    for id in ["a", "b"] {
        let _ = cluster.create(record(id)).await.unwrap();
        let _ = cluster.create(pod(id)).await.unwrap();
    }
    index.synced().await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let mut told = BTreeMap::new();
    for _ in 0..2 {
        let (session, view) = changes.next().await;
        told.insert(session.to_string(), state(&view));
    }
    let ready = Some(SessionState::Ready(None));
    assert_eq!(
        told,
        ["a", "b"]
            .map(|id| (names(id).label().to_owned(), ready.clone()))
            .into()
    );
    tokio::select! {
        biased;
        (session, _) = changes.next() => panic!("{session} was told twice"),
        () = tokio::time::sleep(Duration::from_secs(1)) => {}
    }
    assert_eq!(index.list().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_watch_begins_with_the_first_who_needs_it() {
    let cluster = cluster();
    let index = index(&cluster, WatchPolicy::FailFast);
    let watches = |kind| {
        let counts = cluster.counts();
        counts.get(&(Operation::Watch, Some(kind))).copied().unwrap_or(0)
    };
    assert_eq!((watches(Kind::Pod), watches(Kind::ConfigMap)), (0, 0));
    let one = index.follow(&names("s"));
    let other = index.follow(&names("t"));
    assert_eq!((watches(Kind::Pod), watches(Kind::ConfigMap)), (1, 0));
    let (_a, _b, _c) = (
        index.watch(&names("s")),
        index.watch(&names("t")),
        index.changes(),
    );
    assert_eq!((watches(Kind::Pod), watches(Kind::ConfigMap)), (1, 1));
    drop((one, other));
}

#[tokio::test(start_paused = true)]
async fn a_service_keeps_what_it_knows_and_says_how_stale_it_is() {
    let cluster = cluster();
    let _ = cluster.create(record("s")).await.unwrap();
    let index = index(&cluster, WatchPolicy::Persist);
    index.synced().await.unwrap();
    assert_eq!(index.staleness(), Duration::ZERO);
    cluster.fail_watches(&On::any().kind(Kind::ConfigMap), ErrorKind::Forbidden);
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert!(
        index.staleness() >= Duration::from_secs(29),
        "{:?}",
        index.staleness()
    );
    assert_eq!(index.get(&names("s")).id(), Some("s"));
    let mut receiver = index.watch(&names("t"));
    let _ = receiver.view();
    let _ = cluster.create(record("t")).await.unwrap();
    cluster.resume_watches();
    receiver.changed().await;
    assert_eq!(receiver.view().id(), Some("t"));
    assert_eq!(index.staleness(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_fails_fast_tells_those_who_wait_for_a_pod() {
    let cluster = cluster();
    let index = index(&cluster, WatchPolicy::FailFast);
    index.synced().await.unwrap();
    let mut receiver = index.watch(&names("s"));
    cluster.fail_watches(&On::any().kind(Kind::ConfigMap), ErrorKind::Forbidden);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(
        matches!(receiver.pod(), PodState::Unseen),
        "without records one can go on"
    );
    cluster.fail_watches(&On::any().kind(Kind::Pod), ErrorKind::Forbidden);
    receiver.changed().await;
    assert!(matches!(receiver.pod(), PodState::Failed(_)));
    assert!(
        matches!(index.follow(&names("t")).pod(), PodState::Failed(_)),
        "nor can who comes later"
    );
    assert!(index.has_failed());
    let failure = index.synced().await.unwrap_err();
    assert!(failure.chain().contains("forbidden"), "{}", failure.chain());
    let now = Timestamp::UNIX_EPOCH;
    assert_eq!(receiver.view().state(now), None);
}
