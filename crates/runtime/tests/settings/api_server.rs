//! An API server on a socket of this machine: what is read comes from a scripted cluster, and commands end when the test
//! says.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use podbay_fake_cluster::ScriptedCluster;
use podbay_k8s_client::{Kind, ObjectKey};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::http::HeaderValue;

/// The channel of a command's status, and its text for an exit with 127 (`metav1.Status`): a command that was not found is one
/// whose shell writes nothing at its end.
const STATUS: u8 = 3;
const NOT_FOUND: &str = r#"{"metadata":{},"status":"Failure","message":"command terminated with exit code 127","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"127"}]}}"#;
const SUB_PROTOCOL: &str = "sec-websocket-protocol";
const VERSION_5: &str = "v5.channel.k8s.io";

/// How the server behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manners {
    /// It answers, and ends each command at the first ping.
    Answers,
    /// It takes requests and never answers.
    Silent,
    /// It answers, but nothing that a command's connection says.
    DeafToCommands,
}

/// A running server.
pub(crate) struct ApiServer {
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
    task: AbortHandle,
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl ApiServer {
    pub(crate) async fn start(cluster: &ScriptedCluster, manners: Manners) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let (cluster, seen) = (cluster.clone(), Arc::clone(&requests));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, cluster.clone(), manners, Arc::clone(&seen)));
            }
        });
        Self {
            port,
            requests,
            task: task.abort_handle(),
        }
    }

    /// Where it is, for a kubeconfig.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The paths that were asked for.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

async fn serve(
    mut stream: TcpStream,
    cluster: ScriptedCluster,
    manners: Manners,
    seen: Arc<Mutex<Vec<String>>>,
) {
    loop {
        let mut head = [0; 16 * 1024];
        // Left in the socket, where the handshake of a command's connection wants to find it.
        let Ok(length @ 1..) = stream.peek(&mut head).await else {
            return;
        };
        let text = String::from_utf8_lossy(&head[..length]).into_owned();
        let Some(end) = text.find("\r\n\r\n") else {
            tokio::task::yield_now().await;
            continue;
        };
        let path = text.split(' ').nth(1).unwrap_or_default().to_owned();
        seen.lock().unwrap().push(path.clone());
        if manners == Manners::Silent {
            return std::future::pending().await;
        }
        if path.contains("/exec?") {
            return command(stream, manners).await;
        }
        stream.read_exact(&mut head[..end + 4]).await.unwrap();
        let (code, body) = answer(&cluster, &path);
        let body = body.to_string();
        let answer = format!(
            "HTTP/1.1 {code} Answer\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// The answer to a get or a list in a namespace.
fn answer(cluster: &ScriptedCluster, path: &str) -> (u16, Value) {
    let path = path.split('?').next().unwrap_or_default();
    let mut parts = path.split('/').skip_while(|part| *part != "namespaces").skip(1);
    let namespace = parts.next().unwrap_or_default();
    let kind = match parts.next() {
        Some("configmaps") => Kind::ConfigMap,
        Some("pods") => Kind::Pod,
        _ => return (404, not_found()),
    };
    if let Some(name) = parts.next() {
        return match cluster.raw().get(&ObjectKey::new(kind, namespace, name)) {
            Ok(object) => (200, object.to_json().unwrap()),
            Err(_) => (404, not_found()),
        };
    }
    let items = cluster.raw().list(kind, namespace, "").unwrap().items;
    let items: Vec<_> = items.iter().map(|item| item.to_json().unwrap()).collect();
    let metadata = json!({"resourceVersion": "1"});
    (
        200,
        json!({"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": items}),
    )
}

fn not_found() -> Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404,
        "message": "not found",
    })
}

/// The server's side of a command.
#[expect(clippy::result_large_err, reason = "the type of the handshake's callback")]
async fn command(stream: TcpStream, manners: Manners) {
    let agree = |_: &Request, mut response: Response| {
        response
            .headers_mut()
            .insert(SUB_PROTOCOL, HeaderValue::from_static(VERSION_5));
        Ok(response)
    };
    let Ok(mut socket) = accept_hdr_async(stream, agree).await else {
        return;
    };
    if manners == Manners::DeafToCommands {
        // The socket stays open, and no ping in it is answered.
        return std::future::pending().await;
    }
    while let Some(Ok(message)) = socket.next().await {
        if matches!(message, Message::Ping(_)) {
            let mut status = vec![STATUS];
            status.extend_from_slice(NOT_FOUND.as_bytes());
            let _ = socket.send(Message::Binary(status.into())).await;
            let _ = socket.close(None).await;
            return;
        }
    }
}

/// How long anything of these tests may take at the very most, on a machine that has much else to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
