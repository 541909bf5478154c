//! Figures, names of requests, and who did what, of a whole service over sockets.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use podbay_exec_proxy::api::Api;
use podbay_exec_proxy::keys::{ApiKeys, Sources};
use podbay_exec_proxy::listen::{Answer, Limits, Listening, serve};
use podbay_exec_proxy::routing::url::{Scheme, Separator, UrlStyle};
use podbay_exec_proxy::routing::{Router, RoutingSettings};
use podbay_exec_proxy::service::Service;
use podbay_exec_proxy::sessions::{AllSessions, ServiceSessions};
use podbay_exec_proxy::telemetry::{Exposition, Metrics, RequestTelemetry, audit};
use podbay_fake_cluster::{ImageTrouble, Script, ScriptedCluster, Trouble};
use podbay_runtime::{Config, Podbay, WatchPolicy};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::world::{ALICE, keys, stock};

async fn listen<A: Answer>(answer: A, listening: Listening) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let ends = std::future::pending();
    tokio::spawn(serve(
        listener,
        listening,
        Arc::new(answer),
        Limits::default(),
        ends,
    ));
    address
}

/// A service over a cluster where no image can be pulled, and its metrics.
async fn service() -> (SocketAddr, SocketAddr) {
    let cluster = ScriptedCluster::new();
    cluster.script(|_| true, Script::stuck(Trouble::Image(ImageTrouble::NotFound)));
    let mut config = Config::default();
    config.agent.image = Some("podbay/agent:1".to_owned());
    config.serve.keys = keys();
    let serve = config.serve.clone();
    let podbay = Podbay::builder(config).watch_policy(WatchPolicy::Persist);
    let metrics = Metrics::default();
    let sessions = ServiceSessions::new(podbay.with_client(Arc::new(cluster)), None).unwrap();
    let listen_address = "127.0.0.1:8000".parse().unwrap();
    let (keys, _) = ApiKeys::gather(Sources {
        config: &serve,
        listen: listen_address,
    })
    .unwrap();
    let sessions = AllSessions::of_keys(sessions.with_metrics(metrics.clone()), &keys).unwrap();
    let style = UrlStyle::Host {
        scheme: Scheme::Http,
        domain: "run.example".parse().unwrap(),
        separator: Separator::Dot,
    };
    let api = Api::new(sessions.clone(), Arc::new(style.clone()), keys, &serve);
    let exposed = Exposition::new(&metrics, sessions.clone(), "1.2.3");
    let router = Router::new(Arc::new(sessions), RoutingSettings::new(style)).with_metrics(metrics.clone());
    let service = RequestTelemetry::new(Service::new(api, router), metrics.clone());
    let listening = Listening {
        metrics,
        ..Listening::default()
    };
    (
        listen(service, listening).await,
        listen(exposed, Listening::default()).await,
    )
}

async fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = request.replacen("HTTP/1.1\r\n", "HTTP/1.1\r\nConnection: close\r\n", 1);
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

