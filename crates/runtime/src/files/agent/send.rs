//! Sends content under the id of a transfer, over as many connections as it takes.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use http_body_util::StreamBody;
use hyper::body::Frame;
use podbay_protocol::agent::process::Taken;
use podbay_protocol::agent::{AgentErrorCode, HASH_TRAILER};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::outgoing::{Next, NotKept, Outgoing};
use super::{Target, interrupted};
use crate::agent::AgentConnection;
use crate::agent::request::{answer, body, done, empty, json, read_json, request};
use crate::command::backoff::Backoff;
use crate::error::AgentFailure;

/// How long an answer may take about a transfer.
const ASK_TIMEOUT: Duration = Duration::from_secs(10);
/// How often it is looked whether somebody is still at work on a transfer, and how long is waited in between.
const BUSY_TRIES: u32 = 10;
const BUSY_PAUSE: Duration = Duration::from_millis(50);
/// Pieces between what reads the content and the connection.
const PIECES: usize = 2;

/// Why content was not sent.
#[derive(Debug)]
pub(super) enum NotSent {
    /// It could not be read to its end.
    Content,
    /// The agent, or the way to it.
    Agent(AgentFailure),
    /// The agent has lost what was sent to it.
    Forgotten,
}

impl From<AgentFailure> for NotSent {
    fn from(failure: AgentFailure) -> Self {
        Self::Agent(failure)
    }
}

/// Sends all of it to `target`, of which the agent has `offset` bytes from before. Returns how many bytes there were, and the answer.
pub(super) async fn send<T: DeserializeOwned>(
    connection: &AgentConnection,
    target: &Target,
    mut outgoing: Outgoing,
    mut offset: u64,
) -> Result<(u64, T), NotSent> {
    let mut backoff = Backoff::default();
    loop {
        if let Err(NotKept) = outgoing.go_to(offset).await {
            give_up(connection, target).await;
            return Err(NotSent::Forgotten);
        }
        let begun = Instant::now();
        let failure = match attempt(connection, target, &mut outgoing, offset).await {
            Ok(answer) => return Ok((outgoing.position(), answer)),
            Err(NotSent::Agent(failure)) if interrupted(&failure) => failure,
            Err(error) => {
                give_up(connection, target).await;
                return Err(error);
            }
        };
        tracing::debug!(%failure, offset, "a transfer was interrupted");
        let before = offset;
        offset = ask(connection, target, &mut backoff, failure).await?;
        backoff.held(begun.elapsed(), offset > before);
    }
}

/// How much there is of a transfer that may have been begun before; `None` if somebody is at work on it.
pub(super) async fn begun(
    connection: &AgentConnection,
    target: &Target,
) -> Result<Option<u64>, AgentFailure> {
    for _ in 0..BUSY_TRIES {
        match taken(connection, target, "refuse").await {
            Ok(taken) => return Ok(Some(taken)),
            Err(failure) => match failure.refusal().map(|refusal| refusal.code) {
                // A request whose sender is gone ends in a moment.
                Some(AgentErrorCode::TransferBusy) => tokio::time::sleep(BUSY_PAUSE).await,
                _ => return Err(failure),
            },
        }
    }
    Ok(None)
}

/// Asks how much the agent has, until it answers.
async fn ask(
    connection: &AgentConnection,
    target: &Target,
    backoff: &mut Backoff,
    mut failure: AgentFailure,
) -> Result<u64, NotSent> {
    while let Some(pause) = backoff.pause(Instant::now()) {
        tokio::time::sleep(pause).await;
        match tokio::time::timeout(ASK_TIMEOUT, taken(connection, target, "end")).await {
            Ok(Ok(taken)) => return Ok(taken),
            Ok(Err(error)) if interrupted(&error) => failure = error,
            Ok(Err(error)) => return Err(error.into()),
            Err(_) => {
                failure = AgentFailure::TimedOut {
                    seconds: ASK_TIMEOUT.as_secs(),
                }
            }
        }
    }
    Err(failure.into())
}

/// How much the agent has. A request that is at work there is another program's, and refused, or was ours and has nobody left to
/// send it more: then it is ended.
async fn taken(connection: &AgentConnection, target: &Target, at_work: &str) -> Result<u64, AgentFailure> {
    let target = format!("{}&at_work={at_work}", target.transfer());
    let request = request(Method::GET, &target, empty())?;
    let Taken { offset } = json(connection, request).await?;
    Ok(offset)
}

/// Has the agent remove what it has. Without an answer it does so by itself, later.
pub(super) async fn give_up(connection: &AgentConnection, target: &Target) {
    let giving_up = async {
        let request = request(Method::DELETE, &target.transfer(), empty())?;
        done(connection, request).await
    };
    match tokio::time::timeout(ASK_TIMEOUT, giving_up).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a transfer could not be given up"),
        Err(_) => tracing::debug!("a transfer could not be given up in time"),
    }
}

/// One request, from what is next on.
async fn attempt<T: DeserializeOwned>(
    connection: &AgentConnection,
    target: &Target,
    outgoing: &mut Outgoing,
    offset: u64,
) -> Result<T, NotSent> {
    let (frames, mut sent) = mpsc::channel::<io::Result<Frame<Bytes>>>(PIECES);
    let content = StreamBody::new(futures::stream::poll_fn(move |cx| sent.poll_recv(cx)));
    let request = request(Method::PUT, &target.put(offset), body(content))?;
    let answering = async {
        let answer = answer(connection, request).await?;
        read_json::<T>(answer.into_body()).await
    };
    let mut answering = std::pin::pin!(answering);
    tokio::select! {
        answered = &mut answering => return Ok(answered?),
        fed = feed(outgoing, frames) => fed?,
    }
    Ok(answering.await?)
}

/// Passes pieces on until all are, or nobody takes them: then the answer says why, and is waited for.
async fn feed(
    outgoing: &mut Outgoing,
    frames: mpsc::Sender<io::Result<Frame<Bytes>>>,
) -> Result<(), NotSent> {
    loop {
        let frame = match outgoing.next().await {
            Next::Piece(piece) => Ok(Frame::data(piece)),
            Next::End(hash) => {
                let mut trailers = HeaderMap::new();
                if let Ok(hash) = HeaderValue::try_from(hash) {
                    trailers.insert(HASH_TRAILER, hash);
                }
                let _ = frames.send(Ok(Frame::trailers(trailers))).await;
                return Ok(());
            }
            Next::Failed => {
                // The stream is reset: an end would make a part look like the whole.
                let _ = frames.send(Err(io::Error::other("the content broke off"))).await;
                return Err(NotSent::Content);
            }
        };
        if frames.send(frame).await.is_err() {
            return Ok(());
        }
    }
}
