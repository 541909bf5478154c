//! What the server refuses to create, and its words.

use podbay_k8s_client::Kind;
use serde_json::{Value, json};

use crate::behaviour::fate::Fate;
use crate::behaviour::observed::without_values;
use crate::behaviour::{Observed, Stage};

/// Tries to create each of these and notes what came of it.
async fn try_all(stage: &Stage, kind: Kind, objects: impl IntoIterator<Item = (&str, Value)>) -> Observed {
    let mut seen = stage.observe();
    for (what, object) in objects {
        seen.outcome(what, &stage.try_create(kind, object).await);
    }
    seen
}

/// Not those of Services: which are refused depends on the server's version (RelaxedServiceNameValidation).
pub(super) async fn names(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    let long = "x".repeat(254);
    for (kind, name) in [
        (Kind::ConfigMap, "Upper"),
        (Kind::ConfigMap, "under_score"),
        (Kind::ConfigMap, "-dash"),
        (Kind::ConfigMap, "dotted.name"),
        (Kind::ConfigMap, long.as_str()),
        (Kind::Secret, "a..b"),
    ] {
        let object = json!({"metadata": {"name": name}});
        seen.outcome(&format!("{kind} {name}"), &stage.try_create(kind, object).await);
    }
    seen
}

pub(super) async fn labels(stage: Stage) -> Observed {
    let labelled = |labels: Value| json!({"metadata": {"name": "labelled", "labels": labels}});
    let annotated =
        |annotations: Value| json!({"metadata": {"name": "annotated", "annotations": annotations}});
    let objects = [
        ("space", labelled(json!({"a b": "c"}))),
        ("long value", labelled(json!({"a": "x".repeat(64)}))),
        ("value with a space", labelled(json!({"a": "b c"}))),
        ("empty prefix", labelled(json!({"/a": "b"}))),
        ("upper prefix", labelled(json!({"Example.com/a": "b"}))),
        ("annotation's key", annotated(json!({"a b": "c d"}))),
        (
            "too large annotations",
            annotated(json!({"a": "x".repeat(256 * 1024)})),
        ),
        ("valid", labelled(json!({"example.com/a": "", "b": "C.d_e-f"}))),
    ];
    try_all(&stage, Kind::ConfigMap, objects).await
}

pub(super) async fn owner_references(stage: Stage) -> Observed {
    let uid = stage.create_map("owner").await.uid().to_owned();
    let owned = |name: &str, owners: Value| json!({"metadata": {"name": name, "ownerReferences": owners}});
    let owner =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid, "controller": true});
    let mut other = owner.clone();
    other["name"] = json!("other");
    other["uid"] = json!("00000000-0000-4000-8000-000000000000");
    let mut empty = owner.clone();
    for field in ["apiVersion", "kind", "name", "uid"] {
        empty[field] = json!("");
    }
    let mut seen = stage.observe();
    for (what, object) in [
        ("empty fields", owned("empty", json!([empty]))),
        ("two controllers", owned("two", json!([owner, other]))),
        ("valid", owned("valid", json!([owner]))),
    ] {
        let created = stage.try_create(Kind::ConfigMap, object).await;
        seen.outcome(what, &created.map_err(without_values));
    }
    seen
}

pub(super) async fn config_map_data(stage: Stage) -> Observed {
    let with =
        |data: Value, binary: Value| json!({"metadata": {"name": "x"}, "data": data, "binaryData": binary});
    let objects = [
        ("slash", with(json!({"a/b": "c"}), json!({}))),
        ("dots", with(json!({"..": "c"}), json!({}))),
        ("both", with(json!({"a": "b"}), json!({"a": "Yg=="}))),
        ("valid", with(json!({"a.b_C-d": ""}), json!({"e": "AP8="}))),
    ];
    try_all(&stage, Kind::ConfigMap, objects).await
}

