//! From one session to another, through this program.

use std::io;

use bytes::Bytes;
use futures::SinkExt as _;
use podbay_archive::{Closed, Error as ArchiveError, Links, Policy, Report, Rewriting, Sink, Stopped};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio_util::io::{CopyToBytes, InspectReader, SinkWriter, StreamReader};
use tokio_util::sync::PollSender;

use super::remote::{RemotePath, RemoteTarget};
use super::{CopyError, CopyOptions, CopyProgress, CopyReport, Failure, PIECES, whole};
use crate::error::FileError;
use crate::session::Session;
use crate::transport::{ByteRange, FileKind, FileStat, FileTransport, Ownership, PutOptions, TransportError};

type Pieces = mpsc::Sender<io::Result<Bytes>>;

/// Copies what is at a path of one session to a path of another.
pub(super) async fn across(
    (source, path): (&Session, &str),
    (target, destination): (&Session, &str),
    options: &CopyOptions,
) -> Result<CopyReport, Failure> {
    let path = RemotePath::parse(path)?;
    let destination = RemotePath::parse_destination(destination)?;
    let from = source
        .files(options.cancel.clone())
        .await
        .map_err(Failure::Session)?;
    let to = target
        .files(options.cancel.clone())
        .await
        .map_err(Failure::Session)?;
    let found = from.stat(&path.text).await?;
    let is_directory = match found.kind {
        FileKind::Directory => true,
        FileKind::Missing | FileKind::NoDirectory => {
            return Err(CopyError::NoRemoteSource { path: path.text }.into());
        }
        FileKind::File | FileKind::Other => false,
    };
    if path.slash && !is_directory {
        return Err(CopyError::RemoteNotDirectory { path: path.text }.into());
    }
    let at = to.stat(&destination.text).await?.kind;
    let name = path.name.as_deref().map(str::as_bytes);
    let place = RemoteTarget::find(&destination, at, name, is_directory)?;
    let is_file = found.kind == FileKind::File && !found.is_link;
    if is_file && from.capabilities().put_with_mode && to.capabilities().put_with_mode {
        return file(&*from, &*to, &path, &place, found, options).await;
    }
    let owner = target.owner_of_copies().await.map_err(Failure::Session)?;
    let ownership = match owner {
        Some(_) => Ownership::Archive,
        None => Ownership::Session,
    };
    let links = if options.skip_links {
        Links::Skip
    } else {
        Links::Inside
    };
    let policy = Policy::new(name, options.limits(), links);
    let rewriting = Rewriting::new(policy, place.name.clone(), owner.unwrap_or_default());
    let tree = Tree {
        from: &*from,
        to: &*to,
        ownership,
    };
    match tree.copy(&path, &place, rewriting, &options.progress).await {
        Err(Failure::Copy(CopyError::Files(FileError::SizelessFile { .. }))) => {
            let unknown = FileStat::new(FileKind::File);
            file(&*from, &*to, &path, &place, unknown, options).await
        }
        other => other,
    }
}

/// A single file, hashed at all three places.
async fn file(
    from: &dyn FileTransport,
    to: &dyn FileTransport,
    path: &RemotePath,
    place: &RemoteTarget,
    found: FileStat,
    options: &CopyOptions,
) -> Result<CopyReport, Failure> {
    if let Some(size) = found.size {
        options.limits().check(1, size)?;
        options.progress.expect(size);
    }
    // Both names are of a command line, and so text.
    let name = place
        .name
        .as_deref()
        .map(String::from_utf8_lossy)
        .unwrap_or_default();
    let place = format!("{}/{name}", place.directory.trim_end_matches('/'));
    let mut put = PutOptions::default();
    (put.mode, put.modified) = (found.mode.map(|mode| mode & 0o777), found.modified);
    let (sender, receiver) = mpsc::channel(PIECES);
    let content = reader(receiver, options.progress.clone());
    let writer = writer(sender.clone());
    let reading = async {
        let got = from.get(&path.text, ByteRange::default(), Box::new(writer)).await;
        if got.is_err() {
            cut(&sender).await;
        }
        drop(sender);
        got
    };
    let (got, written) = tokio::join!(reading, to.put(&place, put, Box::new(content)));
    let bytes = conclude(got, written)?;
    Ok(CopyReport {
        files: 1,
        bytes,
        ..CopyReport::default()
    })
}

