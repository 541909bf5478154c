//! Sessions run by Jobs, paused and resumed, with ports, with what they may reach.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy};
use kube::Api;
use kube::api::ListParams;
use podbay_tests::{DEBIAN, Namespace, SMALL, in_namespace};

/// The names of the pods there are, those that are being deleted left out.
async fn pods(namespace: &Namespace) -> Vec<String> {
    let pods: Api<Pod> = namespace.api();
    let living = pods.list(&ListParams::default()).await.unwrap().items.into_iter();
    living
        .filter(|pod| pod.metadata.deletion_timestamp.is_none())
        .map(|pod| pod.metadata.name.unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: PODBAY_TEST_KUBECONFIG"]
async fn a_session_run_by_a_job_is_a_session_like_any_other() {
    in_namespace("job", async |namespace| {
        let podbay = namespace.podbay();
        let open = [&["open", "j", "--image", DEBIAN, "--workload", "job"], &SMALL[..]].concat();
        let _ = podbay.run(&open).await.expect(0);
        let job = namespace.api::<Job>().get("openhands-runtime-j").await.unwrap();
        assert_eq!(job.spec.unwrap().backoff_limit, Some(0));
        let only = pods(&namespace).await;
        assert_eq!(only.len(), 1);
        assert!(only[0].starts_with("openhands-runtime-j-"), "{only:?}");

        let said = podbay
            .run(&["exec", "j", "--", "sh", "-c", "echo out; exit 3"])
            .await
            .expect(3);
        assert_eq!(said.text(), "out\n");
        let again = podbay.run(&open).await.expect(0);
        assert!(again.text().contains("attached"), "{}", again.text());
        assert_eq!(pods(&namespace).await, only);
        let shown = podbay.run(&["show", "j", "-o", "json"]).await.expect(0).json();
        assert_eq!(
            (shown["workload"].as_str(), shown["pod"].as_str()),
            (Some("job"), Some(&*only[0]))
        );
        let _ = podbay.run(&["logs", "j"]).await.expect(0);

        // Its pod ends: the Job has failed for good, and opening the session makes it anew.
        let _ = podbay.run(&["exec", "j", "--", "kill", "-TERM", "1"]).await;
        podbay_tests::namespace::finished(&namespace.api(), &only[0]).await;
        let _ = podbay.run(&open).await.expect(0);
        let _ = podbay.run(&["exec", "j", "--", "true"]).await.expect(0);
        let _ = podbay.run(&["close", "j", "--wait"]).await.expect(0);
        assert!(namespace.objects().await.is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: PODBAY_TEST_KUBECONFIG"]
async fn a_job_whose_pod_is_refused_says_so_at_once() {
    in_namespace("jobquota", async |namespace| {
        use k8s_openapi::api::core::v1::ResourceQuota;
        let quota = serde_json::from_value(serde_json::json!({
            "metadata": {"name": "q"}, "spec": {"hard": {"pods": "0"}}}));
        let quotas: Api<ResourceQuota> = namespace.api();
        quotas
            .create(&kube::api::PostParams::default(), &quota.unwrap())
            .await
            .unwrap();
        while quotas
            .get("q")
            .await
            .unwrap()
            .status
            .and_then(|status| status.hard)
            .is_none()
        {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        let run = [
            &["run", "-o", "json", "--image", DEBIAN, "--workload", "job"],
            &SMALL[..],
            &["--", "true"],
        ];
        let began = tokio::time::Instant::now();
        let record = namespace.podbay().run(&run.concat()).await.expect(125).json();
        assert_eq!(record["verdict"]["cause"], "quota", "{record}");
        assert!(began.elapsed().as_secs() < 30, "{:?}", began.elapsed());
        namespace.wait_until_empty().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: PODBAY_TEST_KUBECONFIG"]
async fn a_pause_frees_the_pod_and_keeps_the_workspace() {
    in_namespace("pause", async |namespace| {
        let podbay = namespace.podbay();
        for workload in ["pod", "job"] {
            let open = [
                "open",
                workload,
                "--image",
                DEBIAN,
                "--persistent",
                "--workload",
                workload,
            ];
            let _ = podbay.run(&[&open[..], &SMALL[..]].concat()).await.expect(0);
            let write = ["exec", workload, "--", "sh", "-c", "echo kept > /workspace/file"];
            let _ = podbay.run(&write).await.expect(0);
            let _ = podbay.run(&["pause", workload, "--wait"]).await.expect(0);
            let _ = podbay.run(&["pause", workload]).await.expect(0);
            assert!(pods(&namespace).await.is_empty());
            assert!(podbay.run(&["ls"]).await.expect(0).text().contains("Paused"));
            let refused = podbay.run(&["exec", workload, "--", "true"]).await.expect(125);
            assert!(refused.stderr.contains("is paused"), "{}", refused.stderr);

            let _ = podbay.run(&["resume", workload]).await.expect(0);
            let read = podbay
                .run(&["exec", workload, "--", "cat", "/workspace/file"])
                .await
                .expect(0);
            assert_eq!(read.text(), "kept\n");
            let _ = podbay.run(&["delete", workload, "--wait"]).await.expect(0);
        }
        let open = [&["open", "lost", "--image", DEBIAN], &SMALL[..]].concat();
        let _ = podbay.run(&open).await.expect(0);
        let refused = podbay.run(&["pause", "lost"]).await.expect(125);
        assert!(refused.stderr.contains("--persistent"), "{}", refused.stderr);
        let _ = podbay.run(&["resume", "nobody"]).await.expect(125);
        let _ = podbay.run(&["close", "lost", "--wait"]).await.expect(0);
        assert!(namespace.objects().await.is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: PODBAY_TEST_KUBECONFIG"]
async fn a_port_that_is_asked_for_is_reached_by_its_service_and_goes_with_its_session() {
    in_namespace("ports", async |namespace| {
        let podbay = namespace.podbay();
        let open = [&["open", "web", "--image", DEBIAN, "--port", "8000"], &SMALL[..]].concat();
        let _ = podbay.run(&open).await.expect(0);
        let serve = "cd /workspace && echo hello > index.html && (python3 -m http.server 8000 >/dev/null 2>&1 &)";
        let _ = podbay.run(&["exec", "web", "--", "sh", "-c", serve]).await.expect(0);
        let service = namespace.api::<Service>().get("openhands-runtime-web-svc").await.unwrap();
        let address = service.spec.unwrap().cluster_ip.unwrap();
        // Another session reaches it: private addresses are closed to sessions unless they are opened to them.
        let fetch = format!(
            "import urllib.request as r; print(r.urlopen('http://{address}:8000/', timeout=5).read().decode())"
        );
        let ask = [&["run", "--image", DEBIAN, "--network", "open"], &SMALL[..], &["--", "python3", "-c", &fetch]];
        let mut answer = podbay.run(&ask.concat()).await;
        // kube-proxy takes a moment to learn of a Service.
        for _ in 0..20 {
            if answer.code == 0 {
                break;
            }
            answer = podbay.run(&ask.concat()).await;
        }
        assert_eq!(answer.expect(0).text(), "hello\n\n");
        let ingress = namespace.api::<Ingress>().get("openhands-runtime-web-ingress").await.unwrap();
        let host = ingress.spec.unwrap().rules.unwrap().remove(0).host.unwrap();
        assert_eq!(host, "web-8000.localhost");
        let shown = podbay.run(&["show", "web"]).await.expect(0).text();
        assert!(shown.contains("http://web-8000.localhost"), "{shown}");
        let _ = podbay.run(&["close", "web", "--wait"]).await.expect(0);
        // The sessions of the runs above are being collected still: nobody waited for them.
        namespace.wait_until_empty().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: PODBAY_TEST_KUBECONFIG"]
async fn the_sessions_of_a_namespace_share_a_network_policy_and_own_rules_are_their_own() {
    in_namespace("net", async |namespace| {
        let podbay = namespace.podbay();
        let policies = async || {
            let all: Api<NetworkPolicy> = namespace.api();
            all.list(&ListParams::default()).await.unwrap().items
        };
        let open = |id: &'static str| [&["open", id, "--image", DEBIAN], &SMALL[..]].concat();
        let (one, two) = (open("one"), open("two"));
        let (one, two) = tokio::join!(podbay.run(&one), podbay.run(&two));
        let _ = (one.expect(0), two.expect(0));
        let shared = policies().await;
        assert_eq!(shared.len(), 1, "{shared:?}");
        assert!(shared[0].metadata.owner_references.is_none());
        let own = [&open("own")[..], &["--network", "none"]].concat();
        let _ = podbay.run(&own).await.expect(0);
        assert_eq!(policies().await.len(), 2);
        // Every pod is selected by exactly the policy that is meant for it.
        let pods: Api<Pod> = namespace.api();
        for pod in pods.list(&ListParams::default()).await.unwrap() {
            let labels = pod.metadata.labels.unwrap();
            let selecting = policies().await.into_iter().filter(|policy| {
                let selector = policy.spec.as_ref().unwrap().pod_selector.clone().unwrap();
                selector
                    .match_labels
                    .unwrap()
                    .iter()
                    .all(|(key, value)| labels.get(key) == Some(value))
            });
            assert_eq!(selecting.count(), 1, "{:?}", pod.metadata.name);
        }
        let _ = podbay.run(&["close", "--all", "--wait"]).await.expect(0);
        assert!(namespace.objects().await.is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: PODBAY_TEST_KUBECONFIG"]
async fn no_more_sessions_than_the_limit_however_they_come() {
    in_namespace("limit", async |namespace| {
        let podbay = namespace.podbay().env("PODBAY_KUBERNETES_MAX_SESSIONS", "2");
        let opening = (0..5).map(|n| {
            let podbay = podbay.clone();
            async move {
                let id = format!("s{n}");
                podbay
                    .run(&[&["open", &id, "--image", DEBIAN], &SMALL[..]].concat())
                    .await
            }
        });
        let done = futures::future::join_all(opening).await;
        let opened = done.iter().filter(|done| done.code == 0).count();
        assert_eq!(opened, 2, "{done:?}");
        for refused in done.iter().filter(|done| done.code != 0) {
            assert_eq!(refused.code, 125);
            assert!(refused.stderr.contains("max_sessions"), "{}", refused.stderr);
        }
        let _ = podbay.run(&["close", "--all", "--wait"]).await.expect(0);
        // What was refused is rolled back, and collected a moment later.
        namespace.wait_until_empty().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: PODBAY_TEST_KUBECONFIG"]
async fn what_failed_is_kept_to_look_at_where_the_policy_says_so() {
    in_namespace("keep", async |namespace| {
        let podbay = namespace
            .podbay()
            .env("PODBAY_KUBERNETES_CLEANUP_POLICY", "keep_on_failure");
        let run = |id: &'static str, code: &'static str| {
            [
                &["run", "--name", id, "--image", DEBIAN],
                &SMALL[..],
                &["--", "sh", "-c", code],
            ]
            .concat()
        };
        let _ = podbay.run(&run("good", "exit 0")).await.expect(0);
        let failed = podbay
            .run(&run("bad", "echo why > /workspace/log; exit 4"))
            .await
            .expect(4);
        assert!(failed.stderr.contains("was kept"), "{}", failed.stderr);
        let _ = podbay
            .run(&["exec", "bad", "--", "cat", "/workspace/log"])
            .await
            .expect(0);
        assert_eq!(
            podbay.run(&["ls", "-o", "name"]).await.expect(0).text(),
            "session/bad\n"
        );
        let _ = podbay.run(&["delete", "bad", "--wait"]).await.expect(0);
        // The session of the good run is being collected still.
        namespace.wait_until_empty().await;
    })
    .await;
}
