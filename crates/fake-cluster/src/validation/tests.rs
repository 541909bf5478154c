//! One wrong field each: it is named, in the API's path.

use podbay_k8s_client::{Kind, Object};
use serde_json::{Value, json};

use super::{of_change, of_new};

fn object(kind: Kind, mut json: Value) -> Object {
    let metadata = json!({"name": "x", "namespace": "ns"});
    if json["metadata"].is_null() {
        json["metadata"] = metadata;
    }
    Object::from_json(kind, json).unwrap()
}

fn container(fields: &Value) -> Value {
    let mut container = json!({"name": "c", "image": "i"});
    for (name, value) in fields.as_object().unwrap() {
        container[name] = value.clone();
    }
    container
}

fn pod(fields: &Value) -> Value {
    json!({"spec": {
        "containers": [container(fields)],
        "volumes": [{"name": "v", "emptyDir": {}}],
    }})
}

fn expect(kind: Kind, json: Value, field: &str) {
    let problems = of_new(&object(kind, json));
    assert_eq!(problems.len(), 1, "{field}: {problems:?}");
    assert!(
        problems[0].starts_with(&format!("{field}: ")),
        "{field}: {problems:?}"
    );
}

#[test]
fn what_is_right_passes() {
    for (kind, json) in [
        (
            Kind::Pod,
            pod(&json!({"volumeMounts": [{"name": "v", "mountPath": "/w"}]})),
        ),
        (Kind::ConfigMap, json!({"data": {"a.b_c-D": "x"}})),
        (Kind::Service, json!({"spec": {"ports": [{"port": 80}]}})),
        (
            Kind::NetworkPolicy,
            json!({"spec": {"podSelector": {}, "egress": [
                {"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}}]}]}}),
        ),
        (
            Kind::HttpRoute,
            json!({"spec": {"hostnames": ["a.b"], "parentRefs": [{"name": "g"}]}}),
        ),
    ] {
        assert_eq!(of_new(&object(kind, json)), [""; 0], "{kind}");
    }
}

#[test]
fn metadata_that_is_wrong_is_named() {
    let metadata = |fields: Value| {
        let mut metadata = json!({"name": "x", "namespace": "ns"});
        for (name, value) in fields.as_object().unwrap() {
            metadata[name] = value.clone();
        }
        json!({"metadata": metadata})
    };
    for (fields, field) in [
        (json!({"name": ""}), "metadata.name"),
        (json!({"name": "Upper"}), "metadata.name"),
        (json!({"name": "a".repeat(254)}), "metadata.name"),
        (json!({"namespace": "a.b"}), "metadata.namespace"),
        (json!({"labels": {"a": "x y"}}), "metadata.labels"),
        (json!({"labels": {"a": "x".repeat(64)}}), "metadata.labels"),
        (json!({"labels": {"/a": "x"}}), "metadata.labels"),
        (json!({"annotations": {"a b": "x"}}), "metadata.annotations"),
        (
            json!({"annotations": {"a": "x".repeat(300_000)}}),
            "metadata.annotations",
        ),
        (
            json!({"ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "x", "uid": ""}]}),
            "metadata.ownerReferences[0].uid",
        ),
    ] {
        expect(Kind::ConfigMap, metadata(fields), field);
    }
    expect(
        Kind::Service,
        json!({"metadata": {"name": "1a", "namespace": "ns"}, "spec": {"ports": [{"port": 1}]}}),
        "metadata.name",
    );
}

#[test]
fn pods_that_are_wrong_are_named() {
    let at = |field: &str| format!("spec.containers[0].{field}");
    for (fields, field) in [
        (json!({"name": ""}), "name"),
        (json!({"image": ""}), "image"),
        (json!({"imagePullPolicy": "Often"}), "imagePullPolicy"),
        (json!({"env": [{"name": "A"}, {"name": "A"}]}), "env[1].name"),
        (json!({"env": [{"name": "A=B"}]}), "env[0].name"),
        (
            json!({"volumeMounts": [{"name": "w", "mountPath": "/w"}]}),
            "volumeMounts[0].name",
        ),
        (
            json!({"volumeMounts": [{"name": "v", "mountPath": "/w"}, {"name": "v", "mountPath": "/w"}]}),
            "volumeMounts[1].mountPath",
        ),
        (json!({"ports": [{"containerPort": 0}]}), "ports[0].containerPort"),
        (
            json!({"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1500m"}}}),
            "resources.requests",
        ),
        (
            json!({"resources": {"requests": {"x.y/gpu": "1"}}}),
            "resources.limits",
        ),
    ] {
        expect(Kind::Pod, pod(&fields), &at(field));
    }
    let mut twice = pod(&json!({}));
    twice["spec"]["volumes"] = json!([{"name": "v", "emptyDir": {}}, {"name": "v", "emptyDir": {}}]);
    expect(Kind::Pod, twice, "spec.volumes[1].name");
    expect(
        Kind::Job,
        json!({"spec": {"template": pod(&json!({}))}}),
        "spec.template.spec.restartPolicy",
    );
}

#[test]
fn the_rest_that_is_wrong_is_named() {
    let big = "x".repeat((1 << 20) + 1);
    let ingress = |host: &str| {
        json!({"spec": {"rules": [{"host": host, "http": {"paths": [{
            "path": "/", "pathType": "Prefix", "backend": {"service": {"name": "s", "port": {"number": 1}}}}]}}]}})
    };
    for (kind, json, field) in [
        (Kind::ConfigMap, json!({"data": {"a": big}}), "[]"),
        (Kind::ConfigMap, json!({"data": {"a/b": ""}}), "data[a/b]"),
        (
            Kind::PersistentVolumeClaim,
            json!({"spec": {"accessModes": ["ReadWriteOnce"]}}),
            "spec.resources[storage]",
        ),
        (Kind::Service, json!({"spec": {"ports": []}}), "spec.ports"),
        (
            Kind::Service,
            json!({"spec": {"ports": [{"port": 0}]}}),
            "spec.ports[0].port",
        ),
        (
            Kind::Service,
            json!({"spec": {"ports": [{"port": 1, "name": "a"}, {"port": 2, "name": "a"}]}}),
            "spec.ports[1].name",
        ),
        (
            Kind::Service,
            json!({"spec": {"ports": [{"port": 1}], "selector": {"a": "x y"}}}),
            "spec.selector",
        ),
        (Kind::Ingress, ingress("UPPER.example"), "spec.rules[0].host"),
        (Kind::Ingress, ingress("10.0.0.1"), "spec.rules[0].host"),
        (
            Kind::NetworkPolicy,
            json!({"spec": {"podSelector": {}, "egress": [
                {"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["11.0.0.0/16"]}}]}]}}),
            "spec.egress[0].to[0].ipBlock.except[0]",
        ),
        (
            Kind::HttpRoute,
            json!({"spec": {"hostnames": ["A_b"]}}),
            "spec.hostnames",
        ),
    ] {
        expect(kind, json, field);
    }
}

#[test]
fn what_may_not_change_is_named() {
    let immutable = |value: &str| object(Kind::Secret, json!({"immutable": true, "data": {"a": value}}));
    let changed = of_change(&immutable("eA=="), &immutable("eQ=="));
    assert!(changed[0].starts_with("data: Forbidden"), "{changed:?}");
    let image = |image: &str| object(Kind::Pod, pod(&json!({"image": image})));
    assert_eq!(of_change(&image("a"), &image("b")), [""; 0]);
    let command = object(Kind::Pod, pod(&json!({"command": ["x"]})));
    let changed = of_change(&image("i"), &command);
    assert!(changed[0].starts_with("spec: Forbidden"), "{changed:?}");
}
