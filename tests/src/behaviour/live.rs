//! A namespace of a real cluster as a [`Stage`].

use std::num::NonZeroU32;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{StreamExt as _, stream};
use k8s_openapi::api::core::v1::ResourceQuota;
use kube::Api;
use kube::api::{
    DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams, Preconditions, WatchEvent,
    WatchParams,
};
use kube::core::{ApiResource, Status};
use podbay_fake_cluster::RawEvent;
use podbay_k8s_client::live::CallLimits;
use podbay_k8s_client::remote_command::DriverOptions;
use podbay_k8s_client::{Cluster, DeleteOptions, Error, ErrorKind, Kind, LiveClient, Object, ObjectKey};
use serde_json::{Value, json};

use super::raw::{Listed, Raw, WatchFrom};
use super::stage::Stage;
use crate::Namespace;

/// The server sends a bookmark two seconds before a watch ends by itself, and one a minute before that.
const WATCH_SECONDS: u32 = 5;

/// This namespace.
#[expect(clippy::expect_used, reason = "tests fail by panicking")]
pub async fn stage(namespace: &Namespace) -> Stage {
    let cluster = Cluster::Kubeconfig {
        path: Some(namespace.cluster.kubeconfig.clone()),
        context: None,
    };
    // No brake: a case waits for nothing but the cluster.
    let many = NonZeroU32::MIN.saturating_add(10_000);
    let limits = CallLimits {
        per_second: many,
        burst: many,
        ..CallLimits::default()
    };
    let client = LiveClient::connect(&cluster, limits, DriverOptions::default()).await;
    Stage {
        client: Arc::new(client.expect("a cluster")),
        raw: Arc::new(LiveApi(namespace.client.clone())),
        namespace: namespace.name.clone(),
    }
}

/// A real API server in single requests.
struct LiveApi(kube::Client);

impl LiveApi {
    fn api(&self, kind: Kind, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.0.clone(), namespace, &resource(kind))
    }
}

#[async_trait]
#[expect(clippy::expect_used, reason = "tests fail by panicking")]
impl Raw for LiveApi {
    async fn create(&self, object: Object) -> Result<Object, Error> {
        let (kind, dynamic) = to_dynamic(&object);
        let api = self.api(kind, &object.key().namespace);
        let created = api.create(&PostParams::default(), &dynamic).await;
        created
            .map(|created| from_dynamic(kind, &created))
            .map_err(refusal)
    }

    async fn get(&self, key: &ObjectKey) -> Result<Object, Error> {
        let found = self.api(key.kind, &key.namespace).get(&key.name).await;
        found.map(|found| from_dynamic(key.kind, &found)).map_err(refusal)
    }

    async fn list(&self, kind: Kind, namespace: &str, selector: &str) -> Result<Listed, Error> {
        let params = ListParams::default().labels(selector);
        let list = self.api(kind, namespace).list(&params).await.map_err(refusal)?;
        Ok(Listed {
            items: list.items.iter().map(|item| from_dynamic(kind, item)).collect(),
            version: list.metadata.resource_version.unwrap_or_default(),
        })
    }

    async fn update(&self, object: Object) -> Result<Object, Error> {
        let (kind, dynamic) = to_dynamic(&object);
        let key = object.key();
        let api = self.api(kind, &key.namespace);
        let updated = api.replace(&key.name, &PostParams::default(), &dynamic).await;
        updated
            .map(|updated| from_dynamic(kind, &updated))
            .map_err(refusal)
    }

    async fn patch(&self, key: &ObjectKey, patch: &Value) -> Result<Object, Error> {
        let api = self.api(key.kind, &key.namespace);
        let patched = api
            .patch(&key.name, &PatchParams::default(), &Patch::Merge(patch))
            .await;
        patched
            .map(|patched| from_dynamic(key.kind, &patched))
            .map_err(refusal)
    }

    async fn delete(&self, key: &ObjectKey, options: DeleteOptions) -> Result<(), Error> {
        let DeleteOptions {
            uid,
            resource_version,
            grace_period_seconds,
        } = options;
        let params = DeleteParams {
            grace_period_seconds,
            preconditions: (uid.is_some() || resource_version.is_some()).then_some(Preconditions {
                uid,
                resource_version,
            }),
            ..DeleteParams::background()
        };
        let deleted = self
            .api(key.kind, &key.namespace)
            .delete(&key.name, &params)
            .await;
        deleted.map(drop).map_err(refusal)
    }

