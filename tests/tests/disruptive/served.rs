//! The API server goes away under a service whose sessions are in use.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{DeleteParams, ListParams};
use podbay_manifests::labels::RUNTIME_ID;
use podbay_tests::cluster::Scripts;
use podbay_tests::http::ask;
use podbay_tests::terminal::Terminal;
use podbay_tests::{Namespace, SMALL_CPU, agent, in_namespace, program};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

const KEY: &str = "the key of a test";
const SESSIONS: usize = 20;
/// Each session is asked as often: with twenty of them 66 requests in a second.
const PAUSE: Duration = Duration::from_millis(300);
/// Load before the API server stops, and after it is back.
const BEFORE: Duration = Duration::from_secs(10);
const AFTER: Duration = Duration::from_secs(30);
/// For how long it is away, unless `PODBAY_TEST_OUTAGE_SECONDS` says so: the kubelet's lease of its node outlives it.
const AWAY: Duration = Duration::from_secs(15);

/// A running `podbay serve`, which reaches pods by their addresses. Dropped, it ends.
struct Service {
    _child: Child,
    address: String,
}

impl Service {
    async fn start(namespace: &Namespace) -> Self {
        let log =
            std::fs::File::create(std::env::temp_dir().join(format!("{}.log", namespace.name))).unwrap();
        let mut child = Command::new(program::binary())
            .args([
                "serve",
                "--backend",
                "cluster",
                "--listen",
                "127.0.0.1:0",
                "--domain",
                "run.test",
            ])
            .args(["--dial", "pod-ip", "--kubeconfig"])
            .arg(&namespace.cluster.kubeconfig)
            .args(["--namespace", &namespace.name])
            .env("PODBAY_API_KEY", KEY)
            .env("PODBAY_AGENT_IMAGE", agent::agent_image())
            .env("PODBAY_KUBERNETES_RESOURCE_CPU_REQUEST", SMALL_CPU)
            .env("PODBAY_SERVE_PERSISTENT", "false")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        said.read_line(&mut line).await.unwrap();
        let address = line
            .trim()
            .strip_prefix("listening on http://")
            .unwrap()
            .to_owned();
        Self {
            _child: child,
            address,
        }
    }

    async fn api(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let head = format!("X-API-Key: {KEY}\r\n");
        let (status, answer) = ask(&self.address, (method, "podbay-serve", path), &head, &body)
            .await
            .unwrap();
        (status, serde_json::from_str(&answer).unwrap_or_default())
    }
}

/// A session that is ready.
#[derive(Clone)]
struct Ready {
    runtime_id: String,
    host: String,
    key: String,
}

async fn start(service: &Service, id: String) -> Ready {
    let command = [
        "python",
        "-m",
        "openhands.runtime.action_execution_server",
        "60000",
    ];
    let body = json!({"session_id": id, "image": "debian:12", "command": command});
    let (status, begun) = service.api("POST", "/start", &body).await;
    assert_eq!(status, 200, "{begun}");
    let ready = async {
        loop {
            let (_, session) = service.api("GET", &format!("/sessions/{id}"), &Value::Null).await;
            match session["status"].as_str() {
                Some("running") => return session,
                Some("starting") => {}
                _ => panic!("{session}"),
            }
        }
    };
    let session = timeout(Duration::from_secs(180), ready).await.unwrap();
    let text = |name: &str| session[name].as_str().unwrap().to_owned();
    Ready {
        runtime_id: text("runtime_id"),
        host: text("url").trim_start_matches("http://").to_owned(),
        key: text("session_api_key"),
    }
}

/// Asks all sessions again and again until told to stop.
struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    echoed: Arc<AtomicUsize>,
    asking: Vec<JoinHandle<Vec<String>>>,
    begun: Instant,
}

