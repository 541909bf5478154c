//! Where in the cluster the pod may run.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Affinity, Toleration, TopologySpreadConstraint};
use podbay_config::{Config, KubernetesConfig, RemoteRuntimeClass};
use podbay_protocol::Field;
use serde::{Deserialize, Serialize};

use super::problems::Problems;
use crate::dns::DnsSubdomain;
use crate::labels::node_label;
use crate::platform::{ARCHITECTURES, Platform};

const SELECTOR: Field = Field::Setting("kubernetes.node_selector");
const SELECTOR_KEY: Field = Field::Setting("kubernetes.node_selector_key");
const SELECTOR_VALUE: Field = Field::Setting("kubernetes.node_selector_val");
const PLATFORM: Field = Field::Setting("sandbox.platform");
/// Labels that every kubelet sets on its node.
const OS_LABEL: &str = "kubernetes.io/os";
const ARCH_LABEL: &str = "kubernetes.io/arch";

/// Which nodes take the pod, in which order, by which scheduler.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlacementSpec {
    pub(crate) node_selector: BTreeMap<String, String>,
    pub(crate) tolerations: Vec<Toleration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) affinity: Option<Affinity>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) topology_spread: Vec<TopologySpreadConstraint>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) runtime_class: Option<DnsSubdomain>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) priority_class: Option<DnsSubdomain>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) scheduler: Option<DnsSubdomain>,
}

impl PlacementSpec {
    pub(super) fn validate(problems: &mut Problems, config: &Config, asked: Option<&String>) -> Self {
        let kubernetes = &config.kubernetes;
        let configured = kubernetes.runtime_class.as_ref();
        let runtime_class = match (asked.or(configured), config.sandbox.remote_runtime_class) {
            (Some(name), _) => problems.object_name(Field::Setting("kubernetes.runtime_class"), name),
            (None, Some(RemoteRuntimeClass::Sysbox)) => {
                problems.object_name(Field::Setting("sandbox.remote_runtime_class"), "sysbox-runc")
            }
            (None, Some(RemoteRuntimeClass::Gvisor)) => {
                problems.object_name(Field::Setting("sandbox.remote_runtime_class"), "gvisor")
            }
            (None, Some(RemoteRuntimeClass::None) | None) => None,
        };
        let (name, scheduler) = (&kubernetes.priority_class, &kubernetes.scheduler_name);
        let tolerations = kubernetes.tolerations_yaml.iter().chain(&kubernetes.tolerations);
        Self {
            node_selector: node_selector(problems, config),
            tolerations: tolerations.map(toleration).collect(),
            affinity: kubernetes
                .affinity
                .as_ref()
                .and_then(|affinity| problems.api_object(Field::Setting("kubernetes.affinity"), affinity)),
            topology_spread: problems.api_objects(
                Field::Setting("kubernetes.topology_spread_constraints"),
                &kubernetes.topology_spread_constraints,
            ),
            runtime_class,
            priority_class: problems
                .optional_name(Field::Setting("kubernetes.priority_class"), name.as_ref()),
            scheduler: problems
                .optional_name(Field::Setting("kubernetes.scheduler_name"), scheduler.as_ref()),
        }
    }
}

/// All labels that a node must have. Two settings that want one label otherwise are a contradiction.
fn node_selector(problems: &mut Problems, config: &Config) -> BTreeMap<String, String> {
    let KubernetesConfig {
        node_selector: table,
        node_selector_key,
        node_selector_val,
        ..
    } = &config.kubernetes;
    let mut wanted: Vec<(Field, &str, &str)> = table
        .iter()
        .map(|(key, value)| (SELECTOR, key.as_str(), value.as_str()))
        .collect();
    match (node_selector_key, node_selector_val) {
        (Some(key), Some(value)) => wanted.push((SELECTOR_KEY, key, value)),
        (Some(_), None) => problems.needs(SELECTOR_KEY, SELECTOR_VALUE),
        (None, Some(_)) => problems.needs(SELECTOR_VALUE, SELECTOR_KEY),
        (None, None) => {}
    }
    if let Some(platform) = &config.sandbox.platform {
        if let Some(Platform { system, architecture }) = Platform::parse(platform) {
            wanted.extend([(PLATFORM, OS_LABEL, system), (PLATFORM, ARCH_LABEL, architecture)]);
        } else {
            let expected = format!(
                "an operating system and an architecture, as linux/amd64, of which nodes have linux and windows, and {}",
                ARCHITECTURES.join(", ")
            );
            problems.not_allowed(PLATFORM, platform, expected);
        }
    }
    let mut selector = BTreeMap::<String, (Field, &str)>::new();
    for (setting, key, value) in wanted {
        problems.take(setting, node_label(key, value));
        match selector.get(key) {
            Some((first, other)) if *other != value => {
                problems.contradiction(*first, setting, "they want different values of one node label");
            }
            _ => {
                selector.insert(key.to_owned(), (setting, value));
            }
        }
    }
    selector
        .into_iter()
        .map(|(key, (_, value))| (key, value.to_owned()))
        .collect()
}

fn toleration(configured: &podbay_config::Toleration) -> Toleration {
    let podbay_config::Toleration {
        key,
        operator,
        value,
        effect,
        toleration_seconds,
    } = configured.clone();
    Toleration {
        key,
        operator,
        value,
        effect,
        toleration_seconds,
    }
}