    async fn watch(
        &self,
        kind: Kind,
        namespace: &str,
        selector: &str,
        from: WatchFrom,
    ) -> BoxStream<'static, RawEvent> {
        let WatchFrom { version, bookmarks } = from;
        let mut params = WatchParams::default().labels(selector).timeout(WATCH_SECONDS);
        params.bookmarks = bookmarks;
        let watch = self.api(kind, namespace).watch(&params, &version).await;
        match watch {
            Err(error) => stream::iter([RawEvent::Error(refusal(error))]).boxed(),
            Ok(watch) => watch
                .map(move |event| match event {
                    Ok(WatchEvent::Added(object)) => RawEvent::Added(from_dynamic(kind, &object)),
                    Ok(WatchEvent::Modified(object)) => RawEvent::Modified(from_dynamic(kind, &object)),
                    Ok(WatchEvent::Deleted(object)) => RawEvent::Deleted(from_dynamic(kind, &object)),
                    Ok(WatchEvent::Bookmark(bookmark)) => RawEvent::Bookmark {
                        resource_version: bookmark.metadata.resource_version,
                    },
                    Ok(WatchEvent::Error(status)) => RawEvent::Error(from_status(&status)),
                    Err(error) => RawEvent::Error(refusal(error)),
                })
                .boxed(),
        }
    }

    /// The version of a cluster's first write: no API server has its whole history in its watch cache.
    async fn forgotten_version(&self) -> String {
        "1".to_owned()
    }

    async fn set_quota(&self, namespace: &str, name: &str, hard: Value) {
        let api: Api<ResourceQuota> = Api::namespaced(self.0.clone(), namespace);
        let quota = json!({"metadata": {"name": name}, "spec": {"hard": hard}});
        let quota = serde_json::from_value(quota).expect("a quota");
        api.create(&PostParams::default(), &quota)
            .await
            .expect("a quota can be made");
        let mut ticks = tokio::time::interval(super::follow::LOOK);
        let counted = async {
            loop {
                ticks.tick().await;
                let quota = api.get(name).await.expect("the quota");
                if quota.status.is_some_and(|status| status.used.is_some()) {
                    return;
                }
            }
        };
        let counted = tokio::time::timeout(super::follow::LIMIT, counted).await;
        counted.expect("the quota controller counts");
    }

    async fn quota_used(&self, namespace: &str, name: &str) -> Value {
        let api: Api<ResourceQuota> = Api::namespaced(self.0.clone(), namespace);
        let quota = api.get(name).await.expect("the quota");
        json!(quota.status.and_then(|status| status.used))
    }
}

fn resource(kind: Kind) -> ApiResource {
    let (group, version) = match kind {
        Kind::ConfigMap | Kind::Secret | Kind::Pod | Kind::PersistentVolumeClaim | Kind::Service => {
            ("", "v1")
        }
        Kind::Job => ("batch", "v1"),
        Kind::Ingress | Kind::NetworkPolicy => ("networking.k8s.io", "v1"),
        Kind::HttpRoute => ("gateway.networking.k8s.io", "v1"),
    };
    let kind_name = kube::core::GroupVersionKind::gvk(group, version, kind.name());
    ApiResource::from_gvk_with_plural(&kind_name, kind.resource())
}

#[expect(clippy::expect_used, reason = "tests fail by panicking")]
fn to_dynamic(object: &Object) -> (Kind, DynamicObject) {
    let json = object.to_json().expect("JSON");
    (object.kind(), serde_json::from_value(json).expect("an object"))
}

#[expect(clippy::expect_used, reason = "tests fail by panicking")]
fn from_dynamic(kind: Kind, object: &DynamicObject) -> Object {
    let json = serde_json::to_value(object).expect("JSON");
    Object::from_json(kind, json).expect("an object of the kind")
}

#[expect(clippy::panic, reason = "tests fail by panicking")]
fn refusal(error: kube::Error) -> Error {
    match error {
        kube::Error::Api(status) => from_status(&status),
        other => panic!("no answer of the API server: {other}"),
    }
}

/// As the client does it; the server's `reason` must go with its code.
fn from_status(status: &Status) -> Error {
    let kind = match status.code {
        400 | 413 | 415 | 422 => ErrorKind::Invalid,
        403 => ErrorKind::Forbidden,
        404 => ErrorKind::NotFound,
        409 if status.reason == "AlreadyExists" => ErrorKind::AlreadyExists,
        409 => {
            assert_eq!(status.reason, "Conflict");
            ErrorKind::Conflict
        }
        410 => {
            assert_eq!(status.reason, "Expired");
            ErrorKind::Expired
        }
        status => ErrorKind::Server { status },
    };
    Error::new("request", kind).with_message(&status.message)
}
