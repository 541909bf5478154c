//! The Role of `kind/manifests` is enough, and none of its rules is too much.

use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::rbac::v1::{PolicyRule, Role, RoleBinding};
use kube::Api;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use podbay_tests::gateway::has_http_routes;
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
async fn everything(namespace: &Namespace, podbay: &Podbay, routes: bool) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy").display().to_string();
    let shown = ["--persistent", "--port", "3000"];
    let open = [&["open", "s", "--image", DEBIAN], &shown[..], &SMALL[..]].concat();
    let job = [
        &[
            "open",
            "j",
            "--image",
            DEBIAN,
            "--workload",
            "job",
            "--persistent",
        ],
        &SMALL[..],
    ]
    .concat();
    let routed = [&["open", "r", "--image", DEBIAN, "--port", "3000"], &SMALL[..]].concat();
    let before: [&[&str]; 12] = [
        &open,
        &open, // Attaches.
        &["pause", "s", "--wait"],
        &["resume", "s"],
        &job,
        &["pause", "j", "--wait"],
        &["resume", "j"],
        &["exec", "s", "--", "true"],
        &["cp", "s:/etc/hostname", &copy],
        &["logs", "s"],
        &["ls"],
        &["show", "s"],
    ];
    let after: [&[&str]; 6] = [
        &open, // Replaces the pod that has ended.
        &job,  // The Job as well.
        &["delete", "j", "--wait"],
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
    if routes {
        let podbay = podbay.clone().env("PODBAY_KUBERNETES_GATEWAY", "gateway");
        let done = podbay.run(&routed).await;
        if done.code != 0 {
            return Err(format!("{}: {}", routed.join(" "), done.stderr));
        }
        step(&["close", "r", "--wait"]).await?;
    }
    // They may be ended with their containers, so the codes say nothing.
    let _ = podbay.run(&["exec", "s", "--", "kill", "-TERM", "1"]).await;
    let _ = podbay.run(&["exec", "j", "--", "kill", "-TERM", "1"]).await;
    finished(&namespace.api(), "openhands-runtime-s").await;
    let over = async {
        let jobs: Api<Job> = namespace.api();
        let has_failed = async || {
            let status = jobs
                .get_status("openhands-runtime-j")
                .await
                .unwrap()
                .status
                .unwrap();
            let mut conditions = status.conditions.into_iter().flatten();
            conditions.any(|condition| condition.type_ == "Failed" && condition.status == "True")
        };
        while !has_failed().await {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), over)
        .await
        .unwrap();
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
        let routes = has_http_routes(&namespace.client).await;
        assert_eq!(everything(&namespace, &podbay, routes).await, Ok(()));
        namespace.wait_until_empty().await;

        // Without each single verb but one, something fails and says which right is missing.
        for (n, rule) in rules.iter().enumerate() {
            let resource = rule.resources.as_ref().unwrap()[0].clone();
            if resource == "httproutes" && !routes {
                continue;
            }
            for verb in &rule.verbs {
                let mut less = rules.clone();
                less[n].verbs.retain(|other| other != verb);
                // A rule without a verb is not valid.
                less.retain(|rule| !rule.verbs.is_empty());
                grant(&namespace, &less).await;
                let failed = everything(&namespace, &podbay, routes).await;
                // Roles of earlier versions don't have them: a service needs the watch, the command line goes on without; an agent
                // is reached by exec.
                if (verb.as_str(), resource.as_str()) == ("watch", "configmaps")
                    || resource == "pods/portforward"
                {
                    assert_eq!(failed, Ok(()), "without {verb} {resource}");
                } else {
                    let said = failed.clone().err().unwrap_or_default();
                    assert!(failed.is_err(), "nothing fails without {verb} {resource}");
                    assert!(said.contains("forbidden"), "without {verb} {resource}: {said}");
                }
                grant(&namespace, &rules).await;
                let _ = namespace.podbay().run(&["close", "--all", "--wait"]).await;
                let _ = namespace.podbay().run(&["delete", "s", "j", "--wait"]).await;
                // Else the next round would not have to make it.
                let policies: Api<NetworkPolicy> = namespace.api();
                let _ = policies
                    .delete_collection(&DeleteParams::default(), &ListParams::default())
                    .await;
            }
        }
    })
    .await;
}
