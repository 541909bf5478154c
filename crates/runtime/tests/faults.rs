//! Opening and closing while calls fail, before or after they took effect: nothing is left, nothing is made
//! twice, and what can be mended is.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use futures::stream::BoxStream;
use k8s_openapi::api::core::v1::{Event, Secret};
use podbay_embedded::EmbeddedCluster;
use podbay_k8s_client::{
    ClusterClient, DeleteOptions, Error as ClientError, ErrorKind, ExecProcess, ExecRequest, Kind,
    LogRequest, LogStream, Object, ObjectKey, WatchEvent,
};
use podbay_runtime::{Config, Error, Podbay};

/// The image of the embedded cluster.
const IMAGE: &str = "host";

/// When a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// The request never arrived.
    Before,
    /// It took effect and the answer was lost.
    After,
}

/// A cluster one of whose calls fails.
struct Faulty {
    cluster: EmbeddedCluster,
    /// The calls so far that create, read or delete.
    calls: AtomicUsize,
    /// Which of them fails, and how.
    fault: Option<(usize, Fault)>,
}

impl Faulty {
    fn new(cluster: &EmbeddedCluster, fault: Option<(usize, Fault)>) -> Arc<Self> {
        Arc::new(Self {
            cluster: cluster.clone(),
            calls: AtomicUsize::new(0),
            fault,
        })
    }

    async fn call<T: Send>(
        &self,
        operation: &str,
        call: impl Future<Output = Result<T, ClientError>> + Send,
    ) -> Result<T, ClientError> {
        let now = self.calls.fetch_add(1, Ordering::Relaxed);
        match self
            .fault
            .filter(|(number, _)| *number == now)
            .map(|(_, fault)| fault)
        {
            Some(Fault::Before) => Err(ClientError::new(operation, ErrorKind::Disconnected)),
            Some(Fault::After) => {
                call.await?;
                Err(ClientError::new(operation, ErrorKind::Server { status: 504 }))
            }
            None => call.await,
        }
    }
}

#[async_trait]
impl ClusterClient for Faulty {
    async fn create(&self, object: Object) -> Result<Object, ClientError> {
        self.call("create", self.cluster.create(object)).await
    }

    async fn get(&self, key: &ObjectKey) -> Result<Option<Object>, ClientError> {
        self.call("get", self.cluster.get(key)).await
    }

    async fn list(&self, kind: Kind, namespace: &str, selector: &str) -> Result<Vec<Object>, ClientError> {
        self.cluster.list(kind, namespace, selector).await
    }

    async fn delete(&self, key: &ObjectKey, options: DeleteOptions) -> Result<bool, ClientError> {
        self.call("delete", self.cluster.delete(key, options)).await
    }

    fn watch(
        &self,
        kind: Kind,
        namespace: &str,
        selector: &str,
    ) -> BoxStream<'static, Result<WatchEvent, ClientError>> {
        self.cluster.watch(kind, namespace, selector)
    }

    async fn events(&self, key: &ObjectKey, uid: &str) -> Result<Vec<Event>, ClientError> {
        self.cluster.events(key, uid).await
    }

    async fn exec(
        &self,
        namespace: &str,
        pod: &str,
        request: ExecRequest,
    ) -> Result<ExecProcess, ClientError> {
        self.cluster.exec(namespace, pod, request).await
    }

    async fn logs(&self, namespace: &str, pod: &str, request: LogRequest) -> Result<LogStream, ClientError> {
        self.cluster.logs(namespace, pod, request).await
    }
}

/// How many objects there are, by kind; kinds without any are left out.
async fn objects(cluster: &EmbeddedCluster) -> BTreeMap<Kind, usize> {
    let mut counts = BTreeMap::new();
    for kind in [
        Kind::ConfigMap,
        Kind::Secret,
        Kind::Pod,
        Kind::PersistentVolumeClaim,
    ] {
        let count = cluster.list(kind, "default", "").await.unwrap().len();
        if count > 0 {
            counts.insert(kind, count);
        }
    }
    counts
}

fn one_session() -> BTreeMap<Kind, usize> {
    BTreeMap::from([(Kind::ConfigMap, 1), (Kind::Secret, 1), (Kind::Pod, 1)])
}

#[tokio::test]
async fn a_session_is_made_by_three_writes_and_removed_by_one() {
    let cluster = EmbeddedCluster::new().unwrap();
    let client = Faulty::new(&cluster, None);
    let podbay = Podbay::with_client(client.clone(), Config::default());
    let session = podbay.session("s").image(IMAGE).open().await.unwrap();
    assert_eq!(
        client.calls.load(Ordering::Relaxed),
        3,
        "record, Secret, Pod, and no reads"
    );
    assert_eq!(objects(&cluster).await, one_session());
    session.close().await.unwrap();
    assert_eq!(client.calls.load(Ordering::Relaxed), 4);
    assert_eq!(objects(&cluster).await, BTreeMap::new());
}