/// Both ends of a copy of a tree.
struct Tree<'a> {
    from: &'a dyn FileTransport,
    to: &'a dyn FileTransport,
    ownership: Ownership,
}

impl Tree<'_> {
    async fn copy(
        &self,
        path: &RemotePath,
        place: &RemoteTarget,
        rewriting: Rewriting,
        progress: &CopyProgress,
    ) -> Result<CopyReport, Failure> {
        let mut name = path.name.clone().unwrap_or_else(|| ".".to_owned());
        if path.name.is_some() && path.slash {
            name.push('/');
        }
        let (sender, arrived) = mpsc::channel(PIECES);
        let (onwards, receiver) = mpsc::channel(PIECES);
        let rewritten = spawn_blocking(move || rewrite(rewriting, arrived, onwards));
        let archive = writer(sender.clone());
        let reading = async {
            let got = self.from.get_tree(&path.parent, &name, Box::new(archive)).await;
            if got.is_err() {
                cut(&sender).await;
            }
            drop(sender);
            got
        };
        let content = Box::new(reader(receiver, progress.clone()));
        let writing = self.to.put_tree(&place.directory, content, self.ownership);
        let (got, put) = tokio::join!(reading, writing);
        match rewritten.await.map_err(super::interrupted)? {
            // What is wrong with the archive, unless that it was cut: its sender knows why.
            Err(Stopped::Failed(error))
                if !matches!(error, ArchiveError::Malformed { .. }) || got.is_ok() =>
            {
                Err(error.into())
            }
            Err(Stopped::Failed(error)) => {
                got?;
                Err(error.into())
            }
            Err(Stopped::Closed) => {
                put?;
                Err(FileError::EndedEarly.into())
            }
            Ok(report) => {
                conclude(got, put)?;
                whole(report, place.directory.clone())
            }
        }
    }
}

/// What both ends come to; the first one's fault is the second one's cause.
fn conclude<S, T>(got: Result<S, TransportError>, put: Result<T, TransportError>) -> Result<T, Failure> {
    match (got, put) {
        // Nobody took what was read.
        (Err(TransportError::Session(_)), Err(put)) => Err(put.into()),
        (Err(got), _) => Err(got.into()),
        (Ok(_), put) => Ok(put?),
    }
}

/// Passes on what is accepted, until the archive ends or breaks off.
fn rewrite(
    mut rewriting: Rewriting,
    mut arrived: mpsc::Receiver<io::Result<Bytes>>,
    onwards: Pieces,
) -> Result<Report, Stopped> {
    let mut sink = Onwards(onwards);
    let run = || {
        while let Some(piece) = arrived.blocking_recv() {
            let Ok(piece) = piece else { break };
            rewriting.feed(&piece, &mut sink)?;
        }
        rewriting.finish(&mut sink)
    };
    let ended = run();
    if ended.is_err() {
        // An end would make a part look like the whole.
        let _ = sink.0.blocking_send(Err(broken_off()));
    }
    ended
}

struct Onwards(Pieces);

impl Sink for Onwards {
    fn send(&mut self, piece: Bytes) -> Result<(), Closed> {
        self.0.blocking_send(Ok(piece)).map_err(|_| Closed)
    }
}

fn broken_off() -> io::Error {
    io::Error::other("what is copied broke off")
}

async fn cut(pieces: &Pieces) {
    let _ = pieces.send(Err(broken_off())).await;
}

fn writer(pieces: Pieces) -> impl AsyncWrite + Send + Unpin + 'static {
    let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
    let sink = PollSender::new(pieces)
        .sink_map_err(gone)
        .with(|piece: Bytes| futures::future::ready(Ok::<_, io::Error>(Ok(piece))));
    SinkWriter::new(CopyToBytes::new(sink))
}

fn reader(
    mut pieces: mpsc::Receiver<io::Result<Bytes>>,
    progress: CopyProgress,
) -> impl AsyncRead + Send + Unpin + 'static {
    let content = StreamReader::new(futures::stream::poll_fn(move |cx| pieces.poll_recv(cx)));
    InspectReader::new(content, move |bytes| progress.add(bytes.len()))
}
