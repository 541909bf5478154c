//! Opening, attaching, listing, closing, deleting: what is there, and what is left.

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::Api;
use kube::api::DeleteParams;
use podbay_tests::namespace::finished;
use podbay_tests::{DEBIAN, Namespace, SMALL, in_namespace};

async fn open(namespace: &Namespace, id: &str, options: &[&str]) -> podbay_tests::Finished {
    let words = [&["open", id, "--image", DEBIAN], &SMALL[..], options].concat();
    namespace.podbay().run(&words).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: PODBAY_TEST_KUBECONFIG"]
async fn a_session_is_opened_listed_shown_and_closed() {
    in_namespace("life", async |namespace| {
        let podbay = namespace.podbay();
        let _ = open(&namespace, "demo", &["--label", "team=x"]).await.expect(0);
        let _ = open(&namespace, "Any Text/ÄÖ é", &["--label", "team=y"])
            .await
            .expect(0);
        let list = podbay.run(&["ls"]).await.expect(0).text();
        assert!(
            list.contains("demo") && list.contains("Ready") && list.contains("Any Text/ÄÖ é"),
            "{list}"
        );
        let names = podbay
            .run(&["ls", "-l", "team=x", "-o", "name"])
            .await
            .expect(0)
            .text();
        assert_eq!(names, "session/demo\n");
        let shown = podbay.run(&["show", "demo", "-o", "json"]).await.expect(0).json();
        assert_eq!(shown["session"], "demo");
        assert_eq!(shown["image"], DEBIAN);
        let _ = podbay.run(&["logs", "demo"]).await.expect(0);
        let _ = podbay
            .run(&["close", "--all", "-l", "team=x", "--wait"])
            .await
            .expect(0);
        assert_eq!(podbay.run(&["ls", "-o", "name"]).await.text().lines().count(), 1);
        let _ = podbay.run(&["close", "demo"]).await.expect(0);
        let _ = podbay.run(&["close", "Any Text/ÄÖ é", "--wait"]).await.expect(0);
        // `demo` was closed without waiting for it.
        namespace.wait_until_empty().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: PODBAY_TEST_KUBECONFIG"]
async fn opening_again_attaches_and_replace_recreates() {
    in_namespace("attach", async |namespace| {
        let podbay = namespace.podbay();
        let _ = open(&namespace, "demo", &[]).await.expect(0);
        let _ = podbay
            .run(&["exec", "demo", "--", "touch", "/workspace/kept"])
            .await
            .expect(0);
        let again = open(&namespace, "demo", &["--workdir", "/tmp"]).await.expect(0);
        assert!(again.stderr.contains("--workdir"), "{}", again.stderr);
        let _ = podbay
            .run(&["exec", "demo", "--", "test", "-e", "/workspace/kept"])
            .await
            .expect(0);
        let _ = open(&namespace, "demo", &["--workdir", "/tmp", "--replace"])
            .await
            .expect(0);
        let _ = podbay
            .run(&["exec", "demo", "--", "test", "-e", "/workspace/kept"])
            .await
            .expect(1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: PODBAY_TEST_KUBECONFIG"]
async fn two_clients_at_once_get_one_session() {
    in_namespace("race", async |namespace| {
        for round in 0..5 {
            let id = format!("race-{round}");
            let clients = [
                open(&namespace, &id, &[]),
                open(&namespace, &id, &[]),
                open(&namespace, &id, &[]),
            ];
            for client in futures::future::join_all(clients).await {
                let _ = client.expect(0);
            }
        }
        let objects = namespace.objects().await;
        assert_eq!(objects["configmaps"], 5);
        assert_eq!(objects["pods"], 5);
        assert_eq!(objects["secrets"], 5);
        // Close and open at once: the old objects are waited out.
        let _ = namespace.podbay().run(&["close", "race-0"]).await.expect(0);
        let _ = open(&namespace, "race-0", &[]).await.expect(0);
        let _ = namespace
            .podbay()
            .run(&["exec", "race-0", "--", "true"])
            .await
            .expect(0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: PODBAY_TEST_KUBECONFIG"]
async fn a_pod_that_is_gone_or_finished_is_replaced() {
    in_namespace("again", async |namespace| {
        let podbay = namespace.podbay();
        let pods: Api<Pod> = namespace.api();
        let _ = open(&namespace, "s", &[]).await.expect(0);
        let first = pods.get("openhands-runtime-s").await.unwrap().metadata.uid;
        // Terminating.
        pods.delete("openhands-runtime-s", &DeleteParams::default())
            .await
            .unwrap();
        let _ = open(&namespace, "s", &[]).await.expect(0);
        let second = pods.get("openhands-runtime-s").await.unwrap().metadata.uid;
        assert_ne!(first, second);
        // Finished: its main process ends.
        let _ = podbay.run(&["exec", "s", "--", "sh", "-c", "kill -TERM 1"]).await;
        finished(&pods, "openhands-runtime-s").await;
        let _ = open(&namespace, "s", &[]).await.expect(0);
        let _ = podbay.run(&["exec", "s", "--", "true"]).await.expect(0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: PODBAY_TEST_KUBECONFIG"]
async fn a_claim_outlives_close_and_not_delete() {
    in_namespace("claim", async |namespace| {
        let podbay = namespace.podbay();
        let _ = open(&namespace, "s", &["--persistent"]).await.expect(0);
        let _ = podbay
            .run(&["exec", "s", "--", "sh", "-c", "echo kept >/workspace/file"])
            .await
            .expect(0);
        let closed = podbay.run(&["close", "s", "--wait"]).await.expect(0);
        assert!(closed.stderr.contains("podbay delete s"), "{}", closed.stderr);
        let _ = open(&namespace, "s", &["--persistent"]).await.expect(0);
        let done = podbay
            .run(&["exec", "s", "--", "cat", "/workspace/file"])
            .await
            .expect(0);
        assert_eq!(done.text(), "kept\n");
        let _ = podbay.run(&["delete", "s", "--wait"]).await.expect(0);
        let claims: Api<PersistentVolumeClaim> = namespace.api();
        assert!(claims.get_opt("openhands-runtime-s-pvc").await.unwrap().is_none());
        let _ = podbay.run(&["delete", "s"]).await.expect(0);
        assert!(namespace.objects().await.is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: PODBAY_TEST_KUBECONFIG"]
async fn a_signal_ends_run_and_leaves_nothing() {
    in_namespace("signal", async |namespace| {
        for (name, signal) in [("INT", 2), ("TERM", 15)] {
            let words = [
                &["run", "--image", DEBIAN],
                &SMALL[..],
                &["--", "sh", "-c", "echo started; sleep 1000"],
            ]
            .concat();
            let mut child = namespace.podbay().command(&words).spawn().unwrap();
            let mut output = tokio::io::BufReader::new(child.stdout.take().unwrap());
            let mut line = String::new();
            tokio::io::AsyncBufReadExt::read_line(&mut output, &mut line)
                .await
                .unwrap();
            assert_eq!(line, "started\n");
            let pid = child.id().unwrap().to_string();
            let kill = tokio::process::Command::new("kill")
                .args(["-s", name, &pid])
                .status()
                .await
                .unwrap();
            assert!(kill.success());
            assert_eq!(child.wait().await.unwrap().code(), Some(128 + signal));
            namespace.wait_until_empty().await;
        }
    })
    .await;
}
