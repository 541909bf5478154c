//! What an update may not change.

use k8s_openapi::api::core::v1::{Container, PodSpec};
use podbay_k8s_client::Object;

use super::problems::Problems;

const IMMUTABLE: &str = "field is immutable when `immutable` is set";

pub(super) fn validate(before: &Object, after: &Object, problems: &mut Problems) {
    validate_finalizers(before, after, problems);
    match (before, after) {
        (Object::ConfigMap(before), Object::ConfigMap(after)) if before.immutable == Some(true) => {
            if after.immutable != Some(true) {
                problems.forbidden("immutable", IMMUTABLE);
            }
            if before.data != after.data {
                problems.forbidden("data", IMMUTABLE);
            }
            if before.binary_data != after.binary_data {
                problems.forbidden("binaryData", IMMUTABLE);
            }
        }
        (Object::Secret(before), Object::Secret(after)) => {
            if before.type_ != after.type_ {
                problems.invalid(
                    "type",
                    after.type_.as_deref().unwrap_or_default(),
                    "field is immutable",
                );
            }
            if before.immutable == Some(true) {
                if after.immutable != Some(true) {
                    problems.forbidden("immutable", IMMUTABLE);
                }
                if before.data != after.data {
                    problems.forbidden("data", IMMUTABLE);
                }
            }
        }
        (Object::Pod(before), Object::Pod(after)) => {
            let (Some(before), Some(after)) = (&before.spec, &after.spec) else {
                return;
            };
            validate_deadline(before, after, problems);
            if fixed(before, before) != fixed(after, before) {
                problems.forbidden(
                    "spec",
                    "pod updates may not change fields other than `spec.containers[*].image`,\
                     `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions \
                     to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it \
                     was previously negative)",
                );
            }
        }
        (Object::Job(before), Object::Job(after)) => {
            let (Some(before), Some(after)) = (&before.spec, &after.spec) else {
                return;
            };
            for (field, same) in [
                ("spec.completions", before.completions == after.completions),
                ("spec.selector", before.selector == after.selector),
                ("spec.template", before.template == after.template),
                (
                    "spec.completionMode",
                    before.completion_mode == after.completion_mode,
                ),
            ] {
                if !same {
                    problems.invalid(field, "", "field is immutable");
                }
            }
        }
        (Object::PersistentVolumeClaim(before), Object::PersistentVolumeClaim(after)) => {
            // A bound one may grow.
            let bound = before.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Bound");
            let fixed = |claim: &k8s_openapi::api::core::v1::PersistentVolumeClaim| {
                let mut spec = claim.spec.clone().unwrap_or_default();
                if bound {
                    spec.resources = None;
                }
                spec
            };
            if fixed(before) != fixed(after) {
                problems.forbidden(
                    "spec",
                    "spec is immutable after creation except resources.requests and volumeAttributesClassName for \
                     bound claims",
                );
            }
        }
        _ => {}
    }
}

/// A pod's specification with what may change taken from `model`.
fn fixed(spec: &PodSpec, model: &PodSpec) -> PodSpec {
    let mut spec = spec.clone();
    spec.active_deadline_seconds = model.active_deadline_seconds;
    let added = spec.tolerations.clone().unwrap_or_default();
    if model.tolerations.iter().flatten().all(|old| added.contains(old)) {
        spec.tolerations.clone_from(&model.tolerations);
    }
    take_images(&mut spec.containers, &model.containers);
    if let (Some(containers), Some(model)) = (&mut spec.init_containers, &model.init_containers) {
        take_images(containers, model);
    }
    spec
}

fn take_images(containers: &mut [Container], model: &[Container]) {
    for (container, model) in containers.iter_mut().zip(model) {
        container.image.clone_from(&model.image);
    }
}

/// What is being deleted waits for nothing new.
fn validate_finalizers(before: &Object, after: &Object, problems: &mut Problems) {
    if !before.is_terminating() {
        return;
    }
    let old = before.metadata().finalizers.as_deref().unwrap_or_default();
    let new = after.metadata().finalizers.iter().flatten();
    let added: Vec<_> = new
        .filter(|finalizer| !old.contains(finalizer))
        .map(|finalizer| format!("{finalizer:?}"))
        .collect();
    if !added.is_empty() {
        problems.forbidden(
            "metadata.finalizers",
            &format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                added.join(", ")
            ),
        );
    }
}

/// A pod's deadline can only come nearer.
fn validate_deadline(before: &PodSpec, after: &PodSpec, problems: &mut Problems) {
    const FIELD: &str = "spec.activeDeadlineSeconds";
    let Some(old) = before.active_deadline_seconds else {
        return;
    };
    match after.active_deadline_seconds {
        None => problems.invalid_number(
            FIELD,
            "null",
            "must not update from a positive integer to nil value",
        ),
        Some(new) if new > old => {
            problems.invalid_number(FIELD, new, "must be less than or equal to previous value");
        }
        Some(_) => {}
    }
}
