//! The body of a request, over either protocol.

use std::future::poll_fn;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body_util::BodyExt as _;
use podbay_protocol::agent::{AgentError, AgentErrorCode};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::http2::StreamBody;
use super::query::invalid;

/// Bytes of a body of JSON, at most: arguments and environment of a process take 2 MiB on Linux, and escapes.
const JSON_LIMIT: usize = 4 << 20;
/// How long a small body may take to arrive.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long nothing of a large body may arrive before its client is taken for gone.
const STALL: Duration = Duration::from_secs(120);

/// The body of a request.
#[derive(Debug)]
pub(super) struct RequestBody {
    source: Source,
    /// What came after it, over HTTP/1.1.
    trailers: Option<HeaderMap>,
    /// How long it says it is.
    length: Option<u64>,
}

#[derive(Debug)]
enum Source {
    Http1(hyper::body::Incoming),
    Http2(StreamBody),
}

/// What is wrong with a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BrokenBody {
    /// The connection or the stream was closed, or what came is not what the protocol allows.
    Cut,
    /// Nothing came for long.
    Stalled,
}

impl From<BrokenBody> for AgentError {
    fn from(broken: BrokenBody) -> Self {
        match broken {
            BrokenBody::Cut => Self::new(AgentErrorCode::BodyCut, "the body of the request broke off"),
            BrokenBody::Stalled => Self::new(
                AgentErrorCode::BodyTimeout,
                "the body of the request did not come in time",
            ),
        }
    }
}

impl RequestBody {
    /// One that comes over HTTP/1.1.
    pub(super) fn of_http1(body: hyper::body::Incoming) -> Self {
        let length = hyper::body::Body::size_hint(&body).exact();
        Self {
            source: Source::Http1(body),
            trailers: None,
            length,
        }
    }

    /// One that comes over HTTP/2, and says in a header how long it is.
    pub(super) const fn of_http2(body: StreamBody, length: Option<u64>) -> Self {
        Self {
            source: Source::Http2(body),
            trailers: None,
            length,
        }
    }

    /// The next bytes; `None` at the end of a body that is whole.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, BrokenBody> {
        timeout(STALL, self.next_data())
            .await
            .unwrap_or(Err(BrokenBody::Stalled))
    }

    async fn next_data(&mut self) -> Result<Option<Bytes>, BrokenBody> {
        loop {
            let data = match &mut self.source {
                Source::Http2(body) => return poll_fn(|cx| body.poll_data(cx)).await,
                Source::Http1(body) => match body.frame().await {
                    None => return Ok(None),
                    Some(frame) => frame.map_err(|_| BrokenBody::Cut)?.into_data(),
                },
            };
            match data {
                Ok(data) => return Ok(Some(data)),
                Err(frame) => self.trailers = frame.into_trailers().ok(),
            }
        }
    }

    /// A trailer of a body that was read to its end.
    pub(super) async fn trailer(&mut self, name: &str) -> Result<Option<String>, BrokenBody> {
        if let Source::Http2(body) = &mut self.source {
            let trailers = timeout(PATIENCE, poll_fn(|cx| body.poll_trailers(cx))).await;
            self.trailers = trailers.unwrap_or(Err(BrokenBody::Stalled))?;
        }
        let value = self.trailers.as_ref().and_then(|trailers| trailers.get(name));
        Ok(value.and_then(|value| value.to_str().ok()).map(str::to_owned))
    }

    /// All of a small body.
    pub(super) async fn collect(mut self, limit: usize) -> Result<Bytes, AgentError> {
        let too_large = || {
            let message = format!("the body has more than {limit} bytes, which is the limit here");
            AgentError::new(AgentErrorCode::BodyTooLarge, message)
        };
        if self.length.is_some_and(|length| length > limit as u64) {
            return Err(too_large());
        }
        let collected = async {
            let mut all = BytesMut::new();
            while let Some(piece) = self.next_data().await? {
                if all.len() + piece.len() > limit {
                    return Err(too_large());
                }
                all.extend_from_slice(&piece);
            }
            Ok(all.freeze())
        };
        timeout(PATIENCE, collected)
            .await
            .unwrap_or(Err(BrokenBody::Stalled.into()))
    }

    /// A body of JSON.
    pub(super) async fn json<T: DeserializeOwned>(self) -> Result<T, AgentError> {
        self.json_within(JSON_LIMIT).await
    }

    /// A body of JSON of at most so many bytes.
    pub(super) async fn json_within<T: DeserializeOwned>(self, limit: usize) -> Result<T, AgentError> {
        let body = self.collect(limit).await?;
        serde_json::from_slice(&body)
            .map_err(|error| invalid(format!("the body is not the JSON it should be: {error}")))
    }
}
