//! Out of a session: an archive that the session sends, read by the rules of [`podbay_archive::Policy`].

use std::ffi::OsStr;
use std::io;
use std::path::Path;

use bytes::Bytes;
use futures::SinkExt as _;
use podbay_archive::tar::Malformed;
use podbay_archive::{Destination, Error as ArchiveError, Extracted, Extraction, Links, Policy, Report};
use tokio::io::AsyncWrite;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio_util::io::{CopyToBytes, SinkWriter};
use tokio_util::sync::{CancellationToken, PollSender};

use super::CopyError;
use super::remote::RemotePath;
use super::{CopyOptions, CopyProgress, CopyReport, Failure, PIECES, whole};
use crate::error::FileError;
use crate::session::Session;
use crate::transport::{ByteRange, FileKind, FileStat, FileTransport, TransportError};

/// Permissions of a file that came without any, but for the umask.
const MODE: u32 = 0o666;

/// Copies `path` in the session to `local`.
pub(super) async fn download(
    session: &Session,
    path: &str,
    local: &Path,
    options: &CopyOptions,
) -> Result<CopyReport, Failure> {
    let path = RemotePath::parse(path)?;
    // Before anything is asked of the session.
    let destination = find(local, &path).await?;
    let place = destination.target().display().to_string();
    let policy = Policy::new(
        path.name.as_deref().map(str::as_bytes),
        options.limits(),
        links_of(options),
    );
    let extraction = Extraction::new(policy, destination);

    // Cancelled by the caller, or when the archive is refused: the rest need not be sent.
    let stop = options.cancel.child_token();
    let files = session.files(stop.clone()).await.map_err(Failure::Session)?;
    if files.capabilities().put_with_mode && path.name.is_some() {
        let found = files.stat(&path.text).await?;
        if found.kind == FileKind::File && !found.is_link {
            if path.slash {
                return Err(CopyError::RemoteNotDirectory { path: path.text }.into());
            }
            return single(files, path, local, found, options).await;
        }
    }
    let (archive, receiver) = pieces();
    let progress = options.progress.clone();
    let extracting = spawn_blocking(move || extract(extraction, receiver, &stop, &progress));
    let mut name = path.name.clone().unwrap_or_else(|| ".".to_owned());
    if path.name.is_some() && path.slash {
        // It must be a directory's.
        name.push('/');
    }
    let got = files.get_tree(&path.parent, &name, Box::new(archive)).await;
    // The writer is gone with the transport's call, so it ends.
    let extracted = extracting.await.map_err(super::interrupted)?;
    if let Err(TransportError::Files(FileError::SizelessFile { .. })) = got {
        let destination = find(local, &path).await?;
        let file = Extracted::of_file(destination, MODE, None)?;
        return content(files, path, file, options).await;
    }
    let ended = got.map_err(Failure::from);
    match (extracted, ended) {
        (Err(broken), ended) => {
            let Broken { error, written } = *broken;
            // A cut archive is the effect, and how tar ended its cause; any other fault of the archive killed tar.
            let cut = matches!(
                error,
                ArchiveError::Malformed {
                    source: Malformed::Truncated | Malformed::Empty
                }
            );
            let cause = match ended {
                Err(cause) if cut => cause,
                _ => error.into(),
            };
            Err(partial(cause, &written, place))
        }
        (Ok(extracted), Err(cause)) => Err(partial(cause, &extracted.written(), place)),
        (Ok(extracted), Ok(())) => {
            if extracted.is_an_empty_file() {
                return content(files, path, extracted, options).await;
            }
            let written = extracted.written();
            let commit = spawn_blocking(move || extracted.commit())
                .await
                .map_err(super::interrupted)?;
            match commit {
                Ok(report) => whole(report, place),
                Err(error) => Err(partial(error.into(), &written, place)),
            }
        }
    }
}

/// What becomes of links.
const fn links_of(options: &CopyOptions) -> Links {
    if options.skip_links {
        Links::Skip
    } else {
        Links::Inside
    }
}

