//! Which cluster and namespace, and how hard it is pressed.

use std::path::PathBuf;
use std::time::Duration;

use podbay_config::Runtime;
use podbay_fake_cluster::ScriptedCluster;
use podbay_protocol::{End, ErrorCode};
use podbay_runtime::{BackendKind, Config, Error, Podbay};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::api_server::{ApiServer, Manners, PATIENCE};
use crate::setup::{SESSION_ID, client};
use crate::support::plain;

effects! { real:
    "runtime" => runtime;
    "kubernetes.kubeconfig" => kubeconfig;
    "kubernetes.context" => context;
    "kubernetes.namespace" => namespace;
    "podbay.request_timeout_seconds" => request_timeout_seconds;
    "sandbox.remote_runtime_api_timeout" => remote_runtime_api_timeout;
    "podbay.requests_per_second" => requests_per_second;
    "podbay.request_burst" => request_burst;
    "podbay.exec_ping_interval_seconds" => exec_ping_interval_seconds;
    "podbay.exec_ping_timeout_seconds" => exec_ping_timeout_seconds;
}

/// A server with a kubeconfig of two contexts: `here`, the current one, and `there`, whose server is another.
struct Clusters {
    directory: TempDir,
    here: ApiServer,
    there: ApiServer,
}

impl Clusters {
    async fn new(cluster: &ScriptedCluster, manners: Manners) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let here = ApiServer::start(cluster, manners).await;
        let there = ApiServer::start(cluster, manners).await;
        let file = serde_json::json!({
            "current-context": "here",
            "clusters": [
                {"name": "here", "cluster": {"server": here.url()}},
                {"name": "there", "cluster": {"server": there.url()}},
            ],
            "users": [{"name": "anyone", "user": {}}],
            "contexts": [
                {"name": "here", "context": {"cluster": "here", "user": "anyone", "namespace": "default"}},
                {"name": "there", "context": {"cluster": "there", "user": "anyone", "namespace": "agents"}},
            ],
        });
        // JSON is YAML, which a kubeconfig is.
        std::fs::write(directory.path().join("config"), file.to_string()).unwrap();
        Self {
            directory,
            here,
            there,
        }
    }

    fn kubeconfig(&self) -> PathBuf {
        self.directory.path().join("config")
    }

    async fn client(&self, change: impl FnOnce(&mut Config)) -> Podbay {
        let mut config = Config::default();
        config.kubernetes.kubeconfig = Some(self.kubeconfig());
        change(&mut config);
        Podbay::from_config(config).await.unwrap()
    }
}

async fn clusters() -> Clusters {
    Clusters::new(&ScriptedCluster::new(), Manners::Answers).await
}

async fn runtime() {
    let clusters = clusters().await;
    for (runtime, kind) in [
        (Runtime::Auto, BackendKind::Cluster),
        (Runtime::Kubernetes, BackendKind::Cluster),
        (Runtime::Local, BackendKind::Local),
    ] {
        let podbay = clusters.client(|config| config.runtime = runtime).await;
        assert_eq!(podbay.kind(), kind, "{runtime:?}");
    }
}

async fn kubeconfig() {
    for _ in 0..2 {
        let (named, other) = (clusters().await, clusters().await);
        named.client(|_| {}).await.list("").await.unwrap();
        assert!(!named.here.requests().is_empty());
        assert!(other.here.requests().is_empty() && other.there.requests().is_empty());
    }
    let mut config = Config::default();
    config.kubernetes.kubeconfig = Some("/nowhere/kubeconfig".into());
    let error = Podbay::from_config(config).await.unwrap_err();
    assert!(matches!(error, Error::Connect { .. }), "{error:?}");
}

async fn context() {
    let clusters = clusters().await;
    let context =
        |name: &'static str| move |config: &mut Config| config.kubernetes.context = Some(name.into());
    clusters.client(context("there")).await.list("").await.unwrap();
    assert!(clusters.here.requests().is_empty() && !clusters.there.requests().is_empty());
    clusters.client(context("here")).await.list("").await.unwrap();
    assert!(!clusters.here.requests().is_empty());
    let mut config = Config::default();
    config.kubernetes.kubeconfig = Some(clusters.kubeconfig());
    config.kubernetes.context = Some("nowhere".to_owned());
    let error = Podbay::from_config(config).await.unwrap_err();
    assert!(matches!(error, Error::Connect { .. }), "{error:?}");
}

