//! What the API answers of a session: one object for all routes and all generations of clients.
//!
//! Newer clients read it strictly: identifiers, key, URL and status are texts or null, never numbers.

use std::collections::BTreeMap;

use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use serde::Serialize;

use crate::body::Body;

/// An answer of the API.
pub(crate) type Answer = Response<Body>;

/// A session, as clients know it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct SessionAnswer {
    /// The id that the service chose, the same for the life of the session, also over a pause.
    pub(crate) runtime_id: String,
    /// The same, as old SDKs have it.
    pub(crate) id: String,
    /// The id that the client chose, as it wrote it.
    pub(crate) session_id: String,
    /// Where the session's server is reached, without a slash at its end; from the first answer on.
    pub(crate) url: String,
    /// What its server wants in `X-Session-API-Key`. Null only where the key can't be read now.
    pub(crate) session_api_key: Option<String>,
    /// Which port of the sandbox a URL leads to.
    pub(crate) work_hosts: BTreeMap<String, u16>,
    /// `starting`, `running`, `paused`, `stopped`, `error`.
    pub(crate) status: &'static str,
    /// `pending`, `running`, `ready`, `failed`, `unknown`, `crashloopbackoff`, `not found`.
    pub(crate) pod_status: &'static str,
    /// In words, what there is to say beyond that: why it failed, what it has other than asked.
    pub(crate) status_detail: Option<String>,
    /// How often its container was started again.
    pub(crate) restart_count: u32,
    /// Why it ended before.
    pub(crate) restart_reasons: Vec<String>,
    /// States of its containers, in words.
    pub(crate) container_statuses: Vec<String>,
    /// What the cluster has told of its pod.
    pub(crate) events: Vec<String>,
    /// The last lines of its log, of one that failed.
    pub(crate) pod_logs: String,
    /// Its image.
    pub(crate) image: String,
    /// When it was created (RFC 3339).
    pub(crate) created_at: Option<String>,
    /// What its resources were multiplied with.
    pub(crate) resource_factor: u32,
    /// Who serves in it: `v0` OpenHands' V0 clients, `v1` OpenHands' agent-server, `image` what the image starts by itself,
    /// `command` a command that the agent runs, `none` nobody.
    pub(crate) kind: &'static str,
}

/// An answer of JSON.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    // Only a map whose keys are no text can't be written.
    let text = serde_json::to_vec(value).unwrap_or_default();
    let mut answer = Response::new(Body::from(text));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // It may hold a key.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The contract's fields and their types, in each answer.
    #[test]
    fn each_field_is_there_with_its_type() {
        let answer = SessionAnswer {
            runtime_id: "a".repeat(32),
            id: "a".repeat(32),
            session_id: "My Session".to_owned(),
            url: "http://a.localhost".to_owned(),
            session_api_key: None,
            work_hosts: BTreeMap::from([("http://work-1-a.localhost".to_owned(), 12_000)]),
            status: "starting",
            pod_status: "pending",
            status_detail: None,
            restart_count: 0,
            restart_reasons: Vec::new(),
            container_statuses: Vec::new(),
            events: Vec::new(),
            pod_logs: String::new(),
            image: "debian:12".to_owned(),
            created_at: None,
            resource_factor: 1,
            kind: "v0",
        };
        let value = serde_json::to_value(answer).unwrap();
        for text in [
            "runtime_id",
            "id",
            "session_id",
            "url",
            "status",
            "pod_status",
            "pod_logs",
            "image",
            "kind",
        ] {
            assert!(value[text].is_string(), "{text}");
        }
        for text in ["session_api_key", "status_detail", "created_at"] {
            assert!(value.get(text).is_some_and(serde_json::Value::is_null), "{text}");
        }
        for list in ["restart_reasons", "container_statuses", "events"] {
            assert!(value[list].is_array(), "{list}");
        }
        assert!(value["restart_count"].is_u64() && value["resource_factor"].is_u64());
        assert_eq!(value["work_hosts"]["http://work-1-a.localhost"], 12_000);
        assert_eq!(value["id"], value["runtime_id"]);
    }
}
