//! The contents of files.

use std::future::Future;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, ETAG, IF_RANGE, RANGE, TRAILER};
use http::{HeaderMap, HeaderValue, StatusCode};
use hyper::body::Frame;
use podbay_protocol::agent::files::{TransferId, Written};
use podbay_protocol::agent::process::Taken;
use podbay_protocol::agent::{AgentError, HASH_TRAILER};
use tokio::time::Instant;

use super::files::{path, wire};
use crate::files::{
    self, AbsolutePath, AtWork, ByteRange, Content, Disk, Done, FILE_KEPT, FileError, Found, Order, Resumed,
    Turn, Writing,
};
use crate::server::Services;
use crate::server::answer::{self, Answer, BrokenAnswer};
use crate::server::body::{BrokenBody, RequestBody};
use crate::server::dispatch::Asked;
use crate::server::query::invalid;

pub(super) async fn read(services: &Services, mut asked: Asked) -> Result<Answer, AgentError> {
    let path = path(services, &mut asked.query)?;
    let hash_from = asked.query.read("hash_from")?;
    asked.query.finish()?;
    let text = |name| asked.headers.get(name).and_then(|value| value.to_str().ok());
    let range = text(RANGE).and_then(ByteRange::parse);
    // A client that goes on with a download says of which file (RFC 9110, 13.1.5).
    let only_of = text(IF_RANGE).map(str::to_owned);
    let range = move |tag: &str| range.filter(|_| only_of.is_none_or(|wanted| wanted == tag));
    let content = Content::open(&services.disk, path, range, hash_from)
        .await
        .map_err(wire)?;
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(TRAILER, HeaderValue::from_static(HASH_TRAILER));
    insert(&mut headers, ETAG, content.tag());
    // HTTP/1.1 has trailers only where the length is not told before; a client that knows them is given them.
    let wants_trailers =
        text(http::header::TE).is_some_and(|te| te.to_ascii_lowercase().contains("trailers"));
    if let Some(length) = content.length()
        && !wants_trailers
    {
        headers.insert(CONTENT_LENGTH, length.into());
    }
    let part = content.range().zip(content.size());
    if let Some(((first, length), size)) = part {
        let last = first + length - 1;
        insert(
            &mut headers,
            CONTENT_RANGE,
            &format!("bytes {first}-{last}/{size}"),
        );
    }
    let pieces = stream::unfold(Some(content), |content| async {
        let mut content = content?;
        match content.next().await {
            Ok(Some(piece)) => Some((Ok(Frame::data(piece)), Some(content))),
            Ok(None) => {
                let mut trailers = HeaderMap::new();
                insert(&mut trailers, HASH_TRAILER, &content.sha256());
                Some((Ok(Frame::trailers(trailers)), None))
            }
            Err(error) => {
                tracing::debug!(%error, "a download broke off");
                Some((Err(BrokenAnswer), None))
            }
        }
    });
    let mut answer = answer::stream("application/octet-stream", pieces);
    answer.headers_mut().extend(headers);
    if part.is_some() {
        *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    Ok(answer)
}

fn insert(headers: &mut HeaderMap, name: impl http::header::IntoHeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// A part's or a whole file's content arrives.
pub(super) async fn write(services: &Services, mut asked: Asked) -> Result<Answer, AgentError> {
    let query = &mut asked.query;
    let order = Order {
        path: path(services, query)?,
        mode: query.read::<OctalMode>("mode")?.map(|mode| mode.0),
        modified: query.read("modified")?,
        resumed: match query.read("transfer")? {
            None => None,
            Some(id) => Some(Resumed {
                id,
                offset: query.read("offset")?.unwrap_or(0),
                complete: query.flag("complete")?,
            }),
        },
        sha256: query.read::<Hash>("sha256")?.map(|hash| hash.0),
    };
    let hash_follows = query.flag("hash_follows")?;
    asked.query.finish()?;
    let turn = match &order.resumed {
        None => None,
        Some(part) => match services.transfers.turn(&order.path, &part.id, Instant::now()) {
            Found::Turn(turn, None) => Some(turn),
            Found::Done(Done::File(written)) => return Ok(answer::json(StatusCode::OK, &written)),
            Found::Busy => return Err(busy(&order.path)),
            Found::Turn(_, Some(_)) | Found::Done(Done::Tree(..)) => {
                return Err(invalid("a tree is transferred under that id"));
            }
        },
    };
    let receiving = receive(services.disk.clone(), order, asked.body, hash_follows, turn);
    let written = detached(receiving).await?;
    Ok(answer::json(StatusCode::OK, &written))
}

/// Lets `work` end by itself if the connection does first: what arrived is then put away.
pub(super) async fn detached<T: Send + 'static>(
    work: impl Future<Output = Result<T, AgentError>> + Send + 'static,
) -> Result<T, AgentError> {
    let done = tokio::spawn(work).await;
    done.unwrap_or_else(|_| Err(wire(FileError::Fault)))
}

/// An earlier request is at work on the same transfer.
pub(super) fn busy(path: &AbsolutePath) -> AgentError {
    wire(FileError::TransferBusy {
        path: path.as_path().to_owned(),
    })
}

/// The next bytes of a body; its end where the turn is another's.
pub(super) async fn next(
    body: &mut RequestBody,
    turn: &mut Option<Turn>,
) -> Result<Option<Bytes>, BrokenBody> {
    match turn {
        None => body.next().await,
        Some(turn) => tokio::select! {
            next = body.next() => next,
            () = turn.ended() => Err(BrokenBody::Cut),
        },
    }
}

/// The sender's hash after a body that was read to its end.
pub(super) async fn hash_after(body: &mut RequestBody) -> Result<String, BrokenBody> {
    let hash = body.trailer(HASH_TRAILER).await?;
    // A body without it is not whole.
    hash.and_then(|hash| hash.parse::<Hash>().ok())
        .map(|hash| hash.0)
        .ok_or(BrokenBody::Cut)
}

async fn receive(
    disk: Disk,
    order: Order,
    mut body: RequestBody,
    hash_follows: bool,
    mut turn: Option<Turn>,
) -> Result<Written, AgentError> {
    let mut writing = Writing::begin(&disk, order.clone()).await.map_err(wire)?;
    let received = async {
        while let Some(piece) = next(&mut body, &mut turn).await? {
            writing.write(piece).await?;
        }
        if hash_follows {
            writing.expect(hash_after(&mut body).await?);
        }
        Ok(())
    };
    match received.await {
        Ok(()) => {}
        Err(Stopped::Broken(broken)) => {
            writing.cut().await;
            if let Some(part) = order.resumed {
                expire_later(disk, order.path, part.id);
            }
            return Err(broken.into());
        }
        Err(Stopped::Failed(error)) => {
            drop(writing);
            give_up(&disk, order).await;
            return Err(wire(error));
        }
    }
    let complete = order.resumed.as_ref().is_none_or(|part| part.complete);
    let written = writing.finish().await;
    let written = match written {
        Ok(written) => written,
        Err(error) => {
            give_up(&disk, order).await;
            return Err(wire(error));
        }
    };
    match (turn, order.resumed) {
        (Some(turn), _) if complete => turn.done(Done::File(written.clone()), Instant::now()),
        (_, Some(part)) => expire_later(disk, order.path, part.id),
        (_, None) => {}
    }
    Ok(written)
}

/// Why no more is received.
pub(super) enum Stopped {
    Broken(BrokenBody),
    Failed(FileError),
}

impl From<BrokenBody> for Stopped {
    fn from(broken: BrokenBody) -> Self {
        Self::Broken(broken)
    }
}

impl From<FileError> for Stopped {
    fn from(error: FileError) -> Self {
        Self::Failed(error)
    }
}

/// Removes what there is of a transfer that failed here.
async fn give_up(disk: &Disk, order: Order) {
    if let Some(part) = order.resumed {
        let gone = disk.run(move || files::abandon_transfer(&order.path, &part.id));
        if let Ok(Err(error)) | Err(error) = gone.await {
            tracing::debug!(%error, "what is left of a transfer was not removed");
        }
    }
}

/// Removes what there is of a transfer if nobody goes on with it.
fn expire_later(disk: Disk, path: AbsolutePath, id: TransferId) {
    tokio::spawn(async move {
        tokio::time::sleep(FILE_KEPT + Duration::from_secs(1)).await;
        let gone = disk.run(move || files::expire_transfer(&path, &id, FILE_KEPT));
        if let Ok(Err(error)) | Err(error) = gone.await {
            tracing::debug!(%error, "what is left of a transfer was not removed");
        }
    });
}

pub(super) async fn show(services: &Services, mut asked: Asked) -> Result<Answer, AgentError> {
    let (path, id) = (path(services, &mut asked.query)?, transfer(&mut asked)?);
    let at_work = asked.query.read("at_work")?.unwrap_or(AtWork::Ignore);
    asked.query.finish()?;
    let known = services.transfers.taken(&path, &id, at_work, Instant::now());
    let offset = if let Some(taken) = known.map_err(wire)? {
        taken
    } else {
        let found = services.disk.run(move || files::transferred(&path, &id));
        found.await.map_err(wire)?.map_err(wire)?
    };
    Ok(answer::json(StatusCode::OK, &Taken { offset }))
}

pub(super) async fn abandon(services: &Services, mut asked: Asked) -> Result<Answer, AgentError> {
    let (path, id) = (path(services, &mut asked.query)?, transfer(&mut asked)?);
    asked.query.finish()?;
    services.transfers.abandon(&path, &id);
    let gone = services
        .disk
        .run(move || files::abandon_transfer(&path, &id))
        .await;
    gone.map_err(wire)?.map_err(wire)?;
    Ok(answer::nothing())
}

fn transfer(asked: &mut Asked) -> Result<TransferId, AgentError> {
    asked
        .query
        .read("transfer")?
        .ok_or_else(|| invalid("the parameter \"transfer\" is missing"))
}

/// Permissions as `chmod` takes them.
struct OctalMode(u32);

impl FromStr for OctalMode {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let digits = !text.is_empty() && text.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
        u32::from_str_radix(text, 8)
            .ok()
            .filter(|mode| digits && *mode <= 0o7777)
            .map(Self)
            .ok_or("permissions are octal, 0 to 7777")
    }
}

/// A hash in lower-case hexadecimal digits.
pub(super) struct Hash(pub(super) String);

impl FromStr for Hash {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let digits = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if digits && text.len() == 64 {
            Ok(Self(text.to_owned()))
        } else {
            Err("a SHA-256 is 64 hexadecimal digits, lower case")
        }
    }
}
