//! What a pod template may not change.

use k8s_openapi::api::core::v1::{Container, Pod};
use podbay_protocol::Field;

use super::PodTemplateError;
use crate::labels::is_own_key;
use crate::pod::{AGENT_PATHS_WHY, CONTAINER, is_agents_mount, is_agents_volume};
use crate::session_spec::SessionSpec;

/// Every change from `before` to `after` that would break the session of `spec`.
pub(super) fn changes(before: &Pod, after: &Pod, spec: &SessionSpec) -> Vec<PodTemplateError> {
    let mut found = of_metadata(before, after);
    let restart = |pod: &Pod| pod.spec.as_ref().and_then(|spec| spec.restart_policy.clone());
    if restart(before) != restart(after) {
        found.push(protected(
            "spec.restartPolicy",
            "a container that ended is a session that ended",
        ));
    }
    match (container(before), container(after)) {
        (Some(before), Some(after)) => found.extend(of_container(before, after, spec)),
        _ => found.push(protected(
            &format!("spec.containers[{CONTAINER}]"),
            "this container is the session",
        )),
    }
    found.extend(of_agent(before, after));
    found
}

/// Changes of what brings the agent in, and further mounts of what is the agent's.
fn of_agent(before: &Pod, after: &Pod) -> Vec<PodTemplateError> {
    let mut found = Vec::new();
    let volumes = |pod: &Pod| {
        pod.spec
            .iter()
            .filter_map(|spec| spec.volumes.clone())
            .flatten()
            .collect::<Vec<_>>()
    };
    let after_volumes = volumes(after);
    for volume in volumes(before)
        .iter()
        .filter(|volume| is_agents_volume(&volume.name))
    {
        if !after_volumes.contains(volume) {
            let path = format!("spec.volumes[{}]", volume.name);
            found.push(protected(&path, AGENT_PATHS_WHY));
        }
    }
    let init = |pod: &Pod| {
        let containers = pod.spec.iter().filter_map(|spec| spec.init_containers.clone());
        containers.flatten().collect::<Vec<_>>()
    };
    let kept = init(after);
    for container in init(before).iter().filter(|container| !kept.contains(container)) {
        let path = format!("spec.initContainers[{}]", container.name);
        found.push(protected(&path, "it brings Podbay's agent"));
    }
    let mounts = |pod: &Pod| {
        let containers = pod.spec.iter().flat_map(|spec| &spec.containers).cloned();
        let all: Vec<Container> = init(pod).into_iter().chain(containers).collect();
        let mounts = |container: Container| {
            let mounts = container.volume_mounts.into_iter().flatten();
            mounts
                .filter(is_agents_mount)
                .map(|mount| (container.name.clone(), mount))
                .collect::<Vec<_>>()
        };
        all.into_iter().flat_map(mounts).collect::<Vec<_>>()
    };
    let (before, after) = (mounts(before), mounts(after));
    for (container, mount) in &after {
        if !before.contains(&(container.clone(), mount.clone())) {
            let path = format!("the mount {} of the container {container}", mount.mount_path);
            found.push(protected(&path, AGENT_PATHS_WHY));
        }
    }
    for (container, mount) in before {
        if !after.iter().any(|(_, kept)| kept.mount_path == mount.mount_path) {
            let path = format!("the mount {} of the container {container}", mount.mount_path);
            found.push(protected(&path, AGENT_PATHS_WHY));
        }
    }
    found
}

fn protected(path: &str, reason: &'static str) -> PodTemplateError {
    PodTemplateError::Protected {
        path: path.into(),
        reason,
        instead: None,
    }
}

/// The same, where a field of the request says what the template wants to.
fn said_by(field: Field, path: &str, reason: &'static str) -> PodTemplateError {
    PodTemplateError::Protected {
        path: path.into(),
        reason,
        instead: Some(field),
    }
}

fn of_metadata(before: &Pod, after: &Pod) -> Vec<PodTemplateError> {
    let (before, after) = (&before.metadata, &after.metadata);
    let identity = "the session is found by it";
    let same = [
        ("metadata.name", before.name == after.name),
        ("metadata.namespace", before.namespace == after.namespace),
        (
            "metadata.generateName",
            before.generate_name == after.generate_name,
        ),
        (
            "metadata.ownerReferences",
            before.owner_references == after.owner_references,
        ),
    ];
    let mut found: Vec<_> = same
        .into_iter()
        .filter(|(_, same)| !same)
        .map(|(path, _)| protected(path, identity))
        .collect();
    for (part, before, after) in [
        ("labels", &before.labels, &after.labels),
        ("annotations", &before.annotations, &after.annotations),
    ] {
        let ours = |key: &str| part == "labels" || is_own_key(key);
        for (key, value) in before.iter().flatten().filter(|(key, _)| ours(key)) {
            if after.as_ref().and_then(|after| after.get(key)) != Some(value) {
                found.push(protected(&format!("metadata.{part}[{key}]"), identity));
            }
        }
    }
    found
}

fn container(pod: &Pod) -> Option<&Container> {
    let containers = &pod.spec.as_ref()?.containers;
    containers.iter().find(|container| container.name == CONTAINER)
}

fn of_container(before: &Container, after: &Container, spec: &SessionSpec) -> Vec<PodTemplateError> {
    let at = |field: &str| format!("spec.containers[{CONTAINER}].{field}");
    let mut found = Vec::new();
    if before.image != after.image {
        found.push(said_by(
            Field::Image,
            &at("image"),
            "the session's record says what it runs",
        ));
    }
    // What a server is started with may be changed; what keeps a plain image's pod alive may not.
    if spec.server.is_none() && (&before.command, &before.args) != (&after.command, &after.args) {
        found.push(protected(&at("command"), "it keeps the pod alive"));
    }
    for variable in before.env.iter().flatten().filter(|env| env.value_from.is_some()) {
        let kept = after.env.iter().flatten().any(|env| env == variable);
        if !kept {
            found.push(said_by(
                Field::Env,
                &at(&format!("env[{}]", variable.name)),
                "its value is in the session's Secret",
            ));
        }
    }
    found
}
