//! How soon a session is reached that has become ready: its pod by Kubernetes' word; its agent has still to prove itself then.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt as _;
use podbay_exec_proxy::listen::{Limits, Listening, serve};
use podbay_exec_proxy::routing::url::{Scheme, Separator, UrlStyle};
use podbay_exec_proxy::routing::{Router, RoutingSettings};
use podbay_exec_proxy::service::Service;
use podbay_fake_cluster::ScriptedCluster;
use podbay_k8s_client::{ClusterClient as _, Kind, Object, WatchEvent, WatchPolicy};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use crate::world::{World, stock};
use crate::{agents, spread};

const ROUNDS: usize = 200;

type Moments = Arc<Mutex<HashMap<String, Instant>>>;

/// Asks for each session before it is ready, and counts from the moment its pod is.
pub(crate) async fn live_after_ready() {
    let cluster = ScriptedCluster::new();
    agents::answer(&cluster, || true);
    // One replica starts them, another one is asked.
    let starter = World::on(&cluster, |config| config.hold_milliseconds = 0);
    let World {
        api,
        podbay,
        sessions,
    } = World::on(&cluster, |_| {});
    let ready = Moments::default();
    let namespace = podbay.namespace().to_owned();
    let watching = tokio::spawn(watch(cluster.clone(), namespace.clone(), Arc::clone(&ready)));
    let style = UrlStyle::Host {
        scheme: Scheme::Https,
        domain: "run.example".parse().unwrap(),
        separator: Separator::Dot,
    };
    let router = Router::new(Arc::new(sessions), RoutingSettings::new(style));
    let service = Arc::new(Service::new(api, router));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(serve(
        listener,
        Listening::default(),
        service,
        Limits::default(),
        std::future::pending::<()>(),
    ));
    let mut times: Vec<Duration> = Vec::new();
    for round in 0..ROUNDS {
        let session = starter.start(&stock(&format!("s{round}"), "debian:12")).await;
        let host = session["url"]
            .as_str()
            .unwrap()
            .trim_start_matches("https://")
            .to_owned();
        let key = session["session_api_key"].as_str().unwrap();
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!(
            "GET /anything HTTP/1.1\r\nHost: {host}\r\nX-Session-API-Key: {key}\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let answered = Instant::now();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let pod = pod_of(&cluster, &namespace, &session).await;
        // Who notes it may come later than the answer.
        let moment = loop {
            let noted = ready.lock().unwrap().get(&pod).copied();
            if let Some(moment) = noted {
                break moment;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        };
        times.push(answered.saturating_duration_since(moment));
    }
    serving.abort();
    watching.abort();
    println!(
        "route live after the pod is ready, {ROUNDS} sessions: {}",
        spread(times)
    );
}

/// The pod's name, which is that of the session's record.
async fn pod_of(cluster: &ScriptedCluster, namespace: &str, session: &serde_json::Value) -> String {
    let id = session["runtime_id"].as_str().unwrap();
    let selector = format!("{}={id}", podbay_manifests::labels::RUNTIME_ID);
    let mut found = cluster.list(Kind::ConfigMap, namespace, &selector).await.unwrap();
    found.remove(0).key().name
}

/// Notes when each pod becomes ready.
async fn watch(cluster: ScriptedCluster, namespace: String, ready: Moments) {
    let mut events = cluster.watch(Kind::Pod, &namespace, "", WatchPolicy::Persist);
    while let Some(event) = events.next().await {
        let Ok(WatchEvent::Applied(Object::Pod(pod))) = event else {
            continue;
        };
        let conditions = pod
            .status
            .iter()
            .flat_map(|status| status.conditions.iter().flatten());
        if conditions
            .filter(|condition| condition.type_ == "Ready")
            .any(|condition| condition.status == "True")
        {
            let name = pod.metadata.name.clone().unwrap();
            ready.lock().unwrap().entry(name).or_insert_with(Instant::now);
        }
    }
}