/// One that was set goes before the context's, and its default does not.
async fn namespace() {
    let clusters = clusters().await;
    let config = |namespace: Option<&str>| {
        let nothing: [(&str, &str); 0] = [];
        let loader = Config::loader().search(false).environment(nothing);
        let loader = match namespace {
            Some(namespace) => loader.flag("kubernetes.namespace", "--namespace", namespace),
            None => loader,
        };
        let mut config = loader.load().unwrap();
        config.kubernetes.kubeconfig = Some(clusters.kubeconfig());
        config.kubernetes.context = Some("there".to_owned());
        config
    };
    for (set, used) in [
        (None, "agents"),
        (Some("mine"), "mine"),
        (Some("default"), "default"),
    ] {
        let podbay = Podbay::from_config(config(set)).await.unwrap();
        podbay.list("").await.unwrap();
        let path = format!("/namespaces/{used}/");
        let asked = clusters.there.requests();
        assert!(
            asked.iter().any(|request| request.contains(&path)),
            "{set:?}: {asked:?}"
        );
    }
}

/// How long a call to a server that never answers takes.
async fn patience(change: impl FnOnce(&mut Config)) -> Duration {
    let clusters = Clusters::new(&ScriptedCluster::new(), Manners::Silent).await;
    let podbay = clusters.client(change).await;
    let begun = Instant::now();
    let error = podbay.list("").await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::Timeout, "{error:?}");
    begun.elapsed()
}

async fn request_timeout_seconds() {
    let short = patience(|config| config.podbay.request_timeout_seconds = 1).await;
    let longer = patience(|config| config.podbay.request_timeout_seconds = 3).await;
    assert!(short >= Duration::from_secs(1) && short < longer, "{short:?}");
    assert!(longer >= Duration::from_secs(3), "{longer:?}");
}

/// It holds where `podbay.request_timeout_seconds` is not set, whose default is 30 s.
async fn remote_runtime_api_timeout() {
    let took = patience(|config| config.sandbox.remote_runtime_api_timeout = Some(1)).await;
    assert!(
        (Duration::from_secs(1)..Duration::from_secs(20)).contains(&took),
        "{took:?}"
    );
}

/// How long six requests take.
async fn six(change: impl FnOnce(&mut Config)) -> Duration {
    let clusters = clusters().await;
    let podbay = clusters.client(change).await;
    let begun = Instant::now();
    for _ in 0..3 {
        podbay.list("").await.unwrap();
    }
    assert_eq!(clusters.here.requests().len(), 6);
    begun.elapsed()
}

async fn requests_per_second() {
    let pace = |per_second: u32| {
        move |config: &mut Config| {
            config.podbay.request_burst = 1;
            config.podbay.requests_per_second = per_second;
        }
    };
    // Five of six wait, half a second each or a hundredth.
    let (slow, fast) = (six(pace(2)).await, six(pace(100)).await);
    assert!(slow >= Duration::from_millis(2400), "{slow:?}");
    assert!(fast < slow, "{fast:?}");
}

async fn request_burst() {
    let burst = |burst: u32| {
        move |config: &mut Config| {
            config.podbay.request_burst = burst;
            config.podbay.requests_per_second = 1;
        }
    };
    // One of six waits, or none.
    let (held, free) = (six(burst(3)).await, six(burst(6)).await);
    assert!(held >= Duration::from_millis(2900), "{held:?}");
    assert!(free < held, "{free:?}");
}

/// A command in a session over a real connection, with how long it took.
async fn command(manners: Manners, interval: u64, timeout: u64) -> (End, Duration) {
    let cluster = ScriptedCluster::new();
    let opened = client(&cluster, |_| {});
    opened.session(SESSION_ID).request(plain()).open().await.unwrap();
    let clusters = Clusters::new(&cluster, manners).await;
    let podbay = clusters
        .client(|config| {
            config.podbay.exec_ping_interval_seconds = interval;
            config.podbay.exec_ping_timeout_seconds = timeout;
        })
        .await;
    let session = podbay.existing(SESSION_ID).unwrap();
    let begun = Instant::now();
    let outcome = tokio::time::timeout(PATIENCE, session.exec(["true"]))
        .await
        .unwrap();
    (outcome.unwrap().end, begun.elapsed())
}

/// The server ends a command at its first ping.
async fn exec_ping_interval_seconds() {
    for interval in [1, 3] {
        let (end, took) = command(Manners::Answers, interval, 50).await;
        assert_eq!(end, End::Exited { code: 127 });
        let interval = Duration::from_secs(interval);
        assert!((interval..interval * 5).contains(&took), "{interval:?}: {took:?}");
    }
}

/// The server never answers a ping.
async fn exec_ping_timeout_seconds() {
    for timeout in [2, 4] {
        let (end, took) = command(Manners::DeafToCommands, 1, timeout).await;
        assert!(matches!(end, End::Lost { .. }), "{end:?}");
        let timeout = Duration::from_secs(timeout);
        assert!((timeout..timeout * 5).contains(&took), "{timeout:?}: {took:?}");
    }
}
