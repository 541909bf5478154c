//! Volumes that can't stand beside each other in one pod.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::Pod;

use crate::session_spec::SpecError;

/// Every name that two volumes have, every path that two are mounted at, and every mount of none.
pub(crate) fn conflicts(pod: &Pod) -> Vec<SpecError> {
    let Some(spec) = &pod.spec else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let mut names = BTreeSet::new();
    for volume in spec.volumes.iter().flatten() {
        if !names.insert(volume.name.as_str()) {
            found.push(SpecError::VolumeTwice {
                name: volume.name.clone(),
            });
        }
    }
    for container in &spec.containers {
        let mut paths = BTreeMap::new();
        for mount in container.volume_mounts.iter().flatten() {
            if !names.contains(mount.name.as_str()) {
                found.push(SpecError::NoVolume {
                    name: mount.name.clone(),
                });
            }
            // One path in two spellings is one path.
            let path = mount.mount_path.trim_end_matches('/');
            if let Some(first) = paths.insert(path, &mount.name) {
                found.push(SpecError::MountedTwice {
                    path: path.into(),
                    first: first.clone(),
                    second: mount.name.clone(),
                });
            }
        }
    }
    found
}