impl Load {
    async fn begin(service: &Service, sessions: &[Ready]) -> Self {
        let begun = Instant::now();
        let mut load = Self {
            stop: Arc::default(),
            answered: Arc::default(),
            echoed: Arc::default(),
            asking: Vec::new(),
            begun,
        };
        for session in sessions {
            let mut terminal = Terminal::open(&service.address, &session.host, &session.key)
                .await
                .unwrap();
            let (stop, echoed) = (Arc::clone(&load.stop), Arc::clone(&load.echoed));
            load.asking.push(tokio::spawn(async move {
                let mut number = 0;
                while !stop.load(Ordering::Relaxed) {
                    number += 1;
                    let line = format!("line-{number}-");
                    match timeout(Duration::from_secs(20), terminal.echo(&line)).await {
                        Ok(Ok(true)) => echoed.fetch_add(1, Ordering::Relaxed),
                        other => return vec![format!("a WebSocket after {:?}: {other:?}", begun.elapsed())],
                    };
                    sleep(PAUSE).await;
                }
                Vec::new()
            }));
            let (stop, answered) = (Arc::clone(&load.stop), Arc::clone(&load.answered));
            let (address, session) = (service.address.clone(), session.clone());
            load.asking.push(tokio::spawn(async move {
                let mut lost = Vec::new();
                let head = format!("X-Session-API-Key: {}\r\n", session.key);
                while !stop.load(Ordering::Relaxed) {
                    match ask(&address, ("GET", &session.host, "/podbay/v1/figures"), &head, "").await {
                        Ok((200, _)) => {
                            answered.fetch_add(1, Ordering::Relaxed);
                        }
                        other => lost.push(format!("after {:?}: {other:?}", begun.elapsed())),
                    }
                    sleep(PAUSE).await;
                }
                lost
            }));
        }
        load
    }

    /// How many requests and echoes were answered in each second, and what was lost.
    async fn end(self) -> (f64, f64, Vec<String>) {
        self.stop.store(true, Ordering::Relaxed);
        let seconds = self.begun.elapsed().as_secs_f64();
        let mut lost = Vec::new();
        for asking in self.asking {
            lost.extend(asking.await.unwrap());
        }
        let rate = |count: &AtomicUsize| {
            f64::from(u32::try_from(count.load(Ordering::Relaxed)).unwrap_or(u32::MAX)) / seconds
        };
        (rate(&self.answered), rate(&self.echoed), lost)
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "kills the API server: PODBAY_TEST_CLUSTER, PODBAY_TEST_AGENT_IMAGE, --test-threads=1"]
async fn sessions_that_are_ready_lose_nothing_while_the_api_server_is_away() {
    in_namespace("served", async |namespace| {
        let scripts = Scripts::get();
        let service = Service::start(&namespace).await;
        let mut sessions = Vec::new();
        for number in 0..SESSIONS {
            sessions.push(start(&service, format!("s{number}")).await);
        }
        let by_hand = std::env::var("PODBAY_TEST_OUTAGE_SECONDS").ok();
        // As many a second as are to be shown; beside other suites, as many as tell that the load went on.
        let (least, least_echoed) = if by_hand.is_some() {
            (50.0, 10.0)
        } else {
            (20.0, 4.0)
        };
        let away = by_hand.map_or(AWAY, |seconds| Duration::from_secs(seconds.parse().unwrap()));
        let load = Load::begin(&service, &sessions).await;
        sleep(BEFORE).await;
        scripts.component("kill", "kube-apiserver").await;
        sleep(away).await;
        // What is known of a session is told, too.
        let (status, known) = service.api("GET", "/sessions/s0", &Value::Null).await;
        // Whatever was answered: what comes after this test needs an API server.
        scripts.component("start", "kube-apiserver").await;
        assert_eq!(
            (status, known["status"].as_str()),
            (200, Some("running")),
            "{known}"
        );
        let back = Instant::now();
        sleep(AFTER).await;
        let (answered, echoed, lost) = load.end().await;
        assert!(lost.is_empty(), "{} lost: {lost:#?}", lost.len());
        assert!(
            answered >= least && echoed >= least_echoed,
            "{answered:.0} and {echoed:.0} in a second"
        );

        // What the service knows is true again: it says so, sees what another client does, and starts and ends sessions.
        assert_eq!(
            service.api("GET", "/ready", &Value::Null).await.0,
            200,
            "{:?}",
            back.elapsed()
        );
        start(&service, "after".to_owned()).await;
        let stopped = json!({"runtime_id": sessions[0].runtime_id});
        assert_eq!(service.api("POST", "/stop", &stopped).await.0, 200);
        let records: Api<ConfigMap> = namespace.api();
        let of_other = ListParams::default().labels(&format!("{RUNTIME_ID}={}", sessions[1].runtime_id));
        let now = DeleteParams::default();
        records.delete_collection(&now, &of_other).await.unwrap();
        let gone = async {
            for id in ["s0", "s1"] {
                while service
                    .api("GET", &format!("/sessions/{id}"), &Value::Null)
                    .await
                    .0
                    != 404
                {
                    sleep(Duration::from_millis(100)).await;
                }
            }
        };
        timeout(Duration::from_secs(60), gone).await.unwrap();
        let (_, listed) = service.api("GET", "/list", &Value::Null).await;
        let running = listed["runtimes"].as_array().unwrap();
        assert_eq!(running.len(), SESSIONS - 1, "{listed}");
        assert!(
            running.iter().all(|session| session["status"] == "running"),
            "{listed}"
        );
    })
    .await;
}