pub(super) async fn config_map_size(stage: Stage) -> Observed {
    let with = |bytes: usize| json!({"metadata": {"name": "x"}, "data": {"a": "x".repeat(bytes)}});
    let objects = [("more than 1 MiB", with((1 << 20) + 1)), ("1 MiB", with(1 << 20))];
    try_all(&stage, Kind::ConfigMap, objects).await
}

pub(super) async fn secret_size(stage: Stage) -> Observed {
    let with = |bytes: usize| json!({"metadata": {"name": "x"}, "stringData": {"a": "x".repeat(bytes)}});
    let objects = [
        ("more than 1 MiB", with((1 << 20) + 1)),
        ("1 MiB", with(1 << 20)),
        (
            "key",
            json!({"metadata": {"name": "y"}, "stringData": {"a b": "c"}}),
        ),
    ];
    try_all(&stage, Kind::Secret, objects).await
}

/// A pod with one change.
fn pod(change: impl FnOnce(&mut Value)) -> Value {
    let mut pod = Fate::NoSuchNode.pod("p");
    change(&mut pod["spec"]);
    pod
}

pub(super) async fn pod_containers(stage: Stage) -> Observed {
    let mut nameless = Fate::NoSuchNode.pod("p");
    nameless["spec"]["containers"][0]["name"] = json!("");
    let objects = [
        ("none", pod(|spec| spec["containers"] = json!([]))),
        ("no name", nameless),
        (
            "bad name",
            pod(|spec| spec["containers"][0]["name"] = json!("Main")),
        ),
        ("no image", pod(|spec| spec["containers"][0]["image"] = json!(""))),
        (
            "same name",
            pod(|spec| {
                let container = spec["containers"][0].clone();
                spec["containers"] = json!([container, container]);
            }),
        ),
        (
            "pull policy",
            pod(|spec| spec["containers"][0]["imagePullPolicy"] = json!("Often")),
        ),
        (
            "restart policy",
            pod(|spec| spec["restartPolicy"] = json!("Sometimes")),
        ),
        (
            "variable",
            pod(|spec| spec["containers"][0]["env"] = json!([{"name": "a=b", "value": "c"}])),
        ),
        (
            "port",
            pod(|spec| spec["containers"][0]["ports"] = json!([{"containerPort": 70_000}])),
        ),
        (
            "mount of no volume",
            pod(|spec| {
                spec["containers"][0]["volumeMounts"] = json!([{"name": "absent", "mountPath": "/x"}]);
            }),
        ),
    ];
    try_all(&stage, Kind::Pod, objects).await
}

pub(super) async fn pod_resources(stage: Stage) -> Observed {
    let resources = |resources: Value| pod(|spec| spec["containers"][0]["resources"] = resources);
    let objects = [
        ("negative", resources(json!({"requests": {"cpu": "-1"}}))),
        (
            "request above limit",
            resources(json!({"requests": {"memory": "2Mi"}, "limits": {"memory": "1Mi"}})),
        ),
        ("unknown name", resources(json!({"requests": {"speed": "1"}}))),
        (
            "extended without limit",
            resources(json!({"requests": {"example.com/gpu": "1"}})),
        ),
        ("deadline", pod(|spec| spec["activeDeadlineSeconds"] = json!(0))),
        (
            "grace",
            pod(|spec| spec["terminationGracePeriodSeconds"] = json!(-1)),
        ),
        (
            "toleration",
            pod(|spec| spec["tolerations"] = json!([{"key": "a", "operator": "Like", "effect": "Never"}])),
        ),
    ];
    try_all(&stage, Kind::Pod, objects).await
}

pub(super) async fn pod_volumes(stage: Stage) -> Observed {
    let volumes = |volumes: Value| pod(|spec| spec["volumes"] = volumes);
    let objects = [
        (
            "same name",
            volumes(json!([{"name": "a", "emptyDir": {}}, {"name": "a", "emptyDir": {}}])),
        ),
        ("bad name", volumes(json!([{"name": "A", "emptyDir": {}}]))),
        (
            "two sources",
            volumes(json!([{"name": "a", "emptyDir": {}, "hostPath": {"path": "/x"}}])),
        ),
        (
            "no claim",
            volumes(json!([{"name": "a", "persistentVolumeClaim": {"claimName": ""}}])),
        ),
        (
            "upwards",
            volumes(json!([{"name": "a", "hostPath": {"path": "/x/../y"}}])),
        ),
    ];
    try_all(&stage, Kind::Pod, objects).await
}

