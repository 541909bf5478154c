//! Security: defects 19 to 22.

use std::collections::BTreeSet;

use podbay_config::Config;
use podbay_k8s_client::{Kind, Object};
use podbay_manifests::ServerKind;
use podbay_runtime::SessionRequest;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::objects::{Rendered, assert_has};
use crate::support::{IMAGE, NAMESPACE};
use crate::test_client::{TestClient, configured, full, names};

/// A value that must stand in the session's Secret and nowhere else, and the same in Base64.
const VALUE: &str = "hunter2-hunter2";
const VALUE_BASE64: &str = "aHVudGVyMi1odW50ZXIy";

/// All objects of the namespace, also those that are no session's, as one text each.
fn texts(client: &TestClient) -> Vec<(Kind, String)> {
    let of = |kind: &Kind| {
        client
            .cluster
            .scripted
            .raw()
            .list(*kind, NAMESPACE, "")
            .unwrap()
            .items
    };
    Kind::ALL
        .iter()
        .flat_map(of)
        .map(|object: Object| (object.kind(), object.to_json().unwrap().to_string()))
        .collect()
}

/// The exec server took commands from any pod of the cluster: it had no key, and no NetworkPolicy stood before it.
#[tokio::test(start_paused = true)]
async fn defect_19_each_session_has_a_key_in_its_secret_alone_and_a_network_policy() {
    let client = TestClient::new();
    let mut keys = BTreeSet::new();
    for (id, server) in [
        ("plain", None),
        ("v0", Some(ServerKind::OpenHands)),
        ("v1", Some(ServerKind::AgentServer)),
        ("own", Some(ServerKind::Image)),
    ] {
        let request = SessionRequest {
            image: Some(IMAGE.into()),
            server,
            ..SessionRequest::default()
        };
        let session = client.podbay.session(id).request(request).open().await.unwrap();
        let key = session.session_key().await.unwrap().expose_secret().to_owned();
        assert_eq!(key.len(), 64, "256 bits in hexadecimal");
        for (kind, text) in texts(&client) {
            assert!(!text.contains(&key), "{kind}: {text}");
        }
        let pod = client.pod(id).to_json().unwrap();
        let env = &pod["spec"]["containers"][0]["env"];
        let reference = env
            .as_array()
            .into_iter()
            .flatten()
            .find(|variable| variable["name"] == "SESSION_API_KEY");
        assert_eq!(reference.is_some(), server.is_some(), "{id}");
        if let Some(reference) = reference {
            assert!(reference["value"].is_null());
            let secret = &reference["valueFrom"]["secretKeyRef"];
            assert_eq!(secret["name"], json!(names(id).secret()));
            assert!(secret["optional"].is_null(), "without its key no server starts");
        }
        assert!(keys.insert(key), "a key of its own");

        let policies = client
            .cluster
            .scripted
            .raw()
            .list(Kind::NetworkPolicy, NAMESPACE, "")
            .unwrap();
        let policies: Vec<Value> = policies
            .items
            .iter()
            .map(|policy| policy.to_json().unwrap())
            .filter(|policy| selects(&policy["spec"]["podSelector"], &pod["metadata"]["labels"]))
            .collect();
        assert_eq!(policies.len(), 1, "{id}");
        let spec = &policies[0]["spec"];
        assert_eq!(spec["policyTypes"], json!(["Ingress", "Egress"]));
        // Nobody gets in but to the server, which asks for the key.
        let let_in: Vec<_> = spec["ingress"].as_array().into_iter().flatten().collect();
        let wanted = server.map(|_| json!({"ports": [{"port": 8080, "protocol": "TCP"}]}));
        assert_eq!(let_in, wanted.iter().collect::<Vec<_>>(), "{id}");
    }
}

fn selects(selector: &Value, labels: &Value) -> bool {
    let wanted = selector["matchLabels"].as_object();
    wanted.is_some_and(|wanted| !wanted.is_empty() && wanted.iter().all(|(key, value)| labels[key] == *value))
}

