//! HTTPRoute of the Gateway API, which is no part of Kubernetes' own types.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::{Metadata, NamespaceResourceScope, Resource};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A `gateway.networking.k8s.io/v1` HTTPRoute: <https://gateway-api.sigs.k8s.io/reference/spec/#httproute>.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct HttpRoute {
    /// Its metadata.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// `HTTPRouteSpec`, as the API has it.
    #[serde(default)]
    pub spec: Value,
}

impl Resource for HttpRoute {
    const API_VERSION: &'static str = "gateway.networking.k8s.io/v1";
    const GROUP: &'static str = "gateway.networking.k8s.io";
    const KIND: &'static str = "HTTPRoute";
    const VERSION: &'static str = "v1";
    const URL_PATH_SEGMENT: &'static str = "httproutes";
    type Scope = NamespaceResourceScope;
}

impl Metadata for HttpRoute {
    type Ty = ObjectMeta;

    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn metadata_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

impl Serialize for HttpRoute {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Wire<'a> {
            api_version: &'static str,
            kind: &'static str,
            metadata: &'a ObjectMeta,
            spec: &'a Value,
        }
        Wire {
            api_version: Self::API_VERSION,
            kind: Self::KIND,
            metadata: &self.metadata,
            spec: &self.spec,
        }
        .serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn goes_both_ways_as_the_api_has_it() {
        let json = json!({
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": {"name": "x"},
            "spec": {"hostnames": ["x.localhost"]},
        });
        let route: HttpRoute = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(route.metadata.name.as_deref(), Some("x"));
        assert_eq!(serde_json::to_value(route).unwrap(), json);
    }
}
