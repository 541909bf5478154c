//! Garbage collection: an object goes some time after the last of its owners.

use podbay_k8s_client::{Kind, Object};
use serde_json::{Value, json};

use crate::behaviour::fate::Fate;
use crate::behaviour::stage::{pick, to_json};
use crate::behaviour::{Observed, Stage};

fn reference(owner: &Object) -> Value {
    let name = owner.metadata().name.clone();
    json!({"apiVersion": "v1", "kind": owner.kind().name(), "name": name, "uid": owner.uid()})
}

fn owned(name: &str, owners: &[Value]) -> Value {
    json!({"metadata": {"name": name, "ownerReferences": owners}})
}

pub(super) async fn cascade(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    let owner = stage.create_map("record").await;
    let owners = [reference(&owner)];
    let mut pod = Fate::Runs.pod("p");
    pod["metadata"]["ownerReferences"] = json!(owners);
    let mut service = owned("s", &owners);
    service["spec"] = json!({"ports": [{"port": 80}]});
    let mut policy = owned("n", &owners);
    policy["spec"] = json!({"podSelector": {}});
    let mut claim = owned("c", &owners);
    claim["spec"] = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}});
    let dependents = [
        (Kind::Secret, owned("k", &owners)),
        (Kind::Pod, pod),
        (Kind::Service, service),
        (Kind::NetworkPolicy, policy),
        (Kind::PersistentVolumeClaim, claim),
        (Kind::ConfigMap, owned("m", &owners)),
    ];
    let mut keys = Vec::new();
    for (kind, dependent) in dependents {
        keys.push(stage.create(kind, dependent).await.key());
    }
    // One level below.
    let below = stage.get(&keys[0]).await;
    let below = Object::from_json(Kind::Secret, below).expect("a secret");
    keys.push(
        stage
            .create(Kind::ConfigMap, owned("below", &[reference(&below)]))
            .await
            .key(),
    );
    let foreign = stage.create(Kind::Secret, owned("free", &[])).await.key();
    stage.delete(&stage.key(Kind::ConfigMap, "record")).await;
    seen.note("the owner goes at once", stage.get(&owner.key()).await.is_null());
    for key in keys {
        stage.gone(&key).await;
        seen.note("gone", key.to_string());
    }
    seen.note("what nobody owned stays", !stage.get(&foreign).await.is_null());
    seen
}

pub(super) async fn late_dependent(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    let owner = stage.create_map("record").await;
    stage.delete(&owner.key()).await;
    let late = owned("late", &[reference(&owner)]);
    let late = stage.try_create(Kind::Secret, late).await;
    seen.outcome("created", &late);
    stage.gone(&stage.key(Kind::Secret, "late")).await;
    seen
}

pub(super) async fn one_owner_stays(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    let first = stage.create_map("first").await;
    let second = stage.create_map("second").await;
    let owners = [reference(&first), reference(&second)];
    stage.create(Kind::Secret, owned("shared", &owners)).await;
    let key = stage.key(Kind::Secret, "shared");
    let witness = owned("witness", &[reference(&first)]);
    stage.create(Kind::Secret, witness).await;
    stage.delete(&first.key()).await;
    stage.gone(&stage.key(Kind::Secret, "witness")).await;
    let state = stage
        .until(&key, "rid of the owner that is gone", |state| {
            state["metadata"]["ownerReferences"]
                .as_array()
                .is_none_or(|owners| owners.len() == 1)
        })
        .await;
    let fields = ["/metadata/ownerReferences/0/name", "/metadata/deletionTimestamp"];
    seen.note("has one owner left", pick(&state, fields));
    stage.delete(&second.key()).await;
    stage.gone(&key).await;
    seen
}

pub(super) async fn owner_of_another_uid(stage: Stage) -> Observed {
    let seen = stage.observe();
    let owner = stage.create_map("record").await;
    let mut stranger = reference(&owner);
    stranger["uid"] = json!("00000000-0000-4000-8000-000000000000");
    stage.create(Kind::Secret, owned("orphan", &[stranger])).await;
    stage.gone(&stage.key(Kind::Secret, "orphan")).await;
    seen
}

pub(super) async fn job_pods(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    let owner = stage.create_map("record").await;
    let mut job = json!({"spec": {"template": Fate::Runs.template()}});
    job["metadata"] = owned("j", &[reference(&owner)])["metadata"].clone();
    stage.create(Kind::Job, job).await;
    let key = stage.key(Kind::Job, "j");
    stage
        .until(&key, "running", |state| state["status"]["ready"] == 1)
        .await;
    let pods = stage
        .client
        .list(Kind::Pod, &stage.namespace, "job-name=j")
        .await
        .expect("a list");
    seen.note("pods", pods.len());
    let pod = to_json(&pods[0]);
    seen.note(
        "owner",
        pick(
            &pod,
            [
                "/metadata/ownerReferences/0/kind",
                "/metadata/ownerReferences/0/name",
            ],
        ),
    );
    stage.delete(&owner.key()).await;
    stage.gone(&key).await;
    stage.gone(&pods[0].key()).await;
    seen
}
