//! Out of a session: an archive made by the session's `tar`, streamed here and read by the rules of [`podbay_archive::Policy`].

use std::ffi::OsStr;
use std::io;
use std::path::Path;

use bytes::Bytes;
use futures::SinkExt as _;
use podbay_archive::tar::Malformed;
use podbay_archive::{Destination, Error as ArchiveError, Extracted, Extraction, Policy, Report};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio_util::io::{CopyToBytes, SinkWriter};
use tokio_util::sync::{CancellationToken, PollSender};

use super::CopyError;
use super::remote::{self, RemotePath};
use super::{CopyOptions, CopyReport, Failure, PIECES};
use crate::session::Session;

/// Copies `path` in the session to `local`.
pub(super) async fn download(
    session: &Session,
    path: &str,
    local: &Path,
    options: &CopyOptions,
) -> Result<CopyReport, Failure> {
    let path = RemotePath::parse(path)?;
    let destination = {
        let (local, name) = (local.to_owned(), path.name.clone());
        spawn_blocking(move || Destination::find(&local, name.as_deref().map(OsStr::new)))
            .await
            .map_err(super::interrupted)??
    };
    let place = destination.target().display().to_string();
    let policy = Policy::new(
        path.name.as_deref().map(str::as_bytes),
        options.limits(),
        options.skip_links,
    );
    let extraction = Extraction::new(policy, destination);

    let (sender, receiver) = mpsc::channel(PIECES);
    // Cancelled by the caller, or when the archive is refused: tar need not send the rest.
    let stop = options.cancel.child_token();
    let extracting = {
        let stop = stop.clone();
        spawn_blocking(move || extract(extraction, receiver, &stop))
    };
    let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
    let archive = SinkWriter::new(CopyToBytes::new(PollSender::new(sender).sink_map_err(gone)));
    // `./`: a name may begin with a dash.
    let name = format!("./{}", path.name.as_deref().unwrap_or("."));
    let tar = session
        .command(["tar", "-C", &path.parent, "-cf", "-", &name])
        .stdout(archive)
        .cancel_on(stop);
    let outcome = tar.output().await;
    // The writer is gone with the command, so it ends.
    let extracted = extracting.await.map_err(super::interrupted)?;

    let ended = match outcome {
        Ok(outcome) => remote::check("tar", &outcome).map_err(Failure::Copy),
        Err(error) => Err(Failure::Session(error)),
    };
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
            let written = extracted.written();
            let commit = spawn_blocking(move || extracted.commit())
                .await
                .map_err(super::interrupted)?;
            commit
                .map(CopyReport::from)
                .map_err(|error| partial(error.into(), &written, place))
        }
    }
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
) -> Result<Extracted, Box<Broken>> {
    while let Some(piece) = archive.blocking_recv() {
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
