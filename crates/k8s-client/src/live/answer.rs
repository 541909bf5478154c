//! Answers as they come from the wire, made into what kube reads well: refusals into a `Status` that bears the
//! HTTP code and the `Retry-After` of the headers, bodies into bounded ones.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, LOCATION, RETRY_AFTER};
use http::response::Parts;
use http::{HeaderMap, Response, StatusCode, Uri};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Frame, SizeHint};
use kube::core::Status;
use kube::core::response::StatusDetails;
use tower::BoxError;

/// Bytes of one answer. A page has at most 500 objects; 128 KiB for each of them is far more than they have.
const LARGEST_ANSWER: usize = 64 << 20;

/// Bytes of one watch event. An object is at most 1.5 MiB (etcd's limit for a request) before JSON escapes it.
const LARGEST_EVENT: usize = 16 << 20;

/// Bytes of a refusal. A `Status` is a few hundred; a proxy's page some thousands.
const LARGEST_REFUSAL: usize = 1 << 20;

/// Bytes of a proxy's page that stand in an error's message.
const LONGEST_EXCERPT: usize = 500;

/// A body as it comes from the wire.
pub(super) type AnswerBody = UnsyncBoxBody<Bytes, BoxError>;

/// What the body of a success is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// One JSON document.
    Document,
    /// Watch events, a line each.
    Lines,
    /// A container's log, of any length.
    Log,
}

impl Expected {
    /// By the URL of the request.
    pub(super) fn of(uri: &Uri) -> Self {
        let watches = uri
            .query()
            .is_some_and(|query| query.split('&').any(|pair| pair == "watch=true"));
        if watches {
            Self::Lines
        } else if uri.path().ends_with("/log") {
            Self::Log
        } else {
            Self::Document
        }
    }

    /// How many bytes there may be, and whether it is of each line.
    const fn bound(self) -> Option<usize> {
        match self {
            Self::Document => Some(LARGEST_ANSWER),
            Self::Lines => Some(LARGEST_EVENT),
            Self::Log => None,
        }
    }
}

/// An answer that was given up.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub(super) struct Unread {
    /// The status it came with.
    pub(super) status: StatusCode,
    why: String,
}

impl Unread {
    fn too_large(status: StatusCode, limit: usize) -> Self {
        Self {
            status,
            why: format!("with more than {} MiB, which were not read", limit >> 20),
        }
    }
}

/// Reads the head of an answer, and the whole of a refusal.
pub(super) async fn read(
    answer: Response<AnswerBody>,
    expected: Expected,
) -> Result<Response<AnswerBody>, BoxError> {
    let (parts, body) = answer.into_parts();
    let status = parts.status;
    if status.is_client_error() || status.is_server_error() {
        return Ok(refusal(parts, body).await);
    }
    if status.is_redirection() {
        // Followed nowhere: the credentials are for this server alone.
        return Err(kube::Error::Api(redirect(&parts).boxed()).into());
    }
    if !status.is_success() {
        // A switch of protocols.
        return Ok(Response::from_parts(parts, body));
    }
    if let Some(encoding) = encoding(&parts.headers) {
        let why =
            format!("with a body in {encoding}, which was not asked for (is there a proxy in between?)");
        return Err(Unread { status, why }.into());
    }
    let Some(limit) = expected.bound() else {
        return Ok(Response::from_parts(parts, body));
    };
    if expected == Expected::Document && body.size_hint().lower() > limit as u64 {
        return Err(Unread::too_large(status, limit).into());
    }
    let bounded = Bounded {
        body,
        status,
        expected,
        limit,
        read: 0,
    };
    Ok(Response::from_parts(parts, bounded.boxed_unsync()))
}

/// The encoding of a body that is encoded.
fn encoding(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_ENCODING)?;
    let name = String::from_utf8_lossy(value.as_bytes())
        .trim()
        .to_ascii_lowercase();
    (!name.is_empty() && name != "identity").then_some(name)
}

