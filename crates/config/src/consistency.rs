//! Settings that must fit one another.

use crate::config::Config;
use crate::error::Fault;
use crate::kubernetes::KubernetesConfig;
use crate::reader::Reader;
use crate::vocabulary::{AgentDelivery, NetworkMode, ProfileName, WorkloadKind, WorkspaceVolume};
use crate::warning::Warning;

const SELECTOR_KEY: &str = "kubernetes.node_selector_key";
const SELECTOR_VALUE: &str = "kubernetes.node_selector_val";
const PING_INTERVAL: &str = "podbay.exec_ping_interval_seconds";
const PING_TIMEOUT: &str = "podbay.exec_ping_timeout_seconds";

/// Two settings that do not go together.
struct Pair {
    /// The one that a message is about, and the one that it does not go with. Those after them matter too.
    keys: &'static [&'static str],
    clash: fn(&Config) -> bool,
    /// What a person should do, or why.
    reason: &'static str,
}

const PROFILE: &str = "kubernetes.profile";
const WORKSPACE_VOLUME: &str = "kubernetes.workspace_volume";
const MOUNT_SOURCE: &str = "kubernetes.mount_source";
const SOURCE_HOST_PATH: &str = "kubernetes.source_host_path";
const SOURCE_CLAIM: &str = "kubernetes.source_claim";
const SOURCE_CONFIG_MAP: &str = "kubernetes.source_config_map";
const ONE_SOURCE: &str = "exactly one of source_host_path, source_claim and source_config_map is the source";
const NO_SOURCE: &str = "a source is mounted with mount_source = true alone";
const ON_THE_NODE: &str =
    "the network of the node is for the profile privileged alone; set profile = \"privileged\"";
const CLAIM_NEEDED: &str = "it is for a workspace on a claim; set workspace_volume to \"pvc\" or \"auto\"";

const NETWORK: &str = "kubernetes.network";
const INGRESS: &str = "kubernetes.ingress";
const ONLY_LISTED: &str =
    "lists are for the mode \"default\"; a session that asks for that mode itself (--network) has them";
const NOT_SERVED: &str = "no host is served to the outside";

const TLS_CERTIFICATE: &str = "serve.tls_cert_file";
const TLS_KEY: &str = "serve.tls_private_key_file";

const AGENT_DELIVERY: &str = "agent.delivery";
const AGENT_IMAGE: &str = "agent.image";

