//! Volumes that can't stand beside each other in one pod.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::Pod;

use podbay_protocol::Field;

use crate::session_spec::{Reason, SpecProblem};

// Ours never clash, so one of them is the configuration's.
const MOUNTS: Field = Field::Setting("kubernetes.volume_mounts");
const VOLUMES: Field = Field::Setting("kubernetes.volumes");
const SANDBOX_VOLUMES: Field = Field::Setting("sandbox.volumes");

/// Every name that two volumes have, every path that two are mounted at, and every mount of none.
pub(crate) fn conflicts(pod: &Pod) -> Vec<SpecProblem> {
    let Some(spec) = &pod.spec else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let mut names = BTreeSet::new();
    for volume in spec.volumes.iter().flatten() {
        if !names.insert(volume.name.as_str()) {
            found.push(SpecProblem::new(
                [VOLUMES, SANDBOX_VOLUMES],
                Reason::VolumeTwice {
                    name: volume.name.clone(),
                },
            ));
        }
    }
    for container in &spec.containers {
        let mut paths = BTreeMap::new();
        for mount in container.volume_mounts.iter().flatten() {
            if !names.contains(mount.name.as_str()) {
                found.push(SpecProblem::new(
                    [MOUNTS, VOLUMES, SANDBOX_VOLUMES],
                    Reason::NoVolume {
                        name: mount.name.clone(),
                    },
                ));
            }
            // One path in two spellings is one path.
            let path = mount.mount_path.trim_end_matches('/');
            if let Some(first) = paths.insert(path, &mount.name) {
                found.push(SpecProblem::new(
                    [MOUNTS, VOLUMES, SANDBOX_VOLUMES],
                    Reason::MountedTwice {
                        path: path.into(),
                        first: first.clone(),
                        second: mount.name.clone(),
                    },
                ));
            }
        }
    }
    found
}
