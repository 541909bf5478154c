//! An API to ask.

use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use jiff::{SignedDuration, Timestamp};
use podbay_config::{ApiKeyEntry, ServeConfig};
use podbay_exec_proxy::api::Api;
use podbay_exec_proxy::keys::{ApiKeys, Sources};
use podbay_exec_proxy::routing::url::{Scheme, Separator, UrlStyle};
use podbay_exec_proxy::sessions::{AllSessions, ServiceSessions};
use podbay_fake_cluster::{EPOCH, ScriptedCluster};
use podbay_k8s_client::{ClusterClient, Kind};
use podbay_manifests::SessionOwner;
use podbay_protocol::hex::to_hex;
use podbay_runtime::{Backend, Config, Podbay, WatchPolicy};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// The key of the owner that most tests ask as, and of another one.
pub(crate) const ALICE: &str = "key of alice";
pub(crate) const BOB: &str = "key of bob";

/// One replica of the service.
pub(crate) struct World {
    pub(crate) api: Api,
    pub(crate) podbay: Podbay,
    pub(crate) sessions: AllSessions,
}

pub(crate) fn keys() -> Vec<ApiKeyEntry> {
    let entry = |name: &str, owner: &str, key: &str| ApiKeyEntry {
        name: name.to_owned(),
        owner: owner.to_owned(),
        sha256: to_hex(&Sha256::digest(key)),
        ..ApiKeyEntry::default()
    };
    vec![entry("a", "alice", ALICE), entry("b", "bob", BOB)]
}

impl World {
    /// Over sessions that this process keeps.
    pub(crate) async fn here(change: impl FnOnce(&mut ServeConfig)) -> Self {
        let podbay = Podbay::builder(Config::default())
            .backend(Backend::Local)
            .in_this_process();
        Self::over(podbay.connect().await.unwrap(), Timestamp::now, change)
    }

    /// Over pods, into which an agent can be brought.
    pub(crate) fn on(cluster: &ScriptedCluster, change: impl FnOnce(&mut ServeConfig)) -> Self {
        Self::by(Arc::new(cluster.clone()), cluster, change)
    }

    /// Over pods, by a client of its own.
    pub(crate) fn by(
        client: Arc<dyn ClusterClient>,
        cluster: &ScriptedCluster,
        change: impl FnOnce(&mut ServeConfig),
    ) -> Self {
        Self::made(client, cluster, |_| {}, change)
    }

    /// Over pods, with a configuration of sessions.
    pub(crate) fn configured(cluster: &ScriptedCluster, sessions: impl FnOnce(&mut Config)) -> Self {
        Self::made(Arc::new(cluster.clone()), cluster, sessions, |_| {})
    }

    /// Over pods, by a client of its own, with a configuration of sessions and of the service.
    pub(crate) fn made(
        client: Arc<dyn ClusterClient>,
        cluster: &ScriptedCluster,
        sessions: impl FnOnce(&mut Config),
        change: impl FnOnce(&mut ServeConfig),
    ) -> Self {
        let mut config = Config::default();
        config.agent.image = Some("podbay/agent:1".to_owned());
        sessions(&mut config);
        let podbay = Podbay::builder(config).watch_policy(WatchPolicy::Persist);
        let cluster = cluster.clone();
        let clock = move || EPOCH + SignedDuration::try_from(cluster.age()).unwrap();
        Self::over(podbay.with_client(client), clock, change)
    }

    fn over(
        podbay: Podbay,
        clock: impl Fn() -> Timestamp + Send + Sync + 'static,
        change: impl FnOnce(&mut ServeConfig),
    ) -> Self {
        let mut config = ServeConfig {
            keys: keys(),
            ..ServeConfig::default()
        };
        change(&mut config);
        let (keys, _) = ApiKeys::gather(Sources {
            config: &config,
            listen: "127.0.0.1:8000".parse().unwrap(),
        })
        .unwrap();
        let adopts = config
            .adopt_unowned
            .as_deref()
            .map(|name| SessionOwner::of(name).unwrap());
        let sessions = ServiceSessions::new(podbay.clone(), adopts).unwrap();
        let sessions = sessions
            .with_clock(clock)
            .with_owner_limit(config.max_sessions_per_owner);
        let sessions = AllSessions::of_keys(sessions, &keys).unwrap();
        let style = UrlStyle::Host {
            scheme: Scheme::Https,
            domain: "run.example".parse().unwrap(),
            separator: Separator::Dot,
        };
        let api = Api::new(sessions.clone(), Arc::new(style), keys, &config);
        Self {
            api,
            podbay,
            sessions,
        }
    }

    /// Asks with these keys.
    pub(crate) async fn ask(&self, method: &str, target: &str, keys: &[&str], body: &str) -> (u16, Value) {
        let mut request = Request::builder().method(method).uri(target);
        for key in keys {
            request = request.header("X-API-Key", *key);
        }
        let (parts, body) = request
            .body(Full::new(Bytes::from(body.to_owned())))
            .unwrap()
            .into_parts();
        let answer = self.api.answer(&parts, body).await;
        let status = answer.status().as_u16();
        let Ok(body) = answer.into_body().collect().await else {
            return (status, Value::Null);
        };
        (
            status,
            serde_json::from_slice(&body.to_bytes()).unwrap_or_default(),
        )
    }

    pub(crate) async fn get(&self, target: &str) -> (u16, Value) {
        self.ask("GET", target, &[ALICE], "").await
    }

    pub(crate) async fn post(&self, target: &str, body: &Value) -> (u16, Value) {
        self.ask("POST", target, &[ALICE], &body.to_string()).await
    }

    /// A start, which must be answered by a session.
    pub(crate) async fn start(&self, body: &Value) -> Value {
        let (status, session) = self.post("/start", body).await;
        assert_eq!(status, 200, "{session}");
        session
    }

    /// Asks for a session until it has this status.
    pub(crate) async fn until(&self, id: &str, status: &str) -> Value {
        for _ in 0..200 {
            let (_, session) = self.get(&format!("/sessions/{id}")).await;
            if session["status"] == status {
                return session;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        panic!(
            "{id} never became {status}: {:?}",
            self.get(&format!("/sessions/{id}")).await
        );
    }
}

/// What a stock V0 client sends.
pub(crate) fn stock(id: &str, image: &str) -> Value {
    json!({
        "image": image,
        "command": [
            "/openhands/micromamba/bin/micromamba", "run", "-n", "openhands", "poetry", "run", "python", "-u", "-m",
            "openhands.runtime.action_execution_server", "60000", "--working-dir", "/workspace", "--username", "openhands",
            "--user-id", "1000",
        ],
        "working_dir": "/openhands/code/",
        "environment": {"DEBUG": "true"},
        "session_id": id,
        "resource_factor": 1,
    })
}

/// How many pods there are.
pub(crate) fn pods(cluster: &ScriptedCluster) -> usize {
    cluster
        .count("default")
        .get(&Kind::Pod)
        .copied()
        .unwrap_or_default()
}
