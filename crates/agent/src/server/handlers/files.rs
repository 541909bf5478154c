//! What is known of files, and changes to directories.

use bytes::Bytes;
use futures::stream;
use http::StatusCode;
use hyper::body::Frame;
use podbay_protocol::agent::files::{MakeDirectory, Move, Remove};
use podbay_protocol::agent::raw_text::RawText;
use podbay_protocol::agent::{AgentError, NamedFile};

use crate::files::{self, AbsolutePath, FileError, Listing};
use crate::server::Services;
use crate::server::answer::{self, Answer, BrokenAnswer};
use crate::server::dispatch::Asked;
use crate::server::query::Query;

/// The file that a request is about.
pub(super) fn path(services: &Services, query: &mut Query) -> Result<AbsolutePath, AgentError> {
    absolute(services, query.needed("path")?)
}

fn absolute(services: &Services, path: impl Into<Vec<u8>>) -> Result<AbsolutePath, AgentError> {
    AbsolutePath::below(&services.directory, path.into()).map_err(|error| error.to_wire())
}

/// An error as clients get it.
pub(super) fn wire(error: impl std::borrow::Borrow<FileError>) -> AgentError {
    error.borrow().to_wire()
}

pub(super) async fn stat(services: &Services, mut asked: Asked) -> Result<Answer, AgentError> {
    let (path, follow) = (path(services, &mut asked.query)?, asked.query.flag("follow")?);
    asked.query.finish()?;
    let found = services
        .disk
        .run(move || files::stat(&path, follow))
        .await
        .map_err(wire)?;
    Ok(answer::json(StatusCode::OK, &found.map_err(wire)?))
}

pub(super) async fn list(services: &Services, mut asked: Asked) -> Result<Answer, AgentError> {
    let path = path(services, &mut asked.query)?;
    asked.query.finish()?;
    let listing = Listing::open(&services.disk, path).await.map_err(wire)?;
    let parts = stream::unfold(Some((listing, true)), |state| async {
        let (mut listing, is_first) = state?;
        match listing.next().await {
            Ok(Some(batch)) => {
                let (text, is_first) = entries(&batch, is_first);
                Some((Ok(Frame::data(text)), Some((listing, is_first))))
            }
            Ok(None) => {
                let end = if is_first { "{\"entries\":[]}" } else { "]}" };
                Some((Ok(Frame::data(Bytes::from_static(end.as_bytes()))), None))
            }
            Err(error) => {
                tracing::debug!(%error, "a list broke off");
                Some((Err(BrokenAnswer), None))
            }
        }
    });
    Ok(answer::stream("application/json", parts))
}

/// Some entries of a list, and whether none was written yet.
fn entries(batch: &[NamedFile], mut is_first: bool) -> (Bytes, bool) {
    let mut text = Vec::new();
    for entry in batch {
        text.extend_from_slice(if is_first { b"{\"entries\":[" } else { b"," });
        is_first = false;
        // Writing to memory what has only strings for keys does not fail.
        let _ = serde_json::to_writer(&mut text, entry);
    }
    (text.into(), is_first)
}

pub(super) async fn make_directory(services: &Services, asked: Asked) -> Result<Answer, AgentError> {
    asked.query.finish()?;
    let MakeDirectory { path, mode, parents } = asked.body.json().await?;
    let path = absolute(services, RawText::into_bytes(path))?;
    change(services, move || files::make_directory(&path, mode, parents)).await
}

pub(super) async fn remove(services: &Services, asked: Asked) -> Result<Answer, AgentError> {
    asked.query.finish()?;
    let Remove { path, recursive } = asked.body.json().await?;
    let path = absolute(services, RawText::into_bytes(path))?;
    change(services, move || files::remove(&path, recursive)).await
}

pub(super) async fn rename(services: &Services, asked: Asked) -> Result<Answer, AgentError> {
    asked.query.finish()?;
    let Move { from, to, replace } = asked.body.json().await?;
    let (from, to) = (
        absolute(services, RawText::into_bytes(from))?,
        absolute(services, RawText::into_bytes(to))?,
    );
    change(services, move || files::rename(&from, &to, replace)).await
}

async fn change(
    services: &Services,
    work: impl FnOnce() -> Result<(), FileError> + Send + 'static,
) -> Result<Answer, AgentError> {
    services.disk.run(work).await.map_err(wire)?.map_err(wire)?;
    Ok(answer::nothing())
}
