//! The service as `deploy/` has it: applied with kubectl, its Role held, rolled under requests.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Secret, Service};
use k8s_openapi::api::rbac::v1::Role;
use kube::Api;
use kube::api::PostParams;
use podbay_protocol::hex::to_hex;
use podbay_tests::http::ask;
use podbay_tests::{Namespace, SMALL_CPU, agent, in_namespace, program};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;
use tokio::time::{Instant, sleep, timeout};

use crate::account;
use crate::rolled::{Answered, Ended, Kept, Sockets, Target};

/// The service's account, and its Role.
const ACCOUNT: &str = "podbay-serve";

pub(crate) const KEY: &str = "the key of a test";
const DEPLOY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy");

/// kubectl, with this cluster.
pub(crate) async fn kubectl(namespace: &Namespace, args: &[&str]) -> String {
    let done = Command::new("kubectl")
        .arg("--kubeconfig")
        .arg(&namespace.cluster.kubeconfig)
        .args(args)
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    let complained = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "kubectl {args:?}: {said}{complained}");
    said
}

/// A layer over `deploy/NAME` for a namespace and images of this cluster, as a user would write one.
pub(crate) fn layer(namespace: &Namespace, folder: &Path, name: &str) -> PathBuf {
    let copied = folder.join("deploy");
    let status = std::process::Command::new("cp")
        .arg("-r")
        .arg(DEPLOY)
        .arg(&copied)
        .status();
    assert!(status.unwrap().success());
    let config = std::fs::read_to_string(copied.join("base/config.toml")).unwrap();
    let config = config
        .replace("behind_proxy = true", "behind_proxy = false")
        .replace("run.example.com", "run.test")
        .replace("podbay/agent:latest", &agent::agent_image());
    let config = format!("{config}\n[kubernetes]\nresource_cpu_request = \"{SMALL_CPU}\"\n");
    std::fs::write(copied.join("base/config.toml"), config).unwrap();
    let Ok(image) = std::env::var("PODBAY_TEST_SERVE_IMAGE") else {
        panic!("set PODBAY_TEST_SERVE_IMAGE (crates/cli/image, and load it into the cluster)")
    };
    let (image_name, tag) = image.rsplit_once(':').unwrap();
    let layer = folder.join(format!("layer-{name}"));
    std::fs::create_dir(&layer).unwrap();
    let written = json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
        "namespace": namespace.name,
        "resources": [format!("../deploy/{name}")],
        "images": [{"name": "podbay/serve", "newName": image_name, "newTag": tag}],
    });
    std::fs::write(layer.join("kustomization.yaml"), written.to_string()).unwrap();
    layer
}

/// The list of API keys: one, for this namespace or for the service's own.
fn keys_of(namespace: Option<&str>) -> String {
    let sha256 = to_hex(&Sha256::digest(KEY));
    json!([{"name": "test", "owner": "tests", "sha256": sha256, "namespace": namespace}]).to_string()
}

/// The Secret that has to be there before.
pub(crate) async fn secret(namespace: &Namespace) {
    let keys = keys_of(None);
    let secrets: Api<Secret> = namespace.api();
    let secret = json!({"metadata": {"name": "podbay-serve"},
        "stringData": {"keys.json": keys, "browser-secret": "5".repeat(64)}});
    let secret = serde_json::from_value(secret).unwrap();
    secrets.create(&PostParams::default(), &secret).await.unwrap();
}

/// The line with the API key.
fn head() -> String {
    format!("X-API-Key: {KEY}\r\n")
}

async fn api(address: &str, method: &str, path: &str, body: &Value) -> Value {
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let answer = ask(address, (method, "podbay-serve", path), &head(), &body).await;
    match answer {
        Ok((200, answer)) => serde_json::from_str(&answer).unwrap(),
        other => panic!("{method} {path}: {other:?}"),
    }
}

/// Asks the API and the session again and again, until told to stop; each request must be answered with 200.
struct Requests {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    asking: Vec<tokio::task::JoinHandle<Vec<String>>>,
}

impl Requests {
    fn begin(address: &str, host: &str) -> Self {
        let (stop, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let asking = [
            ("podbay-serve", "/sessions/s"),
            (host, "/alive"),
            (host, "/alive"),
        ];
        let asking = asking.map(|(host, path)| {
            let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
            let (address, host) = (address.to_owned(), host.to_owned());
            tokio::spawn(async move {
                let mut lost = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    match ask(&address, ("GET", &host, path), &head(), "").await {
                        Ok((200, _)) => {
                            answered.fetch_add(1, Ordering::Relaxed);
                        }
                        other => lost.push(format!("{path}: {other:?}")),
                    }
                    sleep(Duration::from_millis(25)).await;
                }
                lost
            })
        });
        Self {
            stop,
            answered,
            asking: asking.into(),
        }
    }

