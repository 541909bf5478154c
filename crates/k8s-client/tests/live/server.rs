//! An API server that answers as its script says.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// What to do with the next request.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// A whole answer.
    Json(u16, Value),
    /// The same with one more header.
    JsonWith(u16, &'static str, &'static str, Value),
    /// Not JSON, as a proxy in between answers.
    Text(u16, &'static str),
    /// Watch events, then as said.
    Events(Vec<Value>, Then),
    /// The connection is closed without an answer.
    Close,
    /// No answer, for ever.
    Silence,
}

/// How a watch ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Then {
    /// As the protocol has it.
    End,
    /// In the middle of a line.
    Cut,
    /// Never: nothing more comes.
    Stall,
}

/// A running server.
pub(crate) struct Server {
    pub(crate) port: u16,
    requests: Arc<Mutex<Vec<String>>>,
    task: AbortHandle,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// One that answers its requests in the script's order, and `503` after its end.
    pub(crate) async fn start(script: impl IntoIterator<Item = Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let script: Arc<Mutex<VecDeque<Answer>>> = Arc::new(Mutex::new(script.into_iter().collect()));
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let seen = Arc::clone(&requests);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&script), Arc::clone(&seen)));
            }
        });
        Self {
            port,
            requests,
            task: task.abort_handle(),
        }
    }

    /// The requests so far, `METHOD path?query`.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

async fn serve(mut stream: TcpStream, script: Arc<Mutex<VecDeque<Answer>>>, seen: Arc<Mutex<Vec<String>>>) {
    let mut buffer = Vec::new();
    while let Some(line) = request(&mut stream, &mut buffer).await {
        seen.lock().unwrap().push(line);
        let answer = script.lock().unwrap().pop_front();
        let goes_on = match answer.unwrap_or_else(|| Answer::Json(503, status(503, "", "script's end"))) {
            Answer::Json(code, body) => whole(&mut stream, code, "X-None: 0", &body.to_string()).await,
            Answer::JsonWith(code, name, value, body) => {
                whole(&mut stream, code, &format!("{name}: {value}"), &body.to_string()).await
            }
            Answer::Text(code, body) => whole(&mut stream, code, "X-None: 0", body).await,
            Answer::Events(events, then) => {
                watch(&mut stream, events, then).await;
                false
            }
            Answer::Close => false,
            Answer::Silence => std::future::pending().await,
        };
        if !goes_on {
            return;
        }
    }
}

/// Reads one request with its body; its first line without the version.
async fn request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<String> {
    let mut piece = [0; 8192];
    let head = loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break String::from_utf8(buffer.drain(..end + 4).collect()).unwrap();
        }
        let n = stream.read(&mut piece).await.ok().filter(|n| *n > 0)?;
        buffer.extend_from_slice(&piece[..n]);
    };
    let length = head
        .lines()
        .find_map(|line| {
            line.to_ascii_lowercase()
                .strip_prefix("content-length: ")
                .map(str::to_owned)
        })
        .map_or(0, |length| length.parse().unwrap());
    while buffer.len() < length {
        let n = stream.read(&mut piece).await.ok().filter(|n| *n > 0)?;
        buffer.extend_from_slice(&piece[..n]);
    }
    buffer.drain(..length);
    let line = head.lines().next().unwrap();
    Some(line.trim_end_matches(" HTTP/1.1").to_owned())
}

async fn whole(stream: &mut TcpStream, code: u16, header: &str, body: &str) -> bool {
    let length = body.len();
    let answer = format!("HTTP/1.1 {code} X\r\nContent-Length: {length}\r\n{header}\r\n\r\n{body}");
    stream.write_all(answer.as_bytes()).await.is_ok()
}

async fn watch(stream: &mut TcpStream, events: Vec<Value>, then: Then) {
    let mut answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned();
    for event in events {
        let line = format!("{event}\n");
        answer.push_str(&format!("{:x}\r\n{line}\r\n", line.len()));
    }
    match then {
        Then::End => answer.push_str("0\r\n\r\n"),
        Then::Cut => answer.push_str("40\r\n{\"type\":\"MODI"),
        Then::Stall => {}
    }
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.flush().await;
    if matches!(then, Then::Stall) {
        std::future::pending::<()>().await;
    }
}

/// A `metav1.Status` of a failure.
pub(crate) fn status(code: u16, reason: &str, message: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason,
        "message": message, "metadata": {}})
}

/// A pod at a version.
pub(crate) fn pod(name: &str, version: &str) -> Value {
    json!({"kind": "Pod", "apiVersion": "v1", "metadata": {"name": name, "namespace": "team", "uid": name,
        "resourceVersion": version, "managedFields": [{"manager": "x"}]}})
}

/// A list of pods at a version.
pub(crate) fn list(version: &str, next: &str, pods: &[Value]) -> Value {
    json!({"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": version, "continue": next},
        "items": pods})
}

/// A watch event.
pub(crate) fn event(kind: &str, object: &Value) -> Value {
    json!({"type": kind, "object": object})
}
