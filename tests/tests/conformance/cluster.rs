//! Over pods of a real cluster, with the agent brought into them.

use podbay_tests::{agent, in_namespace};

use crate::python::{Generation, all_pass, python};
use crate::service::{KEY, Service};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster and PODBAY_TEST_AGENT"]
async fn a_stock_v0_client_uses_pods() {
    let Some(python) = python(Generation::V0) else {
        return;
    };
    in_namespace("conformance", |namespace| async move {
        let (kubeconfig, agent) = (&namespace.cluster.kubeconfig, agent::static_agent());
        let service = Service::start(
            &[
                "--backend",
                "cluster",
                "--kubeconfig",
                kubeconfig.to_str().unwrap(),
                "--namespace",
                &namespace.name,
            ],
            &[
                ("PODBAY_AGENT_BINARY", &agent),
                ("PODBAY_KUBERNETES_RESOURCE_CPU_REQUEST", podbay_tests::SMALL_CPU),
            ],
        );
        all_pass(&python, "v0.py", &service, "podbay/debian:12", &[]);
        assert!(!service.log().contains(KEY), "{}", service.log());
    })
    .await;
}