/// What cannot be meant.
const CONTRADICTIONS: &[Pair] = &[
    Pair {
        keys: &[
            "kubernetes.automount_service_account_token",
            "kubernetes.service_account",
        ],
        clash: |config| {
            config.kubernetes.automount_service_account_token && config.kubernetes.service_account.is_none()
        },
        reason: "name the account whose token the sandbox is to have",
    },
    Pair {
        keys: &["kubernetes.workspace_host_path", WORKSPACE_VOLUME],
        clash: |config| config.kubernetes.workspace_host_path.is_some() && !on_host_path(config),
        reason: "a directory of the node is used with workspace_volume = \"host_path\" alone",
    },
    Pair {
        keys: &[WORKSPACE_VOLUME, "kubernetes.workspace_host_path"],
        clash: |config| config.kubernetes.workspace_host_path.is_none() && on_host_path(config),
        reason: "name the directory of the node",
    },
    Pair {
        keys: &["kubernetes.pvc_existing_claim", WORKSPACE_VOLUME],
        clash: |config| config.kubernetes.pvc_existing_claim.is_some() && !may_be_claim(config),
        reason: CLAIM_NEEDED,
    },
    Pair {
        keys: &["kubernetes.pvc_snapshot", WORKSPACE_VOLUME],
        clash: |config| config.kubernetes.pvc_snapshot.is_some() && !may_be_claim(config),
        reason: CLAIM_NEEDED,
    },
    Pair {
        keys: &["kubernetes.pvc_snapshot", "kubernetes.pvc_existing_claim"],
        clash: |config| {
            config.kubernetes.pvc_snapshot.is_some() && config.kubernetes.pvc_existing_claim.is_some()
        },
        reason: "a snapshot is what a new claim starts from",
    },
    Pair {
        keys: &["kubernetes.cache_host_path", "kubernetes.cache_claim"],
        clash: |config| {
            config.kubernetes.cache_host_path.is_some() && config.kubernetes.cache_claim.is_some()
        },
        reason: "the cache is on one of them",
    },
    Pair {
        keys: &["kubernetes.runtime_image_tag", "kubernetes.runtime_image_repo"],
        clash: |config| {
            config.kubernetes.runtime_image_tag.is_some() && config.kubernetes.runtime_image_repo.is_none()
        },
        reason: "a tag is one of a repository",
    },
    Pair {
        keys: &[MOUNT_SOURCE, SOURCE_HOST_PATH, SOURCE_CLAIM, SOURCE_CONFIG_MAP],
        clash: |config| {
            config.kubernetes.mount_source
                && config.kubernetes.source_host_path.is_none()
                && config.kubernetes.source_claim.is_none()
                && config.kubernetes.source_config_map.is_none()
        },
        reason: ONE_SOURCE,
    },
    Pair {
        keys: &[SOURCE_HOST_PATH, MOUNT_SOURCE],
        clash: |config| !config.kubernetes.mount_source && config.kubernetes.source_host_path.is_some(),
        reason: NO_SOURCE,
    },
    Pair {
        keys: &[SOURCE_CLAIM, MOUNT_SOURCE],
        clash: |config| !config.kubernetes.mount_source && config.kubernetes.source_claim.is_some(),
        reason: NO_SOURCE,
    },
    Pair {
        keys: &[SOURCE_CONFIG_MAP, MOUNT_SOURCE],
        clash: |config| !config.kubernetes.mount_source && config.kubernetes.source_config_map.is_some(),
        reason: NO_SOURCE,
    },
    Pair {
        keys: &[SOURCE_CLAIM, SOURCE_HOST_PATH],
        clash: |config| {
            config.kubernetes.source_claim.is_some() && config.kubernetes.source_host_path.is_some()
        },
        reason: ONE_SOURCE,
    },
    Pair {
        keys: &[SOURCE_CONFIG_MAP, SOURCE_HOST_PATH],
        clash: |config| {
            config.kubernetes.source_config_map.is_some() && config.kubernetes.source_host_path.is_some()
        },
        reason: ONE_SOURCE,
    },
    Pair {
        keys: &[SOURCE_CONFIG_MAP, SOURCE_CLAIM],
        clash: |config| {
            config.kubernetes.source_config_map.is_some() && config.kubernetes.source_claim.is_some()
        },
        reason: ONE_SOURCE,
    },
    Pair {
        keys: &["kubernetes.privileged", PROFILE],
        clash: |config| {
            let profile = config.kubernetes.profile;
            config.kubernetes.privileged && profile.is_some_and(|profile| profile != ProfileName::Privileged)
        },
        reason: "a privileged container is for the profile privileged alone",
    },
    Pair {
        keys: &["kubernetes.host_network", PROFILE, "kubernetes.privileged"],
        clash: |config| config.kubernetes.host_network && !is_privileged(config),
        reason: ON_THE_NODE,
    },
    Pair {
        keys: &["sandbox.use_host_network", PROFILE, "kubernetes.privileged"],
        clash: |config| config.sandbox.use_host_network && !is_privileged(config),
        reason: ON_THE_NODE,
    },
    Pair {
        keys: &["kubernetes.run_as_user", "kubernetes.uid_from_cluster"],
        clash: |config| config.kubernetes.uid_from_cluster && config.kubernetes.run_as_user.is_some(),
        reason: "the cluster chooses the user id, or you do",
    },
    Pair {
        keys: &[
            "kubernetes.extended_resources",
            "sandbox.enable_gpu",
            "kubernetes.gpu_resource_name",
        ],
        clash: |config| {
            let KubernetesConfig {
                extended_resources,
                gpu_resource_name,
                ..
            } = &config.kubernetes;
            config.sandbox.enable_gpu && extended_resources.contains_key(gpu_resource_name)
        },
        reason: "both say how many GPUs there are (kubernetes.gpu_resource_name); keep one of them",
    },
    Pair {
        keys: &["kubernetes.fs_group", "kubernetes.uid_from_cluster"],
        clash: |config| config.kubernetes.uid_from_cluster && config.kubernetes.fs_group.is_some(),
        reason: "the cluster chooses the group of the volumes, or you do",
    },
    Pair {
        keys: &[AGENT_DELIVERY, AGENT_IMAGE],
        clash: |config| {
            let delivery = config.agent.delivery;
            config.agent.image.is_none()
                && matches!(
                    delivery,
                    AgentDelivery::InitContainer | AgentDelivery::ImageVolume
                )
        },
        reason: "name the image that has the agent",
    },
];