/// The `Status` that a redirect amounts to. The place it names is not told: it may have secrets in its query.
fn redirect(parts: &Parts) -> Status {
    let host = parts
        .headers
        .get(LOCATION)
        .and_then(|place| place.to_str().ok()?.parse::<Uri>().ok())
        .and_then(|place| place.host().map(|host| format!(" to {host}")))
        .unwrap_or_default();
    let message = format!("a redirect{host}, which is not followed: is this the API server's address?");
    Status::failure(&message, "").with_code(parts.status.as_u16())
}

/// A refusal with a `Status` for a body, whatever its own was: Priority and Fairness answers in words and a
/// header, proxies in pages.
async fn refusal(mut parts: Parts, body: AnswerBody) -> Response<AnswerBody> {
    let mut status = match encoding(&parts.headers) {
        Some(encoding) => Status::failure(
            &format!("(its words are in {encoding}, which was not asked for)"),
            "",
        ),
        None => words(body).await,
    };
    // The code on the wire, also where the body claims another.
    status.code = parts.status.as_u16();
    if let Some(seconds) = retry_after(&parts.headers) {
        let details = status.details.get_or_insert_with(|| StatusDetails {
            name: String::new(),
            group: String::new(),
            kind: String::new(),
            uid: String::new(),
            causes: Vec::new(),
            retry_after_seconds: 0,
        });
        details.retry_after_seconds = details.retry_after_seconds.max(seconds);
    }
    parts.headers.remove(CONTENT_ENCODING);
    parts.headers.remove(CONTENT_LENGTH);
    let body = serde_json::to_vec(&status).unwrap_or_default();
    let body = Full::new(Bytes::from(body)).map_err(|never| match never {});
    Response::from_parts(parts, body.boxed_unsync())
}

/// What the body of a refusal says. One that can't be read to its end is a refusal still.
async fn words(mut body: AnswerBody) -> Status {
    let mut text = Vec::new();
    while let Some(Ok(frame)) = body.frame().await {
        if let Some(data) = frame.data_ref() {
            text.extend_from_slice(data);
        }
        if text.len() > LARGEST_REFUSAL {
            let why = format!("(its words are longer than {} MiB)", LARGEST_REFUSAL >> 20);
            return Status::failure(&why, "");
        }
    }
    // Any JSON object at all would pass for a Status.
    let is_status = serde_json::from_slice::<serde_json::Value>(&text)
        .is_ok_and(|value| value.get("kind").is_some_and(|kind| kind == "Status"));
    match serde_json::from_slice::<Status>(&text) {
        Ok(status) if is_status => status,
        _ => Status::failure(excerpt(&String::from_utf8_lossy(&text)), ""),
    }
}

/// The beginning of a text, not in the middle of a character.
fn excerpt(text: &str) -> &str {
    let text = text.trim();
    let end = (0..=LONGEST_EXCERPT.min(text.len()))
        .rev()
        .find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or_default()).unwrap_or_default()
}

/// `Retry-After` in seconds; its other form, a date, no API server sends.
fn retry_after(headers: &HeaderMap) -> Option<u32> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()
}

/// A body that fails beyond its bound.
struct Bounded {
    body: AnswerBody,
    status: StatusCode,
    expected: Expected,
    limit: usize,
    /// Bytes of the document, or of the current line, so far.
    read: usize,
}

impl Body for Bounded {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            let last_break = match self.expected {
                Expected::Lines => data.iter().rposition(|byte| *byte == b'\n'),
                Expected::Document | Expected::Log => None,
            };
            self.read = match last_break {
                Some(at) => data.len() - at - 1,
                None => self.read.saturating_add(data.len()),
            };
            if self.read > self.limit {
                return Poll::Ready(Some(Err(Unread::too_large(self.status, self.limit).into())));
            }
        }
        Poll::Ready(frame)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}
