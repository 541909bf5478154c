//! The library against a real cluster.

use podbay_k8s_client::ClusterClient as _;
use podbay_runtime::{OpenMode, SessionState};
use podbay_tests::{DEBIAN, in_namespace};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: PODBAY_TEST_KUBECONFIG"]
async fn open_exec_close() {
    in_namespace("library", async |namespace| {
        let podbay = namespace.library(&[]).await;
        let builder = podbay.session("demo").image(DEBIAN).memory("64Mi");
        let starting = builder.start().unwrap();
        let state = starting.state();
        assert!(matches!(*state.borrow(), SessionState::Starting(_)));
        let session = starting.ready().await.unwrap();
        assert_eq!(*state.borrow(), SessionState::Ready(None));
        let outcome = session.exec(["python3", "-c", "print(1)"]).await.unwrap();
        assert!(outcome.success());
        assert_eq!(outcome.stdout_content.text(), "1\n");
        session.close().await.unwrap();
        namespace.wait_until_empty().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: PODBAY_TEST_KUBECONFIG"]
async fn a_start_whose_future_is_dropped_leaves_nothing() {
    in_namespace("dropped", async |namespace| {
        let podbay = namespace.library(&[]).await;
        // Dropped at each step: while the record is written, the Secret, the pod, and while it starts.
        for polls in 0..40 {
            let mut open = Box::pin(
                podbay
                    .session(format!("s-{polls}"))
                    .image(DEBIAN)
                    .memory("64Mi")
                    .open(),
            );
            for _ in 0..polls {
                tokio::select! {
                    biased;
                    _ = &mut open => break,
                    () = tokio::time::sleep(std::time::Duration::from_millis(2)) => {}
                }
            }
            drop(open);
        }
        namespace.wait_until_empty().await;
    })
    .await;
}

/// Sends back what comes, on port 8000.
const ECHO: &str = "
import socket
listener = socket.create_server(('', 8000))
while True:
    connection, _ = listener.accept()
    while piece := connection.recv(65536):
        connection.sendall(piece)
    connection.close()
";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: PODBAY_TEST_KUBECONFIG"]
async fn a_port_of_a_session_is_reached_through_the_api_server() {
    in_namespace("ports", async |namespace| {
        let podbay = namespace.library(&[]).await;
        let session = podbay
            .session("demo")
            .image(DEBIAN)
            .memory("64Mi")
            .open()
            .await
            .unwrap();
        let started = session
            .exec([
                "sh",
                "-c",
                "python3 -c \"$1\" >/dev/null 2>&1 </dev/null &",
                "sh",
                ECHO,
            ])
            .await
            .unwrap();
        assert!(started.success());
        let client = namespace.cluster_client().await;
        let pod = session.pod_name();
        let connect = |port| client.port_forward(&namespace.name, &pod, port);
        // What nobody listens on is told when it is read, in the container runtime's words.
        let error = connect(8001).await.unwrap().read_u8().await.unwrap_err();
        assert!(error.to_string().contains("connection refused"), "{error}");
        let sent: Vec<u8> = (0..8_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
        for try_number in 0..50 {
            let (mut read, mut write) = tokio::io::split(connect(8000).await.unwrap());
            // The server may not be listening yet.
            if write.write_all(b"x").await.is_err()
                || write.flush().await.is_err()
                || read.read_u8().await.is_err()
            {
                assert!(try_number < 49, "the server never listened");
                tokio::time::sleep(std::time::Duration::from_millis(200)).await;
                continue;
            }
            let writing = async {
                write.write_all(&sent).await.unwrap();
                write.flush().await.unwrap();
            };
            let mut got = vec![0; sent.len()];
            let ((), read_back) = tokio::join!(writing, read.read_exact(&mut got));
            read_back.unwrap();
            assert!(got == sent);
            break;
        }
        session.close().await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: PODBAY_TEST_KUBECONFIG"]
async fn a_failed_start_that_is_kept_can_be_started_again() {
    in_namespace("failed", async |namespace| {
        let podbay = namespace.library(&[]).await;
        let open = |memory| {
            let builder = podbay.session("demo").image(DEBIAN).memory(memory);
            builder.env("WORD", "kept").keep_failed(true)
        };
        // No node is that large.
        let failed = open("100Ti").open().await.unwrap_err();
        let verdict = failed.verdict().unwrap().clone();
        let listed = podbay.list("").await.unwrap();
        assert_eq!(listed[0].state, SessionState::Failed(verdict));
        let objects = namespace.objects().await;
        assert_eq!(
            (objects.get("pods"), objects.get("secrets")),
            (None, Some(&1)),
            "{objects:?}"
        );
        // The same specification can't succeed, and says so again; another one takes its place.
        open("100Ti").open().await.unwrap_err();
        let session = open("64Mi").mode(OpenMode::Replace).open().await.unwrap();
        let outcome = session.exec(["sh", "-c", "echo $WORD"]).await.unwrap();
        assert_eq!(outcome.stdout_content.text(), "kept\n");
        session.close().await.unwrap();
        namespace.wait_until_empty().await;
    })
    .await;
}
