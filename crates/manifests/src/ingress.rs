//! The Ingresses of a session.

use k8s_openapi::api::networking::v1::{
    HTTPIngressPath, HTTPIngressRuleValue, Ingress, IngressBackend, IngressRule, IngressServiceBackend,
    IngressSpec, IngressTLS, ServiceBackendPort,
};

use crate::hosts::{Host, Routing, routings};
use crate::metadata::metadata_with;
use crate::owner::Owner;
use crate::session_spec::{PublicBy, PublicSpec, SessionSpec};

/// The Ingresses of the session `spec`: one for VS Code, one for its ports. None where nothing is served, no
/// Ingress is wanted, or a Gateway routes.
pub fn ingresses(spec: &SessionSpec, owner: &Owner) -> Vec<Ingress> {
    let public = spec
        .exposure
        .as_ref()
        .and_then(|exposure| exposure.public.as_ref());
    match public {
        Some(
            public @ PublicSpec {
                by: PublicBy::Ingress(_),
                ..
            },
        ) => routings(spec, public)
            .iter()
            .map(|routing| ingress(spec, owner, public, routing))
            .collect(),
        _ => Vec::new(),
    }
}

fn ingress(spec: &SessionSpec, owner: &Owner, public: &PublicSpec, routing: &Routing) -> Ingress {
    let class = match &public.by {
        PublicBy::Ingress(class) => class.as_ref(),
        PublicBy::Gateway(_) => None,
    };
    let tls = public.tls_secret.as_ref().map(|secret| {
        vec![IngressTLS {
            hosts: Some(routing.hosts.iter().map(|host| host.name.clone()).collect()),
            secret_name: Some(secret.to_string()),
        }]
    });
    let annotations = routing.annotations(public);
    Ingress {
        metadata: metadata_with(spec, routing.name.clone(), Some(owner), annotations),
        spec: Some(IngressSpec {
            ingress_class_name: class.map(ToString::to_string),
            rules: Some(routing.hosts.iter().map(rule).collect()),
            tls,
            default_backend: None,
        }),
        status: None,
    }
}

fn rule(host: &Host) -> IngressRule {
    let Host { name, service, port } = host;
    let path = HTTPIngressPath {
        path: Some("/".into()),
        path_type: "Prefix".into(),
        backend: IngressBackend {
            service: Some(IngressServiceBackend {
                name: service.clone(),
                port: Some(ServiceBackendPort {
                    number: Some((*port).into()),
                    name: None,
                }),
            }),
            resource: None,
        },
    };
    IngressRule {
        host: Some(name.clone()),
        http: Some(HTTPIngressRuleValue { paths: vec![path] }),
    }
}
