//! The NetworkPolicy of a session: what its pod may reach, and by whom it is reached.
//!
//! A session whose rules come from the configuration shares one policy with all others of its namespace that
//! have the same rules; one that asked for ports of its own has a policy of its own.

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use podbay_config::NetworkMode;
use podbay_protocol::hex::to_hex;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::empty::non_empty_list;
use crate::labels::{APP, APP_VALUE, MANAGED_BY, MANAGED_BY_VALUE, NETWORK, selector_map};
use crate::metadata::metadata;
use crate::owner::Owner;
use crate::session_spec::SessionSpec;

mod egress;

/// What the names of shared policies start with; the rules' label follows.
const SHARED_PREFIX: &str = "openhands-runtime-network-";
/// Hexadecimal digits of the rules' hash, 64 bits: an installation has a handful of sets of rules.
const HASH_DIGITS: usize = 16;

/// Whose policy it is, and so who creates and deletes it.
#[derive(Clone, Debug, PartialEq)]
pub enum NetworkPolicyPlan {
    /// One for all sessions of the namespace with these rules. It has no owner: it is created where it is absent,
    /// and stays. Its name is a hash of its rules, so one that is there is the right one.
    Shared(NetworkPolicy),
    /// The session's own, which goes with its record.
    Own(NetworkPolicy),
}

impl NetworkPolicyPlan {
    /// The policy.
    pub fn policy(&self) -> &NetworkPolicy {
        match self {
            Self::Shared(policy) | Self::Own(policy) => policy,
        }
    }
}

/// The policy of the session `spec`, if its network is not open.
pub fn policy(spec: &SessionSpec, owner: &Owner) -> Option<NetworkPolicyPlan> {
    let rules = rules(spec)?;
    if is_own(spec) {
        let names = spec.names();
        return Some(NetworkPolicyPlan::Own(NetworkPolicy {
            metadata: metadata(spec, names.network_policy(), Some(owner)),
            spec: Some(selecting(rules, selector_map(&names))),
        }));
    }
    let label = label_of(spec, &rules);
    let labels: BTreeMap<_, _> = [
        (APP, APP_VALUE),
        (MANAGED_BY, MANAGED_BY_VALUE),
        (NETWORK, &label),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into();
    Some(NetworkPolicyPlan::Shared(NetworkPolicy {
        metadata: ObjectMeta {
            name: Some(format!("{SHARED_PREFIX}{label}")),
            namespace: Some(spec.namespace().into()),
            labels: Some(labels.clone()),
            ..ObjectMeta::default()
        },
        spec: Some(selecting(rules, labels)),
    }))
}

/// Value of the label by which a shared policy finds the pod of `spec`; `None` where it has no such policy.
pub(crate) fn label(spec: &SessionSpec) -> Option<String> {
    if is_own(spec) {
        return None;
    }
    rules(spec).map(|rules| label_of(spec, &rules))
}

/// Whether the session has rules that the configuration does not give it.
fn is_own(spec: &SessionSpec) -> bool {
    spec.exposure.as_ref().is_some_and(|exposure| exposure.own_ports)
}

fn rules(spec: &SessionSpec) -> Option<NetworkPolicySpec> {
    let network = &spec.network;
    let egress = match network.mode.0 {
        NetworkMode::Open => return None,
        NetworkMode::None => Vec::new(),
        NetworkMode::Default => egress::rules(&network.allow, &network.deny),
    };
    Some(NetworkPolicySpec {
        pod_selector: None,
        policy_types: Some(vec!["Ingress".into(), "Egress".into()]),
        // A policy of both types with no rule of one lets nothing pass that way.
        ingress: non_empty_list(served(spec).into_iter().chain(agent(spec)).collect()),
        egress: non_empty_list(egress),
    })
}

/// Anyone, but only at the ports that the session serves at.
fn served(spec: &SessionSpec) -> Option<NetworkPolicyIngressRule> {
    let server = spec.server.iter();
    let served = server.flat_map(|server| {
        let vscode = server.vscode.then_some(server.vscode_port);
        std::iter::once(server.port).chain(vscode)
    });
    let asked = spec.exposure.iter().flat_map(|exposure| &exposure.ports).copied();
    let ports: Vec<_> = served.chain(asked).map(tcp).collect();
    (!ports.is_empty()).then_some(NetworkPolicyIngressRule {
        from: None,
        ports: Some(ports),
    })
}

/// Those that the configuration names, at the agent's port and those that a service leads to. A rule with an empty list of peers would
/// let everybody in, and one with an empty list of ports to all of them.
fn agent(spec: &SessionSpec) -> Option<NetworkPolicyIngressRule> {
    let (agent, network) = (spec.agent.port(), &spec.network);
    let others = network.routed.iter().copied().filter(|port| Some(*port) != agent);
    let ports: Vec<_> = agent.into_iter().chain(others).map(tcp).collect();
    let is_open = !network.agent_from.is_empty() && !ports.is_empty();
    is_open.then(|| NetworkPolicyIngressRule {
        from: Some(network.agent_from.clone()),
        ports: Some(ports),
    })
}

fn tcp(port: u16) -> NetworkPolicyPort {
    NetworkPolicyPort {
        port: Some(IntOrString::Int(port.into())),
        protocol: Some("TCP".into()),
        end_port: None,
    }
}

fn label_of(spec: &SessionSpec, rules: &NetworkPolicySpec) -> String {
    // Field by field in a fixed order, so one set of rules has one text.
    let hash = to_hex(&Sha256::digest(json!(rules).to_string()));
    format!("{}-{}", spec.network(), &hash[..HASH_DIGITS])
}

fn selecting(rules: NetworkPolicySpec, labels: BTreeMap<String, String>) -> NetworkPolicySpec {
    NetworkPolicySpec {
        pod_selector: Some(LabelSelector {
            match_labels: Some(labels),
            match_expressions: None,
        }),
        ..rules
    }
}
