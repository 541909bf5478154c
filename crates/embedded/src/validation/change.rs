//! What an update may not change.

use k8s_openapi::api::core::v1::{Container, PodSpec};
use podbay_k8s_client::Object;

use super::problems::Problems;

const IMMUTABLE: &str = "field is immutable when `immutable` is set";

pub(super) fn validate(before: &Object, after: &Object, problems: &mut Problems) {
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
            let fixed = |claim: &k8s_openapi::api::core::v1::PersistentVolumeClaim| {
                let mut spec = claim.spec.clone().unwrap_or_default();
                spec.resources = None;
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
