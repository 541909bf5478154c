//! Reading a container's log.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::Stream;
use futures::stream::BoxStream;

use crate::error::Error;

/// What to read of a container's log (`PodLogOptions` of the core API).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogRequest {
    /// The container's name.
    pub container: String,
    /// Whether to go on with what is still to be written.
    pub follow: bool,
    /// Only the last lines.
    pub tail_lines: Option<u32>,
    /// Only what is at most so many seconds old.
    pub since_seconds: Option<u32>,
    /// Whether each line starts with its time (RFC 3339).
    pub timestamps: bool,
}

/// A log as it arrives.
pub struct LogStream(BoxStream<'static, Result<Bytes, Error>>);

impl LogStream {
    /// A log from a stream of its pieces.
    pub fn new(stream: impl Stream<Item = Result<Bytes, Error>> + Send + 'static) -> Self {
        Self(Box::pin(stream))
    }
}

impl Stream for LogStream {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(cx)
    }
}

impl fmt::Debug for LogStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LogStream")
    }
}
