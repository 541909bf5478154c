//! Volumes and where they are mounted: the workspace, a home that a user without one can write, and what was
//! configured besides.

use k8s_openapi::api::core::v1::{
    ConfigMapVolumeSource, EmptyDirVolumeSource, HostPathVolumeSource, KeyToPath,
    PersistentVolumeClaimVolumeSource, Volume, VolumeMount,
};

use super::agent;
use crate::profile::Profile;
use crate::session_spec::{CacheSpec, SessionSpec, VolumeSource, WorkspaceSpec};

/// Home directory of a restricted session. Images give their homes to users of their own.
pub const HOME_PATH: &str = "/home/sandbox";
/// Where a source tree of OpenHands is mounted.
pub const SOURCE_PATH: &str = "/app/openhands";

/// As OpenHands names it.
pub(super) const WORKSPACE: &str = "workspace-volume";
const HOME: &str = "home";
pub(super) const CACHE: &str = "cache";
const SOURCE: &str = "source";
const CA_BUNDLE: &str = "ca-bundle";
/// Where programs put temporary files, and the volumes that stand there when the image's can't be written.
const TEMPORARY: [(&str, &str); 2] = [("tmp", "/tmp"), ("var-tmp", "/var/tmp")];
/// Directory of the bundle: none that images have files in.
const CA_BUNDLE_PATH: &str = "/etc/podbay/ca";
/// Where apt keeps packages it downloaded, and the directories of the cache.
const APT_ARCHIVES: &str = "/var/cache/apt/archives";
const APT_CACHE: &str = "apt";
const PIP_CACHE: &str = "pip";

/// A volume and its mounts.
struct Mounted {
    volume: Volume,
    mounts: Vec<VolumeMount>,
}

/// File of the trusted authorities.
pub(super) fn ca_bundle_path(spec: &SessionSpec) -> Option<String> {
    let bundle = spec.storage.ca_bundle.as_ref()?;
    Some(format!("{CA_BUNDLE_PATH}/{}", bundle.key))
}

/// Where pip keeps what it downloads.
pub(super) fn pip_cache(cache: &CacheSpec) -> String {
    format!("{}/{PIP_CACHE}", cache.mount_path.as_str().trim_end_matches('/'))
}

pub(super) fn volumes(spec: &SessionSpec) -> Vec<Volume> {
    let own = own(spec).into_iter().map(|mounted| mounted.volume);
    let own = own.chain(agent::volumes(spec));
    own.chain(spec.storage.volumes.iter().cloned()).collect()
}

pub(super) fn mounts(spec: &SessionSpec) -> Vec<VolumeMount> {
    let own = own(spec).into_iter().flat_map(|mounted| mounted.mounts);
    let own = own.chain(agent::mounts(spec));
    own.chain(spec.storage.mounts.iter().cloned()).collect()
}

fn own(spec: &SessionSpec) -> Vec<Mounted> {
    let storage = &spec.storage;
    let mut all = vec![workspace(spec)];
    // What the workspace, or a volume of the user's, is mounted at is that: a pod must not mount one path
    // twice.
    let free = |path: &str| {
        storage.workspace_mount_path.as_str() != path
            && !storage.mounts.iter().any(|mount| mount.mount_path == path)
    };
    if spec.security.profile == Profile::Restricted && free(HOME_PATH) {
        all.push(mounted(empty_dir(HOME), HOME_PATH));
    }
    if spec.security.read_only_root {
        let temporary = TEMPORARY.into_iter().filter(|(_, path)| free(path));
        all.extend(temporary.map(|(name, path)| mounted(empty_dir(name), path)));
    }
    if let Some(cache) = &storage.cache {
        all.push(with_cache(cache));
    }
    if let Some(source) = &storage.source {
        let mut source = mounted(existing(SOURCE, source), SOURCE_PATH);
        source
            .mounts
            .iter_mut()
            .for_each(|mount| mount.read_only = Some(true));
        all.push(source);
    }
    if let Some(bundle) = &storage.ca_bundle {
        let mut volume = existing(CA_BUNDLE, &VolumeSource::ConfigMap(bundle.config_map.clone()));
        if let Some(source) = &mut volume.config_map {
            source.items = Some(vec![KeyToPath {
                key: bundle.key.clone(),
                path: bundle.key.clone(),
                mode: None,
            }]);
        }
        let mut bundle = mounted(volume, CA_BUNDLE_PATH);
        bundle
            .mounts
            .iter_mut()
            .for_each(|mount| mount.read_only = Some(true));
        all.push(bundle);
    }
    all
}

fn workspace(spec: &SessionSpec) -> Mounted {
    let volume = match &spec.storage.workspace {
        WorkspaceSpec::EmptyDir(size_limit) => Volume {
            name: WORKSPACE.into(),
            empty_dir: Some(EmptyDirVolumeSource {
                size_limit: size_limit.as_ref().map(Into::into),
                medium: None,
            }),
            ..Volume::default()
        },
        WorkspaceSpec::Claim(_) => claim(WORKSPACE, spec.names().claim()),
        WorkspaceSpec::Existing(source) => existing(WORKSPACE, source),
    };
    mounted(volume, spec.storage.workspace_mount_path.as_str())
}

/// The cache as a whole, and apt's part of it where apt looks.
fn with_cache(cache: &CacheSpec) -> Mounted {
    let mut cache = mounted(existing(CACHE, &cache.source), cache.mount_path.as_str());
    cache.mounts.push(VolumeMount {
        sub_path: Some(APT_CACHE.into()),
        ..mount(CACHE, APT_ARCHIVES)
    });
    cache
}

fn mounted(volume: Volume, path: &str) -> Mounted {
    Mounted {
        mounts: vec![mount(&volume.name, path)],
        volume,
    }
}

fn mount(name: &str, path: &str) -> VolumeMount {
    VolumeMount {
        name: name.into(),
        mount_path: path.into(),
        ..VolumeMount::default()
    }
}

fn empty_dir(name: &str) -> Volume {
    Volume {
        name: name.into(),
        empty_dir: Some(EmptyDirVolumeSource::default()),
        ..Volume::default()
    }
}

fn claim(name: &str, claim_name: String) -> Volume {
    Volume {
        name: name.into(),
        persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
            claim_name,
            read_only: None,
        }),
        ..Volume::default()
    }
}

fn existing(name: &str, source: &VolumeSource) -> Volume {
    match source {
        VolumeSource::Claim(claim_name) => claim(name, claim_name.to_string()),
        VolumeSource::ConfigMap(config_map) => Volume {
            name: name.into(),
            config_map: Some(ConfigMapVolumeSource {
                name: config_map.to_string(),
                ..ConfigMapVolumeSource::default()
            }),
            ..Volume::default()
        },
        VolumeSource::HostPath(path) => Volume {
            name: name.into(),
            host_path: Some(HostPathVolumeSource {
                path: path.to_string(),
                type_: None,
            }),
            ..Volume::default()
        },
    }
}
