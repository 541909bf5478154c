//! The kind HTTPRoute of the Gateway API, on a cluster that has none.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::PostParams;
use serde_json::json;

use crate::cluster::Scripts;

const NAME: &str = "httproutes.gateway.networking.k8s.io";

/// Whether the cluster takes HTTPRoutes. On our own cluster they are made known, with no schema: enough for the API server
/// to store one. Somebody else's cluster is left as it is.
///
/// # Panics
///
/// When the definition is not taken.
#[expect(clippy::expect_used, reason = "tests fail by panicking")]
pub async fn has_http_routes(client: &kube::Client) -> bool {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    if definitions.get_opt(NAME).await.expect("an answer").is_none() {
        if !Scripts::are_there() {
            return false;
        }
        let definition = json!({
            "metadata": {
                "name": NAME,
                // The group is protected; the API server wants to be told that this is no official definition.
                "annotations": {"api-approved.kubernetes.io": "unapproved, for tests"},
            },
            "spec": {
                "group": "gateway.networking.k8s.io",
                "names": {"kind": "HTTPRoute", "plural": "httproutes", "singular": "httproute"},
                "scope": "Namespaced",
                "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema":
                    {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}],
            },
        });
        let definition = serde_json::from_value(definition).expect("a definition");
        // Another test may be faster.
        let _ = definitions.create(&PostParams::default(), &definition).await;
    }
    let served = async {
        loop {
            let found = definitions.get(NAME).await.expect("the definition");
            let conditions = found
                .status
                .and_then(|status| status.conditions)
                .unwrap_or_default();
            if conditions
                .iter()
                .any(|condition| condition.type_ == "Established" && condition.status == "True")
            {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), served)
        .await
        .expect("the kind is served");
    true
}
