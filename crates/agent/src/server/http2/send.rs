//! An answer on a stream, as far as the client's windows let it.

use std::future::poll_fn;
use std::pin::pin;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, SendStream};
use http_body_util::BodyExt as _;
use hyper::body::Body as _;

use super::super::answer::{Answer, AnswerBody};

/// Sends an answer. The stream always ends: with the body's end, or with a reset where the body broke off.
pub(super) async fn send(mut respond: SendResponse<Bytes>, answer: Answer) {
    let (head, body) = answer.into_parts();
    // A body that was read from here is not written yet.
    let (body, mut receipt) = match body {
        AnswerBody::Delivered(bytes, receipt) => (AnswerBody::Whole(bytes), Some(receipt)),
        other => (other, None),
    };
    let head = http::Response::from_parts(head, ());
    let is_empty = body.is_end_stream();
    // Fails only if the stream was reset, and then nobody listens.
    let Ok(mut stream) = respond.send_response(head, is_empty) else {
        return;
    };
    if is_empty {
        return;
    }
    let mut body = pin!(body);
    loop {
        let frame = tokio::select! {
            frame = body.frame() => frame,
            _ = poll_fn(|cx| stream.poll_reset(cx)) => return,
        };
        let frame = match frame {
            None => {
                let _ = stream.send_data(Bytes::new(), true);
                return;
            }
            Some(Err(error)) => {
                tracing::debug!(%error, "a stream is reset");
                stream.send_reset(Reason::INTERNAL_ERROR);
                return;
            }
            Some(Ok(frame)) => frame,
        };
        match frame.into_data() {
            Ok(data) => {
                let is_last = body.is_end_stream();
                if send_data(&mut stream, data, is_last).await.is_none() {
                    return;
                }
                if is_last {
                    if let Some(receipt) = &mut receipt {
                        receipt.is_taken();
                    }
                    return;
                }
            }
            Err(frame) => {
                if let Ok(trailers) = frame.into_trailers() {
                    let _ = stream.send_trailers(trailers);
                    return;
                }
            }
        }
    }
}

/// Sends bytes as the windows open; `None` if the stream was reset.
async fn send_data(stream: &mut SendStream<Bytes>, mut data: Bytes, is_last: bool) -> Option<()> {
    while !data.is_empty() {
        stream.reserve_capacity(data.len());
        let capacity = loop {
            match poll_fn(|cx| stream.poll_capacity(cx)).await {
                Some(Ok(0)) => {}
                Some(Ok(capacity)) => break capacity,
                Some(Err(_)) | None => return None,
            }
        };
        let part = data.split_to(capacity.min(data.len()));
        stream.send_data(part, is_last && data.is_empty()).ok()?;
    }
    Some(())
}
