//! Archives in and out.

use futures::stream;
use http::header::TRAILER;
use http::{HeaderMap, HeaderValue, StatusCode};
use hyper::body::Frame;
use podbay_protocol::agent::{AgentError, HASH_TRAILER, MEMBERS_TRAILER};

use super::files::{path, wire};
use crate::files::{Packed, Unpacking, pack as pack_tree};
use crate::server::Services;
use crate::server::answer::{self, Answer, BrokenAnswer};
use crate::server::dispatch::Asked;
use crate::server::query::{Query, invalid};

/// The name that the archive's root has, and whether links are left out.
fn root(query: &mut Query) -> Result<(Option<Vec<u8>>, bool), AgentError> {
    let name = query.bytes("name");
    if let Some(name) = &name
        && (name.is_empty() || name == b"." || name == b".." || name.contains(&b'/') || name.contains(&0))
    {
        return Err(invalid("the parameter \"name\" is no name of a file"));
    }
    Ok((name, query.flag("skip_links")?))
}

pub(super) async fn pack(services: &Services, mut asked: Asked) -> Result<Answer, AgentError> {
    let path = path(&mut asked.query)?;
    let (name, skip_links) = root(&mut asked.query)?;
    asked.query.finish()?;
    let packed = pack_tree(&services.disk, path, name, skip_links)
        .await
        .map_err(wire)?;
    let pieces = stream::unfold(Some(packed), |packed| async {
        let mut packed = packed?;
        match packed.next().await {
            Ok(Packed::Piece(piece)) => Some((Ok(Frame::data(piece)), Some(packed))),
            Ok(Packed::End { sha256, members }) => {
                let mut trailers = HeaderMap::new();
                if let Ok(sha256) = HeaderValue::try_from(sha256) {
                    trailers.insert(HASH_TRAILER, sha256);
                }
                trailers.insert(MEMBERS_TRAILER, members.into());
                Some((Ok(Frame::trailers(trailers)), None))
            }
            Err(error) => {
                tracing::debug!(%error, "a tree broke off");
                Some((Err(BrokenAnswer), None))
            }
        }
    });
    let mut answer = answer::stream("application/x-tar", pieces);
    let trailers = format!("{HASH_TRAILER}, {MEMBERS_TRAILER}");
    if let Ok(trailers) = HeaderValue::try_from(trailers) {
        answer.headers_mut().insert(TRAILER, trailers);
    }
    Ok(answer)
}

pub(super) async fn unpack(services: &Services, mut asked: Asked) -> Result<Answer, AgentError> {
    let path = path(&mut asked.query)?;
    let (name, skip_links) = root(&mut asked.query)?;
    asked.query.finish()?;
    let mut unpacking = Unpacking::begin(&services.disk, path, name, skip_links)
        .await
        .map_err(wire)?;
    while let Some(piece) = asked.body.next().await? {
        unpacking.write(piece).await.map_err(wire)?;
    }
    let written = unpacking.finish().await.map_err(wire)?;
    Ok(answer::json(StatusCode::OK, &written))
}
