//! Who reaches an agent by its pod's address.
//!
//! The test cluster accepts network policies and enforces none. Here firewall rules stand in for a network that does: they are
//! made from the session's policy as the cluster has it, for the address of its pod. Needs root, `nft`, and the cluster's network
//! namespace, in which these tests run.

use std::io::Write as _;
use std::process::{Command, Stdio};

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::api::ListParams;
use podbay_k8s_client::{ExecEnd, LiveClient};
use podbay_runtime::SessionRequest;
use podbay_tests::{DEBIAN, Namespace, SMALL, in_namespace};
use serde_json::Value;

use crate::in_pod::{account_with_the_role, pod_with_podbay, sh};

/// Name of the table of a namespace's firewall: tests run side by side.
fn table(namespace: &str) -> String {
    format!("podbay_test_{}", namespace.replace('-', "_"))
}

/// The firewall's rules, as long as they hold.
struct Firewall {
    table: String,
}

impl Firewall {
    /// Has these rules hold on the bridge that connects the pods.
    fn raise(namespace: &Namespace, rules: &str) -> Self {
        let mut nft = Command::new("nft")
            .args(["-f", "-"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        nft.stdin.take().unwrap().write_all(rules.as_bytes()).unwrap();
        assert!(nft.wait().unwrap().success(), "{rules}");
        Self {
            table: table(&namespace.name),
        }
    }
}

impl Drop for Firewall {
    fn drop(&mut self) {
        let lowered = Command::new("nft")
            .args(["delete", "table", "bridge", &self.table])
            .status();
        let _ = lowered;
    }
}

/// The addresses of the pods that a selector of a policy means, in the policy's namespace.
async fn addresses(namespace: &Namespace, selector: &LabelSelector) -> Vec<String> {
    let labels: Vec<String> = selector
        .match_labels
        .iter()
        .flatten()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let listed = ListParams::default().labels(&labels.join(","));
    let pods = namespace.api::<Pod>().list(&listed).await.unwrap();
    pods.into_iter().filter_map(|pod| pod.status?.pod_ip).collect()
}

/// What the policy lets in to a pod at `address`: new connections from those whom a rule names, at its ports, and no others.
async fn rules(namespace: &Namespace, policy: &NetworkPolicy, address: &str) -> String {
    let mut lines = Vec::new();
    for rule in policy.spec.iter().flat_map(|spec| &spec.ingress).flatten() {
        let mut from = Vec::new();
        for peer in rule.from.iter().flatten() {
            let (None, None, Some(pods)) = (&peer.ip_block, &peer.namespace_selector, &peer.pod_selector)
            else {
                panic!("a peer that this test does not know: {peer:?}")
            };
            from.extend(addresses(namespace, pods).await);
        }
        let ports: Vec<String> = rule
            .ports
            .iter()
            .flatten()
            .map(|port| match &port.port {
                Some(IntOrString::Int(number)) => number.to_string(),
                other => panic!("a port that this test does not know: {other:?}"),
            })
            .collect();
        let sources = match (&rule.from, from.is_empty()) {
            (None, _) => String::new(),
            (Some(_), true) => continue,
            (Some(_), false) => format!("ip saddr {{ {} }} ", from.join(", ")),
        };
        let ports = ports.join(", ");
        lines.push(format!(
            "    ip daddr {address} {sources}tcp dport {{ {ports} }} accept\n"
        ));
    }
    lines.push(format!("    ip daddr {address} tcp flags syn / syn,ack drop\n"));
    let lines = lines.concat();
    let chain = |hook: &str| {
        format!("  chain {hook} {{\n    type filter hook {hook} priority 0; policy accept;\n{lines}  }}\n")
    };
    // From other pods, and from the node.
    format!(
        "table bridge {} {{\n{}{}}}\n",
        table(&namespace.name),
        chain("forward"),
        chain("output")
    )
}

/// The policy that selects a pod, and the pod's address.
async fn policy_of(namespace: &Namespace, pod: &str) -> (NetworkPolicy, String) {
    let pod = namespace.api::<Pod>().get(pod).await.unwrap();
    let labels = pod.metadata.labels.unwrap();
    let policies = namespace
        .api::<NetworkPolicy>()
        .list(&ListParams::default())
        .await
        .unwrap();
    let selects = |policy: &NetworkPolicy| {
        let selector = policy.spec.as_ref().and_then(|spec| spec.pod_selector.as_ref());
        selector.is_some_and(|selector| {
            let mut wanted = selector.match_labels.iter().flatten();
            wanted.all(|(key, value)| labels.get(key) == Some(value))
        })
    };
    let mut found = policies.into_iter().filter(selects);
    let policy = found.next().unwrap();
    assert!(found.next().is_none());
    (policy, pod.status.unwrap().pod_ip.unwrap())
}

/// Runs a command in the session from a pod; by which way it went, and what was said.
async fn from(client: &LiveClient, namespace: &str, pod: &str, options: &str) -> (Value, String) {
    // A client that brings agents looks for those of others.
    let script = format!(
        "PODBAY_AGENT_IMAGE=registry.example/podbay-agent:1 /tmp/podbay -q exec {options} s -o json -- sh -c 'exit 3'"
    );
    let (end, out, said) = sh(client, (namespace, pod), &script, None).await;
    let record: Value = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{said}"));
    assert_eq!(
        end,
        ExecEnd::Exited {
            code: i32::try_from(record["exit_code"].as_i64().unwrap()).unwrap()
        }
    );
    (record, said)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster, root and PODBAY_TEST_AGENT"]
async fn a_policy_lets_in_whom_it_names_and_others_go_by_port_forward() {
    let agent = std::env::var("PODBAY_TEST_AGENT").expect("PODBAY_TEST_AGENT: what crates/agent/build makes");
    in_namespace("network", async |namespace| {
        account_with_the_role(&namespace).await;
        let client = namespace.cluster_client().await;
        for pod in ["named", "other"] {
            pod_with_podbay(&namespace, &client, pod, pod).await;
        }
        let podbay = namespace.podbay().env("PODBAY_AGENT_BINARY", &agent).env(
            "PODBAY_KUBERNETES_AGENT_FROM",
            "[{podSelector: {matchLabels: {app: named}}}]",
        );
        let _ = podbay
            .run(&[&["open", "s", "--image", DEBIAN], &SMALL[..]].concat())
            .await
            .expect(0);
        let dial = async |pod: &str| {
            let (record, said) = from(&client, &namespace.name, pod, "").await;
            assert_eq!(record["exit_code"], 3, "{record} {said}");
            (record["transport"].clone(), said)
        };
        // Nothing is enforced yet.
        assert_eq!(dial("other").await.0["dial"], "pod-ip");

        let (policy, address) = policy_of(&namespace, "openhands-runtime-s").await;
        let rules = rules(&namespace, &policy, &address).await;
        let firewall = Firewall::raise(&namespace, &rules);
        let (transport, said) = dial("named").await;
        assert_eq!(
            (&transport["dial"], said.as_str()),
            (&"pod-ip".into(), ""),
            "{rules}"
        );
        let (transport, said) = dial("other").await;
        assert_eq!(transport["dial"], "port-forward", "{rules}");
        assert_eq!(transport["passed_over"][0]["way"], "pod-ip");
        assert!(
            said.contains("reached by port-forward (pod-ip: ") && said.contains("within 2 s"),
            "{said}"
        );
        // Whoever insists is refused, and nothing runs.
        let (record, _) = from(&client, &namespace.name, "other", "--dial pod-ip").await;
        assert_eq!(record["exit_code"], 125, "{record}");
        assert_eq!(record["error"]["code"], "AgentRuntimeTimeoutError", "{record}");
        drop(firewall);
        assert_eq!(dial("other").await.0["dial"], "pod-ip");
    })
    .await;
}

/// Says hello to whoever connects to one of three ports.
const HELLO: &str = "
import socket, threading
def serve(port):
    listener = socket.create_server(('', port))
    while True:
        connection, _ = listener.accept()
        connection.sendall(b'hello')
        connection.close()
for port in (12000, 12002, 60001):
    threading.Thread(target=serve, args=(port,)).start()
";

/// What a pod is told at a port: nothing where it is not let in.
async fn told(client: &LiveClient, namespace: &str, pod: &str, address: &str, port: u16) -> String {
    let script = format!(
        "python3 -c \"import socket; print(socket.create_connection(('{address}', {port}), timeout=2).recv(9).decode())\" 2>/dev/null"
    );
    let (_, out, _) = sh(client, (namespace, pod), &script, None).await;
    out.trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster, root and PODBAY_TEST_AGENT"]
async fn what_a_service_routes_is_open_to_whom_the_policy_names_alone() {
    let agent = std::env::var("PODBAY_TEST_AGENT").expect("PODBAY_TEST_AGENT: what crates/agent/build makes");
    in_namespace("routed", async |namespace| {
        account_with_the_role(&namespace).await;
        let client = namespace.cluster_client().await;
        for pod in ["named", "other"] {
            pod_with_podbay(&namespace, &client, pod, pod).await;
        }
        let peers = "[{podSelector: {matchLabels: {app: named}}}]";
        let settings = [("agent.binary", agent.as_str()), ("kubernetes.agent_from", peers)];
        let podbay = namespace.library(&settings).await;
        let request = SessionRequest {
            image: Some(DEBIAN.to_owned()),
            memory: Some("64Mi".to_owned()),
            actions: Some(60_000),
            routed: vec![12_000, 12_001, 60_001],
            ..SessionRequest::default()
        };
        let session = podbay.session("s").request(request).open().await.unwrap();
        let script = "python3 -c \"$1\" >/dev/null 2>&1 </dev/null &";
        let started = session.exec(["sh", "-c", script, "sh", HELLO]).await.unwrap();
        assert!(started.success());
        let (policy, address) = policy_of(&namespace, &session.pod_name()).await;
        let told = async |pod: &str, port| told(&client, &namespace.name, pod, &address, port).await;
        // Nothing is enforced yet; the servers may not listen at once.
        let mut tries = 0;
        while told("other", 12_002).await != "hello" {
            tries += 1;
            assert!(tries < 50, "the servers never listened");
        }
        let rules = rules(&namespace, &policy, &address).await;
        let _firewall = Firewall::raise(&namespace, &rules);
        for (pod, port, answer) in [
            ("named", 12_000, "hello"),
            ("named", 60_001, "hello"),
            ("named", 12_002, ""),
            ("other", 12_000, ""),
            ("other", 60_001, ""),
        ] {
            assert_eq!(told(pod, port).await, answer, "{pod} {port}: {rules}");
        }
    })
    .await;
}
