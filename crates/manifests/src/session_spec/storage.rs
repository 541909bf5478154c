//! What is mounted into the container.

use k8s_openapi::api::core::v1::{Volume, VolumeMount};
use podbay_config::{Config, KubernetesConfig, WorkspaceVolume};
use podbay_protocol::Field;
use serde::{Deserialize, Serialize};

use super::problem::SpecProblem;
use super::problems::Problems;
use super::reason::Reason;
use super::sandbox_volumes::{self, SandboxVolume, Source};
use crate::dns::DnsSubdomain;
use crate::path::ContainerPath;
use crate::profile::Profile;
use crate::quantity::Quantity;
use crate::request::SessionRequest;

const WORKSPACE: Field = Field::Setting("workspace_mount_path_in_sandbox");
const HOST_PATH: Field = Field::Setting("kubernetes.workspace_host_path");
const VOLUME: Field = Field::Setting("kubernetes.workspace_volume");
const VOLUMES: Field = Field::Setting("kubernetes.volumes");
/// Key of the setting whose default is a value: only its origin tells whether it was given.
const CLAIM_SIZE: Field = Field::Setting("kubernetes.pvc_storage_size");
const ACCESS_MODES: Field = Field::Setting("kubernetes.pvc_access_modes");

/// The workspace and all other mounts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StorageSpec {
    pub(crate) workspace_mount_path: ContainerPath,
    pub(crate) workspace: WorkspaceSpec,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cache: Option<CacheSpec>,
    /// A source tree of OpenHands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) source: Option<VolumeSource>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ca_bundle: Option<CaBundleSpec>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) volumes: Vec<Volume>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) mounts: Vec<VolumeMount>,
}

/// What the workspace is kept on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum WorkspaceSpec {
    /// The node's disk, for as long as the pod is there; perhaps no more than so many bytes.
    EmptyDir(Option<Quantity>),
    /// A claim of the session's own.
    Claim(ClaimSpec),
    /// Something that was there before.
    Existing(VolumeSource),
}

/// Something that is there before the session and after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum VolumeSource {
    /// A claim, by its name.
    Claim(DnsSubdomain),
    /// A ConfigMap, by its name.
    ConfigMap(DnsSubdomain),
    /// A directory of the node.
    HostPath(ContainerPath),
}

/// The persistent claim of a workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClaimSpec {
    /// Storage asked, in bytes.
    pub size: Quantity,
    /// Storage class; `None` takes the cluster's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_class: Option<DnsSubdomain>,
    /// How nodes and pods may share it, in the API's words.
    pub access_modes: Vec<String>,
    /// VolumeSnapshot that it starts from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<DnsSubdomain>,
}

/// What sessions share of what package managers download.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CacheSpec {
    pub(crate) source: VolumeSource,
    pub(crate) mount_path: ContainerPath,
}

/// Certificates of authorities that the sandbox trusts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CaBundleSpec {
    pub(crate) config_map: DnsSubdomain,
    /// The key of the bundle in it.
    pub(crate) key: String,
}

pub(super) fn workspace_mount_path(problems: &mut Problems, config: &Config) -> Option<ContainerPath> {
    problems.mount_path(WORKSPACE, &config.workspace_mount_path_in_sandbox)
}

impl StorageSpec {
    pub(super) fn validate(
        problems: &mut Problems,
        profile: Profile,
        config: &Config,
        request: &SessionRequest,
        workspace_mount_path: Option<ContainerPath>,
    ) -> Option<Self> {
        let kubernetes = &config.kubernetes;
        let mut sandbox_volumes =
            sandbox_volumes::parse(problems, profile, config.sandbox.volumes.as_deref());
        let at_workspace = |volume: &SandboxVolume| Some(&volume.path) == workspace_mount_path.as_ref();
        let workspace = match sandbox_volumes.iter().position(at_workspace) {
            Some(index) => {
                let volume = sandbox_volumes.remove(index);
                sandbox_workspace(problems, kubernetes, request, volume)
            }
            None => workspace(problems, profile, config, request),
        };
        let mut volumes: Vec<Volume> = problems.api_objects(VOLUMES, &kubernetes.volumes);
        for volume in &volumes {
            let needs = crate::pod_security::volume_level(volume);
            problems.needs_profile(profile, needs, VOLUMES, &volume.name);
        }
        let mut mounts: Vec<VolumeMount> = problems.api_objects(
            Field::Setting("kubernetes.volume_mounts"),
            &kubernetes.volume_mounts,
        );
        for (index, volume) in sandbox_volumes.into_iter().enumerate() {
            let (volume, mount) = volume.objects(index);
            volumes.push(volume);
            mounts.push(mount);
        }
        let cache = cache(problems, profile, kubernetes);
        let source = source(problems, profile, kubernetes);
        let ca_bundle = ca_bundle(problems, kubernetes);
        Some(Self {
            workspace_mount_path: workspace_mount_path?,
            workspace: workspace?,
            cache,
            source,
            ca_bundle,
            volumes,
            mounts,
        })
    }
}

