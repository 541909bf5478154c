//! OpenHands' `sandbox.volumes`: `SOURCE:PATH[:MODE]`, comma separated.

use k8s_openapi::api::core::v1::{
    HostPathVolumeSource, PersistentVolumeClaimVolumeSource, Volume, VolumeMount,
};

use podbay_protocol::Field;

use super::problems::Problems;
use crate::dns::DnsSubdomain;
use crate::path::ContainerPath;
use crate::profile::Profile;

const SETTING: Field = Field::Setting("sandbox.volumes");

/// One of them.
#[derive(Debug)]
pub(super) struct SandboxVolume {
    pub(super) source: Source,
    pub(super) path: ContainerPath,
    pub(super) read_only: bool,
}

/// Where its files are.
#[derive(Debug)]
pub(super) enum Source {
    /// In an existing claim.
    Claim(DnsSubdomain),
    /// In a directory of the node.
    HostPath(ContainerPath),
}

/// Reads the list.
pub(super) fn parse(problems: &mut Problems, profile: Profile, text: Option<&str>) -> Vec<SandboxVolume> {
    let entries = text.unwrap_or_default().split(',').map(str::trim);
    let mut volumes = Vec::new();
    for entry in entries.filter(|entry| !entry.is_empty()) {
        let parts: Vec<_> = entry.split(':').collect();
        let (source, path, read_only) = match parts[..] {
            [source, path] | [source, path, "rw"] => (source, path, false),
            [source, path, "ro"] => (source, path, true),
            _ => {
                problems.entry_not_allowed(
                    SETTING,
                    entry,
                    "SOURCE:PATH or SOURCE:PATH:MODE, where the mode is rw or ro",
                );
                continue;
            }
        };
        let from = if source.starts_with('/') {
            problems.needs_profile(profile, Profile::Privileged, SETTING, source);
            problems.path(SETTING, source).map(Source::HostPath)
        } else {
            problems.object_name(SETTING, source).map(Source::Claim)
        };
        let path = problems.mount_path(SETTING, path);
        if let (Some(source), Some(path)) = (from, path) {
            volumes.push(SandboxVolume {
                source,
                path,
                read_only,
            });
        }
    }
    volumes
}

impl SandboxVolume {
    /// The volume and its mount; `index` tells it from the others.
    pub(super) fn objects(self, index: usize) -> (Volume, VolumeMount) {
        let Self {
            source,
            path,
            read_only,
        } = self;
        let name = format!("sandbox-volume-{index}");
        let mut volume = Volume {
            name: name.clone(),
            ..Volume::default()
        };
        match source {
            Source::Claim(claim) => {
                volume.persistent_volume_claim = Some(PersistentVolumeClaimVolumeSource {
                    claim_name: claim.to_string(),
                    read_only: read_only.then_some(true),
                });
            }
            Source::HostPath(path) => {
                volume.host_path = Some(HostPathVolumeSource {
                    path: path.to_string(),
                    type_: None,
                });
            }
        }
        let mount = VolumeMount {
            name,
            mount_path: path.to_string(),
            read_only: read_only.then_some(true),
            ..VolumeMount::default()
        };
        (volume, mount)
    }
}
