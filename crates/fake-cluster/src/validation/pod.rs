//! Pod specifications, and the Jobs that hold one.

use std::collections::BTreeSet;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{PodSpec, Volume};

use super::container::{Place, validate_container};
use super::metadata::labels;
use super::problems::Problems;
use super::text;

/// The specification at `path`.
pub(super) fn validate(spec: &PodSpec, path: &str, problems: &mut Problems) {
    const POLICIES: [&str; 3] = ["Always", "OnFailure", "Never"];
    let volumes = spec.volumes.as_deref().unwrap_or_default();
    let names = validate_volumes(volumes, path, problems);
    if spec.containers.is_empty() {
        problems.required(format!("{path}.containers"), "");
    }
    let mut containers = BTreeSet::new();
    let init = spec.init_containers.as_deref().unwrap_or_default();
    for (list, all) in [
        ("containers", spec.containers.as_slice()),
        ("initContainers", init),
    ] {
        for (index, container) in all.iter().enumerate() {
            let place = format!("{path}.{list}[{index}]");
            if !container.name.is_empty() && !containers.insert(container.name.as_str()) {
                problems.duplicate(format!("{place}.name"), &container.name);
            }
            let place = Place {
                path: &place,
                volumes: &names,
            };
            validate_container(container, &place, problems);
        }
    }
    if let Some(policy) = &spec.restart_policy
        && !POLICIES.contains(&policy.as_str())
    {
        problems.unsupported(format!("{path}.restartPolicy"), policy, &POLICIES);
    }
    if spec.active_deadline_seconds.is_some_and(|seconds| seconds < 1) {
        problems.invalid_number(
            format!("{path}.activeDeadlineSeconds"),
            spec.active_deadline_seconds.unwrap_or_default(),
            "must be between 1 and 2147483647, inclusive",
        );
    }
    labels(
        spec.node_selector.as_ref(),
        &format!("{path}.nodeSelector"),
        problems,
    );
    for (field, name) in [
        ("serviceAccountName", &spec.service_account_name),
        ("priorityClassName", &spec.priority_class_name),
        ("runtimeClassName", &spec.runtime_class_name),
    ] {
        if let Some(name) = name.as_deref().filter(|name| !name.is_empty())
            && let Some(wrong) = text::subdomain(name)
        {
            problems.invalid(format!("{path}.{field}"), name, &wrong);
        }
    }
    validate_tolerations(spec, path, problems);
    for (index, alias) in spec.host_aliases.iter().flatten().enumerate() {
        let ip = &alias.ip;
        if ip.parse::<std::net::IpAddr>().is_err() {
            let field = format!("{path}.hostAliases[{index}].ip");
            problems.invalid(
                field,
                ip,
                "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
            );
        }
        for name in alias.hostnames.iter().flatten() {
            if let Some(wrong) = text::subdomain(name) {
                problems.invalid(format!("{path}.hostAliases[{index}].hostnames"), name, &wrong);
            }
        }
    }
}