fn start(id: &str, key: &str) -> String {
    let body = stock(id, "debian:12").to_string();
    format!(
        "POST /start HTTP/1.1\r\nHost: api.example\r\nX-API-Key: {key}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

async fn metrics(address: SocketAddr) -> String {
    ask(
        address,
        "GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: application/openmetrics-text;version=1.0.0\r\n\r\n",
    )
    .await
}

#[tokio::test]
async fn what_happens_is_counted_and_no_series_is_of_one_session() {
    let (service, exposed) = service().await;
    let answer = ask(service, &start("a-session", ALICE)).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    ask(service, &start("a-session", "no key")).await;
    ask(
        service,
        "GET /sessions/none HTTP/1.1\r\nHost: api.example\r\n\r\n",
    )
    .await;
    ask(service, "GET /nothing HTTP/1.1\r\nHost: api.example\r\n\r\n").await;
    ask(
        service,
        "GET / HTTP/1.1\r\nHost: a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5.run.example\r\n\r\n",
    )
    .await;
    ask(service, "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n").await;
    let shown = loop {
        let shown = metrics(exposed).await;
        if shown.contains("podbay_session_start_failures_total") && shown.contains("state=\"Failed\"} 1") {
            break shown;
        }
        tokio::task::yield_now().await;
    };
    for line in [
        "podbay_build_info{version=\"1.2.3\"} 1",
        "podbay_http_requests_total{handler=\"start\",code=\"200\"} 1",
        "podbay_http_requests_total{handler=\"start\",code=\"401\"} 1",
        "podbay_http_requests_total{handler=\"session\",code=\"401\"} 1",
        "podbay_http_requests_total{handler=\"unknown\",code=\"404\"} 1",
        "podbay_http_requests_total{handler=\"sandbox\",code=\"4xx\"} 1",
        "podbay_http_requests_total{handler=\"nobody\",code=\"400\"} 1",
        "podbay_http_request_duration_seconds_count{handler=\"start\"} 2",
        "podbay_connections_accepted_total 6",
        "podbay_proxied_bytes_total{direction=\"to_sandbox\"} 0",
        "podbay_session_starts_total{result=\"failed\"} 1",
        "podbay_session_start_failures_total{cause=\"image_not_found\"} 1",
        "podbay_sessions{state=\"Ready\"} 0",
        "podbay_index_staleness_seconds 0",
    ] {
        assert!(shown.contains(line), "{line} is not in:\n{shown}");
    }
    assert!(
        shown.contains("podbay_session_start_duration_seconds_bucket{le=\"0.1\",phase=\"creating\"}"),
        "{shown}"
    );
    assert!(shown.contains("process_resident_memory_bytes "), "{shown}");
    for secret in [ALICE, "alice", "a-session", "a5a5a5"] {
        assert!(!shown.contains(secret), "{secret} is in:\n{shown}");
    }
}

#[tokio::test]
async fn metrics_are_asked_for_by_one_path_in_either_format() {
    let (_, exposed) = service().await;
    assert!(
        metrics(exposed)
            .await
            .contains("content-type: application/openmetrics-text; version=1.0.0")
    );
    let plain = ask(exposed, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(
        plain.contains("content-type: text/plain; version=0.0.4"),
        "{plain}"
    );
    assert!(!plain.contains("# EOF"));
    let other = ask(exposed, "GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(other.starts_with("HTTP/1.1 404"), "{other}");
    let post = ask(
        exposed,
        "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
    )
    .await;
    assert!(post.starts_with("HTTP/1.1 405"), "{post}");
}

/// Where a log is written to.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::Write::write(&mut *self.0.lock().unwrap(), bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_request_is_found_by_its_id_and_who_did_what_is_written_down() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_span_list(false)
        .with_writer(move || writer.clone())
        .finish();
    // For all tests of this process: what one thread has by itself others may have switched off. Those have other sessions.
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let (service, _) = service().await;
    let request = start("audited", ALICE).replacen("\r\n", "\r\nX-Request-Id: mine-1\r\n", 1);
    let answer = ask(service, &request).await;
    assert!(answer.contains("x-request-id: mine-1\r\n"), "{answer}");
    let request = start(" ", ALICE).replacen("\r\n", "\r\nX-Request-Id: not mine\r\n", 1);
    let answer = ask(service, &request).await;
    assert!(
        answer.contains("x-request-id: ") && !answer.contains("not mine"),
        "{answer}"
    );
    let request = start(&"x".repeat(3000), ALICE);
    let answer = ask(service, &request).await;
    assert!(answer.starts_with("HTTP/1.1 422"), "{answer}");
    let is_of = |line: &serde_json::Value, action: &str, session: &str| {
        line["target"] == audit::TARGET && line["action"] == action && line["session"] == session
    };
    let (log, lines) = loop {
        let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<serde_json::Value> = log
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        // The start that was answered goes on, and fails.
        if lines.iter().any(|line| is_of(line, "started", "audited")) {
            break (log, lines);
        }
        tokio::task::yield_now().await;
    };
    let started = lines
        .iter()
        .find(|line| is_of(line, "started", "audited"))
        .unwrap();
    assert_eq!(
        (&started["owner"], &started["key"]),
        (&"alice".into(), &"the service".into())
    );
    let audited: Vec<_> = lines
        .iter()
        .filter(|line| line["target"] == audit::TARGET && line["action"] == "start")
        .filter(|line| {
            let session = line["session"].as_str().unwrap();
            session == "audited" || session.starts_with("xxx")
        })
        .collect();
    let [done, refused] = audited[..] else {
        panic!("{log}")
    };
    for (field, expected) in [
        ("owner", "alice"),
        ("key", "a"),
        ("session", "audited"),
        ("result", "done"),
        ("level", "INFO"),
    ] {
        assert_eq!(done[field], expected, "{done}");
    }
    assert_eq!(done["span"]["request_id"], "mine-1", "{done}");
    assert!(
        done["runtime_id"].as_str().is_some_and(|id| id.len() == 32),
        "{done}"
    );
    assert!(done["timestamp"].is_string());
    assert_eq!(refused["result"], "refused");
    assert_eq!(refused["status"], 422);
    // A client can't fill the log with one line.
    assert!(refused.to_string().len() < 1500, "{refused}");
    assert!(!log.contains(ALICE), "{log}");
}
