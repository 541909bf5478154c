//! Routes of the Gateway API, in place of Ingresses.
//!
//! <https://gateway-api.sigs.k8s.io/reference/spec/>: only what a session needs of it, since the API is none of
//! Kubernetes' own.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};

use crate::hosts::{Host, Routing, routings};
use crate::metadata::metadata_with;
use crate::owner::Owner;
use crate::session_spec::{GatewayRef, PublicBy, SessionSpec};

/// API version of [`HttpRoute`].
pub const API_VERSION: &str = "gateway.networking.k8s.io/v1";
/// Kind of [`HttpRoute`].
pub const KIND: &str = "HTTPRoute";

/// A `gateway.networking.k8s.io/v1 HTTPRoute`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpRoute {
    /// [`API_VERSION`].
    pub api_version: String,
    /// [`KIND`].
    pub kind: String,
    /// As every object's.
    pub metadata: ObjectMeta,
    /// What it routes.
    pub spec: HttpRouteSpec,
}

/// The hosts of a route, its Gateway and what answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpRouteSpec {
    /// The Gateways that take the requests.
    pub parent_refs: Vec<ParentReference>,
    /// The hosts of these requests.
    pub hostnames: Vec<String>,
    /// Where they go; without a match it is all of them.
    pub rules: Vec<HttpRouteRule>,
}

/// A Gateway, or one of its listeners.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ParentReference {
    /// Name of the Gateway.
    pub name: String,
    /// Its namespace, where it is not the route's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The listener.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub section_name: Option<String>,
}

/// Where requests go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpRouteRule {
    /// The Services that answer.
    pub backend_refs: Vec<BackendReference>,
}

/// A port of a Service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackendReference {
    /// Name of the Service, in the route's namespace.
    pub name: String,
    /// Its port.
    pub port: u16,
}

/// The routes of the session `spec`; none where no Gateway is configured. A route sends all of its hosts to the
/// same port, so each host has its own.
pub fn routes(spec: &SessionSpec, owner: &Owner) -> Vec<HttpRoute> {
    let Some(public) = spec
        .exposure
        .as_ref()
        .and_then(|exposure| exposure.public.as_ref())
    else {
        return Vec::new();
    };
    let PublicBy::Gateway(gateway) = &public.by else {
        return Vec::new();
    };
    let single = routings(spec, public).into_iter().flat_map(Routing::split);
    single
        .map(|routing| {
            let annotations = routing.annotations(public);
            HttpRoute {
                api_version: API_VERSION.into(),
                kind: KIND.into(),
                metadata: metadata_with(spec, routing.name, Some(owner), annotations),
                spec: HttpRouteSpec {
                    parent_refs: vec![parent(gateway)],
                    hostnames: routing.hosts.iter().map(|host| host.name.clone()).collect(),
                    rules: routing.hosts.into_iter().map(rule).collect(),
                },
            }
        })
        .collect()
}

fn parent(gateway: &GatewayRef) -> ParentReference {
    let GatewayRef {
        name,
        namespace,
        section,
    } = gateway;
    ParentReference {
        name: name.to_string(),
        namespace: namespace.as_ref().map(ToString::to_string),
        section_name: section.as_ref().map(ToString::to_string),
    }
}

fn rule(host: Host) -> HttpRouteRule {
    HttpRouteRule {
        backend_refs: vec![BackendReference {
            name: host.service,
            port: host.port,
        }],
    }
}
