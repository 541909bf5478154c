//! Images that a registry refuses, by a registry of this process on the port where our own cluster looks for all
//! images.

use podbay_tests::registry::Registry;
use podbay_tests::{SMALL, in_namespace};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster whose pulls go to a port of this process: PODBAY_TEST_CLUSTER"]
async fn images_that_cannot_be_had() {
    let _registry = Registry::start().await;
    in_namespace("image", async |namespace| {
        let podbay = namespace.podbay().env("PODBAY_IMAGE_PULL_GRACE_SECONDS", "3");
        for (image, cause, blame) in [
            ("missing", "image_not_found", "configuration"),
            ("private", "image_denied", "configuration"),
            ("limited", "image_pull", "infrastructure"),
            ("broken", "image_pull", "infrastructure"),
        ] {
            let image = format!("registry.example/{image}/a:1");
            let words = [
                &["run", "-o", "json", "--image", &image],
                &SMALL[..],
                &["--", "true"],
            ]
            .concat();
            let record = podbay.run(&words).await.expect(125).json();
            assert_eq!(record["verdict"]["cause"], cause, "{record}");
            assert_eq!(record["verdict"]["blame"], blame, "{record}");
            assert_eq!(record["error"]["code"], "AgentRuntimeBuildError", "{record}");
            namespace.wait_until_empty().await;
        }
    })
    .await;
}
