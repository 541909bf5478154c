//! What the API is asked beside sessions: builds, and whether it lives.

use http::StatusCode;
use serde_json::json;

use super::answer::{Answer, json};
use super::error::Refusal;

/// What the API is, for programs. Written by hand beside the routes; a test holds the two together.
const OPENAPI: &str = include_str!("openapi.json");

/// Images are not built here.
pub(super) fn build() -> Result<Answer, Refusal> {
    Err(not_built())
}

pub(super) fn not_built() -> Refusal {
    Refusal::new(
        StatusCode::NOT_IMPLEMENTED,
        "this service builds no images: build and push the image yourself, and name it to the client \
         (SANDBOX_RUNTIME_CONTAINER_IMAGE)",
    )
}

/// The service lives.
pub(super) fn alive() -> Answer {
    json(StatusCode::OK, &json!({"status": "ok"}))
}

/// Whether the service can tell which sessions there are.
pub(super) fn ready(is_ready: bool) -> Answer {
    if is_ready {
        json(StatusCode::OK, &json!({"status": "ready"}))
    } else {
        Refusal::unavailable(
            "the sessions are not known: the cluster has not answered yet, or no longer does",
        )
        .answer()
    }
}

/// The description of the API.
pub(super) fn openapi() -> Answer {
    let document: serde_json::Value = serde_json::from_str(OPENAPI).unwrap_or_default();
    json(StatusCode::OK, &document)
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::super::route::Route;
    use super::*;

    #[test]
    fn the_description_has_the_routes_and_no_others() {
        let document: serde_json::Value = serde_json::from_str(OPENAPI).unwrap();
        let paths = document["paths"].as_object().unwrap();
        assert_eq!(paths.len(), 17);
        for (path, operations) in paths {
            let concrete = path.replace("{session_id}", "a").replace("{runtime_id}", "a");
            for (method, operation) in operations.as_object().unwrap() {
                let method: Method = method.to_uppercase().parse().unwrap();
                let route = Route::find(&method, &concrete, None).unwrap();
                let is_open = operation["security"] == json!([]);
                assert_eq!(route.is_open(), is_open, "{method} {path}");
            }
        }
    }
}