pub(super) async fn job_templates(stage: Stage) -> Observed {
    let job = |change: fn(&mut Value)| {
        let mut job = json!({"metadata": {"name": "j"}, "spec": {"template": Fate::NoSuchNode.template()}});
        change(&mut job["spec"]);
        job
    };
    let objects = [
        (
            "restart policy",
            job(|spec| spec["template"]["spec"]["restartPolicy"] = json!("Always")),
        ),
        (
            "no restart policy",
            job(|spec| spec["template"]["spec"]["restartPolicy"] = Value::Null),
        ),
        ("negative", job(|spec| spec["backoffLimit"] = json!(-1))),
        (
            "no containers",
            job(|spec| spec["template"]["spec"]["containers"] = json!([])),
        ),
    ];
    try_all(&stage, Kind::Job, objects).await
}

pub(super) async fn claim_requests(stage: Stage) -> Observed {
    let claim = |spec: Value| json!({"metadata": {"name": "c"}, "spec": spec});
    let storage = json!({"requests": {"storage": "1Mi"}});
    let objects = [
        ("no modes", claim(json!({"resources": storage}))),
        (
            "unknown mode",
            claim(json!({"accessModes": ["Read"], "resources": storage})),
        ),
        ("no storage", claim(json!({"accessModes": ["ReadWriteOnce"]}))),
        (
            "zero",
            claim(json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "0"}}})),
        ),
    ];
    try_all(&stage, Kind::PersistentVolumeClaim, objects).await
}

pub(super) async fn service_ports(stage: Stage) -> Observed {
    let service = |ports: Value| json!({"metadata": {"name": "s"}, "spec": {"ports": ports}});
    let objects = [
        ("none", service(json!([]))),
        ("too high", service(json!([{"port": 70_000}]))),
        ("without names", service(json!([{"port": 80}, {"port": 81}]))),
        (
            "same names",
            service(json!([{"name": "a", "port": 80}, {"name": "a", "port": 81}])),
        ),
    ];
    try_all(&stage, Kind::Service, objects).await
}

pub(super) async fn hosts_and_blocks(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    let backend = json!({"service": {"name": "s", "port": {"number": 80}}});
    let rule = |host: &str, path: Value| json!({"metadata": {"name": "i"}, "spec": {"rules": [{"host": host, "http": {"paths": [path]}}]}});
    let path = json!({"path": "/", "pathType": "Prefix", "backend": backend});
    for (what, object) in [
        ("upper host", rule("X.example.com", path.clone())),
        ("address as host", rule("192.0.2.1", path)),
        (
            "relative path",
            rule(
                "x.example.com",
                json!({"path": "x", "pathType": "Prefix", "backend": backend}),
            ),
        ),
        ("nothing", json!({"metadata": {"name": "i"}, "spec": {}})),
    ] {
        let what = format!("ingress: {what}");
        seen.outcome(&what, &stage.try_create(Kind::Ingress, object).await);
    }
    let policy = |block: Value| {
        let spec = json!({"podSelector": {}, "egress": [{"to": [{"ipBlock": block}]}]});
        json!({"metadata": {"name": "n"}, "spec": spec})
    };
    for (what, object) in [
        ("no block", policy(json!({"cidr": "10.0.0.1"}))),
        (
            "outside",
            policy(json!({"cidr": "10.0.0.0/8", "except": ["192.168.0.0/16"]})),
        ),
    ] {
        let what = format!("policy: {what}");
        seen.outcome(&what, &stage.try_create(Kind::NetworkPolicy, object).await);
    }
    seen
}
