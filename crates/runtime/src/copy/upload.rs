//! Into a session: an archive made here, streamed to the session's `tar`.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use podbay_archive::{Closed, Packed, Sink, Source, Stopped};
use podbay_protocol::Outcome;
use tokio::io::AsyncWrite;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio_util::io::StreamReader;

use super::CopyError;
use super::remote::{self, RemotePath, RemoteTarget, Standing};
use super::{CopyOptions, CopyReport, Failure, PIECES};
use crate::error::Error;
use crate::session::Session;

/// Copies `local` to `path` in the session.
pub(super) async fn upload(
    session: &Session,
    local: &Path,
    path: &str,
    options: &CopyOptions,
) -> Result<CopyReport, Failure> {
    let path = RemotePath::parse(path)?;
    let source = {
        let local = local.to_owned();
        spawn_blocking(move || Source::find(&local))
            .await
            .map_err(super::interrupted)??
    };
    let asking = session
        .command(Standing::ask(&path))
        .cancel_on(options.cancel.clone());
    let outcome = asking.output().await.map_err(Failure::Session)?;
    remote::check("sh", &outcome)?;
    let answer = outcome.stdout_content.text();
    let standing = Standing::parse(&answer).ok_or_else(|| CopyError::Remote {
        program: "sh",
        code: 0,
        words: format!("an answer that makes no sense: {answer:?}"),
    })?;
    let name = source.name().map(OsStrExt::as_bytes);
    let RemoteTarget { directory, name } = standing.target(&path, name, source.is_directory)?;
    let (limits, skip_links) = (options.limits(), options.skip_links);

    let (sender, mut receiver) = mpsc::channel(PIECES);
    let mut sink = Pieces(sender);
    let packing = spawn_blocking(move || {
        let packed = source.pack(name.as_deref(), limits, skip_links, &mut sink);
        if let Err(Stopped::Failed(_)) = &packed {
            // An end of file would make a cut archive look like a whole one; an error kills tar.
            let _ = sink
                .0
                .blocking_send(Err(io::Error::other("the archive could not be completed")));
        }
        packed
    });
    let archive = StreamReader::new(futures::stream::poll_fn(move |cx| receiver.poll_recv(cx)));
    let lines = LineCount::default();
    // v: the members it extracts, a line each. o: they belong to whoever extracts them.
    let tar = session
        .command(["tar", "-C", &directory, "-xvof", "-"])
        .stdin(archive)
        .stdout(lines.clone())
        .cancel_on(options.cancel.clone());
    let outcome = tar.output().await;
    // Its reader is gone with the command, so it ends.
    let packed = packing.await.map_err(super::interrupted)?;
    conclude(packed, outcome, lines.0.load(Ordering::Relaxed))
}

/// What all of it came to. What went wrong on this side comes first: it killed tar.
fn conclude(
    packed: Result<Packed, Stopped>,
    outcome: Result<Outcome, Error>,
    lines: u64,
) -> Result<CopyReport, Failure> {
    if let Err(Stopped::Failed(error)) = packed {
        return Err(error.into());
    }
    remote::check("tar", &outcome.map_err(Failure::Session)?)?;
    let Ok(Packed {
        report,
        members,
        newlines,
    }) = packed
    else {
        return Err(CopyError::EndedEarly.into());
    };
    // GNU tar writes newlines in names as `\n`, busybox as they are. A stream that was cut between two members
    // is a whole archive to GNU tar, so its exit code alone proves nothing.
    if lines != members && lines != members + newlines {
        return Err(CopyError::NotAllTaken {
            sent: members,
            extracted: lines,
        }
        .into());
    }
    Ok(report.into())
}

/// The channel to the command's standard input.
struct Pieces(mpsc::Sender<io::Result<Bytes>>);

impl Sink for Pieces {
    fn send(&mut self, piece: Bytes) -> Result<(), Closed> {
        self.0.blocking_send(Ok(piece)).map_err(|_| Closed)
    }
}

/// Counts newlines and keeps nothing.
#[derive(Clone, Debug, Default)]
struct LineCount(Arc<AtomicU64>);

impl AsyncWrite for LineCount {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let newlines = bytes.iter().map(|&byte| u64::from(byte == b'\n')).sum();
        self.0.fetch_add(newlines, Ordering::Relaxed);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