/// A volume of `sandbox.volumes` at the workspace's path is the workspace, as in OpenHands.
fn sandbox_workspace(
    problems: &mut Problems,
    config: &KubernetesConfig,
    request: &SessionRequest,
    volume: SandboxVolume,
) -> Option<WorkspaceSpec> {
    const SETTING: Field = Field::Setting("sandbox.volumes");
    if volume.read_only {
        problems.push(SpecProblem::new([SETTING, WORKSPACE], Reason::ReadOnlyWorkspace));
        return None;
    }
    if request.persistent.is_some() {
        problems.contradiction(
            SETTING,
            Field::Persistent,
            "both say what the workspace is kept on",
        );
    }
    if config.workspace_volume != WorkspaceVolume::Auto {
        problems.contradiction(SETTING, VOLUME, "both say what the workspace is kept on");
    }
    Some(WorkspaceSpec::Existing(match volume.source {
        Source::Claim(name) => VolumeSource::Claim(name),
        Source::HostPath(path) => VolumeSource::HostPath(path),
    }))
}

fn workspace(
    problems: &mut Problems,
    profile: Profile,
    config: &Config,
    request: &SessionRequest,
) -> Option<WorkspaceSpec> {
    let kubernetes = &config.kubernetes;
    if kubernetes.workspace_host_path.is_some() && kubernetes.workspace_volume != WorkspaceVolume::HostPath {
        problems.push(SpecProblem::new(
            [HOST_PATH, VOLUME],
            Reason::Needs {
                value: None,
                missing: Some("\"host_path\""),
            },
        ));
    }
    let size_limit = kubernetes
        .workspace_size_limit
        .as_deref()
        .map(|limit| problems.bytes(Field::Setting("kubernetes.workspace_size_limit"), limit));
    let empty_dir = || match size_limit.clone() {
        Some(limit) => limit.map(|limit| WorkspaceSpec::EmptyDir(Some(limit))),
        None => Some(WorkspaceSpec::EmptyDir(None)),
    };
    match (request.persistent, kubernetes.workspace_volume) {
        (Some(false), _) | (None, WorkspaceVolume::EmptyDir) => empty_dir(),
        (None, WorkspaceVolume::Auto) if !claim_is_given(config) => empty_dir(),
        // The node's directory outlives the pod, too.
        (_, WorkspaceVolume::HostPath) => {
            let Some(path) = &kubernetes.workspace_host_path else {
                problems.push(SpecProblem::new(
                    [VOLUME, HOST_PATH],
                    Reason::Needs {
                        value: Some("\"host_path\""),
                        missing: None,
                    },
                ));
                return None;
            };
            problems.needs_profile(profile, Profile::Privileged, HOST_PATH, path);
            let path = problems.path(HOST_PATH, path)?;
            Some(WorkspaceSpec::Existing(VolumeSource::HostPath(path)))
        }
        (Some(true), WorkspaceVolume::EmptyDir) | (_, WorkspaceVolume::Auto | WorkspaceVolume::Pvc) => {
            claim(problems, kubernetes)
        }
    }
}

/// Whether a `pvc_*` setting is given, which asks for a claim.
fn claim_is_given(config: &Config) -> bool {
    let KubernetesConfig {
        pvc_storage_size,
        pvc_storage_class,
        pvc_existing_claim,
        pvc_access_modes,
        pvc_snapshot,
        ..
    } = &config.kubernetes;
    let default = KubernetesConfig::default();
    pvc_storage_class.is_some()
        || pvc_existing_claim.is_some()
        || pvc_snapshot.is_some()
        || *pvc_storage_size != default.pvc_storage_size
        || *pvc_access_modes != default.pvc_access_modes
        || [CLAIM_SIZE, ACCESS_MODES]
            .iter()
            .any(|field| super::is_given(config, *field))
}

