//! What of a session can be reached from outside its pod, and where.

use std::collections::{BTreeMap, BTreeSet};

use podbay_config::{Config, KubernetesConfig};
use podbay_protocol::Field;
use serde::{Deserialize, Serialize};

use super::problem::SpecProblem;
use super::problems::Problems;
use super::reason::Reason;
use super::{ANNOTATION_KEY, ServerSpec};
use crate::dns::DnsSubdomain;
use crate::labels::is_annotation_key;
use crate::names::SessionNames;
use crate::request::SessionRequest;

const APP_PORTS: Field = Field::Setting("kubernetes.app_ports");
/// The most ports that a session may ask for: each is a rule, a host and a Service's port, and the API takes
/// objects of 1.5 MiB at most.
const MAX_PORTS: usize = 100;

/// The Services of a session and what leads to them. A session without a server that asks for no port has none; one with a
/// server has a Service at least, so that the server has an address that stays.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExposureSpec {
    /// Ports besides those of the server and VS Code.
    pub(crate) ports: BTreeSet<u16>,
    /// The server's port, where it was asked for as well: it has a host then, besides its Service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) server_port: Option<u16>,
    /// Whether some of them were asked for by the session itself and not by the configuration.
    pub(crate) own_ports: bool,
    /// DNS domain of the cluster.
    pub(crate) cluster_domain: DnsSubdomain,
    /// `None` makes Services only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) public: Option<PublicSpec>,
}

/// The hosts by which a session is reached from outside the cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PublicSpec {
    pub(crate) domain: DnsSubdomain,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tls_secret: Option<DnsSubdomain>,
    pub(crate) annotations: BTreeMap<String, String>,
    pub(crate) by: PublicBy,
}

/// What routes those hosts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PublicBy {
    /// An Ingress of this class, or of the cluster's default one.
    Ingress(Option<DnsSubdomain>),
    /// A route of the Gateway API.
    Gateway(GatewayRef),
}

/// A Gateway, and perhaps one of its listeners.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewayRef {
    pub(crate) name: DnsSubdomain,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) namespace: Option<DnsSubdomain>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) section: Option<DnsSubdomain>,
}

impl ExposureSpec {
    /// The ports that have a host, or an address inside the cluster.
    pub(crate) fn hosted(&self) -> impl Iterator<Item = u16> {
        self.server_port.into_iter().chain(self.ports.iter().copied())
    }

    pub(super) fn validate(
        problems: &mut Problems,
        config: &Config,
        request: &SessionRequest,
        server: Option<&ServerSpec>,
        names: &SessionNames,
    ) -> Option<Self> {
        let asked = !request.ports.is_empty() || request.vscode;
        if !asked && server.is_none() {
            return None;
        }
        let kubernetes = &config.kubernetes;
        // Applications are started by agents, and agents by servers.
        let app_ports = server
            .filter(|_| asked)
            .map_or(&[][..], |_| &kubernetes.app_ports);
        let taken: Vec<u16> = server.map_or(Vec::new(), |server| {
            let vscode = server.vscode.then_some(server.vscode_port);
            vscode.into_iter().chain([server.port]).collect()
        });
        let ports: BTreeSet<u16> = request
            .ports
            .iter()
            .chain(app_ports)
            .copied()
            .filter(|port| !taken.contains(port))
            .collect();
        let of_config = server.map_or(&[][..], |_| &kubernetes.app_ports);
        for (field, asked) in [(Field::Ports, &request.ports[..]), (APP_PORTS, of_config)] {
            if asked.contains(&0) {
                problems.of(
                    field,
                    Reason::NotAllowed {
                        value: "0".to_owned(),
                        expected: "1 to 65535".into(),
                    },
                );
            }
        }
        if ports.len() > MAX_PORTS {
            problems.push(SpecProblem::new(
                [Field::Ports, APP_PORTS],
                Reason::TooMany {
                    of: "ports",
                    count: ports.len(),
                    most: MAX_PORTS,
                },
            ));
        }
        let cluster_domain = problems.object_name(
            Field::Setting("kubernetes.cluster_domain"),
            &kubernetes.cluster_domain,
        );
        let public = (kubernetes.ingress && asked).then(|| PublicSpec::validate(problems, kubernetes, names));
        let public = match public {
            Some(public) => Some(public?),
            None => None,
        };
        Some(Self {
            server_port: server
                .map(|server| server.port)
                .filter(|port| request.ports.contains(port)),
            own_ports: request.ports.iter().any(|port| !taken.contains(port)),
            ports,
            cluster_domain: cluster_domain?,
            public,
        })
    }
}

impl PublicSpec {
    fn validate(problems: &mut Problems, config: &KubernetesConfig, names: &SessionNames) -> Option<Self> {
        let domain = problems.object_name(
            Field::Setting("kubernetes.ingress_domain"),
            &config.ingress_domain,
        );
        // The longest of its hosts must be a name too.
        let longest = domain.as_ref().map(|domain| port_host(names, u16::MAX, domain));
        if let Some(longest) = longest {
            problems.take(
                Field::Setting("kubernetes.ingress_domain"),
                longest.parse::<DnsSubdomain>(),
            );
        }
        let by = match &config.gateway {
            Some(gateway) => PublicBy::Gateway(gateway_ref(problems, gateway)?),
            None => PublicBy::Ingress(problems.optional_name(
                Field::Setting("kubernetes.ingress_class"),
                config.ingress_class.as_ref(),
            )),
        };
        for key in config
            .ingress_annotations
            .keys()
            .filter(|key| !is_annotation_key(key))
        {
            problems.entry_not_allowed(
                Field::Setting("kubernetes.ingress_annotations"),
                key,
                ANNOTATION_KEY,
            );
        }
        let tls_secret = problems.optional_name(
            Field::Setting("kubernetes.ingress_tls_secret"),
            config.ingress_tls_secret.as_ref(),
        );
        Some(Self {
            domain: domain?,
            tls_secret,
            annotations: config.ingress_annotations.clone(),
            by,
        })
    }

    /// Host of VS Code.
    pub(crate) fn code_host(&self, names: &SessionNames) -> String {
        format!("{}.{}", names.label(), self.domain)
    }

    /// Host of one port.
    pub(crate) fn port_host(&self, names: &SessionNames, port: u16) -> String {
        port_host(names, port, &self.domain)
    }

    /// Whether the hosts speak TLS: `http` or `https`.
    pub(crate) fn scheme(&self) -> &'static str {
        if self.tls_secret.is_some() {
            "https"
        } else {
            "http"
        }
    }
}

fn port_host(names: &SessionNames, port: u16, domain: &DnsSubdomain) -> String {
    format!("{}-{port}.{domain}", names.label())
}

/// `name`, `namespace/name` or `namespace/name/section`.
fn gateway_ref(problems: &mut Problems, text: &str) -> Option<GatewayRef> {
    const SETTING: Field = Field::Setting("kubernetes.gateway");
    let parts: Vec<_> = text.split('/').collect();
    let (namespace, name, section) = match parts[..] {
        [name] => (None, name, None),
        [namespace, name] => (Some(namespace), name, None),
        [namespace, name, section] => (Some(namespace), name, Some(section)),
        _ => {
            problems.not_allowed(SETTING, text, "NAME, NAMESPACE/NAME or NAMESPACE/NAME/SECTION");
            return None;
        }
    };
    let namespace = namespace.map(|part| problems.object_name(SETTING, part));
    let section = section.map(|part| problems.object_name(SETTING, part));
    Some(GatewayRef {
        name: problems.object_name(SETTING, name)?,
        namespace: namespace.flatten(),
        section: section.flatten(),
    })
}
