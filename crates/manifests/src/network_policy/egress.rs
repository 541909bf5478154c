//! What a sandbox may reach by default: names, and the public internet.

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicyEgressRule, NetworkPolicyPeer, NetworkPolicyPort,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::cidr::Cidr;
use crate::opening::{Opening, Protocol};

/// Label by which a cluster's DNS servers are known, and its values.
const DNS_LABEL: &str = "k8s-app";
const DNS_VALUES: [&str; 3] = ["kube-dns", "coredns", "node-local-dns"];
/// Where NodeLocal DNSCache listens on each node: its default, which its manifests and the installers keep.
const NODE_LOCAL_DNS: &str = "169.254.20.10/32";
const DNS_PORT: u16 = 53;

/// All of IPv4, and what of it is not the public internet (IANA's special-purpose registry, RFC 6890).
const IPV4: &str = "0.0.0.0/0";
const NOT_PUBLIC_IPV4: [&str; 14] = [
    "0.0.0.0/8",       // this network
    "10.0.0.0/8",      // private
    "100.64.0.0/10",   // shared: carriers, and the pods of some clouds
    "127.0.0.0/8",     // loopback
    "169.254.0.0/16",  // link-local, with the clouds' metadata service at 169.254.169.254
    "172.16.0.0/12",   // private
    "192.0.0.0/24",    // protocol assignments
    "192.0.2.0/24",    // documentation
    "192.168.0.0/16",  // private
    "198.18.0.0/15",   // benchmarks
    "198.51.100.0/24", // documentation
    "203.0.113.0/24",  // documentation
    "224.0.0.0/4",     // multicast
    "240.0.0.0/4",     // reserved, and broadcast
];
/// All of IPv6 that is assigned to the public internet (RFC 4291, section 2.4). Outside it are loopback, unique local
/// addresses with the metadata service at fd00:ec2::254, link-local, multicast, and what is reserved.
const IPV6: &str = "2000::/3";
const NOT_PUBLIC_IPV6: [&str; 4] = [
    "2001::/32",     // Teredo: IPv4 addresses inside, private ones too
    "2001:db8::/32", // documentation
    "2002::/16",     // 6to4: likewise
    "3fff::/20",     // documentation
];

/// DNS, the public internet without `deny`, and what `allow` opens besides.
pub(super) fn rules(allow: &[Opening], deny: &[Cidr]) -> Vec<NetworkPolicyEgressRule> {
    let mut rules = vec![dns()];
    let public: Vec<_> = [
        public(IPV4, &NOT_PUBLIC_IPV4, deny),
        public(IPV6, &NOT_PUBLIC_IPV6, deny),
    ]
    .into_iter()
    .flatten()
    .collect();
    // A rule without a peer would be one for every peer.
    if !public.is_empty() {
        rules.push(NetworkPolicyEgressRule {
            to: Some(public),
            ports: None,
        });
    }
    rules.extend(allow.iter().map(opened));
    rules
}

fn dns() -> NetworkPolicyEgressRule {
    let servers = NetworkPolicyPeer {
        namespace_selector: Some(LabelSelector::default()),
        pod_selector: Some(LabelSelector {
            match_labels: None::<BTreeMap<_, _>>,
            match_expressions: Some(vec![LabelSelectorRequirement {
                key: DNS_LABEL.into(),
                operator: "In".into(),
                values: Some(DNS_VALUES.map(Into::into).into()),
            }]),
        }),
        ip_block: None,
    };
    NetworkPolicyEgressRule {
        to: Some(vec![servers, block(NODE_LOCAL_DNS.into(), Vec::new())]),
        ports: Some(vec![port(DNS_PORT, Protocol::Udp), port(DNS_PORT, Protocol::Tcp)]),
    }
}