    async fn end(self) -> (usize, Vec<String>) {
        self.stop.store(true, Ordering::Relaxed);
        let mut lost = Vec::new();
        for asking in self.asking {
            lost.extend(asking.await.unwrap());
        }
        (self.answered.load(Ordering::Relaxed), lost)
    }
}

pub(crate) const ROLLED: [&str; 4] = ["rollout", "status", "deployment/podbay-serve", "--timeout=90s"];

/// `serve.drain_seconds`, which WebSockets have to end by themselves.
const DRAIN: Duration = Duration::from_secs(20);

/// Clients of all kinds: with a connection for each request, with connections that they keep, and with WebSockets.
struct Clients {
    requests: Requests,
    kept: Kept,
    sockets: Sockets,
}

impl Clients {
    /// Of the API, and of the session with this host and key.
    async fn begin(address: &str, host: &str, key: &str) -> Self {
        let target = |host: &str, path: &str| Target {
            address: address.to_owned(),
            host: host.to_owned(),
            path: path.to_owned(),
            head: head(),
        };
        Self {
            requests: Requests::begin(address, host),
            kept: Kept::begin(&[target("podbay-serve", "/sessions/s"), target(host, "/alive")]),
            sockets: Sockets::begin(address, host, key).await,
        }
    }

    /// Ends them, after a roll: each request was answered, and each WebSocket was kept for as long as the drain lasts and then ended in order.
    async fn lost_nothing(self) {
        let (answered, lost) = self.requests.end().await;
        assert!(
            answered > 100 && lost.is_empty(),
            "{answered} answered, lost: {lost:?}"
        );
        let Answered { requests, told, lost } = self.kept.end().await;
        assert!(
            requests > 1000 && told > 0 && lost.is_empty(),
            "{requests} answered, {told} told of an end, lost: {lost:?}"
        );
        let Ended {
            echoed,
            in_order,
            broken,
        } = self.sockets.end().await;
        // Each was on a replica of before.
        assert!(
            in_order.len() >= 8 && broken.is_empty() && echoed > 100,
            "{answered} and {requests} answered; {echoed} echoed, {in_order:?}, broken: {broken:?}"
        );
        assert!(in_order.iter().all(|after| *after >= DRAIN), "{in_order:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster, kubectl, PODBAY_TEST_AGENT_IMAGE and PODBAY_TEST_SERVE_IMAGE"]
async fn the_service_is_applied_and_rolled_and_nothing_is_lost() {
    in_namespace("deploy", async |namespace| {
        let folder = tempfile::tempdir().unwrap();
        let name = namespace.name.clone();
        // Its pods pass the strictest standard.
        let label = [
            "label",
            "namespace",
            &name,
            "pod-security.kubernetes.io/enforce=restricted",
        ];
        kubectl(&namespace, &label).await;
        secret(&namespace).await;
        let layer = layer(&namespace, folder.path(), "base");
        kubectl(&namespace, &["apply", "-k", layer.to_str().unwrap()]).await;
        let run = async |args: &[&str]| kubectl(&namespace, &[&["-n", name.as_str()], args].concat()).await;
        run(&ROLLED).await;

        let services: Api<Service> = namespace.api();
        let service = services.get("podbay-serve").await.unwrap();
        let address = format!("{}:80", service.spec.unwrap().cluster_ip.unwrap());
        // The nodes learn of the Service's pods after the Deployment does.
        let reached = async {
            while ask(&address, ("GET", "podbay-serve", "/ready"), &head(), "")
                .await
                .map_or(0, |(status, _)| status)
                != 200
            {
                sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(Duration::from_secs(30), reached).await.unwrap();
        let command = [
            "python",
            "-m",
            "openhands.runtime.action_execution_server",
            "60000",
        ];
        let start = json!({"session_id": "s", "image": "debian:12", "command": command});
        let started = api(&address, "POST", "/start", &start).await;
        let began = Instant::now();
        let session = loop {
            let session = api(&address, "GET", "/sessions/s", &Value::Null).await;
            if session["status"] == "running" {
                break session;
            }
            assert!(
                session["status"] == "starting" && began.elapsed().as_secs() < 60,
                "{session}"
            );
        };
        assert_eq!(session["runtime_id"], started["runtime_id"]);
        let host = session["url"]
            .as_str()
            .unwrap()
            .trim_start_matches("http://")
            .to_owned();
        assert!(host.ends_with(".run.test"), "{session}");

        let clients = Clients::begin(&address, &host, session["session_api_key"].as_str().unwrap()).await;
        run(&["rollout", "restart", "deployment/podbay-serve"]).await;
        run(&ROLLED).await;
        // Until the last replica of before is gone.
        let gone = async {
            while run(&[
                "get",
                "pods",
                "-l",
                "app.kubernetes.io/name=podbay-serve",
                "-o",
                "name",
            ])
            .await
            .lines()
            .count()
                > 2
            {
                sleep(Duration::from_millis(500)).await;
            }
        };
        timeout(Duration::from_secs(60), gone).await.unwrap();
        clients.lost_nothing().await;

        let log = run(&["logs", "-l", "app.kubernetes.io/name=podbay-serve", "--tail=-1"]).await;
        assert!(
            log.lines()
                .all(|line| serde_json::from_str::<Value>(line).is_ok()),
            "{log}"
        );
        assert!(!log.contains(KEY), "{log}");
        let id = json!({"runtime_id": session["runtime_id"]});
        assert_eq!(api(&address, "POST", "/pause", &id).await["status"], "paused");
        api(&address, "POST", "/resume", &id).await;
        assert_eq!(api(&address, "POST", "/stop", &id).await["status"], "stopped");
    })
    .await;
}

/// Starts the service with these rights; what it complains of, or nothing where it comes up.
async fn complaint(namespace: &Namespace, kubeconfig: &Path) -> Option<String> {
    complaint_with(namespace, kubeconfig, None).await
}

/// The same with these API keys.
async fn complaint_with(namespace: &Namespace, kubeconfig: &Path, keys: Option<&str>) -> Option<String> {
    let mut command = Command::new(program::binary());
    if let Some(keys) = keys {
        command.env("PODBAY_SERVE_KEYS", keys);
    }
    let mut child = command
        .args([
            "serve",
            "--backend",
            "cluster",
            "--listen",
            "127.0.0.1:0",
            "--dial",
            "pod-ip",
        ])
        .arg("--kubeconfig")
        .arg(kubeconfig)
        .args(["--namespace", &namespace.name])
        .env("PODBAY_AGENT_IMAGE", "podbay/agent:1")
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut said = [0; 9];
    if child.stdout.take().unwrap().read_exact(&mut said).await.is_ok() {
        assert_eq!(&said, b"listening");
        child.kill().await.unwrap();
        return None;
    }
    let done = child.wait_with_output().await.unwrap();
    assert_eq!(done.status.code(), Some(125));
    Some(String::from_utf8_lossy(&done.stderr).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster, kubectl, PODBAY_TEST_AGENT_IMAGE and PODBAY_TEST_SERVE_IMAGE"]
async fn without_any_right_of_its_role_the_service_does_not_start() {
    in_namespace("deploy-role", async |namespace| {
        let folder = tempfile::tempdir().unwrap();
        // The server takes all of it, also with an autoscaler.
        let layer = layer(&namespace, folder.path(), "autoscaling");
        let path = layer.to_str().unwrap();
        kubectl(&namespace, &["apply", "--dry-run=server", "-k", path]).await;
        for file in ["serviceaccount", "role", "rolebinding"] {
            let file = format!("{DEPLOY}/base/{file}.yaml");
            kubectl(&namespace, &["apply", "-n", &namespace.name, "-f", &file]).await;
        }
        let file = folder.path().join("kubeconfig");
        account::kubeconfig(&namespace, ACCOUNT, &file).await;
        // A key may name a namespace, where the account has the rights too, or the service does not start.
        let keys = keys_of(Some("default"));
        let told = complaint_with(&namespace, &file, Some(&keys)).await.unwrap();
        assert!(
            told.contains("in the namespace default: it may not create configmaps"),
            "{told}"
        );
        let roles: Api<Role> = namespace.api();
        let rules = roles.get("podbay-serve").await.unwrap().rules.unwrap();
        assert_eq!(complaint(&namespace, &file).await, None);
        for (n, rule) in rules.iter().enumerate() {
            let resource = rule.resources.as_ref().unwrap()[0].clone();
            for verb in &rule.verbs {
                let mut less = rules.clone();
                less[n].verbs.retain(|other| other != verb);
                less.retain(|rule| !rule.verbs.is_empty());
                account::grant(&namespace, ACCOUNT, &less).await;
                let right = format!("it may not {verb} {resource}");
                let told = complaint(&namespace, &file).await.unwrap_or_default();
                assert!(
                    told.contains(&right),
                    "without the right to {verb} {resource}: {told}"
                );
            }
        }
    })
    .await;
}
