//! Podbay in a pod, with nothing but the pod's own service account.

use std::num::NonZeroU32;
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{Pod, ServiceAccount};
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::Api;
use kube::api::PostParams;
use podbay_k8s_client::live::CallLimits;
use podbay_k8s_client::remote_command::DriverOptions;
use podbay_k8s_client::{Cluster, ClusterClient, ExecEnd, ExecRequest, LiveClient};
use podbay_tests::{DEBIAN, Namespace, in_namespace};
use serde_json::json;

/// A service account with the rights of `kind/manifests`.
pub(crate) async fn account_with_the_role(namespace: &Namespace) {
    let post = PostParams::default();
    let account = json!({"metadata": {"name": "podbay"}});
    let accounts: Api<ServiceAccount> = namespace.api();
    accounts
        .create(&post, &serde_json::from_value(account).unwrap())
        .await
        .unwrap();
    let mut role: Role = serde_saphyr::from_str(include_str!("../../../kind/manifests/role.yaml")).unwrap();
    role.metadata.namespace = Some(namespace.name.clone());
    namespace.api::<Role>().create(&post, &role).await.unwrap();
    let binding = json!({"metadata": {"name": "podbay"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "podbay"},
        "subjects": [{"kind": "ServiceAccount", "name": "podbay", "namespace": namespace.name}]});
    let bindings: Api<RoleBinding> = namespace.api();
    bindings
        .create(&post, &serde_json::from_value(binding).unwrap())
        .await
        .unwrap();
}

/// A pod of that account, with the label `app`, and `podbay` in it.
pub(crate) async fn pod_with_podbay(namespace: &Namespace, client: &LiveClient, name: &str, app: &str) {
    let post = PostParams::default();
    let pod = json!({"metadata": {"name": name, "labels": {"app": app}}, "spec": {"serviceAccountName": "podbay",
        "terminationGracePeriodSeconds": 0,
        "containers": [{"name": "c", "image": DEBIAN, "command": ["sleep", "3600"]}]}});
    let pods: Api<Pod> = namespace.api();
    pods.create(&post, &serde_json::from_value(pod).unwrap())
        .await
        .unwrap();
    let ready = async {
        loop {
            let status = pods.get(name).await.unwrap().status;
            if status.and_then(|status| status.phase).as_deref() == Some("Running") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), ready)
        .await
        .unwrap();
    let program = std::fs::read(podbay_tests::program::binary()).unwrap();
    let size = program.len();
    let copy = "cat >/tmp/podbay && chmod +x /tmp/podbay && wc -c </tmp/podbay";
    let (end, text, _) = sh(client, (&namespace.name, name), copy, Some(program)).await;
    assert_eq!(
        (end, text.trim()),
        (ExecEnd::Exited { code: 0 }, size.to_string().as_str())
    );
}

/// Runs a shell script in a pod: how it ended, and both streams as text.
pub(crate) async fn sh(
    client: &LiveClient,
    (namespace, pod): (&str, &str),
    script: &str,
    input: Option<Vec<u8>>,
) -> (ExecEnd, String, String) {
    let argv = ["sh", "-c", script].map(str::to_owned).to_vec();
    let request = ExecRequest {
        container: "c".to_owned(),
        argv,
        stdin: input.is_some(),
        tty: false,
    };
    let process = client.exec(namespace, pod, request).await.unwrap();
    let feed = async {
        if let (Some(stdin), Some(input)) = (process.stdin, input) {
            for piece in input.chunks(1 << 20) {
                stdin.write(piece.to_vec().into()).await.unwrap();
            }
        }
    };
    let gather = |output: podbay_k8s_client::ExecOutput| async {
        let pieces: Vec<_> = output.collect().await;
        String::from_utf8_lossy(&pieces.concat()).into_owned()
    };
    let ((), out, err, end) = tokio::join!(feed, gather(process.stdout), gather(process.stderr), process.end);
    (end, out, err)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: PODBAY_TEST_KUBECONFIG"]
async fn a_pods_own_service_account_is_enough() {
    in_namespace("in-pod", async |namespace| {
        account_with_the_role(&namespace).await;
        let cluster = Cluster::Kubeconfig {
            path: Some(namespace.cluster.kubeconfig.clone()),
            context: None,
        };
        let limits = CallLimits {
            per_second: NonZeroU32::new(1000).unwrap(),
            ..CallLimits::default()
        };
        let client = LiveClient::connect(&cluster, limits, DriverOptions::default())
            .await
            .unwrap();
        pod_with_podbay(&namespace, &client, "home", "podbay").await;
        // The namespace is the pod's own, the cluster the one it runs in; nothing is named.
        let run = format!(
            "PODBAY_KUBERNETES_RESOURCE_CPU_REQUEST=20m /tmp/podbay -q run --image {DEBIAN} --memory 64Mi -- \
             sh -c 'echo in a pod; exit 3'"
        );
        let (end, out, err) = sh(&client, (&namespace.name, "home"), &run, None).await;
        assert_eq!(
            (end, out.as_str(), err.as_str()),
            (ExecEnd::Exited { code: 3 }, "in a pod\n", "")
        );
        namespace.wait_until_empty().await;
    })
    .await;
}
