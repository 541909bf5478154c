//! Volumes: the workspace, and a home that a user without one can write.

use k8s_openapi::api::core::v1::{
    EmptyDirVolumeSource, PersistentVolumeClaimVolumeSource, Volume, VolumeMount,
};

use crate::{Profile, SessionSpec};

/// Home directory of a restricted session. Images give their homes to users of their own.
pub const HOME_PATH: &str = "/home/sandbox";

/// As OpenHands names it.
const WORKSPACE: &str = "workspace-volume";
const HOME: &str = "home";

pub(super) fn volumes(spec: &SessionSpec) -> Vec<Volume> {
    let empty = |name: &str| Volume {
        name: name.into(),
        empty_dir: Some(EmptyDirVolumeSource::default()),
        ..Volume::default()
    };
    let workspace = match spec.claim {
        Some(_) => Volume {
            name: WORKSPACE.into(),
            persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
                claim_name: spec.names().claim(),
                read_only: None,
            }),
            ..Volume::default()
        },
        None => empty(WORKSPACE),
    };
    std::iter::once(workspace)
        .chain(has_home(spec).then(|| empty(HOME)))
        .collect()
}

pub(super) fn mounts(spec: &SessionSpec) -> Vec<VolumeMount> {
    let mount = |name: &str, path: &str| VolumeMount {
        name: name.into(),
        mount_path: path.into(),
        ..VolumeMount::default()
    };
    let workspace = mount(WORKSPACE, spec.workspace_mount_path.as_str());
    std::iter::once(workspace)
        .chain(has_home(spec).then(|| mount(HOME, HOME_PATH)))
        .collect()
}

/// A workspace that is mounted at the home is the home: a pod must not mount one path twice.
fn has_home(spec: &SessionSpec) -> bool {
    spec.profile == Profile::Restricted && spec.workspace_mount_path.as_str() != HOME_PATH
}
