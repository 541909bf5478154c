//! What a namespace may use.

use podbay_fake_cluster::ScriptedCluster;
use podbay_fake_cluster::testing::{config_map, pod};
use podbay_k8s_client::{ClusterClient as _, DeleteOptions, ErrorKind, Kind};
use serde_json::{Value, json};

use crate::harness::{NAMESPACE, key, seconds};

fn limit(cluster: &ScriptedCluster, hard: &Value) {
    let quota = json!({"metadata": {"name": "q"}, "spec": {"hard": hard}});
    cluster
        .raw()
        .set_quota(NAMESPACE, &serde_json::from_value(quota).unwrap());
}

fn sized(cpu: &str) -> Value {
    json!({"containers": [{"name": "main", "image": "i", "resources": {"requests": {"cpu": cpu}}}]})
}

#[tokio::test(start_paused = true)]
async fn an_exceeded_quota_is_named_in_the_servers_words() {
    let cluster = ScriptedCluster::new();
    cluster.create(pod(NAMESPACE, "a", &json!({}))).await.unwrap();
    cluster.create(pod(NAMESPACE, "b", &json!({}))).await.unwrap();
    limit(&cluster, &json!({"pods": "2", "count/configmaps": "1"}));
    let error = cluster.create(pod(NAMESPACE, "x", &json!({}))).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Forbidden);
    assert_eq!(
        error.message.unwrap(),
        r#"pods "x" is forbidden: exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2"#
    );
    cluster.create(config_map(NAMESPACE, "a")).await.unwrap();
    assert!(cluster.create(config_map(NAMESPACE, "b")).await.is_err());
    // What has ended counts for nothing, and neither does what is gone.
    seconds(1).await;
    cluster.exit(NAMESPACE, "a", 0).unwrap();
    cluster.create(pod(NAMESPACE, "x", &json!({}))).await.unwrap();
    cluster
        .delete(&key(Kind::ConfigMap, "a"), DeleteOptions::default())
        .await
        .unwrap();
    cluster.create(config_map(NAMESPACE, "b")).await.unwrap();
    let used = cluster.raw().quota_used(NAMESPACE, "q").unwrap();
    assert_eq!(
        serde_json::to_value(used).unwrap(),
        json!({"count/configmaps": "1", "pods": "2"})
    );
}

#[tokio::test(start_paused = true)]
async fn amounts_are_added_up_and_must_be_given() {
    let cluster = ScriptedCluster::new();
    limit(&cluster, &json!({"requests.cpu": "1"}));
    cluster.create(pod(NAMESPACE, "a", &sized("600m"))).await.unwrap();
    let error = cluster
        .create(pod(NAMESPACE, "b", &sized("0.5")))
        .await
        .unwrap_err();
    assert_eq!(
        error.message.unwrap(),
        "pods \"b\" is forbidden: exceeded quota: q, requested: requests.cpu=500m, used: requests.cpu=600m, limited: \
         requests.cpu=1"
    );
    let error = cluster.create(pod(NAMESPACE, "b", &json!({}))).await.unwrap_err();
    assert_eq!(
        error.message.unwrap(),
        "pods \"b\" is forbidden: failed quota: q: must specify requests.cpu for: main"
    );
    cluster.create(pod(NAMESPACE, "b", &sized("400m"))).await.unwrap();
}
