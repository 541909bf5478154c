//! Paths of a pod that are Podbay's own.

use k8s_openapi::api::core::v1::{Pod, VolumeMount};
use podbay_protocol::Field;

use super::volumes;
use crate::agent_delivery::{AGENT_DIRECTORY, AGENT_NAME, AGENT_SPOOL, AGENT_SPOOL_DIRECTORY};
use crate::path::ContainerPath;
use crate::session_spec::{Reason, SpecProblem};

/// Why nothing else may be there.
pub(crate) const WHY: &str = "Podbay's agent is there";

/// Whether a mount is where the agent is, or of a volume of the agent's.
pub(crate) fn is_agents(mount: &VolumeMount) -> bool {
    is_volume(&mount.name) || is_reserved(&mount.mount_path)
}

/// Whether a volume of this name is the agent's, if one is delivered.
pub(crate) fn is_volume(name: &str) -> bool {
    [AGENT_NAME, AGENT_SPOOL].contains(&name)
}

/// Whether a path is a directory of the agent's or below one, however it is written.
fn is_reserved(path: &str) -> bool {
    // What is no path is refused elsewhere.
    let Ok(path) = path.parse::<ContainerPath>() else {
        return false;
    };
    [AGENT_DIRECTORY, AGENT_SPOOL_DIRECTORY].iter().any(|own| {
        let below = path.as_str().strip_prefix(own);
        below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

/// What the configuration mounts where the agent is, whether or not this session has one: another may. `pod` is as it is
/// before the pod template.
pub(crate) fn reserved_paths(pod: &Pod) -> Vec<SpecProblem> {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    containers
        .flat_map(|container| container.volume_mounts.iter().flatten())
        .filter(|mount| is_reserved(&mount.mount_path) && !is_volume(&mount.name))
        .map(|mount| {
            let reason = Reason::Reserved {
                name: mount.mount_path.clone(),
                why: WHY,
            };
            SpecProblem::new(fields(&mount.name), reason)
        })
        .collect()
}

/// What says where the volume of this name is mounted.
fn fields(volume: &str) -> Vec<Field> {
    match volume {
        volumes::WORKSPACE => vec![Field::Setting("workspace_mount_path_in_sandbox")],
        volumes::CACHE => vec![Field::Setting("kubernetes.cache_mount_path")],
        _ => vec![
            Field::Setting("kubernetes.volume_mounts"),
            Field::Setting("sandbox.volumes"),
        ],
    }
}
