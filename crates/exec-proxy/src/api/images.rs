//! Whether there is an image, and where images are pushed to: what OpenHands' V0 builder asks.

use http::StatusCode;
use serde_json::json;

use super::Api;
use super::answer::{Answer, json};
use super::error::Refusal;
use super::others::not_built;
use super::start::HOST_IMAGE;
use crate::registry::{Found, NotTold};

impl Api {
    /// `GET /registry_prefix`: where those who build push to, if that is configured. Nothing is built here.
    pub(super) fn registry_prefix(&self) -> Result<Answer, Refusal> {
        match &self.registry_prefix {
            Some(prefix) => Ok(json(StatusCode::OK, &json!({"registry_prefix": prefix}))),
            None => Err(not_built()),
        }
    }

    /// `GET /image_exists`: what the registry says, or that it is not known.
    pub(super) async fn image_exists(&self, image: Option<String>) -> Result<Answer, Refusal> {
        let Some(image) = image.filter(|image| !image.trim().is_empty()) else {
            return Err(Refusal::invalid("the parameter image is missing"));
        };
        if self.policy.on_this_machine {
            return Ok(json(
                StatusCode::OK,
                &json!({"exists": image == HOST_IMAGE, "image": null}),
            ));
        }
        let Some(registries) = &self.registries else {
            return Err(Refusal::new(
                StatusCode::NOT_IMPLEMENTED,
                format!(
                    "whether there is an image {image:?} is not known: this service asks no registry; a start tells"
                ),
            ));
        };
        match registries.look(&image).await {
            Ok(Found::Missing) => Ok(json(StatusCode::OK, &json!({"exists": false, "image": null}))),
            // V0's builder reckons with the size. When it was uploaded registries do not tell.
            Ok(Found::There { digest, bytes }) => Ok(json(
                StatusCode::OK,
                &json!({
                    "exists": true,
                    "image": {
                        "upload_time": null,
                        "image_size_bytes": bytes.unwrap_or_default(),
                        "digest": digest,
                    },
                }),
            )),
            Err(error) => Err(refusal(&error)),
        }
    }
}

fn refusal(error: &NotTold) -> Refusal {
    let status = match error {
        NotTold::Image(_) => StatusCode::UNPROCESSABLE_ENTITY,
        NotTold::NotListed { .. } => StatusCode::NOT_IMPLEMENTED,
        NotTold::Unknown { .. } => StatusCode::SERVICE_UNAVAILABLE,
    };
    Refusal::new(status, error.to_string())
}
