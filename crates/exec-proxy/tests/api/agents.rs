//! Agents that answer in scripted pods: the proof of the session's key, and that they are alive.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use hmac::{Hmac, Mac as _};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use podbay_fake_cluster::{PortCall, ScriptedCluster};
use podbay_k8s_client::{ClusterClient as _, Kind, ObjectKey};
use podbay_protocol::agent::path;
use podbay_protocol::agent::proof::{ProofAnswer, ProofRequest, message};
use podbay_protocol::hex::to_hex;
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::io::DuplexStream;

/// Processes that agents were asked to start.
pub(crate) type Started = Arc<Mutex<Vec<Value>>>;

/// Whether an agent answers an action.
type Busy = Arc<dyn Fn() -> bool + Send + Sync>;

/// The port that stock clients ask for.
const PORT: u16 = 60_000;

/// Has an agent listen in each pod, while `listens` says so.
pub(crate) fn answer(cluster: &ScriptedCluster, listens: impl Fn() -> bool + Send + 'static) {
    answer_busy(cluster, listens, || false);
}

/// The same, which answers an action while `is_busy` says so.
pub(crate) fn answer_busy(
    cluster: &ScriptedCluster,
    listens: impl Fn() -> bool + Send + 'static,
    is_busy: impl Fn() -> bool + Send + Sync + 'static,
) {
    listen(cluster, listens, Arc::new(is_busy), &Started::default());
}

/// Has an agent listen in each pod, and notes the processes that they are asked to start.
pub(crate) fn answer_and_note(cluster: &ScriptedCluster, started: &Started) {
    listen(cluster, || true, Arc::new(|| false), started);
}

fn listen(
    cluster: &ScriptedCluster,
    listens: impl Fn() -> bool + Send + 'static,
    is_busy: Busy,
    started: &Started,
) {
    let (objects, started) = (cluster.clone(), Arc::clone(started));
    cluster.listen_with(move |call: &PortCall| {
        let (objects, call) = (objects.clone(), call.clone());
        let (is_busy, started) = (Arc::clone(&is_busy), Arc::clone(&started));
        (call.port == PORT && listens()).then_some(move |stream: DuplexStream| async move {
            // Only now: the cluster is locked while it asks who listens.
            let (key, uid) = known(&objects, &call).await;
            serve(stream, key, uid, is_busy, started).await;
        })
    });
}

/// The session's key, and the UID of the pod that is connected to. Two objects are read: with all of them, thousands of sessions would
/// take the time of their square.
async fn known(cluster: &ScriptedCluster, call: &PortCall) -> (Vec<u8>, String) {
    let get = async |kind, name: &str| {
        let key = ObjectKey::new(kind, &call.namespace, name);
        cluster.get(&key).await.unwrap().unwrap()
    };
    let pod = get(Kind::Pod, &call.pod).await;
    // Its record, or its Job, which has the record's name.
    let owners = pod.metadata().owner_references.as_deref().unwrap_or_default();
    let secret = get(Kind::Secret, &format!("{}-env", owners[0].name)).await;
    let data = secret.into_secret().unwrap().data.unwrap();
    (data["session-api-key"].0.clone(), pod.uid().to_owned())
}

async fn serve(stream: DuplexStream, key: Vec<u8>, uid: String, is_busy: Busy, started: Started) {
    let service = service_fn(move |request: Request<Incoming>| {
        let (key, uid) = (key.clone(), uid.clone());
        let (is_busy, started) = (Arc::clone(&is_busy), Arc::clone(&started));
        async move {
            if request.uri().path().starts_with(path::PROCESSES) {
                let body = request.into_body().collect().await.unwrap().to_bytes();
                let process: Value = serde_json::from_slice(&body).unwrap();
                let nothing = json!({"stdout": 0, "stderr": 0});
                let info = json!({
                    "id": process["id"], "argv": process["argv"], "written": nothing, "end": null, "pid": 7,
                });
                started.lock().unwrap().push(process);
                return Ok(Response::new(Full::new(Bytes::from(info.to_string()))));
            }
            if request.uri().path() == path::FIGURES {
                let seconds = if is_busy() { 0 } else { 7 };
                let signals = json!([{"signal": "requests", "seconds": seconds}]);
                let figures = json!({"idle": {"seconds": seconds, "why": "requests", "signals": signals}});
                return Ok(Response::new(Full::new(Bytes::from(figures.to_string()))));
            }
            if request.uri().path() != path::PROOF {
                return Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"{}"))));
            }
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let question: ProofRequest = serde_json::from_slice(&body).unwrap();
            let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
            mac.update(&message(&question.nonce, &uid));
            let proof = to_hex(&mac.finalize().into_bytes());
            let answer = serde_json::to_vec(&ProofAnswer { proof }).unwrap();
            Ok(Response::new(Full::new(Bytes::from(answer))))
        }
    });
    // Ends with the connection.
    let _ = auto::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}
