//! The Role of `kind/manifests` is enough, and none of its rules is too much.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::Api;
use kube::api::{DeleteParams, ListParams, PostParams};
use podbay_tests::gateway::has_http_routes;
use podbay_tests::namespace::finished;
use podbay_tests::{DEBIAN, Namespace, Podbay, SMALL, in_namespace};
use serde_json::json;

use crate::account;

const ROLE: &str = include_str!("../../../kind/manifests/role.yaml");

/// The service account, and its Role.
const ACCOUNT: &str = "podbay";

/// Whether a refusal of something that Podbay asked for is told here. `show` lists the events of the cluster, and among those is
/// the refusal that a kubelet gets where it asks for a claim before it may: no right of ours is missing then.
fn tells_a_refusal(said: &str) -> bool {
    let mut lines = said.lines();
    lines.any(|line| line.contains("forbidden") && !line.contains("User \"system:node:"))
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
        if done.code == 0 && !tells_a_refusal(&said) {
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
        let accounts: Api<ServiceAccount> = namespace.api();
        let account = serde_json::from_value(json!({"metadata": {"name": ACCOUNT}})).unwrap();
        accounts.create(&PostParams::default(), &account).await.unwrap();
        account::kubeconfig(&namespace, ACCOUNT, &file).await;
        let role: Role = serde_saphyr::from_str(ROLE).unwrap();
        let rules = role.rules.unwrap();
        let bindings: Api<RoleBinding> = namespace.api();
        let binding = json!({"metadata": {"name": "podbay"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "podbay"},
            "subjects": [{"kind": "ServiceAccount", "name": "podbay", "namespace": namespace.name}]});
        bindings
            .create(&PostParams::default(), &serde_json::from_value(binding).unwrap())
            .await
            .unwrap();
        account::grant(&namespace, ACCOUNT, &rules).await;

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
                account::grant(&namespace, ACCOUNT, &less).await;
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
                    assert!(tells_a_refusal(&said), "without {verb} {resource}: {said}");
                }
                account::grant(&namespace, ACCOUNT, &rules).await;
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
