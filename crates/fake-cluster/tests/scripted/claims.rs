//! Claims: bound, not bound, protected.

use podbay_fake_cluster::testing::{claim, pod};
use podbay_fake_cluster::{Provisioning, ScriptedCluster};
use podbay_k8s_client::{ClusterClient as _, DeleteOptions, Kind};
use serde_json::json;

use crate::harness::{NAMESPACE, condition, exists, get_pod, key, phase, reasons, seconds, uses_claim};

const CLAIM: Kind = Kind::PersistentVolumeClaim;

#[tokio::test(start_paused = true)]
async fn a_pod_waits_for_its_claim() {
    let cluster = ScriptedCluster::new();
    cluster
        .create(pod(NAMESPACE, "p", &uses_claim("c")))
        .await
        .unwrap();
    seconds(1).await;
    let waiting = get_pod(&cluster, "p").await;
    assert_eq!(condition(&waiting, "PodScheduled"), "False Unschedulable");
    let conditions = waiting.status.unwrap().conditions.unwrap();
    let message = conditions[0].message.clone().unwrap();
    assert!(
        message.starts_with("0/3 nodes are available: persistentvolumeclaim \"c\" not found. "),
        "{message}"
    );
    cluster.create(claim(NAMESPACE, "c")).await.unwrap();
    seconds(2).await;
    assert_eq!(phase(&get_pod(&cluster, "p").await), "Running");
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_nobody_provides_stays_pending() {
    let cluster = ScriptedCluster::new();
    let message = "storageclass.storage.k8s.io \"x\" not found".to_owned();
    cluster.provision_with(move |_| {
        Some(Provisioning::Fails {
            message: message.clone(),
        })
    });
    let made = cluster.create(claim(NAMESPACE, "c")).await.unwrap();
    cluster
        .create(pod(NAMESPACE, "p", &uses_claim("c")))
        .await
        .unwrap();
    seconds(60).await;
    let waiting = get_pod(&cluster, "p").await;
    assert_eq!(phase(&waiting), "Pending");
    assert!(
        reasons(&cluster, &waiting)
            .await
            .contains(&"FailedScheduling".to_owned())
    );
    let events = cluster.events(&key(CLAIM, "c"), made.uid()).await.unwrap();
    assert_eq!(events[0].reason.as_deref(), Some("ProvisioningFailed"));
    assert!(events[0].count > Some(2));
}

#[tokio::test(start_paused = true)]
async fn a_claim_in_use_outlives_its_deletion() {
    let cluster = ScriptedCluster::new();
    for name in ["c", "free"] {
        cluster.create(claim(NAMESPACE, name)).await.unwrap();
    }
    cluster
        .create(pod(NAMESPACE, "p", &uses_claim("c")))
        .await
        .unwrap();
    seconds(1).await;
    for name in ["c", "free"] {
        cluster
            .delete(&key(CLAIM, name), DeleteOptions::default())
            .await
            .unwrap();
    }
    seconds(60).await;
    assert!(
        cluster
            .get(&key(CLAIM, "c"))
            .await
            .unwrap()
            .unwrap()
            .is_terminating()
    );
    assert!(!exists(&cluster, CLAIM, "free").await);
    // A pod that comes now gets no node.
    cluster
        .create(pod(NAMESPACE, "late", &uses_claim("c")))
        .await
        .unwrap();
    seconds(1).await;
    assert_eq!(
        condition(&get_pod(&cluster, "late").await, "PodScheduled"),
        "False Unschedulable"
    );
    cluster
        .delete(&key(Kind::Pod, "p"), DeleteOptions::default())
        .await
        .unwrap();
    seconds(1).await;
    assert!(!exists(&cluster, CLAIM, "c").await);
    assert_eq!(phase(&get_pod(&cluster, "late").await), "Pending");
    let unknown = cluster.patch(&key(CLAIM, "c"), json!({})).await;
    assert!(unknown.is_err());
}