/// A call that fails at any place: the start succeeds all the same (its answer was lost and the object is
/// found to be ours), or fails and leaves nothing.
#[tokio::test]
async fn a_start_that_meets_a_fault_succeeds_or_leaves_nothing() {
    let mut succeeded = 0;
    for number in 0..4 {
        for fault in [Fault::Before, Fault::After] {
            let cluster = EmbeddedCluster::new().unwrap();
            let client = Faulty::new(&cluster, Some((number, fault)));
            let podbay = Podbay::with_client(client, Config::default());
            let opened = podbay.session("s").image(IMAGE).open().await;
            let left = objects(&cluster).await;
            match opened {
                Ok(session) => {
                    succeeded += 1;
                    assert!(
                        !session.report().attached,
                        "{number} {fault:?}: its own record was taken for another's"
                    );
                    assert_eq!(left, one_session(), "{number} {fault:?}");
                }
                Err(error) => {
                    assert_eq!(left, BTreeMap::new(), "{number} {fault:?}: {}", error.chain());
                    assert!(
                        matches!(error, Error::Call { .. }),
                        "{number} {fault:?}: {error:?}"
                    );
                }
            }
        }
    }
    // Three lost answers, and the two faults of a fourth call that is not made.
    assert_eq!(succeeded, 5);
}

/// A client that dies at any step leaves its objects; the next one finishes the session or closes it.
#[tokio::test]
async fn what_a_dead_client_left_is_finished_or_closed_by_the_next() {
    for made in 1..=2 {
        for close in [false, true] {
            let cluster = EmbeddedCluster::new().unwrap();
            let podbay = Podbay::with_client(Arc::new(cluster.clone()), Config::default());
            // A session whose client died after `made` writes: the rest is taken away again.
            let session = podbay.session("s").image(IMAGE).open().await.unwrap();
            let name = session.pod_name();
            let pod = ObjectKey::new(Kind::Pod, "default", &name);
            cluster.delete(&pod, DeleteOptions::default()).await.unwrap();
            if made == 1 {
                let secret = ObjectKey::new(Kind::Secret, "default", format!("{name}-env"));
                cluster.delete(&secret, DeleteOptions::default()).await.unwrap();
            }
            if close {
                podbay.close("s", true).await.unwrap();
                assert_eq!(objects(&cluster).await, BTreeMap::new());
            } else {
                let session = podbay.session("s").image(IMAGE).open().await.unwrap();
                assert!(session.report().attached);
                assert_eq!(objects(&cluster).await, one_session());
            }
        }
    }
}

#[tokio::test]
async fn many_clients_at_once_make_one_session() {
    let cluster = EmbeddedCluster::new().unwrap();
    let clients: Vec<Podbay> = (0..8)
        .map(|_| Podbay::with_client(Arc::new(cluster.clone()), Config::default()))
        .collect();
    let opening = clients
        .iter()
        .map(|podbay| podbay.session("s").image(IMAGE).open());
    let sessions = futures::future::join_all(opening).await;
    let created = sessions
        .iter()
        .filter(|session| !session.as_ref().unwrap().report().attached)
        .count();
    assert_eq!(created, 1);
    assert_eq!(objects(&cluster).await, one_session());
}

#[tokio::test]
async fn an_object_of_somebody_else_is_left_alone() {
    let cluster = EmbeddedCluster::new().unwrap();
    let strange: Secret = serde_json::from_value(serde_json::json!({
        "metadata": {"name": "openhands-runtime-s-env", "namespace": "default"}}))
    .unwrap();
    cluster.create(strange.into()).await.unwrap();
    let podbay = Podbay::with_client(Arc::new(cluster.clone()), Config::default());
    let error = podbay.session("s").image(IMAGE).open().await.unwrap_err();
    assert!(matches!(error, Error::NameTaken { .. }), "{error:?}");
    assert_eq!(objects(&cluster).await, BTreeMap::from([(Kind::Secret, 1)]));
}

#[tokio::test(start_paused = true)]
async fn a_refused_image_is_a_verdict_and_leaves_nothing() {
    let cluster = EmbeddedCluster::new().unwrap();
    let podbay = Podbay::with_client(Arc::new(cluster.clone()), Config::default());
    let error = podbay.session("s").image("debian:12").open().await.unwrap_err();
    assert!(error.verdict().is_some(), "{error:?}");
    assert_eq!(objects(&cluster).await, BTreeMap::new());
}

#[tokio::test]
async fn close_and_delete_may_be_repeated() {
    let cluster = EmbeddedCluster::new().unwrap();
    let podbay = Podbay::with_client(Arc::new(cluster.clone()), Config::default());
    podbay.session("s").image(IMAGE).open().await.unwrap();
    assert!(podbay.close("s", true).await.unwrap().existed);
    assert!(!podbay.close("s", true).await.unwrap().existed);
    assert!(!podbay.delete("s", true).await.unwrap().existed);
}
