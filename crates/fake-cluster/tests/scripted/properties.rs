//! What holds whatever is done, in whatever order.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::{FutureExt as _, StreamExt as _};
use podbay_fake_cluster::testing::{claim, config_map, object, owned_by, pod};
use podbay_fake_cluster::{RawEvent, RawWatch, ScriptedCluster};
use podbay_k8s_client::{DeleteOptions, Kind, Object};
use proptest::prelude::*;
use serde_json::json;

use crate::harness::{NAMESPACE, key, uses_claim};

const KINDS: [Kind; 3] = [Kind::ConfigMap, Kind::Pod, Kind::PersistentVolumeClaim];

#[derive(Clone, Debug)]
enum Step {
    /// A config map, owned by up to two earlier objects, whether they are still there or not.
    Map(u8, Vec<usize>),
    /// A pod, which may use a claim.
    Pod(u8, Option<u8>),
    Claim(u8),
    Relabel(u8, u8),
    Delete(usize, u8),
    Pass(u64),
    /// Remembers the version of now, and what there is.
    Mark,
}

fn step() -> impl Strategy<Value = Step> {
    let name = 0..5_u8;
    prop_oneof![
        3 => (name.clone(), prop::collection::vec(0..20_usize, 0..3)).prop_map(|(n, o)| Step::Map(n, o)),
        3 => (name.clone(), prop::option::of(name.clone())).prop_map(|(n, c)| Step::Pod(n, c)),
        2 => name.clone().prop_map(Step::Claim),
        2 => (name.clone(), 0..3_u8).prop_map(|(n, l)| Step::Relabel(n, l)),
        3 => (0..KINDS.len(), name).prop_map(|(k, n)| Step::Delete(k, n)),
        3 => (1..200_u64).prop_map(Step::Pass),
        1 => Just(Step::Mark),
    ]
}

/// A version, and the config maps there were.
type Mark = (String, BTreeMap<String, Object>);

struct Run {
    cluster: ScriptedCluster,
    made: Vec<Object>,
    marks: Vec<Mark>,
}

impl Run {
    async fn of(steps: &[Step]) -> Self {
        let mut run = Self {
            cluster: ScriptedCluster::builder().seed(1).build(),
            made: Vec::new(),
            marks: Vec::new(),
        };
        run.mark();
        for step in steps {
            run.take(step).await;
            run.check();
        }
        run
    }

    fn mark(&mut self) {
        let list = self
            .cluster
            .raw()
            .list(Kind::ConfigMap, NAMESPACE, "l!=0")
            .unwrap();
        let objects = list.items.into_iter().map(|object| (object.key().name, object));
        self.marks.push((list.resource_version, objects.collect()));
    }

    async fn take(&mut self, step: &Step) {
        let raw = self.cluster.raw();
        let create = match step {
            Step::Map(name, owners) => {
                let owners: Vec<&Object> = owners.iter().filter_map(|index| self.made.get(*index)).collect();
                let map = object(
                    Kind::ConfigMap,
                    NAMESPACE,
                    json!({"metadata": {"name": name.to_string(), "labels": {"l": "1"}}}),
                );
                owned_by(map, &owners)
            }
            Step::Pod(name, claim) => {
                let spec = claim.map_or_else(|| json!({}), |claim| uses_claim(&claim.to_string()));
                pod(NAMESPACE, &name.to_string(), &spec)
            }
            Step::Claim(name) => claim(NAMESPACE, &name.to_string()),
            Step::Relabel(name, label) => {
                let patch = json!({"metadata": {"labels": {"l": label.to_string()}}});
                raw.patch(&key(Kind::ConfigMap, &name.to_string()), &patch).ok();
                return;
            }
            Step::Delete(kind, name) => {
                raw.delete(&key(KINDS[*kind], &name.to_string()), DeleteOptions::default())
                    .ok();
                return;
            }
            Step::Pass(millis) => return tokio::time::sleep(Duration::from_millis(*millis)).await,
            Step::Mark => return self.mark(),
        };
        self.made.extend(raw.create(create).ok());
    }

    /// What holds at every moment: the quota, and that a claim is there while a pod on a node uses it.
    fn check(&self) {
        let raw = self.cluster.raw();
        let list = |kind| raw.list(kind, NAMESPACE, "").unwrap().items;
        let claims: BTreeSet<String> = list(Kind::PersistentVolumeClaim)
            .into_iter()
            .map(|claim| claim.key().name)
            .collect();
        let pods: Vec<_> = list(Kind::Pod).into_iter().filter_map(Object::into_pod).collect();
        for pod in &pods {
            let spec = pod.spec.as_ref().unwrap();
            let volumes = spec.volumes.iter().flatten();
            for source in volumes.filter_map(|volume| volume.persistent_volume_claim.as_ref()) {
                if spec.node_name.is_some() {
                    assert!(claims.contains(&source.claim_name), "a claim in use is gone");
                }
            }
        }
    }
}

