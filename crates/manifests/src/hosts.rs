//! The hosts by which a session is reached from outside the cluster, and the Services behind them.

use crate::names::SessionNames;
use crate::session_spec::{PublicSpec, SessionSpec};

/// One object that routes hosts: an Ingress or an HTTPRoute.
pub(crate) struct Routing {
    /// Its name.
    pub(crate) name: String,
    pub(crate) hosts: Vec<Host>,
}

/// A host and what answers at it.
pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) service: String,
    pub(crate) port: u16,
}

/// What DNS controllers read the hosts of an object from.
const EXTERNAL_DNS: &str = "external-dns.alpha.kubernetes.io/hostname";

/// All routings of the session `spec`: of its ports, and of VS Code.
pub(crate) fn routings(spec: &SessionSpec, public: &PublicSpec) -> Vec<Routing> {
    let names = spec.names();
    let mut routings = Vec::new();
    let ports = spec.exposure.iter().flat_map(|exposure| exposure.hosted());
    let hosts: Vec<_> = ports.map(|port| of_port(&names, public, port)).collect();
    if !hosts.is_empty() {
        routings.push(Routing {
            name: names.ingress(),
            hosts,
        });
    }
    if let Some(server) = spec.server.as_ref().filter(|server| server.vscode) {
        routings.push(Routing {
            name: names.code_ingress(),
            hosts: vec![Host {
                name: public.code_host(&names),
                service: names.code_service(),
                port: server.vscode_port,
            }],
        });
    }
    routings
}

fn of_port(names: &SessionNames, public: &PublicSpec, port: u16) -> Host {
    Host {
        name: public.port_host(names, port),
        service: names.service(),
        port,
    }
}

impl Routing {
    /// One routing a host. Where there are several, which are of ports, each adds its port to the name.
    pub(crate) fn split(self) -> Vec<Self> {
        let Self { name, hosts } = self;
        let alone = hosts.len() == 1;
        hosts
            .into_iter()
            .map(|host| Self {
                name: if alone {
                    name.clone()
                } else {
                    format!("{name}-{}", host.port)
                },
                hosts: vec![host],
            })
            .collect()
    }

    /// Annotations of the object besides ours: those that were configured, and the hosts for DNS controllers.
    pub(crate) fn annotations(&self, public: &PublicSpec) -> Vec<(String, String)> {
        let hosts: Vec<_> = self.hosts.iter().map(|host| host.name.as_str()).collect();
        let configured = public.annotations.clone();
        std::iter::once((EXTERNAL_DNS.to_owned(), hosts.join(",")))
            .chain(configured)
            .collect()
    }
}
