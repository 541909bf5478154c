//! Containers: names, environment, mounts, ports, resources, probes.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Container, ResourceRequirements};

use super::problems::Problems;
use super::text;
use crate::store::Amount;

/// Where a container stands, and what is around it.
pub(super) struct Place<'a> {
    /// The path of its field.
    pub(super) path: &'a str,
    /// The pod's volumes.
    pub(super) volumes: &'a BTreeSet<&'a str>,
}

pub(super) fn validate_container(container: &Container, place: &Place<'_>, problems: &mut Problems) {
    let path = place.path;
    if container.name.is_empty() {
        problems.required(format!("{path}.name"), "");
    } else if let Some(wrong) = text::label(&container.name) {
        problems.invalid(format!("{path}.name"), &container.name, &wrong);
    }
    let image = container.image.as_deref().unwrap_or_default();
    if image.is_empty() {
        problems.required(format!("{path}.image"), "");
    } else if image.trim() != image {
        problems.invalid(
            format!("{path}.image"),
            image,
            "must not have leading or trailing whitespace",
        );
    }
    if let Some(policy) = &container.image_pull_policy {
        const POLICIES: [&str; 3] = ["Always", "IfNotPresent", "Never"];
        if !POLICIES.contains(&policy.as_str()) {
            problems.unsupported(format!("{path}.imagePullPolicy"), policy, &POLICIES);
        }
    }
    validate_env(container, path, problems);
    validate_mounts(container, place, problems);
    validate_ports(container, path, problems);
    if let Some(resources) = &container.resources {
        validate_resources(resources, &format!("{path}.resources"), problems);
    }
}

/// Names that stand twice are allowed by the API server (the last one wins), which warns; a manifest with one is a
/// mistake, so it is refused here.
fn validate_env(container: &Container, path: &str, problems: &mut Problems) {
    let mut names = BTreeSet::new();
    for (index, variable) in container.env.iter().flatten().enumerate() {
        let place = format!("{path}.env[{index}]");
        if variable.name.is_empty() {
            problems.required(format!("{place}.name"), "");
        } else if let Some(wrong) = text::env_name(&variable.name) {
            problems.invalid(format!("{place}.name"), &variable.name, &wrong);
        } else if !names.insert(variable.name.as_str()) {
            problems.duplicate(format!("{place}.name"), &variable.name);
        }
        if variable.value_from.is_some() && variable.value.as_deref().is_some_and(|value| !value.is_empty()) {
            problems.invalid(
                format!("{place}.valueFrom"),
                "",
                "may not be specified when `value` is not empty",
            );
        }
    }
}

fn validate_mounts(container: &Container, place: &Place<'_>, problems: &mut Problems) {
    let mut paths = BTreeSet::new();
    for (index, mount) in container.volume_mounts.iter().flatten().enumerate() {
        let at = format!("{}.volumeMounts[{index}]", place.path);
        if mount.name.is_empty() {
            problems.required(format!("{at}.name"), "");
        } else if !place.volumes.contains(mount.name.as_str()) {
            problems.not_found(format!("{at}.name"), &mount.name);
        }
        if mount.mount_path.is_empty() {
            problems.required(format!("{at}.mountPath"), "");
        } else if !paths.insert(mount.mount_path.as_str()) {
            problems.invalid(format!("{at}.mountPath"), &mount.mount_path, "must be unique");
        }
        if let Some(sub) = &mount.sub_path
            && (sub.starts_with('/') || sub.split('/').any(|part| part == ".."))
        {
            let detail = "must be a relative path that does not contain '..'";
            problems.invalid(format!("{at}.subPath"), sub, detail);
        }
    }
}

fn validate_ports(container: &Container, path: &str, problems: &mut Problems) {
    let mut names = BTreeSet::new();
    for (index, port) in container.ports.iter().flatten().enumerate() {
        let at = format!("{path}.ports[{index}]");
        if !(1..=65535).contains(&port.container_port) {
            problems.invalid_number(
                format!("{at}.containerPort"),
                port.container_port,
                "must be between 1 and 65535, inclusive",
            );
        }
        if let Some(name) = port.name.as_deref().filter(|name| !name.is_empty()) {
            if let Some(wrong) = text::port_name(name) {
                problems.invalid(format!("{at}.name"), name, &wrong);
            } else if !names.insert(name) {
                problems.duplicate(format!("{at}.name"), name);
            }
        }
    }
}

fn validate_resources(resources: &ResourceRequirements, path: &str, problems: &mut Problems) {
    let limits = resources.limits.as_ref();
    for (field, amounts) in [("requests", resources.requests.as_ref()), ("limits", limits)] {
        for (name, quantity) in amounts.into_iter().flatten() {
            let at = format!("{path}.{field}[{name}]");
            if !is_resource(name) {
                problems.invalid(&at, name, "must be a standard resource type or fully qualified");
                problems.invalid(&at, name, "must be a standard resource for containers");
            }
            match Amount::parse(quantity) {
                None => problems.invalid(at, &quantity.0, "must be a quantity"),
                Some(amount) if Amount::of(0).exceeds(amount) => {
                    problems.invalid(at, &quantity.0, "must be greater than or equal to 0");
                }
                Some(_) => {}
            }
        }
    }
    for (name, request) in resources.requests.iter().flatten() {
        let limit = limits.and_then(|limits| limits.get(name));
        let at = format!("{path}.requests");
        match (Amount::parse(request), limit.and_then(Amount::parse)) {
            (Some(asked), Some(limit)) if asked.exceeds(limit) => {
                let detail = format!("must be less than or equal to {name} limit of {limit}");
                problems.invalid(at, &request.0, &detail);
            }
            // What can't be shared must have both, and the same.
            (Some(_), None) if name.contains('/') => {
                problems.required(
                    format!("{path}.limits"),
                    "Limit must be set for non overcommitable resources",
                );
            }
            (Some(asked), Some(limit)) if name.contains('/') && asked != limit => {
                let detail = format!("must be equal to {name} limit of {limit}");
                problems.invalid(at, &request.0, &detail);
            }
            _ => {}
        }
    }
}

/// Whether a container can ask for it: Kubernetes' own resources have no prefix, all others have one.
fn is_resource(name: &str) -> bool {
    matches!(name, "cpu" | "memory" | "ephemeral-storage")
        || name.starts_with("hugepages-")
        || name.contains('/')
}