/// Copies a single file, whose hash is taken on both sides.
async fn single(
    files: Box<dyn FileTransport>,
    path: RemotePath,
    local: &Path,
    found: FileStat,
    options: &CopyOptions,
) -> Result<CopyReport, Failure> {
    if let Some(size) = found.size {
        options.limits().check(1, size)?;
        options.progress.expect(size);
    }
    let destination = find(local, &path).await?;
    let (mode, modified) = (found.mode.unwrap_or(MODE) & 0o777, found.modified);
    let file = spawn_blocking(move || Extracted::of_file(destination, mode, modified));
    let file = file.await.map_err(super::interrupted)??;
    content(files, path, file, options).await
}

/// Where a copy of `path` to `local` goes.
async fn find(local: &Path, path: &RemotePath) -> Result<Destination, Failure> {
    let (local, name) = (local.to_owned(), path.name.clone());
    let found = spawn_blocking(move || Destination::find(&local, name.as_deref().map(OsStr::new)));
    Ok(found.await.map_err(super::interrupted)??)
}

/// A writer, and the pieces that were written to it.
fn pieces() -> (impl AsyncWrite + Send + Unpin + 'static, mpsc::Receiver<Bytes>) {
    let (sender, receiver) = mpsc::channel(PIECES);
    let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
    let writer = SinkWriter::new(CopyToBytes::new(PollSender::new(sender).sink_map_err(gone)));
    (writer, receiver)
}

/// Completes a copy of one file with what it has when it is read to its end.
async fn content(
    files: Box<dyn FileTransport>,
    path: RemotePath,
    mut file: Extracted,
    options: &CopyOptions,
) -> Result<CopyReport, Failure> {
    let (writer, mut receiver) = pieces();
    let limits = options.limits();
    let progress = options.progress.clone();
    let appending = spawn_blocking(move || {
        let mut bytes = 0;
        while let Some(piece) = receiver.blocking_recv() {
            bytes += piece.len() as u64;
            progress.add(piece.len());
            limits.check(1, bytes)?;
            file.append(&piece)?;
        }
        Ok::<_, ArchiveError>(file)
    });
    let slash = if path.slash { "/" } else { "" };
    let path = format!("{}{slash}", path.text);
    let got = files.get(&path, ByteRange::default(), Box::new(writer)).await;
    // Whoever writes the file knows best why it ended.
    let file = appending.await.map_err(super::interrupted)??;
    got?;
    let committed = spawn_blocking(move || file.commit()).await;
    let report = committed.map_err(super::interrupted)?;
    report.map(CopyReport::from).map_err(Failure::from)
}

/// Why an extraction ended, and what was written before it.
struct Broken {
    error: ArchiveError,
    written: Report,
}

/// Reads the archive to its end. Cancels `stop` when the rest of it is not wanted; one that ends too early is the
/// end of its tar, which is to tell by itself why.
fn extract(
    mut extraction: Extraction,
    mut archive: mpsc::Receiver<Bytes>,
    stop: &CancellationToken,
    progress: &CopyProgress,
) -> Result<Extracted, Box<Broken>> {
    while let Some(piece) = archive.blocking_recv() {
        progress.add(piece.len());
        if let Err(error) = extraction.feed(&piece) {
            stop.cancel();
            let written = extraction.written();
            return Err(Box::new(Broken { error, written }));
        }
    }
    let written = extraction.written();
    extraction
        .finish()
        .map_err(|error| Box::new(Broken { error, written }))
}

/// Adds what was written to an error, if anything was.
fn partial(failure: Failure, written: &Report, place: String) -> Failure {
    match failure {
        Failure::Copy(error) if written.files > 0 => {
            let (files, bytes) = (written.files, written.bytes);
            CopyError::Partial {
                files,
                bytes,
                place,
                source: Box::new(error),
            }
            .into()
        }
        other => other,
    }
}
