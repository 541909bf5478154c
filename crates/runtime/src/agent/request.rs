//! Requests of the native API.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Body as HttpBody, Incoming};
use podbay_protocol::agent::{AgentError, AgentErrorCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::connection::AgentConnection;
use crate::error::AgentFailure;

/// How long an answer may take that waits for nothing but the agent itself.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of an answer that is read into memory, at most: a list of a thousand processes with long arguments.
const ANSWER_LIMIT: usize = 16 << 20;
/// Bytes of an error's body that are read.
const ERROR_LIMIT: usize = 64 << 10;

type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// What a request carries.
pub(crate) type Body = BoxBody<Bytes, BodyError>;

/// A body of any kind.
pub(crate) fn body<B>(body: B) -> Body
where
    B: HttpBody<Data = Bytes> + Send + Sync + 'static,
    B::Error: Into<BodyError>,
{
    body.map_err(Into::into).boxed()
}

/// Nothing.
pub(crate) fn empty() -> Body {
    body(Full::default())
}

/// A request with this body.
pub(crate) fn request(method: Method, path: &str, body: Body) -> Result<Request<Body>, AgentFailure> {
    let request = Request::builder().method(method).uri(path).body(body);
    request.map_err(|error| AgentFailure::Unreadable {
        reason: error.to_string(),
    })
}

/// Sends a request, and returns its answer if it is a success. Waits for it as long as the connection lives.
pub(crate) async fn answer(
    connection: &AgentConnection,
    request: Request<Body>,
) -> Result<Response<Incoming>, AgentFailure> {
    let answer = connection.send(request).await?;
    if answer.status().is_success() {
        return Ok(answer);
    }
    Err(refused(answer).await)
}

/// The same, and the whole answer read as JSON, within [`TIMEOUT`].
pub(crate) async fn json<T: DeserializeOwned>(
    connection: &AgentConnection,
    request: Request<Body>,
) -> Result<T, AgentFailure> {
    in_time(async {
        let answer = answer(connection, request).await?;
        read_json(answer.into_body()).await
    })
    .await
}

/// The same, of an answer that says nothing but that it was done.
pub(crate) async fn done(connection: &AgentConnection, request: Request<Body>) -> Result<(), AgentFailure> {
    in_time(async { answer(connection, request).await.map(drop) }).await
}

/// Reads a body as JSON.
pub(crate) async fn read_json<T: DeserializeOwned>(body: Incoming) -> Result<T, AgentFailure> {
    let bytes = Limited::new(body, ANSWER_LIMIT)
        .collect()
        .await
        .map_err(AgentFailure::lost)?
        .to_bytes();
    serde_json::from_slice(&bytes).map_err(|error| AgentFailure::Unreadable {
        reason: error.to_string(),
    })
}

/// A value as a body of JSON.
pub(crate) fn to_json(value: &impl Serialize) -> Result<Body, AgentFailure> {
    match serde_json::to_vec(value) {
        Ok(bytes) => Ok(body(Full::new(Bytes::from(bytes)))),
        Err(error) => Err(AgentFailure::Unreadable {
            reason: error.to_string(),
        }),
    }
}

/// A call that waits for nothing but the agent itself, for [`TIMEOUT`] at most.
pub(crate) async fn in_time<T>(
    call: impl Future<Output = Result<T, AgentFailure>>,
) -> Result<T, AgentFailure> {
    match tokio::time::timeout(TIMEOUT, call).await {
        Ok(answer) => answer,
        Err(_) => Err(AgentFailure::TimedOut {
            seconds: TIMEOUT.as_secs(),
        }),
    }
}

/// What an answer says that is no success.
async fn refused(answer: Response<Incoming>) -> AgentFailure {
    let status = answer.status();
    let read = Limited::new(answer.into_body(), ERROR_LIMIT).collect().await;
    let bytes = match read {
        Ok(body) => body.to_bytes(),
        Err(source) => return AgentFailure::lost(source),
    };
    let error = serde_json::from_slice::<AgentError>(&bytes).unwrap_or_else(|_| {
        // A later agent may have codes that this program does not know: the status tells the rest.
        let code = match status.as_u16() {
            404 => AgentErrorCode::NotFound,
            400..=499 => AgentErrorCode::InvalidRequest,
            _ => AgentErrorCode::Internal,
        };
        AgentError::new(code, format!("status {status}: {}", message(&bytes)))
    });
    AgentFailure::Refused {
        status: status.as_u16(),
        error: Box::new(error),
    }
}

/// The message of an error whose code is not known, or the whole body.
fn message(bytes: &[u8]) -> String {
    let json = serde_json::from_slice::<serde_json::Value>(bytes).unwrap_or_default();
    let said = json.get("message").or_else(|| json.get("detail"));
    match said.and_then(|message| message.as_str()) {
        Some(message) => message.to_owned(),
        None => String::from_utf8_lossy(bytes).trim().to_owned(),
    }
}
