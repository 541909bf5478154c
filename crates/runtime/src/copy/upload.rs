//! Into a session: an archive made here, streamed to the session.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use bytes::Bytes;
use podbay_archive::{Closed, Packed, Packing, Sink, Source, Stopped};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio_util::io::StreamReader;

use super::remote::{RemotePath, RemoteTarget};
use super::{CopyOptions, CopyReport, Failure, PIECES};
use crate::error::FileError;
use crate::session::Session;
use crate::transport::Ownership;

/// Copies `local` to `path` in the session.
pub(super) async fn upload(
    session: &Session,
    local: &Path,
    path: &str,
    options: &CopyOptions,
) -> Result<CopyReport, Failure> {
    let path = RemotePath::parse_destination(path)?;
    let source = {
        let local = local.to_owned();
        spawn_blocking(move || Source::find(&local))
            .await
            .map_err(super::interrupted)??
    };
    let files = session.files(options.cancel.clone());
    let at = files.stat(&path.text).await?.kind;
    let name = source.name().map(OsStrExt::as_bytes);
    let RemoteTarget { directory, name } = RemoteTarget::find(&path, at, name, source.is_directory)?;
    let owner = session.owner_of_copies().await.map_err(Failure::Session)?;
    let ownership = match owner {
        Some(_) => Ownership::Archive,
        None => Ownership::Session,
    };
    let (limits, skip_links) = (options.limits(), options.skip_links);

    let (sender, mut receiver) = mpsc::channel(PIECES);
    let mut sink = Pieces(sender);
    let packing = spawn_blocking(move || {
        let packing = Packing {
            name: name.as_deref(),
            limits,
            skip_links,
            owner: owner.unwrap_or_default(),
        };
        let packed = source.pack(&packing, &mut sink);
        if let Err(Stopped::Failed(_)) = &packed {
            // An end of file would make a cut archive look like a whole one; an error kills tar.
            let _ = sink
                .0
                .blocking_send(Err(io::Error::other("the archive could not be completed")));
        }
        packed
    });
    let archive = StreamReader::new(futures::stream::poll_fn(move |cx| receiver.poll_recv(cx)));
    let put = files.put_tree(&directory, Box::new(archive), ownership).await;
    // Its reader is gone with the transport's call, so it ends.
    match packing.await.map_err(super::interrupted)? {
        // What went wrong on this side comes first: it ended the other.
        Err(Stopped::Failed(error)) => Err(error.into()),
        Err(Stopped::Closed) => {
            put?;
            // The transport vouches for all that it took, and it did not take all.
            Err(FileError::EndedEarly.into())
        }
        Ok(Packed { report, .. }) => {
            put?;
            Ok(report.into())
        }
    }
}

/// The channel to the transport.
struct Pieces(mpsc::Sender<io::Result<Bytes>>);

impl Sink for Pieces {
    fn send(&mut self, piece: Bytes) -> Result<(), Closed> {
        self.0.blocking_send(Ok(piece)).map_err(|_| Closed)
    }
}
