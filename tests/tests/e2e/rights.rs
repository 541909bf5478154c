//! The Role of `kind/manifests` is enough, and none of its rules is too much.

use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{PolicyRule, Role, RoleBinding};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use podbay_tests::namespace::finished;
use podbay_tests::{DEBIAN, Namespace, Podbay, SMALL, in_namespace};
use serde_json::json;

const ROLE: &str = include_str!("../../../kind/manifests/role.yaml");

/// A kubeconfig with the rights of a service account alone.
async fn kubeconfig(namespace: &Namespace, file: &std::path::Path) {
    let accounts: Api<ServiceAccount> = namespace.api();
    let post = PostParams::default();
    let account = serde_json::from_value(json!({"metadata": {"name": "podbay"}})).unwrap();
    accounts.create(&post, &account).await.unwrap();
    let request: TokenRequest =
        serde_json::from_value(json!({"metadata": {}, "spec": {"audiences": []}})).unwrap();
    let token = accounts
        .create_token_request("podbay", &post, &request)
        .await
        .unwrap();
    let token = token.status.unwrap().token;
    let mut config: serde_json::Value =
        serde_saphyr::from_str(&std::fs::read_to_string(&namespace.cluster.kubeconfig).unwrap()).unwrap();
    for user in config["users"].as_array_mut().unwrap() {
        user["user"] = json!({"token": token});
    }
    // JSON is YAML.
    std::fs::write(file, config.to_string()).unwrap();
}

/// Sets what the service account may do.
async fn grant(namespace: &Namespace, rules: &[PolicyRule]) {
    let roles: Api<Role> = namespace.api();
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
        "metadata": {"name": "podbay"}, "rules": rules});
    roles
        .patch("podbay", &PatchParams::apply("test").force(), &Patch::Apply(role))
        .await
        .unwrap();
}

/// Everything that Podbay does, once; the first step that fails, and how.
async fn everything(namespace: &Namespace, podbay: &Podbay) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy").display().to_string();
    let open = [&["open", "s", "--image", DEBIAN, "--persistent"], &SMALL[..]].concat();
    let before: [&[&str]; 7] = [
        &open,
        &open, // Attaches.
        &["exec", "s", "--", "true"],
        &["cp", "s:/etc/hostname", &copy],
        &["logs", "s"],
        &["ls"],
        &["show", "s"],
    ];
    let after: [&[&str]; 4] = [
        &open, // Replaces the pod that has ended.
        &["close", "s", "--wait"],
        &["close", "--all", "--wait"],
        &["delete", "s", "--wait"],
    ];
    let step = async |words: &[&str]| {
        let done = podbay.run(words).await;
        let said = done.stderr.clone() + &done.text();
        if done.code == 0 && !said.contains("forbidden") {
            Ok(())
        } else {
            Err(format!("{}: {said}", words.join(" ")))
        }
    };
    for words in before {
        step(words).await?;
    }
    // It may be ended with its container, so its code says nothing.
    let _ = podbay.run(&["exec", "s", "--", "kill", "-TERM", "1"]).await;
    finished(&namespace.api(), "openhands-runtime-s").await;
    for words in after {
        step(words).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: PODBAY_TEST_KUBECONFIG"]
async fn the_role_is_enough_and_no_rule_is_too_much() {
    in_namespace("rights", async |namespace| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("kubeconfig");
        kubeconfig(&namespace, &file).await;
        let role: Role = serde_saphyr::from_str(ROLE).unwrap();
        let rules = role.rules.unwrap();
        grant(&namespace, &rules).await;
        let bindings: Api<RoleBinding> = namespace.api();
        let binding = json!({"metadata": {"name": "podbay"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "podbay"},
            "subjects": [{"kind": "ServiceAccount", "name": "podbay", "namespace": namespace.name}]});
        bindings
            .create(&PostParams::default(), &serde_json::from_value(binding).unwrap())
            .await
            .unwrap();

        let podbay = Podbay::new(&file, &namespace.name);
        assert_eq!(everything(&namespace, &podbay).await, Ok(()));
        namespace.wait_until_empty().await;

        // Without each single verb, something fails and says which right is missing.
        for (n, rule) in rules.iter().enumerate() {
            let resource = rule.resources.as_ref().unwrap()[0].clone();
            for verb in &rule.verbs {
                let mut less = rules.clone();
                less[n].verbs.retain(|other| other != verb);
                // A rule without a verb is not valid.
                less.retain(|rule| !rule.verbs.is_empty());
                grant(&namespace, &less).await;
                let failed = everything(&namespace, &podbay).await;
                let said = failed.clone().err().unwrap_or_default();
                assert!(failed.is_err(), "nothing fails without {verb} {resource}");
                assert!(said.contains("forbidden"), "without {verb} {resource}: {said}");
                grant(&namespace, &rules).await;
                let _ = podbay.run(&["delete", "s", "--wait"]).await;
                let _ = namespace.podbay().run(&["delete", "s", "--wait"]).await;
            }
        }
    })
    .await;
}
