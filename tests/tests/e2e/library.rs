//! The library against a real cluster.

use podbay_runtime::SessionState;
use podbay_tests::{DEBIAN, in_namespace};

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
