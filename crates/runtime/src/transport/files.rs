//! The files of a session.

use async_trait::async_trait;
use podbay_protocol::agent::files::TransferId;
use tokio::io::{AsyncRead, AsyncWrite};

use super::capabilities::Capabilities;
use super::error::TransportError;

/// Where bytes come from.
pub type Reader = Box<dyn AsyncRead + Send + Unpin>;

/// Where bytes go.
pub type Writer = Box<dyn AsyncWrite + Send + Unpin>;

/// What is at a path. Links are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileStat {
    /// What it is, or what is missing.
    pub kind: FileKind,
    /// Its size in bytes, as the filesystem has it: that of a file of `/proc` says nothing. `None` if it can't be known.
    pub size: Option<u64>,
    /// Its permissions. `None` if they can't be known.
    pub mode: Option<u32>,
    /// When it was last modified, in seconds since 1970. `None` if that can't be known.
    pub modified: Option<u64>,
    /// Whether the path itself is a link; the rest is what it leads to. `false` where that can't be known.
    pub is_link: bool,
}

impl FileStat {
    /// Of this kind, and nothing else is known.
    pub const fn new(kind: FileKind) -> Self {
        Self {
            kind,
            size: None,
            mode: None,
            modified: None,
            is_link: false,
        }
    }
}

/// How to write a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PutOptions {
    /// Its permissions. `None` is those of the file that it replaces, else what the session's umask leaves.
    pub mode: Option<u32>,
    /// When it was last modified, in seconds since 1970. `None` is now.
    pub modified: Option<u64>,
    /// A transfer that may have been begun before: what is kept of it is not sent again. The content has to be the same, from its
    /// first byte on.
    pub transfer: Option<TransferId>,
    /// How many bytes are to come, where that is known: a transfer of which all of them are there already was completed, and is made anew,
    /// since what it wrote may have been changed or removed in the meantime.
    pub size: Option<u64>,
}

/// What is at a path, or what is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileKind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// Something else, a link that leads nowhere among them.
    Other,
    /// Nothing, in a directory that is there.
    Missing,
    /// Nothing, nor the directory that it would be in.
    NoDirectory,
}

/// A part of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ByteRange {
    /// Where it begins, in bytes.
    pub from: u64,
    /// How many bytes it has at most; `None` is up to the end.
    pub length: Option<u64>,
}

/// Whose the files of an archive are when they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// Whoever writes them: the session's own user.
    Session,
    /// Whom the archive names by number. Takes effect only where the session's own user is root.
    Archive,
}

/// Reads and writes files of a session. Paths are absolute, or relative to the directory that commands start in; all
/// calls stream, and hold a few pieces of what they carry.
///
/// A call that returns `Ok` has carried everything: how that is known, [`Capabilities::integrity`] tells. One that fails
/// may have written a part.
#[async_trait]
pub trait FileTransport: Send + Sync {
    /// What this transport can do.
    fn capabilities(&self) -> Capabilities;

    /// What is at `path`.
    async fn stat(&self, path: &str) -> Result<FileStat, TransportError>;

    /// Reads a part of the file at `path` to its end, whatever size it claims to have. Returns how many bytes there were.
    async fn get(&self, path: &str, range: ByteRange, to: Writer) -> Result<u64, TransportError>;

    /// Writes the file at `path`. Returns how many bytes it has.
    async fn put(&self, path: &str, options: PutOptions, content: Reader) -> Result<u64, TransportError>;

    /// Sends a tar archive of `name` in `directory` (`.`: of what is in it). Symbolic links are sent as links. A name
    /// that ends with a slash must be a directory's.
    async fn get_tree(&self, directory: &str, name: &str, to: Writer) -> Result<(), TransportError>;

    /// Writes what is in a tar archive into `directory`. Fails unless all its members were taken.
    async fn put_tree(
        &self,
        directory: &str,
        archive: Reader,
        ownership: Ownership,
    ) -> Result<(), TransportError>;
}
