//! Answers, over either protocol.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt as _};
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderValue, Response, StatusCode, Version};
use hyper::body::{Body, Frame, SizeHint};
use podbay_protocol::agent::{AgentError, AgentErrorCode as Code};
use serde::Serialize;

use super::connection::Receipt;

/// An answer.
pub(super) type Answer = Response<AnswerBody>;

/// The body of an answer.
pub(super) enum AnswerBody {
    /// All of it; empty once it is sent.
    Whole(Bytes),
    /// The same, of which somebody wants to know what comes of it.
    Delivered(Bytes, Receipt),
    /// It is made while it is sent.
    Stream(BoxStream<'static, Result<Frame<Bytes>, BrokenAnswer>>),
}

/// The rest of an answer can't be had. The client sees a stream that was reset, or a connection that was closed, in
/// its middle.
#[derive(Debug, thiserror::Error)]
#[error("the answer broke off")]
pub(super) struct BrokenAnswer;

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = BrokenAnswer;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenAnswer>>> {
        match &mut *self {
            Self::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Delivered(bytes, _) if bytes.is_empty() => Poll::Ready(None),
            Self::Delivered(bytes, receipt) => {
                receipt.is_taken();
                Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes)))))
            }
            Self::Stream(stream) => stream.poll_next_unpin(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(bytes) | Self::Delivered(bytes, _) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) | Self::Delivered(bytes, _) => SizeHint::with_exact(bytes.len() as u64),
            Self::Stream(_) => SizeHint::default(),
        }
    }
}

/// An answer of JSON.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    let Ok(text) = serde_json::to_vec(value) else {
        return error(&AgentError::new(
            Code::Internal,
            "the answer can't be written as JSON",
        ));
    };
    of_json(status, text.into())
}

/// An answer of what is JSON already.
pub(super) fn of_json(status: StatusCode, text: Bytes) -> Answer {
    let mut answer = Response::new(AnswerBody::Whole(text));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// An answer without content.
pub(super) fn nothing() -> Answer {
    let mut answer = Response::new(AnswerBody::Whole(Bytes::new()));
    *answer.status_mut() = StatusCode::NO_CONTENT;
    answer
}

/// An answer that is made while it is sent.
pub(super) fn stream(
    content_type: &'static str,
    body: impl futures::Stream<Item = Result<Frame<Bytes>, BrokenAnswer>> + Send + 'static,
) -> Answer {
    let mut answer = Response::new(AnswerBody::Stream(body.boxed()));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// The answer that tells an error.
pub(super) fn error(error: &AgentError) -> Answer {
    let mut answer = json(status(error.code), error);
    if let Some(size) = error.size
        && let Ok(range) = HeaderValue::try_from(format!("bytes */{size}"))
    {
        answer.headers_mut().insert(CONTENT_RANGE, range);
    }
    answer
}

/// The answer to one who does not ask for a WebSocket, or for one of another version (RFC 9110, 15.5.22; RFC 6455, 4.4). HTTP/2 has
/// no such header (RFC 9113, 8.2.2).
pub(super) fn upgrade_required(error: &AgentError, version: Version) -> Answer {
    let mut answer = self::error(error);
    let headers = answer.headers_mut();
    if version < Version::HTTP_2 {
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    }
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    answer
}

/// The answer to a method that a path does not have.
pub(super) fn method_not_allowed(allowed: &'static str) -> Answer {
    let message = format!("the path has the methods {allowed}");
    let mut answer = error(&AgentError::new(Code::MethodNotAllowed, message));
    answer
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(allowed));
    answer
}

/// The same answer without its body, as `HEAD` gets it.
pub(super) fn without_body(answer: Answer) -> Answer {
    let (mut head, body) = answer.into_parts();
    if let Some(length) = body.size_hint().exact() {
        head.headers
            .entry(CONTENT_LENGTH)
            .or_insert_with(|| HeaderValue::from(length));
    }
    Response::from_parts(head, AnswerBody::Whole(Bytes::new()))
}

/// What is never an error, as hyper's services have it.
pub(super) type Served = Result<Answer, Infallible>;

/// The status that goes with a code.
pub(super) const fn status(code: Code) -> StatusCode {
    match code {
        Code::Unauthorized => StatusCode::UNAUTHORIZED,
        Code::UnknownPath | Code::UnknownProcess | Code::NotFound => StatusCode::NOT_FOUND,
        Code::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Code::InvalidRequest
        | Code::BodyCut
        | Code::NameTooLong
        | Code::LinkLoop
        | Code::ArchiveMalformed => StatusCode::BAD_REQUEST,
        Code::BodyTooLarge | Code::OverLimit => StatusCode::PAYLOAD_TOO_LARGE,
        Code::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
        Code::Busy | Code::TransferBusy => StatusCode::SERVICE_UNAVAILABLE,
        Code::OutputGone => StatusCode::GONE,
        Code::PermissionDenied | Code::ReadOnly => StatusCode::FORBIDDEN,
        Code::NoSpace => StatusCode::INSUFFICIENT_STORAGE,
        Code::RangeNotSatisfiable => StatusCode::RANGE_NOT_SATISFIABLE,
        Code::HashMismatch | Code::ArchiveRefused | Code::SpecialFile => StatusCode::UNPROCESSABLE_ENTITY,
        Code::IdTaken
        | Code::OtherReader
        | Code::StdinGap
        | Code::StdinClosed
        | Code::NoTerminal
        | Code::ProcessEnded
        | Code::NotADirectory
        | Code::IsADirectory
        | Code::Exists
        | Code::NotEmpty
        | Code::InUse
        | Code::OtherFilesystem
        | Code::Changed
        | Code::TransferGap => StatusCode::CONFLICT,
        Code::UpgradeRequired => StatusCode::UPGRADE_REQUIRED,
        Code::Internal | Code::Io | Code::NotStarted => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The same answer; `kept` is dropped once it is sent, or given up.
pub(super) fn keeping<T: Send + 'static>(answer: Answer, kept: T) -> Answer {
    answer.map(|body| match body {
        AnswerBody::Stream(stream) => AnswerBody::Stream(
            stream
                .inspect(move |_| {
                    let _ = &kept;
                })
                .boxed(),
        ),
        whole => whole,
    })
}

/// The same answer, with somebody who wants to know what comes of it.
pub(super) fn delivered(answer: Answer, receipt: Receipt) -> Answer {
    answer.map(|body| match body {
        AnswerBody::Whole(bytes) => AnswerBody::Delivered(bytes, receipt),
        other => other,
    })
}
