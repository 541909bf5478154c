//! The body of a request to the API: small, and all of it in time.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use super::error::Refusal;

/// How long it may take to arrive.
const PATIENCE: Duration = Duration::from_secs(30);

/// Reads a body of no more than `limit` bytes.
pub(super) async fn read<B>(body: B, limit: usize) -> Result<Bytes, Refusal>
where
    B: http_body::Body + Send,
    B::Data: Send,
    B::Error: std::fmt::Display,
{
    let body = body.map_err(|error| std::io::Error::other(error.to_string()));
    let read = tokio::time::timeout(PATIENCE, std::pin::pin!(Limited::new(body, limit)).collect()).await;
    match read {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the body has more than {limit} bytes (serve.api_body_bytes)"),
        )),
        Ok(Err(error)) => Err(Refusal::new(
            StatusCode::BAD_REQUEST,
            format!("the body broke off: {error}"),
        )),
        Err(_) => Err(Refusal::new(
            StatusCode::REQUEST_TIMEOUT,
            "the body did not come in time",
        )),
    }
}
