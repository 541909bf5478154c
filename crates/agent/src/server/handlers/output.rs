//! The outputs of processes, as frames.

use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use hyper::body::Frame;
use podbay_protocol::agent::{AgentError, AgentErrorCode as Code, frame};
use podbay_protocol::{Offsets, ProcessId, ReaderId};
use tokio::time::timeout;

use super::processes::unknown;
use crate::process::{OutputReader, Piece, ReadError};
use crate::server::Services;
use crate::server::answer::{self, Answer, BrokenAnswer};
use crate::server::dispatch::Asked;
use crate::server::query::invalid;

/// Bytes that are copied to go with their header; more go by themselves.
const SMALL: usize = 4 << 10;

pub(super) fn read(services: &Services, id: &ProcessId, mut asked: Asked) -> Result<Answer, AgentError> {
    let query = &mut asked.query;
    let offsets = Offsets {
        stdout: query.read("stdout")?.unwrap_or(0),
        stderr: query.read("stderr")?.unwrap_or(0),
    };
    let reader = query.read("reader")?;
    asked.query.finish()?;
    from(services, id, offsets, reader)
}

/// Both outputs from these offsets on.
pub(super) fn from(
    services: &Services,
    id: &ProcessId,
    offsets: Offsets,
    reader: Option<ReaderId>,
) -> Result<Answer, AgentError> {
    let reader = services
        .processes
        .read(id, offsets, reader)
        .map_err(|error| refused(&error))?;
    let frames = stream::unfold(Frames::new(reader, services.idle), |mut frames| async {
        let bytes = frames.next().await?;
        Some((bytes.map(Frame::data), frames))
    });
    Ok(answer::stream("application/octet-stream", frames))
}

/// Pieces of outputs made frames.
pub(in crate::server) struct Frames {
    reader: OutputReader,
    idle: Duration,
    /// What follows a header.
    waiting: Vec<Bytes>,
    ended: bool,
}

impl Frames {
    /// Of the pieces that this reader gives; where it gives none, a frame says so after `idle`.
    pub(in crate::server) const fn new(reader: OutputReader, idle: Duration) -> Self {
        Self {
            reader,
            idle,
            waiting: Vec::new(),
            ended: false,
        }
    }

    /// The next bytes; `None` after the frame of the end.
    pub(in crate::server) async fn next(&mut self) -> Option<Result<Bytes, BrokenAnswer>> {
        if let Some(bytes) = self.waiting.pop() {
            return Some(Ok(bytes));
        }
        if self.ended {
            return None;
        }
        // A reader loses nothing when it is asked in vain.
        match timeout(self.idle, self.reader.next()).await {
            Err(_) => Some(Ok(Bytes::copy_from_slice(&frame::idle()))),
            Ok(Some(Piece::Output {
                stream,
                offset,
                bytes,
            })) => Some(Ok(self.output(stream, offset, bytes))),
            Ok(Some(Piece::End(record))) => {
                self.ended = true;
                match serde_json::to_vec(&record) {
                    Ok(record) => Some(Ok(frame::end(&record).into())),
                    Err(_) => Some(Err(BrokenAnswer)),
                }
            }
            // What is missing shows when it is asked for again: the answer then says what is kept.
            Ok(Some(Piece::Gone { .. }) | None) => {
                self.ended = true;
                Some(Err(BrokenAnswer))
            }
        }
    }

    /// The frames of a piece; what does not come now is kept for later.
    fn output(&mut self, stream: podbay_protocol::StreamName, mut offset: u64, mut bytes: Bytes) -> Bytes {
        let mut parts = Vec::new();
        while !bytes.is_empty() {
            let part = bytes.split_to(bytes.len().min(frame::OUTPUT_LIMIT));
            let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
            let header = frame::output_header(stream, offset, length);
            offset += u64::from(length);
            if part.len() <= SMALL {
                parts.push([&header[..], &part].concat().into());
            } else {
                parts.push(Bytes::copy_from_slice(&header));
                parts.push(part);
            }
        }
        parts.reverse();
        let first = parts.pop().unwrap_or_default();
        self.waiting = parts;
        first
    }
}

pub(super) fn refused(error: &ReadError) -> AgentError {
    match error {
        ReadError::Unknown(process) => unknown(process),
        ReadError::Ahead { .. } => invalid(error.to_string()),
        ReadError::Gone { stream, first, .. } => {
            let mut wire = AgentError::new(Code::OutputGone, error.to_string());
            wire.stream = Some(*stream);
            wire.first = Some(*first);
            wire
        }
    }
}