/// What a watch adds up to, from what there was.
fn replay(mut objects: BTreeMap<String, Object>, mut watch: RawWatch) -> BTreeMap<String, Object> {
    while let Some(Some(event)) = watch.next().now_or_never() {
        match event {
            RawEvent::Added(object) => assert!(objects.insert(object.key().name, object).is_none()),
            RawEvent::Modified(object) => assert!(objects.insert(object.key().name, object).is_some()),
            RawEvent::Deleted(object) => assert!(objects.remove(&object.key().name).is_some()),
            RawEvent::Bookmark { .. } => {}
            RawEvent::Error(error) => panic!("{error}"),
        }
    }
    objects
}

fn on_a_paused_clock<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    runtime.unwrap().block_on(test)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_watch_from_any_version_adds_up_to_the_list(steps in prop::collection::vec(step(), 0..50)) {
        on_a_paused_clock(async {
            let mut run = Run::of(&steps).await;
            run.mark();
            let (_, now) = run.marks.last().cloned().unwrap();
            let raw = run.cluster.raw();
            for (version, then) in run.marks {
                let watch = raw.watch_from(Kind::ConfigMap, NAMESPACE, "l!=0", Some(&version)).unwrap();
                // A mark at version 0 starts anew, from nothing.
                assert_eq!(replay(then, watch), now);
            }
            let anew = raw.watch_from(Kind::ConfigMap, NAMESPACE, "l!=0", None).unwrap();
            assert_eq!(replay(BTreeMap::new(), anew), now);
        });
    }

    #[test]
    fn nothing_is_left_whose_owners_are_gone(steps in prop::collection::vec(step(), 0..50)) {
        on_a_paused_clock(async {
            let run = Run::of(&steps).await;
            tokio::time::sleep(Duration::from_secs(60)).await;
            let left = run.cluster.raw().list(Kind::ConfigMap, NAMESPACE, "").unwrap().items;
            let everything: BTreeSet<String> = KINDS
                .iter()
                .flat_map(|kind| run.cluster.raw().list(*kind, NAMESPACE, "").unwrap().items)
                .map(|object| object.uid().to_owned())
                .collect();
            for object in left {
                let owners = object.metadata().owner_references.clone().unwrap();
                let owned = owners.iter().any(|owner| everything.contains(&owner.uid));
                assert!(owners.is_empty() || owned, "{object:?} is garbage");
            }
        });
    }

    #[test]
    fn two_runs_are_the_same(steps in prop::collection::vec(step(), 0..50)) {
        let run = || on_a_paused_clock(async {
            let run = Run::of(&steps).await;
            let raw = run.cluster.raw();
            let list = |kind: &Kind| raw.list(*kind, NAMESPACE, "").unwrap();
            KINDS.iter().map(list).collect::<Vec<_>>()
        });
        prop_assert!(run() == run());
    }

    #[test]
    fn a_quota_is_never_exceeded(steps in prop::collection::vec(step(), 0..60), limit in 0..4_usize) {
        on_a_paused_clock(async {
            let cluster = ScriptedCluster::new();
            let raw = cluster.raw();
            let hard = json!({"pods": limit.to_string(), "configmaps": limit.to_string()});
            let quota = json!({"metadata": {"name": "q"}, "spec": {"hard": hard}});
            raw.set_quota(NAMESPACE, &serde_json::from_value(quota).unwrap());
            let mut run = Run { cluster, made: Vec::new(), marks: Vec::new() };
            for step in &steps {
                run.take(step).await;
                for kind in [Kind::Pod, Kind::ConfigMap] {
                    let count = raw.list(kind, NAMESPACE, "").unwrap().items.len();
                    assert!(count <= limit, "{count} of {limit} {kind}s");
                    let used = raw.quota_used(NAMESPACE, "q").unwrap();
                    assert_eq!(used[kind.resource()].0, count.to_string());
                }
            }
            // And what is free can be had.
            tokio::time::sleep(Duration::from_secs(60)).await;
            let count = raw.list(Kind::ConfigMap, NAMESPACE, "").unwrap().items.len();
            assert_eq!(raw.create(config_map(NAMESPACE, "another")).is_ok(), count < limit);
        });
    }
}
