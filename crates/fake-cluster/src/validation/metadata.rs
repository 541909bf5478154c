//! `metadata`, of every kind (`ValidateObjectMeta`).

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use podbay_k8s_client::{Kind, Object};

use super::problems::Problems;
use super::text;

/// All annotations of an object together, in bytes (`TotalAnnotationSizeLimitB`).
const ANNOTATIONS_BYTES: usize = 256 * 1024;

pub(super) fn validate(object: &Object, problems: &mut Problems) {
    let metadata = object.metadata();
    match metadata.name.as_deref().unwrap_or_default() {
        "" => problems.required("metadata.name", "name or generateName is required"),
        name => {
            let wrong = match object.kind() {
                Kind::Service => text::label_1035(name),
                _ => text::subdomain(name),
            };
            if let Some(wrong) = wrong {
                problems.invalid("metadata.name", name, &wrong);
            }
        }
    }
    match metadata.namespace.as_deref().unwrap_or_default() {
        "" => problems.required("metadata.namespace", ""),
        namespace => {
            if let Some(wrong) = text::label(namespace) {
                problems.invalid("metadata.namespace", namespace, &wrong);
            }
        }
    }
    labels(metadata.labels.as_ref(), "metadata.labels", problems);
    annotations(metadata.annotations.as_ref(), problems);
    let owners = metadata.owner_references.as_deref().unwrap_or_default();
    for (index, owner) in owners.iter().enumerate() {
        for (field, value) in [
            ("apiVersion", &owner.api_version),
            ("kind", &owner.kind),
            ("name", &owner.name),
            ("uid", &owner.uid),
        ] {
            if value.is_empty() {
                problems.required(
                    format!("metadata.ownerReferences[{index}].{field}"),
                    "must not be empty",
                );
            }
        }
    }
    let mut controllers = owners.iter().filter(|owner| owner.controller == Some(true));
    if let (Some(first), Some(second)) = (controllers.next(), controllers.next()) {
        let named = |owner: &OwnerReference| format!("{}/{}", owner.kind, owner.name);
        problems.invalid_number(
            "metadata.ownerReferences",
            serde_json::to_string(owners).unwrap_or_default(),
            &format!(
                "Only one reference can have Controller set to true. Found \"true\" in references for {} and {}",
                named(first),
                named(second)
            ),
        );
    }
    for finalizer in metadata.finalizers.iter().flatten() {
        if let Some(wrong) = text::qualified(finalizer) {
            problems.invalid("metadata.finalizers", finalizer, &wrong);
        }
    }
}

/// Labels or a selector's.
pub(super) fn labels(labels: Option<&BTreeMap<String, String>>, field: &str, problems: &mut Problems) {
    for (key, value) in labels.into_iter().flatten() {
        if let Some(wrong) = text::qualified(key) {
            problems.invalid(field, key, &wrong);
        }
        if let Some(wrong) = text::label_value(value) {
            problems.invalid(field, value, &wrong);
        }
    }
}

fn annotations(annotations: Option<&BTreeMap<String, String>>, problems: &mut Problems) {
    let mut bytes = 0;
    for (key, value) in annotations.into_iter().flatten() {
        // Here the server forgives upper case.
        if let Some(wrong) = text::qualified(&key.to_ascii_lowercase()) {
            problems.invalid("metadata.annotations", key, &wrong);
        }
        bytes += key.len() + value.len();
    }
    if bytes > ANNOTATIONS_BYTES {
        problems.too_long("metadata.annotations", ANNOTATIONS_BYTES);
    }
}
