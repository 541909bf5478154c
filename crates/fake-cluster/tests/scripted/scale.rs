//! Thousands of pods cost little: no change is more than a lookup, no watch more than its own events.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::StreamExt as _;
use podbay_fake_cluster::ScriptedCluster;
use podbay_fake_cluster::testing::{config_map, owned_by, pod};
use podbay_k8s_client::{ClusterClient as _, DeleteOptions, Kind, WatchEvent, WatchPolicy};
use serde_json::json;

use crate::harness::{NAMESPACE, key};

/// Pods at once, each with an owner.
const PODS: usize = 2_000;

/// Far above what it takes (a second or two, unoptimised), far below what a search per change would.
const MOST: Duration = Duration::from_secs(60);

/// On a clock that runs: the time is what is measured.
#[tokio::test]
async fn two_thousand_owned_pods_start_and_go() {
    let cluster = ScriptedCluster::new();
    let begun = tokio::time::Instant::now();
    let mut watch = cluster.watch(Kind::Pod, NAMESPACE, "", WatchPolicy::FailFast);
    let making = {
        let cluster = cluster.clone();
        async move {
            for number in 0..PODS {
                let name = format!("s{number}");
                let owner = cluster.create(config_map(NAMESPACE, &name)).await.unwrap();
                cluster
                    .create(owned_by(pod(NAMESPACE, &name, &json!({})), &[&owner]))
                    .await
                    .unwrap();
                // Lets the watch read.
                tokio::task::yield_now().await;
            }
        }
    };
    let making = tokio::spawn(making);
    let mut running = BTreeSet::new();
    while running.len() < PODS {
        let objects = match watch.next().await.unwrap().unwrap() {
            WatchEvent::Reset(objects) => objects,
            WatchEvent::Applied(object) => vec![object],
            event => panic!("{event:?}"),
        };
        for pod in objects
            .into_iter()
            .filter_map(podbay_k8s_client::Object::into_pod)
        {
            if pod.status.unwrap().phase.as_deref() == Some("Running") {
                running.insert(pod.metadata.name);
            }
        }
    }
    making.await.unwrap();
    for number in 0..PODS {
        let owner = key(Kind::ConfigMap, &format!("s{number}"));
        assert!(cluster.delete(&owner, DeleteOptions::default()).await.unwrap());
    }
    while !cluster.count(NAMESPACE).is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(begun.elapsed() < MOST, "{:?}", begun.elapsed());
}
