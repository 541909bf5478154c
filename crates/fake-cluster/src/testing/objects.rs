//! Objects with no more than an API server asks for.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use podbay_k8s_client::{Kind, Object};
use serde_json::{Value, json};

/// An object of a kind, from JSON as in a manifest; `metadata.namespace` is set, `apiVersion` and `kind` may be left out.
///
/// # Panics
///
/// If the JSON is not an object of the kind.
pub fn object(kind: Kind, namespace: &str, mut json: Value) -> Object {
    json["metadata"]["namespace"] = json!(namespace);
    Object::from_json(kind, json).unwrap_or_else(|error| panic!("the JSON is not a {}: {error}", kind.name()))
}

/// A ConfigMap without data.
pub fn config_map(namespace: &str, name: &str) -> Object {
    object(Kind::ConfigMap, namespace, json!({"metadata": {"name": name}}))
}

/// A pod that is never restarted, with one container, `main`, of any image. Each field of `spec` takes the place of the
/// one that the pod would have; `{}` changes nothing.
///
/// # Panics
///
/// If `spec` is not a table, or not of a pod.
pub fn pod(namespace: &str, name: &str, spec: &Value) -> Object {
    let fields = spec
        .as_object()
        .unwrap_or_else(|| panic!("{spec} is not the spec of a pod"));
    let mut spec = json!({
        "restartPolicy": "Never",
        "containers": [{"name": "main", "image": "registry.example/image:1"}],
    });
    for (field, value) in fields {
        spec[field] = value.clone();
    }
    object(
        Kind::Pod,
        namespace,
        json!({"metadata": {"name": name}, "spec": spec}),
    )
}

/// A claim of 1 GiB of the default storage class, mounted by one node at a time.
pub fn claim(namespace: &str, name: &str) -> Object {
    let spec = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}});
    let json = json!({"metadata": {"name": name}, "spec": spec});
    object(Kind::PersistentVolumeClaim, namespace, json)
}

/// The object with these owners and no others: it is deleted once none of them exists any more. Owners are named by the
/// UIDs that they have, so they must be as the cluster returned them.
///
/// # Panics
///
/// If an owner has no JSON.
pub fn owned_by(mut object: Object, owners: &[&Object]) -> Object {
    object.metadata_mut().owner_references = Some(owners.iter().map(|owner| reference(owner)).collect());
    object
}

fn reference(owner: &Object) -> OwnerReference {
    let json = owner
        .to_json()
        .unwrap_or_else(|error| panic!("{} has no JSON: {error}", owner.key()));
    OwnerReference {
        api_version: json["apiVersion"].as_str().unwrap_or_default().to_owned(),
        kind: owner.kind().name().to_owned(),
        name: owner.key().name,
        uid: owner.uid().to_owned(),
        ..OwnerReference::default()
    }
}
