//! Files of a session by commands in it: the image's shell, `tar`, `cat` and a few more.
//!
//! ```text
//!   stat.sh, get.sh, put.sh, get_tree.sh   what runs in the session
//!   ended.rs                               how a program there ended (pure)
//!   agent/                                 by the session's agent instead
//! ```

mod agent;
mod ended;

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::SinkExt as _;
use podbay_archive::tar::{Decoder, Event};
use podbay_protocol::{End, Outcome};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio_util::io::{CopyToBytes, InspectReader, SinkWriter};
use tokio_util::sync::{CancellationToken, PollSender};

use self::agent::AgentFiles;
use self::ended::check;
use crate::command::Command;
use crate::error::{Error, FileError, Operation};
use crate::session::Session;
use crate::transport::{
    ByteRange, Capabilities, FileKind, FileStat, FileTransport, Ownership, PutOptions, Reader,
    TransportError, Writer,
};

const STAT: &str = include_str!("stat.sh");
const GET: &str = include_str!("get.sh");
const PUT: &str = include_str!("put.sh");
const GET_TREE: &str = include_str!("get_tree.sh");

/// How `get_tree.sh` ends where files without a size of their own are in the way, and what it says then.
const SIZELESS: i32 = 79;
const SIZELESS_FILE: &str = "podbay: sizeless file";
const SIZELESS_MOUNT: &str = "podbay: sizeless mount ";

/// Pieces on their way between two streams.
const PIECES: usize = 4;

impl Session {
    /// Its files, by the best way there is to them. Cancelling `cancel` ends what is under way. Fails as [`Session::processes`] does.
    pub async fn files(&self, cancel: CancellationToken) -> Result<Box<dyn FileTransport>, Error> {
        Ok(match self.agent_for_files().await? {
            Some(connection) => Box::new(AgentFiles::new(self.clone(), connection, cancel)),
            None => Box::new(CommandFiles::new(self.clone(), cancel)),
        })
    }
}

/// Files of a session, by commands in it.
struct CommandFiles {
    session: Session,
    cancel: CancellationToken,
}

impl CommandFiles {
    const fn new(session: Session, cancel: CancellationToken) -> Self {
        Self { session, cancel }
    }

    /// One of our scripts with its arguments, to be run by the session's shell.
    fn script(&self, script: &str, arguments: &[&str]) -> Command {
        let words = ["/bin/sh", "-c", script, "podbay"].into_iter();
        let words = words.chain(arguments.iter().copied());
        self.session
            .command(words)
            .without_agent()
            .cancel_on(self.cancel.clone())
    }
}

#[async_trait]
impl FileTransport for CommandFiles {
    fn capabilities(&self) -> Capabilities {
        // Commands carry them, so what carries commands says it.
        self.session.without_agent().processes.capabilities()
    }

    async fn stat(&self, path: &str) -> Result<FileStat, TransportError> {
        let parent = match path.trim_end_matches('/').rsplit_once('/') {
            Some(("", _)) => "/",
            Some((parent, _)) => parent,
            None => ".",
        };
        let outcome = self.script(STAT, &[path, parent]).output().await?;
        check("sh", &outcome)?;
        let answer = outcome.stdout_content.text();
        parse_stat(&answer).ok_or_else(|| {
            let words = format!("an answer that makes no sense: {answer:?}");
            FileError::Remote {
                program: "sh",
                code: 0,
                words,
            }
            .into()
        })
    }

    async fn get(&self, path: &str, range: ByteRange, to: Writer) -> Result<u64, TransportError> {
        let end = format!("{:032x}", rand::random::<u128>());
        let from = range.from.to_string();
        let length = range.length.map(|length| length.to_string()).unwrap_or_default();
        let (writer, pieces) = channel();
        let reading = self.script(GET, &[path, &from, &length, &end]).stdout(writer);
        let (outcome, passed) = tokio::join!(reading.output(), pass_on(pieces, to, end.as_bytes()));
        let (arrived, is_complete) = passed.map_err(|source| Error::LocalStream {
            what: "writing what a file has",
            source,
        })?;
        check("cat", &outcome?)?;
        if is_complete {
            Ok(arrived)
        } else {
            let path = path.to_owned();
            Err(FileError::Incomplete { path, arrived }.into())
        }
    }

    async fn put(&self, path: &str, options: PutOptions, content: Reader) -> Result<u64, TransportError> {
        let PutOptions {
            mode,
            modified,
            transfer,
            size: _,
        } = options;
        for (wanted, operation) in [
            (transfer.is_some(), Operation::PutFromOffset),
            (mode.is_some() || modified.is_some(), Operation::PutWithMode),
        ] {
            if wanted {
                let possible = self.capabilities().require(operation);
                possible.map_err(FileError::from)?;
            }
        }
        let sent = Arc::new(AtomicU64::new(0));
        let counted = {
            let sent = sent.clone();
            InspectReader::new(content, move |bytes| {
                sent.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            })
        };
        let outcome = self.script(PUT, &[path]).stdin(counted).output().await?;
        check("cat", &outcome)?;
        let sent = sent.load(Ordering::Relaxed);
        let arrived = outcome.stdout_content.text().trim().parse().unwrap_or(0);
        if arrived == sent {
            Ok(sent)
        } else {
            let path = path.to_owned();
            Err(FileError::Incomplete { path, arrived }.into())
        }
    }

