//! What the sandbox may reach, and what it finds by which name.

use std::net::IpAddr;

use k8s_openapi::api::core::v1::HostAlias;
use k8s_openapi::api::networking::v1::NetworkPolicyPeer;
use podbay_config::{Config, NetworkMode};
use podbay_protocol::Field;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::problems::Problems;
use crate::cidr::Cidr;
use crate::opening::Opening;
use crate::profile::Profile;
use crate::request::SessionRequest;
use crate::word::Word;

const MODE: Field = Field::Setting("kubernetes.network");
const ALLOW: Field = Field::Setting("kubernetes.network_allow");
const DENY: Field = Field::Setting("kubernetes.network_deny");
const AGENT_FROM: Field = Field::Setting("kubernetes.agent_from");
const HOST_ALIASES: Field = Field::Setting("kubernetes.host_aliases");

/// The network of a session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkSpec {
    pub(crate) mode: Word<NetworkMode>,
    /// What may be reached besides what the mode lets it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) allow: Vec<Opening>,
    /// What may not be reached besides the private networks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) deny: Vec<Cidr>,
    /// Who may reach the agent by the pod's address, and what a service routes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) agent_from: Vec<NetworkPolicyPeer>,
    /// Ports besides the agent's that the same may reach. Sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) routed: Vec<u16>,
    /// Whether the pod is in the network of its node.
    pub(crate) host_network: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) host_aliases: Vec<HostAlias>,
}

impl NetworkSpec {
    pub(super) fn validate(
        problems: &mut Problems,
        profile: Profile,
        config: &Config,
        request: &SessionRequest,
    ) -> Self {
        let kubernetes = &config.kubernetes;
        let mode = request.network.unwrap_or(kubernetes.network);
        let host_network = host_network(problems, profile, mode, config);
        let mut allow = Vec::new();
        for text in &kubernetes.network_allow {
            allow.extend(problems.take(ALLOW, text.parse::<Opening>()));
        }
        let mut deny = Vec::new();
        for text in &kubernetes.network_deny {
            deny.extend(problems.take(DENY, text.trim().parse::<Cidr>()));
        }
        // One set of rules has one name: the order in which it was written does not matter.
        allow.sort_unstable();
        allow.dedup();
        deny.sort_unstable();
        deny.dedup();
        let listed = mode == NetworkMode::Default;
        let mut agent_from: Vec<NetworkPolicyPeer> = problems.api_objects(AGENT_FROM, &kubernetes.agent_from);
        agent_from.sort_by_cached_key(|peer| json!(peer).to_string());
        agent_from.dedup();
        let host_aliases: Vec<HostAlias> = problems.api_objects(HOST_ALIASES, &kubernetes.host_aliases);
        for alias in &host_aliases {
            if alias.ip.parse::<IpAddr>().is_err() {
                problems.entry_not_allowed(HOST_ALIASES, &alias.ip, "each address is IPv4 or IPv6");
            }
        }
        let mut routed = request.routed.clone();
        routed.sort_unstable();
        routed.dedup();
        let is_let_in = mode != NetworkMode::Open && !agent_from.is_empty();
        Self {
            mode: Word(mode),
            // The two other modes are what they say, whatever is listed.
            allow: allow.into_iter().filter(|_| listed).collect(),
            deny: deny.into_iter().filter(|_| listed).collect(),
            // Without a policy everybody may.
            agent_from: agent_from
                .into_iter()
                .filter(|_| mode != NetworkMode::Open)
                .collect(),
            // To nobody there is nothing to open.
            routed: routed.into_iter().filter(|_| is_let_in).collect(),
            host_network,
            host_aliases,
        }
    }
}

fn host_network(problems: &mut Problems, profile: Profile, mode: NetworkMode, config: &Config) -> bool {
    let setting = match (config.kubernetes.host_network, config.sandbox.use_host_network) {
        (true, _) => Field::Setting("kubernetes.host_network"),
        (false, true) => Field::Setting("sandbox.use_host_network"),
        (false, false) => return false,
    };
    problems.needs_profile(profile, Profile::Privileged, setting, "true");
    no_policy_holds(problems, setting, mode);
    true
}

/// Notes that `setting` puts the pod where a policy would only seem to hold.
pub(super) fn no_policy_holds(problems: &mut Problems, setting: Field, mode: NetworkMode) {
    if mode != NetworkMode::Open {
        problems.contradiction(
            setting,
            MODE,
            "no network policy holds in the node's network: set it to \"open\"",
        );
    }
}