/// What has no effect as things stand.
const IDLE: &[Pair] = &[
    Pair {
        keys: &["kubernetes.network_allow", NETWORK],
        clash: |config| config.kubernetes.network != NetworkMode::Default,
        reason: ONLY_LISTED,
    },
    Pair {
        keys: &["kubernetes.network_deny", NETWORK],
        clash: |config| config.kubernetes.network != NetworkMode::Default,
        reason: ONLY_LISTED,
    },
    Pair {
        keys: &["kubernetes.ingress_class", "kubernetes.gateway"],
        clash: |config| config.kubernetes.gateway.is_some(),
        reason: "hosts are served by a Gateway in place of an Ingress",
    },
    Pair {
        keys: &["kubernetes.gateway", INGRESS],
        clash: |config| !config.kubernetes.ingress,
        reason: NOT_SERVED,
    },
    Pair {
        keys: &["kubernetes.ingress_domain", INGRESS],
        clash: |config| !config.kubernetes.ingress,
        reason: NOT_SERVED,
    },
    Pair {
        keys: &["kubernetes.ingress_class", INGRESS],
        clash: |config| !config.kubernetes.ingress,
        reason: NOT_SERVED,
    },
    Pair {
        keys: &["kubernetes.ingress_annotations", INGRESS],
        clash: |config| !config.kubernetes.ingress,
        reason: NOT_SERVED,
    },
    Pair {
        keys: &["kubernetes.ingress_tls_secret", INGRESS],
        clash: |config| !config.kubernetes.ingress,
        reason: NOT_SERVED,
    },
    Pair {
        keys: &["kubernetes.job_ttl_seconds_after_finished", "kubernetes.workload"],
        clash: |config| config.kubernetes.workload != WorkloadKind::Job,
        reason: "the cluster removes Jobs alone after a time",
    },
    Pair {
        keys: &["kubernetes.ca_bundle_key", "kubernetes.ca_bundle_config_map"],
        clash: |config| config.kubernetes.ca_bundle_config_map.is_none(),
        reason: "it is a key of that ConfigMap",
    },
    Pair {
        keys: &["sandbox.cuda_visible_devices", "sandbox.enable_gpu"],
        clash: |config| !config.sandbox.enable_gpu,
        reason: "GPUs are asked for with enable_gpu = true alone",
    },
    Pair {
        keys: &[AGENT_IMAGE, AGENT_DELIVERY],
        clash: |config| matches!(config.agent.delivery, AgentDelivery::None | AgentDelivery::Upload),
        reason: "the agent does not come out of an image",
    },
    Pair {
        keys: &["agent.binary", AGENT_DELIVERY],
        clash: |config| !matches!(config.agent.delivery, AgentDelivery::Auto | AgentDelivery::Upload),
        reason: "no agent is uploaded",
    },
    Pair {
        keys: &["kubernetes.agent_from", "kubernetes.network"],
        clash: |config| config.kubernetes.network == NetworkMode::Open,
        reason: "without a network policy everybody may",
    },
    Pair {
        keys: &["agent.binary", AGENT_IMAGE],
        clash: |config| config.agent.delivery == AgentDelivery::Auto && config.agent.image.is_some(),
        reason: "with an image no agent is uploaded",
    },
];