    async fn get_tree(&self, directory: &str, name: &str, to: Writer) -> Result<(), TransportError> {
        // `./`: a name may begin with a dash.
        let name = format!("./{name}");
        let outcome = self
            .script(GET_TREE, &[directory, &name])
            .stdout(to)
            .output()
            .await?;
        if let Some(error) = sizeless(&outcome, directory, &name) {
            return Err(error.into());
        }
        Ok(check("tar", &outcome)?)
    }

    async fn put_tree(
        &self,
        directory: &str,
        archive: Reader,
        ownership: Ownership,
    ) -> Result<(), TransportError> {
        let sent = Arc::new(Mutex::new(Sent::default()));
        let watched = {
            let sent = sent.clone();
            InspectReader::new(archive, move |bytes| {
                sent.lock().unwrap_or_else(PoisonError::into_inner).add(bytes);
            })
        };
        let extracted = LineCount::default();
        // v: the members it extracts, a line each. o: they belong to whoever extracts them.
        let flags = match ownership {
            Ownership::Session => "-xvof",
            Ownership::Archive => "-xvf",
        };
        let tar = self
            .session
            .command(["tar", "-C", directory, flags, "-"])
            .without_agent()
            .stdin(watched)
            .stdout(extracted.clone())
            .cancel_on(self.cancel.clone());
        check("tar", &tar.output().await?)?;
        let sent = sent.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(sent.check(extracted.0.load(Ordering::Relaxed))?)
    }
}

/// Reads what `stat.sh` says.
fn parse_stat(answer: &str) -> Option<FileStat> {
    let mut words = answer.split_whitespace();
    let kind = match words.next()? {
        "directory" => FileKind::Directory,
        "file" => FileKind::File,
        "other" => FileKind::Other,
        "missing" => FileKind::Missing,
        "no-directory" => FileKind::NoDirectory,
        _ => return None,
    };
    let (size, mode) = (words.next()?, words.next()?);
    Some(FileStat {
        size: size.parse().ok(),
        mode: u32::from_str_radix(mode, 8).ok(),
        ..FileStat::new(kind)
    })
}

/// What `get_tree.sh` says of files without a size of their own.
fn sizeless(outcome: &Outcome, directory: &str, name: &str) -> Option<FileError> {
    if outcome.end != (End::Exited { code: SIZELESS }) {
        return None;
    }
    let path = format!(
        "{}/{}",
        directory.trim_end_matches('/'),
        name.trim_start_matches("./")
    );
    let words = outcome.stderr_content.text();
    let line = words.lines().last()?;
    if line == SIZELESS_FILE {
        return Some(FileError::SizelessFile { path });
    }
    let mount = line.strip_prefix(SIZELESS_MOUNT)?.to_owned();
    Some(FileError::Sizeless { path, mount })
}

/// A writer that a command writes to, and the pieces it has written.
fn channel() -> (impl AsyncWrite + Send + Unpin + 'static, mpsc::Receiver<Bytes>) {
    let (sender, receiver) = mpsc::channel(PIECES);
    let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
    let writer = SinkWriter::new(CopyToBytes::new(PollSender::new(sender).sink_map_err(gone)));
    (writer, receiver)
}

/// Writes pieces to `to` as they come, but for the word that ends them. Returns how many bytes were written, and whether
/// the word was there.
async fn pass_on(mut pieces: mpsc::Receiver<Bytes>, mut to: Writer, end: &[u8]) -> io::Result<(u64, bool)> {
    let mut held = BytesMut::new();
    let mut written = 0;
    while let Some(piece) = pieces.recv().await {
        held.extend_from_slice(&piece);
        if held.len() > end.len() {
            let ready = held.split_to(held.len() - end.len());
            to.write_all(&ready).await?;
            written += ready.len() as u64;
        }
    }
    let is_complete = held == end;
    if !is_complete {
        to.write_all(&held).await?;
        written += held.len() as u64;
    }
    to.shutdown().await?;
    Ok((written, is_complete))
}

/// What went into an archive's stream.
#[derive(Default)]
struct Sent {
    decoder: Decoder,
    members: u64,
    /// Newlines in members' names: a `tar` that lists names as they are writes that many lines more.
    newlines: u64,
    /// Whether it is no archive; `tar` has the words for that.
    is_broken: bool,
}

impl Sent {
    fn add(&mut self, mut bytes: &[u8]) {
        while !self.is_broken {
            match self.decoder.next(&mut bytes) {
                Ok(Some(Event::Entry(entry))) => {
                    self.members += 1;
                    self.newlines += newlines(&entry.name);
                }
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) => self.is_broken = true,
            }
        }
    }

    /// Whether a `tar` that ended well and listed so many members has taken all. GNU tar writes newlines in names as `\n`,
    /// busybox as they are. A stream that was cut between two members is a whole archive to GNU tar, so its exit code
    /// alone proves nothing.
    fn check(&self, extracted: u64) -> Result<(), FileError> {
        if self.decoder.finish().is_err() {
            return Err(FileError::EndedEarly);
        }
        if extracted == self.members || extracted == self.members + self.newlines {
            return Ok(());
        }
        Err(FileError::NotAllTaken {
            sent: self.members,
            extracted,
        })
    }
}

fn newlines(bytes: &[u8]) -> u64 {
    bytes.iter().map(|&byte| u64::from(byte == b'\n')).sum()
}

/// Counts newlines and keeps nothing.
#[derive(Clone, Debug, Default)]
struct LineCount(Arc<AtomicU64>);

impl AsyncWrite for LineCount {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.fetch_add(newlines(bytes), Ordering::Relaxed);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests;
