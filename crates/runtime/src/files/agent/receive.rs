//! Receives content, over as many connections as it takes. A hash over all of it, taken on both sides, shows that it is whole.

use std::io;

use bytes::Bytes;
use http::header::{ETAG, IF_RANGE, RANGE};
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use podbay_protocol::agent::{AgentErrorCode, HASH_TRAILER, path};
use tokio::io::{AsyncWriteExt as _, BufWriter};
use tokio::time::Instant;

use super::hash::BackgroundHash;
use super::interrupted;
use crate::agent::AgentConnection;
use crate::agent::request::{Body, answer, empty, request};
use crate::command::backoff::Backoff;
use crate::error::AgentFailure;
use crate::transport::{ByteRange, Writer};

/// Bytes that are written at once.
const PIECE: usize = 256 << 10;

/// Why content was not received.
#[derive(Debug)]
pub(super) enum NotReceived {
    /// It could not be written on this side.
    Here(io::Error),
    /// The agent, or the way to it.
    Agent(AgentFailure),
    /// It is another one than when the first part was sent.
    Changed,
    /// The hashes are not the same.
    Hash,
}

impl From<AgentFailure> for NotReceived {
    fn from(failure: AgentFailure) -> Self {
        Self::Agent(failure)
    }
}

/// Bytes that arrived: counted, hashed, written.
struct Arriving {
    /// In larger pieces than they come in: each wakes whoever writes them.
    to: BufWriter<Writer>,
    hash: BackgroundHash,
    /// Bytes that arrived.
    got: u64,
    /// Of these, which are wanted: those before are passed over, and those after.
    wanted: ByteRange,
    written: u64,
}

impl Arriving {
    fn new(to: Writer, wanted: ByteRange) -> Self {
        Self {
            to: BufWriter::with_capacity(PIECE, to),
            hash: BackgroundHash::new(),
            got: 0,
            wanted,
            written: 0,
        }
    }

    async fn take(&mut self, bytes: Bytes) -> io::Result<()> {
        self.hash.update(bytes.clone()).await?;
        let wanted = self.cut(&bytes);
        self.got += bytes.len() as u64;
        self.written += wanted.len() as u64;
        self.to.write_all(&wanted).await
    }

    /// What of bytes is wanted that come next.
    fn cut(&self, bytes: &Bytes) -> Bytes {
        let at = |offset: u64| {
            let offset = offset.saturating_sub(self.got);
            usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len())
        };
        let end = self
            .wanted
            .length
            .map(|length| self.wanted.from.saturating_add(length));
        let first = at(self.wanted.from);
        bytes.slice(first..end.map_or(bytes.len(), at).max(first))
    }

    /// Takes the body of an answer, without its first `again` bytes, which were there before. It is whole if its trailer is the hash.
    async fn carry(&mut self, mut body: Incoming, mut again: u64) -> Result<(), NotReceived> {
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(AgentFailure::lost)?;
            let mut data = match frame.into_data() {
                Ok(data) => data,
                Err(other) => {
                    let trailers = other.into_trailers().unwrap_or_default();
                    let Some(sent) = trailers.get(HASH_TRAILER) else {
                        continue;
                    };
                    let found = self.hash.so_far().await.map_err(NotReceived::Here)?;
                    return if sent.as_bytes() == found.as_bytes() {
                        self.to.shutdown().await.map_err(NotReceived::Here)
                    } else {
                        Err(NotReceived::Hash)
                    };
                }
            };
            let passed = usize::try_from(again).unwrap_or(usize::MAX).min(data.len());
            again -= passed as u64;
            self.take(data.split_off(passed))
                .await
                .map_err(NotReceived::Here)?;
        }
        // It ended without the hash.
        Err(AgentFailure::lost(io::Error::from(io::ErrorKind::UnexpectedEof)).into())
    }
}

/// Asks again as long as that helps.
async fn again(backoff: &mut Backoff, failure: NotReceived) -> Result<(), NotReceived> {
    match failure {
        NotReceived::Agent(failure) if interrupted(&failure) => match backoff.pause(Instant::now()) {
            Some(pause) => {
                tracing::debug!(%failure, "a transfer was interrupted");
                tokio::time::sleep(pause).await;
                Ok(())
            }
            None => Err(failure.into()),
        },
        other => Err(other),
    }
}

/// Reads a part of a file. Returns how many bytes it has.
pub(super) async fn file(
    connection: &AgentConnection,
    file: &str,
    range: ByteRange,
    to: Writer,
) -> Result<u64, NotReceived> {
    let mut arriving = Arriving::new(to, ByteRange::default());
    let mut tag = None;
    let mut backoff = Backoff::default();
    loop {
        let (begun, before) = (Instant::now(), arriving.got);
        match part(connection, file, range, &mut tag, &mut arriving).await {
            Ok(()) => return Ok(arriving.written),
            Err(failure) => {
                backoff.held(begun.elapsed(), arriving.got > before);
                again(&mut backoff, failure).await?;
            }
        }
    }
}