fn on_host_path(config: &Config) -> bool {
    config.kubernetes.workspace_volume == WorkspaceVolume::HostPath
}

fn may_be_claim(config: &Config) -> bool {
    match config.kubernetes.workspace_volume {
        WorkspaceVolume::Auto | WorkspaceVolume::Pvc => true,
        WorkspaceVolume::EmptyDir | WorkspaceVolume::HostPath => false,
    }
}

fn is_privileged(config: &Config) -> bool {
    config.kubernetes.privileged || config.kubernetes.profile == Some(ProfileName::Privileged)
}

/// Notes every contradiction between valid values.
pub(crate) fn check(config: &Config, reader: &mut Reader<'_>) {
    node_selector(config, reader);
    ping(config, reader);
    certificate(config, reader);
    for Pair { keys, clash, reason } in CONTRADICTIONS {
        if let [key, other, ..] = keys
            && reader.all_valid(keys)
            && clash(config)
        {
            reader.note(Fault::Contradiction {
                key,
                value: config.value_text(key),
                place: reader.place(key),
                other,
                other_value: config.value_text(other),
                other_place: reader.place(other),
                reason,
            });
        }
    }
    for Pair { keys, clash, reason } in IDLE {
        if let [key, other, ..] = keys
            && reader.is_given(key)
            && reader.all_valid(keys)
            && clash(config)
        {
            reader.warn(Warning::Idle {
                key,
                place: reader.place(key),
                other,
                other_value: config.value_text(other),
                other_place: reader.place(other),
                reason,
            });
        }
    }
}

/// Half a selector would be ignored silently by OpenHands, and the pod land anywhere.
fn node_selector(config: &Config, reader: &mut Reader<'_>) {
    if !reader.all_valid(&[SELECTOR_KEY, SELECTOR_VALUE]) {
        return;
    }
    let (key, missing) = match (
        &config.kubernetes.node_selector_key,
        &config.kubernetes.node_selector_val,
    ) {
        (Some(_), None) => (SELECTOR_KEY, SELECTOR_VALUE),
        (None, Some(_)) => (SELECTOR_VALUE, SELECTOR_KEY),
        (Some(_), Some(_)) | (None, None) => return,
    };
    reader.note(Fault::Alone {
        place: reader.place(key),
        key,
        missing,
    });
}

/// A service that was to speak TLS must not come up without it.
fn certificate(config: &Config, reader: &mut Reader<'_>) {
    if !reader.all_valid(&[TLS_CERTIFICATE, TLS_KEY]) {
        return;
    }
    let (key, missing) = match (&config.serve.tls_cert_file, &config.serve.tls_private_key_file) {
        (Some(_), None) => (TLS_CERTIFICATE, TLS_KEY),
        (None, Some(_)) => (TLS_KEY, TLS_CERTIFICATE),
        (Some(_), Some(_)) | (None, None) => return,
    };
    reader.note(Fault::Alone {
        place: reader.place(key),
        key,
        missing,
    });
}

/// With a time-out at or under the interval every quiet connection would count as lost.
fn ping(config: &Config, reader: &mut Reader<'_>) {
    let (interval, timeout) = (
        config.podbay.exec_ping_interval_seconds,
        config.podbay.exec_ping_timeout_seconds,
    );
    if timeout > interval || !reader.all_valid(&[PING_INTERVAL, PING_TIMEOUT]) {
        return;
    }
    reader.note(Fault::NotMore {
        key: PING_TIMEOUT,
        value: timeout,
        place: reader.place(PING_TIMEOUT),
        least_key: PING_INTERVAL,
        least: interval,
        least_place: reader.place(PING_INTERVAL),
    });
}
