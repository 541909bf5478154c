//! An agent that answers in a scripted pod: nothing but the proof of the session's key.

use std::convert::Infallible;

use bytes::Bytes;
use hmac::{Hmac, Mac as _};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use podbay_fake_cluster::testing::TestCluster;
use podbay_fake_cluster::{PortCall, ScriptedCluster};
use podbay_k8s_client::{Kind, Object, ObjectKey};
use podbay_protocol::agent::path;
use podbay_protocol::agent::proof::{ProofAnswer, ProofRequest, message};
use podbay_protocol::hex::to_hex;
use sha2::Sha256;
use tokio::io::DuplexStream;

/// Has an agent listen in the pods of the cluster, if `listens` says so when somebody connects.
pub(crate) fn answer_proofs(cluster: &ScriptedCluster, listens: impl Fn() -> bool + Send + 'static) {
    let objects = cluster.clone();
    cluster.listen_with(move |call: &PortCall| {
        let (objects, call) = (objects.clone(), call.clone());
        (call.port == 10022 && listens()).then_some(move |stream: DuplexStream| async move {
            // Only now: the cluster is locked while it asks who listens.
            let (key, uid) = known(&objects, &call);
            serve(stream, key, uid).await;
        })
    });
}

/// The session's key, and the UID of the pod that is connected to.
fn known(cluster: &ScriptedCluster, call: &PortCall) -> (Vec<u8>, String) {
    let objects = TestCluster::on(cluster, &call.namespace).objects();
    let of_pod = |object: &&Object| object.key() == ObjectKey::new(Kind::Pod, &call.namespace, &call.pod);
    let uid = objects.iter().find(of_pod).unwrap().uid().to_owned();
    let secret = objects.into_iter().find_map(Object::into_secret).unwrap();
    (secret.data.unwrap()["session-api-key"].0.clone(), uid)
}

async fn serve(stream: DuplexStream, key: Vec<u8>, uid: String) {
    let service = service_fn(move |request: Request<Incoming>| {
        let (key, uid) = (key.clone(), uid.clone());
        async move {
            if request.uri().path() != path::PROOF {
                let nothing = Response::builder().status(404).body(Full::default());
                return Ok::<_, Infallible>(nothing.unwrap());
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
    let _ = http2::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}