/// One request for the rest of a part of a file.
async fn part(
    connection: &AgentConnection,
    file: &str,
    range: ByteRange,
    tag: &mut Option<http::HeaderValue>,
    arriving: &mut Arriving,
) -> Result<(), NotReceived> {
    // The last byte comes again: there is always something to ask for, and so an answer with a hash.
    let again = arriving.got.min(1);
    let first = range.from + arriving.got - again;
    let request = file_request(file, range, first, arriving.got > 0, tag.as_ref())?;
    let answer = match answer(connection, request).await {
        Ok(answer) => answer,
        Err(failure) => {
            let code = failure.refusal().map(|refusal| refusal.code);
            return match code {
                Some(AgentErrorCode::RangeNotSatisfiable) if arriving.got > 0 => Err(NotReceived::Changed),
                // Behind its end there is nothing.
                Some(AgentErrorCode::RangeNotSatisfiable) => {
                    arriving.to.shutdown().await.map_err(NotReceived::Here)
                }
                _ => Err(failure.into()),
            };
        }
    };
    let is_part = answer.status() == StatusCode::PARTIAL_CONTENT;
    if arriving.got > 0 && !is_part {
        return Err(NotReceived::Changed);
    }
    *tag = answer.headers().get(ETAG).cloned();
    if !is_part {
        // It has no size that is known before its end, and comes as a whole.
        arriving.wanted = range;
    }
    arriving.carry(answer.into_body(), again).await
}

fn file_request(
    file: &str,
    range: ByteRange,
    first: u64,
    resumed: bool,
    tag: Option<&http::HeaderValue>,
) -> Result<Request<Body>, AgentFailure> {
    let mut target = format!("{}?path={}", path::FILES, path::encoded(file.as_bytes()));
    if resumed {
        target = format!("{target}&hash_from={}", range.from);
    }
    let mut request = request(Method::GET, &target, empty())?;
    let headers = request.headers_mut();
    if first > 0 || range.length.is_some() {
        let last = range
            .length
            .map(|length| range.from.saturating_add(length).saturating_sub(1));
        let last = last.map(|last| last.to_string()).unwrap_or_default();
        if let Ok(range) = format!("bytes={first}-{last}").parse() {
            headers.insert(RANGE, range);
        }
    }
    if resumed && let Some(tag) = tag {
        headers.insert(IF_RANGE, tag.clone());
    }
    Ok(request)
}

/// Has what the agent can't read left out, and told at the end of the archive.
pub(super) const TELL_LEFT: &str = "&tell_left=true";

/// Reads a tree as an archive; `target` is its path with all parameters, [`TELL_LEFT`] last where that is wanted.
pub(super) async fn tree(connection: &AgentConnection, target: &str, to: Writer) -> Result<(), NotReceived> {
    let mut target = target;
    let mut arriving = Arriving::new(to, ByteRange::default());
    let mut backoff = Backoff::default();
    loop {
        let (begun, before) = (Instant::now(), arriving.got);
        match archive(connection, target, &mut arriving).await {
            Ok(()) => return Ok(()),
            // An agent of an earlier version, which does not know it and ends the archive instead.
            Err(NotReceived::Agent(failure))
                if arriving.got == 0
                    && failure
                        .refusal()
                        .is_some_and(|refusal| refusal.code == AgentErrorCode::InvalidRequest)
                    && target.ends_with(TELL_LEFT) =>
            {
                target = target.trim_end_matches(TELL_LEFT);
            }
            Err(NotReceived::Agent(failure))
                if before > 0
                    && failure
                        .refusal()
                        .is_some_and(|refusal| refusal.code == AgentErrorCode::Changed) =>
            {
                return Err(NotReceived::Changed);
            }
            Err(failure) => {
                backoff.held(begun.elapsed(), arriving.got > before);
                again(&mut backoff, failure).await?;
            }
        }
    }
}

/// One request for the rest of an archive. The agent makes it anew, and sees by the hash whether it is the same.
async fn archive(
    connection: &AgentConnection,
    target: &str,
    arriving: &mut Arriving,
) -> Result<(), NotReceived> {
    let target = match arriving.got {
        0 => target.to_owned(),
        got => {
            let hash = arriving.hash.so_far().await.map_err(NotReceived::Here)?;
            format!("{target}&offset={got}&sha256={hash}")
        }
    };
    let answer = answer(connection, request(Method::GET, &target, empty())?).await?;
    arriving.carry(answer.into_body(), 0).await
}
