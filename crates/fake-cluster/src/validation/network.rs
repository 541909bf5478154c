//! Services, Ingresses, routes, network policies.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy, NetworkPolicyPeer};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use podbay_k8s_client::HttpRoute;

use super::metadata::labels;
use super::problems::Problems;
use super::text;

const PORT: &str = "must be between 1 and 65535, inclusive";

pub(super) fn validate_service(service: &Service, problems: &mut Problems) {
    let Some(spec) = &service.spec else {
        return problems.required("spec", "");
    };
    let headless = spec.cluster_ip.as_deref() == Some("None");
    let external = spec.type_.as_deref() == Some("ExternalName");
    let ports = spec.ports.as_deref().unwrap_or_default();
    if ports.is_empty() && !headless && !external {
        problems.required("spec.ports", "");
    }
    let mut names = BTreeSet::new();
    let mut numbers = BTreeSet::new();
    for (index, port) in ports.iter().enumerate() {
        let at = format!("spec.ports[{index}]");
        match port.name.as_deref().unwrap_or_default() {
            "" if ports.len() > 1 => problems.required(format!("{at}.name"), ""),
            "" => {}
            name => {
                if let Some(wrong) = text::label(name) {
                    problems.invalid(format!("{at}.name"), name, &wrong);
                } else if !names.insert(name) {
                    problems.duplicate(format!("{at}.name"), name);
                }
            }
        }
        if !(1..=65535).contains(&port.port) {
            problems.invalid_number(format!("{at}.port"), port.port, PORT);
        }
        if let Some(IntOrString::Int(target)) = port.target_port
            && !(1..=65535).contains(&target)
        {
            problems.invalid_number(format!("{at}.targetPort"), target, PORT);
        }
        let protocol = port.protocol.as_deref().unwrap_or("TCP");
        if !["SCTP", "TCP", "UDP"].contains(&protocol) {
            problems.unsupported(format!("{at}.protocol"), protocol, &["SCTP", "TCP", "UDP"]);
        }
        if !numbers.insert((port.port, protocol)) {
            problems.duplicate(&at, &format!("{}/{protocol}", port.port));
        }
    }
    labels(spec.selector.as_ref(), "spec.selector", problems);
}

pub(super) fn validate_ingress(ingress: &Ingress, problems: &mut Problems) {
    let Some(spec) = &ingress.spec else {
        return problems.required("spec", "");
    };
    let rules = spec.rules.as_deref().unwrap_or_default();
    if rules.is_empty() && spec.default_backend.is_none() {
        problems.invalid_number(
            "spec",
            "null",
            "either `defaultBackend` or `rules` must be specified",
        );
    }
    for (index, rule) in rules.iter().enumerate() {
        let at = format!("spec.rules[{index}]");
        if let Some(host) = rule.host.as_deref().filter(|host| !host.is_empty()) {
            validate_host(host, &format!("{at}.host"), problems);
        }
        let paths = rule.http.as_ref().map(|http| http.paths.as_slice());
        if paths.is_some_and(<[_]>::is_empty) {
            problems.required(format!("{at}.http.paths"), "");
        }
        for (index, path) in paths.unwrap_or_default().iter().enumerate() {
            let at = format!("{at}.http.paths[{index}]");
            if !["Exact", "ImplementationSpecific", "Prefix"].contains(&path.path_type.as_str()) {
                let allowed = ["Exact", "ImplementationSpecific", "Prefix"];
                problems.unsupported(format!("{at}.pathType"), &path.path_type, &allowed);
            }
            let given = path.path.as_deref().unwrap_or_default();
            if path.path_type != "ImplementationSpecific" && !given.starts_with('/') {
                problems.invalid(format!("{at}.path"), given, "must be an absolute path");
            }
            if let Some(service) = &path.backend.service {
                if let Some(wrong) = text::label_1035(&service.name) {
                    problems.invalid(format!("{at}.backend.service.name"), &service.name, &wrong);
                }
                let port = service.port.as_ref();
                if port.is_none_or(|port| port.number.is_none() && port.name.is_none()) {
                    problems.required(
                        format!("{at}.backend.service.port"),
                        "port name or number is required",
                    );
                }
            } else if path.backend.resource.is_none() {
                problems.required(format!("{at}.backend"), "");
            }
        }
    }
    for (index, tls) in spec.tls.iter().flatten().enumerate() {
        for host in tls.hosts.iter().flatten() {
            validate_host(host, &format!("spec.tls[{index}].hosts"), problems);
        }
    }
}