/// Returns the names, to which mounts refer.
fn validate_volumes<'a>(volumes: &'a [Volume], path: &str, problems: &mut Problems) -> BTreeSet<&'a str> {
    let mut names = BTreeSet::new();
    for (index, volume) in volumes.iter().enumerate() {
        let place = format!("{path}.volumes[{index}]");
        if volume.name.is_empty() {
            problems.required(format!("{place}.name"), "");
        } else if let Some(wrong) = text::label(&volume.name) {
            problems.invalid(format!("{place}.name"), &volume.name, &wrong);
        } else if !names.insert(volume.name.as_str()) {
            problems.duplicate(format!("{place}.name"), &volume.name);
        }
        // In the server's order: all but the first are one too many.
        let sources = [
            ("emptyDir", volume.empty_dir.is_some()),
            ("hostPath", volume.host_path.is_some()),
            ("secret", volume.secret.is_some()),
            ("nfs", volume.nfs.is_some()),
            ("persistentVolumeClaim", volume.persistent_volume_claim.is_some()),
            ("downwardAPI", volume.downward_api.is_some()),
            ("configMap", volume.config_map.is_some()),
            ("projected", volume.projected.is_some()),
            ("csi", volume.csi.is_some()),
            ("ephemeral", volume.ephemeral.is_some()),
            ("image", volume.image.is_some()),
        ];
        for (source, _) in sources.into_iter().filter(|(_, given)| *given).skip(1) {
            problems.forbidden(
                format!("{place}.{source}"),
                "may not specify more than 1 volume type",
            );
        }
        if let Some(claim) = &volume.persistent_volume_claim
            && claim.claim_name.is_empty()
        {
            problems.required(format!("{place}.persistentVolumeClaim.claimName"), "");
        }
        if let Some(host) = &volume.host_path {
            if host.path.is_empty() {
                problems.required(format!("{place}.hostPath.path"), "");
            } else if host.path.split('/').any(|part| part == "..") {
                problems.invalid(
                    format!("{place}.hostPath.path"),
                    &host.path,
                    "must not contain '..'",
                );
            }
        }
    }
    names
}

fn validate_tolerations(spec: &PodSpec, path: &str, problems: &mut Problems) {
    const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
    for (index, toleration) in spec.tolerations.iter().flatten().enumerate() {
        let place = format!("{path}.tolerations[{index}]");
        if let Some(key) = toleration.key.as_deref().filter(|key| !key.is_empty())
            && let Some(wrong) = text::qualified(key)
        {
            problems.invalid(format!("{place}.key"), key, &wrong);
        }
        match toleration.operator.as_deref() {
            None | Some("" | "Equal" | "Exists") => {}
            Some(other) => problems.unsupported(format!("{place}.operator"), other, &["Equal", "Exists"]),
        }
        if toleration.operator.as_deref() == Some("Exists")
            && toleration.value.as_deref().is_some_and(|value| !value.is_empty())
        {
            problems.invalid(
                format!("{place}.operator"),
                toleration.value.as_deref().unwrap_or_default(),
                "value must be empty when `operator` is 'Exists'",
            );
        }
        if let Some(effect) = toleration.effect.as_deref().filter(|effect| !effect.is_empty())
            && !EFFECTS.contains(&effect)
        {
            problems.unsupported(format!("{place}.effect"), effect, &EFFECTS);
        }
    }
}

/// A Job: its template's restart policy can't be `Always`.
pub(super) fn validate_job(job: &Job, problems: &mut Problems) {
    let Some(spec) = &job.spec else {
        return problems.required("spec", "");
    };
    for (field, value) in [
        ("backoffLimit", spec.backoff_limit.map(i64::from)),
        ("completions", spec.completions.map(i64::from)),
        ("parallelism", spec.parallelism.map(i64::from)),
        ("activeDeadlineSeconds", spec.active_deadline_seconds),
        (
            "ttlSecondsAfterFinished",
            spec.ttl_seconds_after_finished.map(i64::from),
        ),
    ] {
        if let Some(value) = value.filter(|value| *value < 0) {
            problems.invalid_number(
                format!("spec.{field}"),
                value,
                "must be greater than or equal to 0",
            );
        }
    }
    if let Some(metadata) = &spec.template.metadata {
        labels(
            metadata.labels.as_ref(),
            "spec.template.metadata.labels",
            problems,
        );
    }
    let Some(pod) = &spec.template.spec else {
        return problems.required("spec.template.spec.containers", "");
    };
    validate(pod, "spec.template.spec", problems);
    if pod
        .restart_policy
        .as_deref()
        .is_none_or(|policy| policy == "Always")
    {
        problems.required(
            "spec.template.spec.restartPolicy",
            "valid values: \"OnFailure\", \"Never\"",
        );
    }
}
