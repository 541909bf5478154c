//! The contents of files.

use std::str::FromStr;

use futures::stream;
use http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, ETAG, IF_RANGE, RANGE, TRAILER};
use http::{HeaderMap, HeaderValue, StatusCode};
use hyper::body::Frame;
use podbay_protocol::agent::files::TransferId;
use podbay_protocol::agent::process::Taken;
use podbay_protocol::agent::{AgentError, HASH_TRAILER};

use super::files::{path, wire};
use crate::files::{self, ByteRange, Content, Order, Resumed, Writing};
use crate::server::Services;
use crate::server::answer::{self, Answer, BrokenAnswer};
use crate::server::body::BrokenBody;
use crate::server::dispatch::Asked;
use crate::server::query::invalid;

pub(super) async fn read(services: &Services, mut asked: Asked) -> Result<Answer, AgentError> {
    let path = path(&mut asked.query)?;
    asked.query.finish()?;
    let text = |name| asked.headers.get(name).and_then(|value| value.to_str().ok());
    let range = text(RANGE).and_then(ByteRange::parse);
    // A client that goes on with a download says of which file (RFC 9110, 13.1.5).
    let only_of = text(IF_RANGE).map(str::to_owned);
    let range = move |tag: &str| range.filter(|_| only_of.is_none_or(|wanted| wanted == tag));
    let content = Content::open(&services.disk, path, range).await.map_err(wire)?;
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
        path: path(query)?,
        mode: query.read::<OctalMode>("mode")?.map(|mode| mode.0),
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
    asked.query.finish()?;
    let mut writing = Writing::begin(&services.disk, order).await.map_err(wire)?;
    loop {
        match asked.body.next().await {
            Ok(Some(piece)) => writing.write(piece).await.map_err(wire)?,
            Ok(None) => break,
            Err(broken @ (BrokenBody::Cut | BrokenBody::Stalled)) => {
                writing.cut().await;
                return Err(broken.into());
            }
        }
    }
    let written = writing.finish().await.map_err(wire)?;
    Ok(answer::json(StatusCode::OK, &written))
}

pub(super) async fn show(services: &Services, mut asked: Asked) -> Result<Answer, AgentError> {
    let (path, id) = (path(&mut asked.query)?, transfer(&mut asked)?);
    asked.query.finish()?;
    let found = services
        .disk
        .run(move || files::transferred(&path, &id))
        .await
        .map_err(wire)?;
    let offset = found.map_err(wire)?;
    Ok(answer::json(StatusCode::OK, &Taken { offset }))
}

pub(super) async fn abandon(services: &Services, mut asked: Asked) -> Result<Answer, AgentError> {
    let (path, id) = (path(&mut asked.query)?, transfer(&mut asked)?);
    asked.query.finish()?;
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
struct Hash(String);

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
