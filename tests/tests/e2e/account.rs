//! What a service account may do, and a client that has its rights alone.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::authorization::v1::LocalSubjectAccessReview;
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

/// Sets the rules of the Role that has this account's name and is bound to it, and waits until they count: the API server's authorizer
/// learns of a Role by a watch.
pub(crate) async fn grant(namespace: &Namespace, account: &str, rules: &[PolicyRule]) {
    static GRANTS: AtomicUsize = AtomicUsize::new(0);
    // One rule more, for nothing that there is, with a name of its own each time: where it counts, so do the others.
    let mark = format!("grant-{}", GRANTS.fetch_add(1, Ordering::Relaxed));
    let mut rules = serde_json::to_value(rules).unwrap();
    rules.as_array_mut().unwrap().push(
        json!({"apiGroups": ["podbay.dev"], "resources": ["marks"], "resourceNames": [mark], "verbs": ["get"]}),
    );
    let roles: Api<Role> = namespace.api();
    let object = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
        "metadata": {"name": account}, "rules": rules});
    let params = PatchParams::apply("test").force();
    roles
        .patch(account, &params, &Patch::Apply(object))
        .await
        .unwrap();

    let reviews: Api<LocalSubjectAccessReview> = namespace.api();
    let asked = json!({"metadata": {"namespace": namespace.name}, "spec": {
        "user": format!("system:serviceaccount:{}:{account}", namespace.name),
        "resourceAttributes": {"namespace": namespace.name, "group": "podbay.dev", "resource": "marks", "name": mark, "verb": "get"}}});
    let asked: LocalSubjectAccessReview = serde_json::from_value(asked).unwrap();
    let counts = async {
        loop {
            let told = reviews.create(&PostParams::default(), &asked).await.unwrap();
            if told.status.unwrap().allowed {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), counts)
        .await
        .unwrap();
}
