//! The controls of `restricted` beyond those of `baseline`: what it forbids needs `baseline`.

use k8s_openapi::api::core::v1::{Pod, PodSpec};

use super::{Place, Violation, containers, volume_level};
use crate::profile::Profile;

/// What must be dropped, and the only one that may then be added.
const ALL: &str = "ALL";
const BIND: &str = "NET_BIND_SERVICE";

fn violation(path: String, found: impl Into<String>, control: &'static str) -> Violation {
    Violation {
        path,
        found: found.into(),
        control,
        needs: Profile::Baseline,
    }
}

pub(super) fn violations(pod: &Pod) -> Vec<Violation> {
    let Some(spec) = &pod.spec else {
        return Vec::new();
    };
    let mut found = of_pod(spec);
    for place in containers(spec) {
        found.extend(of_container(spec, &place));
    }
    found
}

fn of_pod(spec: &PodSpec) -> Vec<Violation> {
    let mut found: Vec<_> = spec
        .volumes
        .iter()
        .flatten()
        .filter(|volume| volume_level(volume) == Profile::Baseline)
        .map(|volume| {
            violation(
                format!("spec.volumes[{}]", volume.name),
                "of a type that is not on its list",
                "Volume Types",
            )
        })
        .collect();
    let context = spec.security_context.as_ref();
    if context.and_then(|context| context.run_as_user) == Some(0) {
        found.push(violation(
            "spec.securityContext.runAsUser".into(),
            "0",
            "Running as Non-root user",
        ));
    }
    if context.and_then(|context| context.run_as_non_root) == Some(false) {
        found.push(violation(
            "spec.securityContext.runAsNonRoot".into(),
            "false",
            "Running as Non-root",
        ));
    }
    found
}

fn of_container(spec: &PodSpec, place: &Place<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    let context = place.context();
    let pod = spec.security_context.as_ref();
    let escalation = context.and_then(|context| context.allow_privilege_escalation);
    if escalation != Some(false) {
        found.push(violation(
            place.in_context("allowPrivilegeEscalation"),
            escalation.map_or("not set", |_| "true"),
            "Privilege Escalation",
        ));
    }
    let non_root = context
        .and_then(|context| context.run_as_non_root)
        .or(pod.and_then(|context| context.run_as_non_root));
    if non_root != Some(true) {
        found.push(violation(
            place.in_context("runAsNonRoot"),
            non_root.map_or("not set", |_| "false"),
            "Running as Non-root",
        ));
    }
    if context.and_then(|context| context.run_as_user) == Some(0) {
        found.push(violation(
            place.in_context("runAsUser"),
            "0",
            "Running as Non-root user",
        ));
    }
    let profile = context
        .and_then(|context| context.seccomp_profile.as_ref())
        .or(pod.and_then(|context| context.seccomp_profile.as_ref()));
    if profile.is_none() {
        found.push(violation(
            place.in_context("seccompProfile"),
            "not set",
            "Seccomp",
        ));
    }
    let capabilities = context.and_then(|context| context.capabilities.as_ref());
    let dropped = capabilities.and_then(|capabilities| capabilities.drop.as_ref());
    if !dropped.is_some_and(|dropped| dropped.iter().any(|name| name == ALL)) {
        found.push(violation(
            place.in_context("capabilities.drop"),
            "without ALL",
            "Capabilities",
        ));
    }
    let added = capabilities.and_then(|capabilities| capabilities.add.as_ref());
    for capability in added.into_iter().flatten().filter(|name| *name != BIND) {
        found.push(violation(
            place.in_context("capabilities.add"),
            capability,
            "Capabilities",
        ));
    }
    found
}
