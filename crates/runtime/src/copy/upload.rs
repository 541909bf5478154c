//! Into a session: an archive made here, streamed to the session.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use bytes::Bytes;
use podbay_archive::{
    Closed, Error as ArchiveError, Faults, Packed, Packing, Sink, Source, SourceFile, Stopped,
};
use podbay_protocol::agent::files::TransferId;
use podbay_protocol::hex::to_hex;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio_util::io::{InspectReader, StreamReader};

use super::remote::{RemotePath, RemoteTarget};
use super::{CopyOptions, CopyReport, Failure, PIECES, whole};
use crate::error::FileError;
use crate::session::Session;
use crate::transport::{FileTransport, Ownership, PutOptions};

/// Bytes of a file that are read at once.
const PIECE: usize = 256 << 10;

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
    let files = session
        .files(options.cancel.clone())
        .await
        .map_err(Failure::Session)?;
    let at = files.stat(&path.text).await?.kind;
    let name = source.name().map(OsStrExt::as_bytes);
    let RemoteTarget { directory, name } = RemoteTarget::find(&path, at, name, source.is_directory)?;
    let progress = &options.progress;
    let sizes = source.clone();
    let measured = progress.clone();
    spawn_blocking(move || measured.expect(sizes.measure()));
    if !source.is_directory
        && files.capabilities().put_with_mode
        && let Some(place) = text_of(&directory, name.as_deref())
    {
        return file(&*files, source, &place, options).await;
    }
    let owner = session.owner_of_copies().await.map_err(Failure::Session)?;
    let ownership = match owner {
        Some(_) => Ownership::Archive,
        None => Ownership::Session,
    };
    let (limits, skip_links) = (options.limits(), options.skip_links);

    let (sender, mut receiver) = mpsc::channel(PIECES);
    let mut sink = Pieces(sender);
    let progress = progress.clone();
    let packing = spawn_blocking(move || {
        let packing = Packing {
            name: name.as_deref(),
            follow: true,
            limits,
            skip_links,
            faults: Faults::Leave,
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
    let archive = InspectReader::new(archive, move |bytes| progress.add(bytes.len()));
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
            whole(report, path.text)
        }
    }
}

/// The path of a copy, if it is text: only then it can be named by itself.
fn text_of(directory: &str, name: Option<&[u8]>) -> Option<String> {
    let name = std::str::from_utf8(name?).ok()?;
    Some(format!("{}/{name}", directory.trim_end_matches('/')))
}

/// Copies a single file to `place`, which goes on where an earlier copy of the same file was cut off, as long as it is kept there.
async fn file(
    files: &dyn FileTransport,
    source: Source,
    place: &str,
    options: &CopyOptions,
) -> Result<CopyReport, Failure> {
    let opened = spawn_blocking(move || source.open())
        .await
        .map_err(super::interrupted)?;
    let mut file = opened?;
    let limits = options.limits();
    limits.check(1, file.metadata().len())?;
    let mut put = PutOptions::default();
    (put.mode, put.modified) = (Some(file.mode()), Some(file.modified()));
    (put.transfer, put.size) = (transfer_of(&file, place), Some(file.metadata().len()));
    let (sender, mut receiver) = mpsc::channel(PIECES);
    let reading = spawn_blocking(move || {
        let mut bytes = 0;
        let mut read = || -> Result<bool, ArchiveError> {
            let Some(piece) = file.next(PIECE)? else {
                return Ok(false);
            };
            bytes += piece.len() as u64;
            limits.check(1, bytes)?;
            Ok(sender.blocking_send(Ok(piece)).is_ok())
        };
        loop {
            match read() {
                Ok(true) => {}
                Ok(false) => return Ok(bytes),
                Err(error) => {
                    // An end would make a part look like the whole.
                    let _ = sender.blocking_send(Err(io::Error::other("the file can't be read to its end")));
                    return Err(error);
                }
            }
        }
    });
    let content = StreamReader::new(futures::stream::poll_fn(move |cx| receiver.poll_recv(cx)));
    let progress = options.progress.clone();
    let content = InspectReader::new(content, move |bytes| progress.add(bytes.len()));
    let written = files.put(place, put, Box::new(content)).await;
    // What went wrong on this side comes first: it ended the other.
    reading.await.map_err(super::interrupted)??;
    Ok(CopyReport {
        files: 1,
        bytes: written?,
        ..CopyReport::default()
    })
}

/// The id of a transfer of this file to this place: the same as long as the file is.
fn transfer_of(file: &SourceFile, place: &str) -> Option<TransferId> {
    let found = file.metadata();
    let numbers = [
        found.dev(),
        found.ino(),
        found.len(),
        found.mtime().cast_unsigned(),
        found.mtime_nsec().cast_unsigned(),
    ];
    let mut hash = Sha256::new();
    for number in numbers {
        hash.update(number.to_le_bytes());
    }
    hash.update(place);
    to_hex(&hash.finalize()[..16]).parse().ok()
}

/// The channel to the transport.
struct Pieces(mpsc::Sender<io::Result<Bytes>>);

impl Sink for Pieces {
    fn send(&mut self, piece: Bytes) -> Result<(), Closed> {
        self.0.blocking_send(Ok(piece)).map_err(|_| Closed)
    }
}
