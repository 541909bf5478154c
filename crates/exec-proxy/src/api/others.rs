//! What the API is asked beside sessions: images, builds, and whether it lives.

use http::StatusCode;
use serde_json::json;

use super::answer::{Answer, json};
use super::error::Refusal;
use super::start::{HOST_IMAGE, StartPolicy};

/// What the API is, for programs. Written by hand beside the routes; a test holds the two together.
const OPENAPI: &str = include_str!("openapi.json");

/// There is no registry to push to: nothing is built here.
pub(super) fn registry_prefix() -> Result<Answer, Refusal> {
    Err(not_built())
}

/// Images are not built here.
pub(super) fn build() -> Result<Answer, Refusal> {
    Err(not_built())
}

fn not_built() -> Refusal {
    Refusal::new(
        StatusCode::NOT_IMPLEMENTED,
        "this service builds no images: build and push the image yourself, and name it to the client \
         (SANDBOX_RUNTIME_CONTAINER_IMAGE)",
    )
}

/// Whether there is such an image. Of a registry nobody is asked here, so that the answer is that it is not known.
pub(super) fn image_exists(image: Option<String>, policy: &StartPolicy) -> Result<Answer, Refusal> {
    let Some(image) = image.filter(|image| !image.trim().is_empty()) else {
        return Err(Refusal::invalid("the parameter image is missing"));
    };
    if policy.on_this_machine {
        return Ok(json(
            StatusCode::OK,
            &json!({"exists": image == HOST_IMAGE, "image": null}),
        ));
    }
    Err(Refusal::new(
        StatusCode::NOT_IMPLEMENTED,
        format!(
            "whether there is an image {image:?} is not known: this service asks no registry; a start tells"
        ),
    ))
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