fn validate_host(host: &str, field: &str, problems: &mut Problems) {
    if host.parse::<std::net::IpAddr>().is_ok() {
        return problems.invalid(field, host, "must be a DNS name, not an IP address");
    }
    let name = host.strip_prefix("*.").unwrap_or(host);
    if let Some(wrong) = text::subdomain(name) {
        problems.invalid(field, host, &wrong);
    }
}

pub(super) fn validate_policy(policy: &NetworkPolicy, problems: &mut Problems) {
    let Some(spec) = &policy.spec else { return };
    let selector = spec.pod_selector.as_ref();
    labels(
        selector.and_then(|selector| selector.match_labels.as_ref()),
        "spec.podSelector.matchLabels",
        problems,
    );
    for (index, rule) in spec.egress.iter().flatten().enumerate() {
        let peers = rule.to.as_deref().unwrap_or_default();
        validate_peers(peers, &format!("spec.egress[{index}].to"), problems);
    }
    for (index, rule) in spec.ingress.iter().flatten().enumerate() {
        let peers = rule.from.as_deref().unwrap_or_default();
        validate_peers(peers, &format!("spec.ingress[{index}].from"), problems);
    }
}

fn validate_peers(peers: &[NetworkPolicyPeer], path: &str, problems: &mut Problems) {
    for (index, peer) in peers.iter().enumerate() {
        let at = format!("{path}[{index}]");
        let Some(block) = &peer.ip_block else {
            if peer.pod_selector.is_none() && peer.namespace_selector.is_none() {
                problems.required(at, "must specify a peer");
            }
            continue;
        };
        if peer.pod_selector.is_some() || peer.namespace_selector.is_some() {
            problems.forbidden(&at, "may not specify both ipBlock and another peer");
        }
        let cidr = Cidr::parse(&block.cidr);
        if cidr.is_none() {
            let detail = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
            problems.invalid(format!("{at}.ipBlock.cidr"), &block.cidr, detail);
        }
        for (index, except) in block.except.iter().flatten().enumerate() {
            let inside = match (&cidr, Cidr::parse(except)) {
                (Some(whole), Some(part)) => whole.strictly_holds(&part),
                (None, Some(_)) => true,
                (_, None) => false,
            };
            if !inside {
                let field = format!("{at}.ipBlock.except[{index}]");
                problems.invalid(field, except, "must be a strict subset of `cidr`");
            }
        }
    }
}

/// A network, as bits from the left of a 128-bit number.
struct Cidr {
    six: bool,
    bits: u128,
    length: u32,
}

impl Cidr {
    fn parse(text: &str) -> Option<Self> {
        let (address, length) = text.split_once('/')?;
        let length: u32 = length.parse().ok()?;
        let (six, bits, width) = match address.parse().ok()? {
            std::net::IpAddr::V4(four) => (false, u128::from(four.to_bits()) << 96, 32),
            std::net::IpAddr::V6(address) => (true, address.to_bits(), 128),
        };
        (length <= width).then_some(Self { six, bits, length })
    }

    fn strictly_holds(&self, part: &Self) -> bool {
        let differ = self.bits ^ part.bits;
        self.six == part.six && self.length < part.length && differ.leading_zeros() >= self.length
    }
}

/// The custom resource's own rules on names (its schema): hosts, and the parents it hangs on.
pub(super) fn validate_route(route: &HttpRoute, problems: &mut Problems) {
    for host in route.spec["hostnames"].as_array().into_iter().flatten() {
        validate_host(host.as_str().unwrap_or_default(), "spec.hostnames", problems);
    }
    for (index, parent) in route.spec["parentRefs"]
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
    {
        if parent["name"].as_str().unwrap_or_default().is_empty() {
            problems.required(format!("spec.parentRefs[{index}].name"), "");
        }
    }
}
