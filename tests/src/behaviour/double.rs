//! The scripted cluster as a [`Stage`].

use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use k8s_openapi::api::core::v1::ResourceQuota;
use podbay_fake_cluster::{ExecAnswer, ExecCall, RawApi, RawEvent, ScriptedCluster};
use podbay_k8s_client::{DeleteOptions, Error, Kind, Object, ObjectKey};
use serde_json::{Value, json};

use super::fate::Fate;
use super::raw::{Listed, Raw, WatchFrom};
use super::stage::Stage;

/// The namespace there.
const NAMESPACE: &str = "t-behaviour";

/// A scripted cluster with one node, whose pods do as their fates say. Must be called within a tokio runtime.
#[expect(clippy::expect_used, reason = "tests fail by panicking")]
pub async fn stage() -> Stage {
    let cluster = ScriptedCluster::builder().nodes(1).build();
    cluster.script_with(|pod| Fate::of(pod).map(Fate::script));
    cluster.answer_exec_with(shell);
    let stage = Stage {
        raw: Arc::new(cluster.raw()),
        client: Arc::new(cluster),
        namespace: NAMESPACE.to_owned(),
    };
    // A controller of Kubernetes puts it into every namespace, where it counts for quotas and shows in lists.
    let authorities = json!({"metadata": {"name": "kube-root-ca.crt"}, "data": {"ca.crt": ""}});
    stage
        .try_create(Kind::ConfigMap, authorities)
        .await
        .expect("an empty cluster takes it");
    stage
}

/// What a shell does with the scripts of the cases.
fn shell(call: &ExecCall) -> Option<ExecAnswer> {
    match call.request.argv.last()?.as_str() {
        "echo out; echo err >&2; exit 3" => Some(ExecAnswer::exit(3).stdout("out\n").stderr("err\n")),
        "kill -9 $$" => Some(ExecAnswer::exit(137)),
        _ => None,
    }
}

#[async_trait]
impl Raw for RawApi {
    async fn create(&self, object: Object) -> Result<Object, Error> {
        Self::create(self, object)
    }

    async fn get(&self, key: &ObjectKey) -> Result<Object, Error> {
        Self::get(self, key)
    }

    async fn list(&self, kind: Kind, namespace: &str, selector: &str) -> Result<Listed, Error> {
        let list = Self::list(self, kind, namespace, selector)?;
        Ok(Listed {
            items: list.items,
            version: list.resource_version,
        })
    }

    async fn update(&self, object: Object) -> Result<Object, Error> {
        Self::update(self, object)
    }

    async fn patch(&self, key: &ObjectKey, patch: &Value) -> Result<Object, Error> {
        Self::patch(self, key, patch)
    }

    async fn delete(&self, key: &ObjectKey, options: DeleteOptions) -> Result<(), Error> {
        Self::delete(self, key, options).map(drop)
    }

    async fn watch(
        &self,
        kind: Kind,
        namespace: &str,
        selector: &str,
        from: WatchFrom,
    ) -> BoxStream<'static, RawEvent> {
        let WatchFrom { version, bookmarks } = from;
        let version = Some(version.as_str());
        let watch = if bookmarks {
            self.watch_with_bookmarks(kind, namespace, selector, version)
        } else {
            self.watch_from(kind, namespace, selector, version)
        };
        watch.unwrap_or_else(|error| stream::iter([RawEvent::Error(error)]).boxed())
    }

    async fn forgotten_version(&self) -> String {
        self.compact();
        "1".to_owned()
    }

    #[expect(clippy::expect_used, reason = "tests fail by panicking")]
    async fn set_quota(&self, namespace: &str, name: &str, hard: Value) {
        let quota = json!({"metadata": {"name": name}, "spec": {"hard": hard}});
        let quota: ResourceQuota = serde_json::from_value(quota).expect("a quota");
        Self::set_quota(self, namespace, &quota);
    }

    async fn quota_used(&self, namespace: &str, name: &str) -> Value {
        json!(Self::quota_used(self, namespace, name))
    }
}
