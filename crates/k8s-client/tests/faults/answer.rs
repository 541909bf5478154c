//! What the server sends for one request, and the objects in it.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::Notify;

/// The acts of one answer. The connection serves on after the last one unless that ends it.
#[derive(Clone, Default)]
pub(crate) struct Answer {
    pub(crate) acts: Vec<Act>,
}

/// One act.
#[derive(Clone)]
pub(crate) enum Act {
    /// Bytes, at once.
    Send(Vec<u8>),
    /// Bytes, so many at a time.
    Drip(Vec<u8>, usize),
    /// The same bytes without end.
    Flood(Vec<u8>),
    /// Nothing until the test says so.
    Until(Arc<Notify>),
    /// Nothing, for ever.
    Stall,
    /// The connection is closed (FIN).
    Close,
    /// The connection is reset (RST).
    Reset,
}

impl Answer {
    /// These bytes, as they are.
    pub(crate) fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            acts: vec![Act::Send(bytes.into())],
        }
    }

    /// No byte: the request was read, and then `act`.
    pub(crate) fn only(act: Act) -> Self {
        Self { acts: vec![act] }
    }

    /// A whole answer with these headers (lines that end with CRLF).
    pub(crate) fn whole(code: u16, headers: &str, body: &[u8]) -> Self {
        let mut bytes = head(code, headers, body.len());
        bytes.extend_from_slice(body);
        Self::raw(bytes)
    }

    /// A JSON answer.
    pub(crate) fn json(code: u16, body: &Value) -> Self {
        Self::whole(
            code,
            "Content-Type: application/json\r\n",
            body.to_string().as_bytes(),
        )
    }

    /// A `metav1.Status` of a failure.
    pub(crate) fn status(code: u16, reason: &str, message: &str) -> Self {
        Self::json(code, &status(code, reason, message))
    }

    /// The head of a JSON answer and as many bytes of its body as said.
    pub(crate) fn part(code: u16, body: &Value, bytes: usize) -> Self {
        let body = body.to_string();
        let mut answer = head(code, "", body.len());
        answer.extend_from_slice(&body.as_bytes()[..bytes]);
        Self::raw(answer)
    }

    /// The head of a chunked answer, which is how a watch begins.
    pub(crate) fn chunked() -> Self {
        Self::raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    }

    /// A watch that sends these events, a chunk each, and goes on as said by what follows.
    pub(crate) fn events(events: impl IntoIterator<Item = Value>) -> Self {
        events
            .into_iter()
            .fold(Self::chunked(), |answer, event| answer.event(&event))
    }

    /// One more event of a watch.
    pub(crate) fn event(self, event: &Value) -> Self {
        self.chunk(format!("{event}\n").as_bytes())
    }

    /// One more chunk.
    pub(crate) fn chunk(self, bytes: &[u8]) -> Self {
        self.then(Act::Send(chunk(bytes)))
    }

    /// The last chunk: the end as the protocol has it.
    pub(crate) fn end(self) -> Self {
        self.then(Act::Send(b"0\r\n\r\n".to_vec()))
    }

    /// One more act.
    pub(crate) fn then(mut self, act: Act) -> Self {
        self.acts.push(act);
        self
    }

    /// The same bytes, but so many at a time.
    pub(crate) fn dripping(self, size: usize) -> Self {
        let drip = |act| match act {
            Act::Send(bytes) => Act::Drip(bytes, size),
            other => other,
        };
        Self {
            acts: self.acts.into_iter().map(drip).collect(),
        }
    }
}

fn head(code: u16, headers: &str, length: usize) -> Vec<u8> {
    format!("HTTP/1.1 {code} X\r\n{headers}Content-Length: {length}\r\n\r\n").into_bytes()
}

/// A chunk of a chunked body (RFC 9112, section 7.1).
pub(crate) fn chunk(bytes: &[u8]) -> Vec<u8> {
    let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
    chunk.extend_from_slice(bytes);
    chunk.extend_from_slice(b"\r\n");
    chunk
}

/// A `metav1.Status` of a failure.
pub(crate) fn status(code: u16, reason: &str, message: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason,
        "message": message, "metadata": {}})
}

/// A pod at a version.
pub(crate) fn pod(name: &str, version: &str) -> Value {
    json!({"kind": "Pod", "apiVersion": "v1", "metadata": {"name": name, "namespace": "team", "uid": name,
        "resourceVersion": version}})
}

/// The same with an annotation `note`.
pub(crate) fn noted(name: &str, version: &str, note: &str) -> Value {
    let mut pod = pod(name, version);
    pod["metadata"]["annotations"] = json!({"note": note});
    pod
}

/// A list of pods at a version, with the token of its next page.
pub(crate) fn list(version: &str, next: &str, pods: &[Value]) -> Value {
    json!({"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": version, "continue": next},
        "items": pods})
}

/// A watch event.
pub(crate) fn event(kind: &str, object: &Value) -> Value {
    json!({"type": kind, "object": object})
}

/// A bookmark.
pub(crate) fn bookmark(version: &str) -> Value {
    event(
        "BOOKMARK",
        &json!({"kind": "Pod", "apiVersion": "v1", "metadata": {"resourceVersion": version}}),
    )
}