/// The service account's token was mounted; there was no seccomp profile, no capability dropped, root, and a writable root
/// file system.
#[tokio::test]
async fn defect_20_a_pod_has_no_token_and_no_rights_that_it_does_not_need() {
    // A server in an image writes to where it was built, so that its root is read-only where that is said alone.
    let read_only = configured("[kubernetes]\nread_only_root_filesystem = true");
    for (config, request) in [
        (Config::default(), SessionRequest::default()),
        (read_only, full()),
    ] {
        let rendered = Rendered::of(config, request);
        assert_has(
            rendered.pod(),
            &json!({"automountServiceAccountToken": false, "enableServiceLinks": false}),
        );
        for field in ["hostNetwork", "hostPID", "hostIPC", "serviceAccountName"] {
            assert!(rendered.pod()[field].is_null(), "{field}");
        }
        let (pod, container) = (
            &rendered.pod()["securityContext"],
            &rendered.container()["securityContext"],
        );
        let either = |field: &str| {
            if container[field].is_null() {
                &pod[field]
            } else {
                &container[field]
            }
        };
        assert_eq!(either("runAsNonRoot"), &json!(true));
        assert_eq!(either("seccompProfile"), &json!({"type": "RuntimeDefault"}));
        assert_has(
            container,
            &json!({
                "capabilities": {"drop": ["ALL"]},
                "readOnlyRootFilesystem": true,
                "allowPrivilegeEscalation": false,
            }),
        );
        assert!(container["capabilities"]["add"].is_null());
        assert_ne!(container["privileged"], json!(true));
    }
}

/// Secrets were plain variables of the pod, for all to read who may read pods.
#[tokio::test(start_paused = true)]
async fn defect_21_no_secret_stands_in_the_pod() {
    let config = configured(&format!(
        "[sandbox.runtime_startup_env_vars]\nFROM_FILE = \"{VALUE}\""
    ));
    let client = TestClient::with(config);
    let request = SessionRequest {
        env: [("FROM_CALLER".to_owned(), VALUE.into())].into(),
        ..full()
    };
    let session = client.podbay.session("s").request(request.clone());
    let shown = format!("{session:?}");
    assert!(!shown.contains(VALUE), "{shown}");
    session.open().await.unwrap();
    let mut holders = Vec::new();
    for (kind, text) in texts(&client) {
        if text.contains(VALUE) || text.contains(VALUE_BASE64) {
            holders.push(kind);
        }
    }
    assert_eq!(holders, [Kind::Secret]);
    let pod = client.pod("s").to_json().unwrap();
    for name in ["FROM_FILE", "FROM_CALLER"] {
        let env = pod["spec"]["containers"][0]["env"].as_array().unwrap();
        let variable = env.iter().find(|variable| variable["name"] == name).unwrap();
        assert_eq!(
            variable["valueFrom"]["secretKeyRef"]["name"],
            json!(names("s").secret())
        );
    }
}

/// The Ingress of VS Code was made even when VS Code was off, and its Service led to a port that did not exist.
#[tokio::test]
async fn defect_22_nothing_is_exposed_that_was_not_asked_for_and_what_is_leads_to_a_port() {
    let server = |kind| SessionRequest {
        server: kind,
        ..SessionRequest::default()
    };
    let kinds = ServerKind::ALL.iter().copied().map(Some);
    for kind in kinds.chain([None]) {
        let rendered = Rendered::of(Config::default(), server(kind));
        for object in ["Ingress", "HTTPRoute"] {
            assert_eq!(rendered.all(object), Vec::<&Value>::new(), "{kind:?}");
        }
        // A server has an address inside the cluster.
        assert_eq!(
            rendered.all("Service").len(),
            usize::from(kind.is_some()),
            "{kind:?}"
        );
    }
    let vscode = SessionRequest {
        vscode: true,
        ..server(Some(ServerKind::OpenHands))
    };
    let port = SessionRequest {
        ports: vec![3000],
        ..SessionRequest::default()
    };
    for (request, ingresses) in [(vscode, 2), (port, 1), (full(), 2)] {
        let config = configured("[kubernetes]\ningress_tls_secret = \"wildcard\"");
        let rendered = Rendered::of(config, request);
        let ports = rendered.container()["ports"].as_array().unwrap();
        for service in rendered.all("Service") {
            for port in service["spec"]["ports"].as_array().unwrap() {
                let target = &port["targetPort"];
                let field = if target.is_string() {
                    "name"
                } else {
                    "containerPort"
                };
                assert!(
                    ports.iter().any(|port| port[field] == *target),
                    "{port}: {ports:?}"
                );
            }
        }
        assert_eq!(rendered.all("Ingress").len(), ingresses);
        for ingress in rendered.all("Ingress") {
            assert_eq!(ingress["spec"]["tls"][0]["secretName"], "wildcard");
        }
    }
}
