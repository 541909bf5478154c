//! What a service account may do, and a client that has its rights alone.

use std::path::Path;

use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{PolicyRule, Role};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use podbay_tests::Namespace;
use serde_json::{Value, json};

/// Writes a kubeconfig with the rights of this service account alone.
pub(crate) async fn kubeconfig(namespace: &Namespace, account: &str, file: &Path) {
    let accounts: Api<ServiceAccount> = namespace.api();
    let request: TokenRequest =
        serde_json::from_value(json!({"metadata": {}, "spec": {"audiences": []}})).unwrap();
    let token = accounts
        .create_token_request(account, &PostParams::default(), &request)
        .await
        .unwrap();
    let token = token.status.unwrap().token;
    let text = std::fs::read_to_string(&namespace.cluster.kubeconfig).unwrap();
    let mut config: Value = serde_saphyr::from_str(&text).unwrap();
    for user in config["users"].as_array_mut().unwrap() {
        user["user"] = json!({"token": token});
    }
    // JSON is YAML.
    std::fs::write(file, config.to_string()).unwrap();
}

/// Sets the rules of this Role.
pub(crate) async fn grant(namespace: &Namespace, role: &str, rules: &[PolicyRule]) {
    let roles: Api<Role> = namespace.api();
    let object = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
        "metadata": {"name": role}, "rules": rules});
    let params = PatchParams::apply("test").force();
    roles.patch(role, &params, &Patch::Apply(object)).await.unwrap();
}
