//! Over pods of a real cluster, with the agent brought into them, or with OpenHands' own servers in their images.

use podbay_tests::{Namespace, agent, in_namespace};

use crate::python::{Generation, STOCK_V0_SERVER, all_pass, python};
use crate::service::{KEY, Service};
use crate::warm;

/// Names the image with the stock V0 server, which `tests/cluster/openhands-image` makes.
const V0_IMAGE: &str = "PODBAY_TEST_V0_IMAGE";
/// Names the image with the agent-server of the stock V1 client, which it makes, too.
const V1_IMAGE: &str = "PODBAY_TEST_V1_IMAGE";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster and PODBAY_TEST_AGENT"]
async fn a_stock_v0_client_uses_pods() {
    let Some(python) = python(Generation::V0) else {
        return;
    };
    in_namespace("conformance", |namespace| async move {
        let agent = agent::static_agent();
        let service = over_pods(&namespace, &[], &[("PODBAY_AGENT_BINARY", &agent)]);
        let more = ["--namespace", &namespace.name];
        all_pass(&python, "v0.py", &service, "podbay/debian:12", &more);
        assert!(!service.log().contains(KEY), "{}", service.log());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes, and needs a cluster and PODBAY_TEST_V0_IMAGE: .ci/run long"]
async fn long_a_stock_v0_client_uses_the_stock_server_of_pods() {
    let (Some(python), Some(image)) = (python(Generation::V0), named(V0_IMAGE)) else {
        return;
    };
    in_namespace("conformance", |namespace| async move {
        let server = ("PODBAY_SERVE_V0_SERVER", "image");
        let service = over_pods(&namespace, &["--url-style", "host"], &[server]);
        let more = [&["--server", "image"], STOCK_V0_SERVER].concat();
        all_pass(&python, "v0.py", &service, &image, &more);
        assert!(!service.log().contains(KEY), "{}", service.log());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes, and needs a cluster and PODBAY_TEST_V1_IMAGE: .ci/run long"]
async fn long_a_stock_v1_client_has_all_it_may_expect_of_pods() {
    let (Some(python), Some(image)) = (python(Generation::V1), named(V1_IMAGE)) else {
        return;
    };
    in_namespace("conformance", |namespace| async move {
        let service = over_pods(&namespace, &["--url-style", "host"], &[]);
        all_pass(&python, "v1.py", &service, &image, &["--work", "/workspace"]);
        assert!(!service.log().contains(KEY), "{}", service.log());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes, and needs a cluster and PODBAY_TEST_V1_IMAGE: .ci/run long"]
async fn long_a_stock_app_server_has_pods() {
    let (Some(python), Some(image)) = (python(Generation::App), named(V1_IMAGE)) else {
        return;
    };
    in_namespace("conformance", |namespace| async move {
        let directory = tempfile::tempdir().unwrap();
        let configs = warm::configs(directory.path(), &image);
        let file = ("PODBAY_SERVE_WARM_RUNTIMES_FILE", configs.to_str().unwrap());
        let service = over_pods(&namespace, &["--url-style", "host"], &[file]);
        all_pass(&python, "app.py", &service, &image, &[]);
        assert!(!service.log().contains(KEY), "{}", service.log());
    })
    .await;
}

/// An image that a variable names; `None`, with the reason printed, if it names none.
fn named(variable: &str) -> Option<String> {
    let image = std::env::var(variable).ok();
    if image.is_none() {
        println!("not run: {variable} names no image");
    }
    image
}

/// A service over the pods of a namespace.
fn over_pods(namespace: &Namespace, args: &[&str], env: &[(&str, &str)]) -> Service {
    let kubeconfig = namespace.cluster.kubeconfig.to_str().unwrap();
    let mut all = vec!["--backend", "cluster", "--kubeconfig", kubeconfig];
    all.extend(["--namespace", &namespace.name]);
    all.extend(args);
    let mut variables = vec![("PODBAY_KUBERNETES_RESOURCE_CPU_REQUEST", podbay_tests::SMALL_CPU)];
    variables.extend(env);
    Service::start(&all, &variables)
}