/// The block `all` without `special` and without what of `deny` lies in it; `None` where nothing is left.
fn public(all: &str, special: &[&str], deny: &[Cidr]) -> Option<NetworkPolicyPeer> {
    let mut except: Vec<String> = special.iter().map(|range| (*range).to_owned()).collect();
    // The constants are ranges: a test reads them all.
    if let Ok(range) = all.parse::<Cidr>() {
        // The API takes only exceptions that lie inside the block.
        if deny.iter().any(|denied| denied.contains(&range)) {
            return None;
        }
        let denied = deny.iter().filter(|denied| range.contains(denied));
        except.extend(denied.map(ToString::to_string));
    }
    Some(block(all.into(), except))
}

fn opened(opening: &Opening) -> NetworkPolicyEgressRule {
    let Opening { to, port: at } = opening;
    NetworkPolicyEgressRule {
        to: Some(vec![block(to.to_string(), Vec::new())]),
        ports: at.map(|(number, protocol)| vec![port(number, protocol)]),
    }
}

fn block(cidr: String, except: Vec<String>) -> NetworkPolicyPeer {
    NetworkPolicyPeer {
        ip_block: Some(IPBlock {
            cidr,
            except: crate::empty::non_empty_list(except),
        }),
        ..NetworkPolicyPeer::default()
    }
}

fn port(port: u16, protocol: Protocol) -> NetworkPolicyPort {
    NetworkPolicyPort {
        port: Some(IntOrString::Int(port.into())),
        protocol: Some(protocol.as_str().into()),
        end_port: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> Cidr {
        text.parse().unwrap()
    }

    /// Whether the rules let one address be reached at some port.
    fn reaches(rules: &[NetworkPolicyEgressRule], address: &str) -> bool {
        let address = range(address);
        let blocks = rules.iter().flat_map(|rule| rule.to.iter().flatten());
        blocks.filter_map(|peer| peer.ip_block.as_ref()).any(|block| {
            let except = block.except.iter().flatten();
            range(&block.cidr).contains(&address)
                && !except.into_iter().any(|except| range(except).contains(&address))
        })
    }

    #[test]
    fn every_exception_lies_strictly_inside_its_block() {
        for (all, special) in [(IPV4, &NOT_PUBLIC_IPV4[..]), (IPV6, &NOT_PUBLIC_IPV6[..])] {
            for exception in special {
                assert!(range(all).contains(&range(exception)), "{exception}");
                assert_ne!(range(all), range(exception));
            }
        }
    }

    #[test]
    fn the_public_internet_is_reached_and_nothing_private() {
        let rules = rules(&[], &[]);
        for public in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "172.32.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2001:4860::8888",
        ] {
            assert!(reaches(&rules, public), "{public}");
        }
        for private in [
            "0.0.0.1",
            "10.96.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "192.168.1.1",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "fd00:ec2::254",
            "fe80::1",
            "fc00::1",
            "ff02::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::1",
            "2001:db8::1",
        ] {
            assert!(!reaches(&rules, private), "{private}");
        }
        // The cache of names on the node is the one exception.
        assert!(reaches(&rules, "169.254.20.10"));
    }

    #[test]
    fn lists_open_and_close() {
        let opened: Vec<Opening> = vec!["10.1.2.3:5432".parse().unwrap(), "fd00::/8".parse().unwrap()];
        let denied = [range("1.1.1.0/24"), range("fd00::/8"), range("2606:4700::/32")];
        let rules = rules(&opened, &denied);
        assert!(!reaches(&rules, "1.1.1.1") && reaches(&rules, "1.1.2.1"));
        assert!(!reaches(&rules, "2606:4700::1111"));
        assert!(reaches(&rules, "10.1.2.3") && !reaches(&rules, "10.1.2.4"));
        assert!(reaches(&rules, "fd00::1"));
        assert_eq!(rules[2].ports.as_deref(), Some(&[port(5432, Protocol::Tcp)][..]));
        assert_eq!(rules[3].ports, None);
    }

    #[test]
    fn everything_denied_leaves_names_only() {
        let rules = rules(&[], &[range("0.0.0.0/0"), range("::/0")]);
        assert_eq!(rules, [dns()]);
    }
}
