//! Objects as an earlier version wrote them, on a scripted cluster.

use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret};
use podbay_fake_cluster::ScriptedCluster;
use podbay_k8s_client::{ClusterClient as _, Object};
use serde_json::{Value, json};

pub(crate) const NAMESPACE: &str = "default";

/// Long enough for a pod to run, or a Job to make its pod.
const SETTLED: Duration = Duration::from_secs(60);

/// What becomes of the objects once they are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Nothing: the fixture has no pod.
    AsItIs,
    /// Its pod runs.
    Running,
    /// Its pod runs and ends with code 3.
    Ended,
    /// It was paused, as every version did it: the record is marked, and the pod is gone.
    Paused,
}

/// A session that an earlier version made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fixture {
    pub(crate) name: &'static str,
    objects: &'static str,
    state: State,
}

impl Fixture {
    pub(crate) const fn new(name: &'static str, objects: &'static str, state: State) -> Self {
        Self { name, objects, state }
    }

    /// A cluster with these objects and no others.
    pub(crate) async fn load(&self) -> ScriptedCluster {
        let cluster = ScriptedCluster::new();
        let objects: Vec<Value> = serde_json::from_str(self.objects).unwrap();
        let mut owner = String::new();
        for mut object in objects {
            if self.is_left_out(&object) {
                continue;
            }
            as_it_was_sent(&mut object, &owner);
            if self.state == State::Paused && object["kind"] == "ConfigMap" {
                object["metadata"]["annotations"]["podbay.dev/paused"] = json!("true");
            }
            let created = cluster.create(typed(object)).await.unwrap();
            if matches!(created, Object::ConfigMap(_)) {
                created.uid().clone_into(&mut owner);
            }
        }
        tokio::time::sleep(SETTLED).await;
        if self.state == State::Ended {
            cluster.exit(NAMESPACE, "openhands-runtime-s", 3).unwrap();
            tokio::time::sleep(SETTLED).await;
        }
        cluster
    }

    /// A Job makes its pod itself, and a session that was paused has none.
    fn is_left_out(&self, object: &Value) -> bool {
        object["kind"] == "Pod"
            && (self.state == State::Paused || object["metadata"]["ownerReferences"][0]["kind"] == "Job")
    }
}

/// Takes away what the cluster has added, and names the record that owns the object in this cluster.
fn as_it_was_sent(object: &mut Value, owner: &str) {
    let remove = |object: &mut Value, pointer: &str, keys: &[&str]| {
        if let Some(Value::Object(fields)) = object.pointer_mut(pointer) {
            fields.retain(|key, _| !keys.contains(&key.as_str()));
        }
    };
    let added = [
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "generation",
        "finalizers",
    ];
    remove(object, "/metadata", &added);
    remove(object, "", &["status"]);
    remove(object, "/spec", &["nodeName", "volumeName", "selector"]);
    let of_the_controller = [
        "batch.kubernetes.io/controller-uid",
        "batch.kubernetes.io/job-name",
        "controller-uid",
        "job-name",
    ];
    remove(object, "/spec/template/metadata/labels", &of_the_controller);
    if let Some(uid) = object.pointer_mut("/metadata/ownerReferences/0/uid") {
        *uid = json!(owner);
    }
}

fn typed(object: Value) -> Object {
    match object["kind"].as_str().unwrap() {
        "ConfigMap" => serde_json::from_value::<ConfigMap>(object).unwrap().into(),
        "Secret" => serde_json::from_value::<Secret>(object).unwrap().into(),
        "PersistentVolumeClaim" => serde_json::from_value::<PersistentVolumeClaim>(object)
            .unwrap()
            .into(),
        "Job" => serde_json::from_value::<Job>(object).unwrap().into(),
        "Pod" => serde_json::from_value::<Pod>(object).unwrap().into(),
        other => panic!("{other}"),
    }
}
