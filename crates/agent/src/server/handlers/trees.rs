//! Archives in and out.

use futures::stream;
use http::header::TRAILER;
use http::{HeaderMap, HeaderValue, StatusCode};
use hyper::body::Frame;
use podbay_archive::Links;
use podbay_protocol::agent::files::TreeWritten;
use podbay_protocol::agent::{AgentError, HASH_TRAILER, MEMBERS_TRAILER};
use tokio::time::Instant;

use super::files::{path, wire};
use super::transfers::{Hash, Stopped, busy, detached, hash_after, next};
use crate::files::{
    Done, FileError, Found, PackOrder, Packed, TREE_KEPT, Transfers, Turn, UnpackOrder, Unpacking,
    pack as pack_tree,
};
use crate::server::Services;
use crate::server::answer::{self, Answer, BrokenAnswer};
use crate::server::body::RequestBody;
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
    let query = &mut asked.query;
    let path = path(services, query)?;
    let (name, skip_links) = root(query)?;
    let order = PackOrder {
        path,
        name,
        keep_link: query.flag("keep_link")?,
        skip_links,
        tell_left: query.flag("tell_left")?,
        resumed: match (query.read("offset")?, query.read::<Hash>("sha256")?) {
            (None | Some(0), None) => None,
            (Some(offset), Some(hash)) => Some((offset, hash.0)),
            _ => return Err(invalid("\"offset\" and \"sha256\" go together")),
        },
    };
    asked.query.finish()?;
    let packed = pack_tree(&services.disk, order).await.map_err(wire)?;
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
    let query = &mut asked.query;
    let path = path(services, query)?;
    let (name, skip_links) = root(query)?;
    let links = match (query.flag("keep_links")?, skip_links) {
        (false, false) => Links::Refuse,
        (false, true) => Links::Skip,
        (true, false) => Links::Keep,
        (true, true) => return Err(invalid("links are either kept or skipped")),
    };
    let transfer = query.read("transfer")?;
    let offset = query.read("offset")?.unwrap_or(0);
    let hash_follows = query.flag("hash_follows")?;
    asked.query.finish()?;
    let (turn, kept) = match &transfer {
        None => (None, None),
        Some(id) => match services.transfers.turn(&path, id, Instant::now()) {
            Found::Turn(turn, kept) => (Some(turn), kept),
            Found::Done(Done::Tree(_, written)) => return Ok(answer::json(StatusCode::OK, &written)),
            Found::Busy => return Err(busy(&path)),
            Found::Done(Done::File(_)) => return Err(invalid("a file is transferred under that id")),
        },
    };
    let taken = kept.as_ref().map_or(0, |kept| kept.taken());
    if offset > taken {
        let gap = FileError::TransferGap {
            path: path.as_path().to_owned(),
            have: taken,
            offset,
        };
        if let (Some(turn), Some(kept)) = (turn, kept) {
            turn.keep(kept, Instant::now());
        }
        return Err(wire(gap));
    }
    let unpacking = if let Some(kept) = kept {
        kept
    } else {
        let order = UnpackOrder { path, name, links };
        let begun = Unpacking::begin(&services.disk, order).await;
        Box::new(begun.map_err(wire)?)
    };
    let receiving = Receiving {
        transfers: services.transfers.clone(),
        unpacking,
        turn,
        passed_over: taken - offset,
    };
    let written = detached(receiving.run(asked.body, hash_follows)).await?;
    Ok(answer::json(StatusCode::OK, &written))
}

/// An archive that arrives.
struct Receiving {
    transfers: Transfers,
    unpacking: Box<Unpacking>,
    turn: Option<Turn>,
    /// What was there before, and comes again, in bytes.
    passed_over: u64,
}

impl Receiving {
    async fn run(mut self, mut body: RequestBody, hash_follows: bool) -> Result<TreeWritten, AgentError> {
        let received = async {
            while let Some(mut piece) = next(&mut body, &mut self.turn).await? {
                let passed = usize::try_from(self.passed_over)
                    .unwrap_or(usize::MAX)
                    .min(piece.len());
                self.passed_over -= passed as u64;
                self.unpacking.write(piece.split_off(passed)).await?;
            }
            Ok(if hash_follows {
                Some(hash_after(&mut body).await?)
            } else {
                None
            })
        };
        let expected = match received.await {
            Ok(expected) => expected,
            Err(Stopped::Failed(error)) => return Err(wire(error)),
            Err(Stopped::Broken(broken)) => {
                if let Some(turn) = self.turn {
                    turn.keep(self.unpacking, Instant::now());
                    tokio::spawn(async move {
                        tokio::time::sleep(TREE_KEPT).await;
                        self.transfers.purge(Instant::now());
                    });
                }
                return Err(broken.into());
            }
        };
        let length = self.unpacking.taken();
        let written = self.unpacking.finish(expected).await.map_err(wire)?;
        if let Some(turn) = self.turn {
            turn.done(Done::Tree(length, written), Instant::now());
        }
        Ok(written)
    }
}