fn claim(problems: &mut Problems, config: &KubernetesConfig) -> Option<WorkspaceSpec> {
    if let Some(name) = &config.pvc_existing_claim {
        let name = problems.object_name(Field::Setting("kubernetes.pvc_existing_claim"), name)?;
        return Some(WorkspaceSpec::Existing(VolumeSource::Claim(name)));
    }
    let size = problems.bytes(CLAIM_SIZE, &config.pvc_storage_size);
    let storage_class = problems.optional_name(
        Field::Setting("kubernetes.pvc_storage_class"),
        config.pvc_storage_class.as_ref(),
    );
    let snapshot = problems.optional_name(
        Field::Setting("kubernetes.pvc_snapshot"),
        config.pvc_snapshot.as_ref(),
    );
    if config.pvc_access_modes.is_empty() {
        problems.of(ACCESS_MODES, Reason::Empty { of: "mode" });
    }
    for mode in &config.pvc_access_modes {
        if ![
            "ReadWriteOnce",
            "ReadWriteMany",
            "ReadWriteOncePod",
            "ReadOnlyMany",
        ]
        .contains(&mode.as_str())
        {
            problems.entry_not_allowed(
                ACCESS_MODES,
                mode,
                "ReadWriteOnce, ReadWriteMany, ReadOnlyMany or ReadWriteOncePod",
            );
        }
    }
    Some(WorkspaceSpec::Claim(ClaimSpec {
        size: size?,
        storage_class,
        access_modes: config.pvc_access_modes.clone(),
        snapshot,
    }))
}

fn cache(problems: &mut Problems, profile: Profile, config: &KubernetesConfig) -> Option<CacheSpec> {
    const CLAIM: Field = Field::Setting("kubernetes.cache_claim");
    const HOST_PATH: Field = Field::Setting("kubernetes.cache_host_path");
    let source = match (&config.cache_claim, &config.cache_host_path) {
        (None, None) => return None,
        (Some(_), Some(_)) => {
            problems.contradiction(CLAIM, HOST_PATH, "the cache is one or the other");
            return None;
        }
        (Some(name), None) => problems.object_name(CLAIM, name).map(VolumeSource::Claim),
        (None, Some(path)) => host_path(problems, profile, HOST_PATH, path),
    };
    let mount_path = problems.mount_path(
        Field::Setting("kubernetes.cache_mount_path"),
        &config.cache_mount_path,
    );
    Some(CacheSpec {
        source: source?,
        mount_path: mount_path?,
    })
}

fn source(problems: &mut Problems, profile: Profile, config: &KubernetesConfig) -> Option<VolumeSource> {
    const MOUNT: Field = Field::Setting("kubernetes.mount_source");
    const HOST_PATH: Field = Field::Setting("kubernetes.source_host_path");
    const CLAIM: Field = Field::Setting("kubernetes.source_claim");
    const CONFIG_MAP: Field = Field::Setting("kubernetes.source_config_map");
    let given: Vec<_> = [
        (HOST_PATH, &config.source_host_path),
        (CLAIM, &config.source_claim),
        (CONFIG_MAP, &config.source_config_map),
    ]
    .into_iter()
    .filter_map(|(setting, value)| Some((setting, value.as_ref()?)))
    .collect();
    if !config.mount_source {
        for (setting, _) in given {
            problems.push(SpecProblem::new(
                [setting, MOUNT],
                Reason::Needs {
                    value: None,
                    missing: Some("true"),
                },
            ));
        }
        return None;
    }
    match given[..] {
        [] => {
            problems.push(SpecProblem::new(
                [MOUNT, HOST_PATH, CLAIM, CONFIG_MAP],
                Reason::Needs {
                    value: Some("true"),
                    missing: None,
                },
            ));
            None
        }
        [(HOST_PATH, path)] => host_path(problems, profile, HOST_PATH, path),
        [(CLAIM, name)] => problems.object_name(CLAIM, name).map(VolumeSource::Claim),
        [(setting, name)] => problems.object_name(setting, name).map(VolumeSource::ConfigMap),
        [(first, _), (second, _), ..] => {
            problems.contradiction(first, second, "the source tree is mounted from one place");
            None
        }
    }
}

fn host_path(problems: &mut Problems, profile: Profile, setting: Field, path: &str) -> Option<VolumeSource> {
    problems.needs_profile(profile, Profile::Privileged, setting, path);
    problems.path(setting, path).map(VolumeSource::HostPath)
}

fn ca_bundle(problems: &mut Problems, config: &KubernetesConfig) -> Option<CaBundleSpec> {
    let name = config.ca_bundle_config_map.as_ref()?;
    let config_map = problems.object_name(Field::Setting("kubernetes.ca_bundle_config_map"), name);
    let key = &config.ca_bundle_key;
    // The keys of a ConfigMap (`IsConfigMapKey`), and the name of a file.
    let valid = (1..=253).contains(&key.len())
        && key
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        && !key.starts_with("..")
        && key != ".";
    if !valid {
        problems.not_allowed(
            Field::Setting("kubernetes.ca_bundle_key"),
            key,
            "letters, digits, \"-\", \"_\" and \".\"",
        );
        return None;
    }
    Some(CaBundleSpec {
        config_map: config_map?,
        key: key.clone(),
    })
}
