//! Files in and out of a session.
//!
//! ```text
//!   remote.rs        paths in the session, and where a copy goes (pure)
//!   progress.rs      how far a copy is
//!   upload.rs        into a session
//!   download.rs      out of a session
//!   across.rs        from one session to another
//! ```
//!
//! The archives themselves, what of them is accepted, and the files of this side are the matter of
//! [`podbay_archive`]; how they get there and back is that of [`crate::transport`].
//!
//! Both directions stream: whatever the size, a copy holds a few pieces of it in memory. What comes out of a
//! session is hostile until shown otherwise; what goes in is the user's own.

mod across;
mod download;
mod progress;
mod remote;
#[cfg(test)]
mod tests;
mod upload;

use std::path::Path;

use podbay_archive::{Limits, Report};
use tokio::task::JoinError;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use self::progress::CopyProgress;
pub use crate::error::CopyError;
pub use podbay_archive::{Error as ArchiveError, Refusal, tar::Malformed};

use crate::error::Error;
use crate::session::Session;
use crate::transport::TransportError;

/// Bytes that one copy may have unless told otherwise: 64 GiB, more than a sandbox's disk as a rule, and less
/// than fills most machines.
pub const DEFAULT_MAX_BYTES: u64 = 64 << 30;

/// Files, directories and links that one copy may have unless told otherwise: a large source tree with all its
/// dependencies has some hundred thousand.
pub const DEFAULT_MAX_ENTRIES: u64 = 1_000_000;

/// Pieces of the archive on their way between the command's stream and the disk.
const PIECES: usize = 4;

/// How to copy.
#[derive(Clone, Debug)]
pub struct CopyOptions {
    /// Leave links out. Without, symbolic links go in as links. On the way out those that lead to what is copied itself are links too,
    /// others are left out and told as [`CopyError::LeftOut`], and hard links end the copy.
    pub skip_links: bool,
    /// Bytes of all files at most.
    pub max_bytes: u64,
    /// Files, directories and links at most.
    pub max_entries: u64,
    /// Told how far the copy is, while it goes on.
    pub progress: CopyProgress,
    /// Ends the copy when cancelled.
    pub cancel: CancellationToken,
}

impl Default for CopyOptions {
    fn default() -> Self {
        Self {
            skip_links: false,
            max_bytes: DEFAULT_MAX_BYTES,
            max_entries: DEFAULT_MAX_ENTRIES,
            progress: CopyProgress::default(),
            cancel: CancellationToken::new(),
        }
    }
}

impl CopyOptions {
    const fn limits(&self) -> Limits {
        Limits {
            max_bytes: self.max_bytes,
            max_entries: self.max_entries,
        }
    }
}

/// What was copied.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CopyReport {
    /// Regular files.
    pub files: u64,
    /// Directories, those that were there before included.
    pub directories: u64,
    /// Symbolic links.
    pub links: u64,
    /// Bytes of the files.
    pub bytes: u64,
    /// Links that were left out.
    pub skipped: Vec<String>,
    /// How long it took, in seconds.
    pub seconds: f64,
}

impl From<Report> for CopyReport {
    /// What was packed or extracted, in no time yet.
    fn from(report: Report) -> Self {
        let Report {
            files,
            directories,
            links,
            bytes,
            skipped,
            left: _,
        } = report;
        Self {
            files,
            directories,
            links,
            bytes,
            skipped,
            seconds: 0.0,
        }
    }
}

/// What was copied, if that is all of it; `place` is where it went.
fn whole(report: Report, place: String) -> Result<CopyReport, Failure> {
    if report.left.is_empty() {
        return Ok(report.into());
    }
    let Report {
        files, bytes, left, ..
    } = report;
    Err(CopyError::LeftOut {
        left,
        files,
        bytes,
        place,
    }
    .into())
}

/// Why a copy ended: of its own, or because the session can't be reached.
enum Failure {
    Copy(CopyError),
    Session(Error),
}

impl From<TransportError> for Failure {
    fn from(error: TransportError) -> Self {
        match error {
            TransportError::Files(error) => Self::Copy(error.into()),
            TransportError::Session(error) => Self::Session(error),
        }
    }
}

impl<E: Into<CopyError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Copy(error.into())
    }
}

/// The work on this side's files ended without a result: it panicked, or the runtime was shut down.
fn interrupted(error: JoinError) -> ArchiveError {
    ArchiveError::Local {
        path: "the files of this side".to_owned(),
        source: error.into(),
    }
}

impl Session {
    /// Copies a file or a directory of this side into the session: by its agent, else with what `tar` the image has.
    ///
    /// As with `docker cp`, an existing directory is copied into, under the source's name, or without it if the source
    /// ends with `/.`; anything else is the copy's new name, in a directory that must be there. A file is not copied to a
    /// name that ends with a slash and isn't there. Where the session's own user is root and its server runs as another
    /// user, the copies belong to that one, else to the session's own. Permissions and modification times are kept, owners and
    /// special mode bits are not. `local` itself is followed if it is a link; links below are copied as links.
    /// What can't be read on this side is left out, and the copy told as [`CopyError::LeftOut`].
    /// A copy that failed may have left some of it in the session, where there is no agent; with one, a file is there when it is
    /// whole.
    pub async fn copy_to(
        &self,
        local: impl AsRef<Path>,
        remote: &str,
        options: CopyOptions,
    ) -> Result<CopyReport, Error> {
        let begun = Instant::now();
        let local = local.as_ref();
        let copied = upload::upload(self, local, remote, &options).await;
        Self::conclude_copy(copied, begun, || {
            (local.display().to_string(), self.place(remote))
        })
    }

    /// Copies a file or a directory of the session to this side: by its agent, else with what `tar` the image has.
    ///
    /// Names mean what they mean to [`Session::copy_to`]. Permissions (but for the umask) and modification times of
    /// files are kept, owners and special mode bits are not.
    ///
    /// A file without a size of its own (of `/proc` and `/sys`) is read to its end. A directory that has such files is
    /// refused, since `tar` would believe the sizes that they claim.
    ///
    /// Whatever the session sends, nothing is written but files, directories and links among them below the destination; see
    /// [`Refusal`] for what ends a copy. What the session can't read is left out, and the copy told as [`CopyError::LeftOut`]. No link that is there is followed or written through. Each file gets
    /// its name when it is whole, a file that is copied by itself when all went well.
    pub async fn copy_from(
        &self,
        remote: &str,
        local: impl AsRef<Path>,
        options: CopyOptions,
    ) -> Result<CopyReport, Error> {
        let begun = Instant::now();
        let local = local.as_ref();
        let copied = download::download(self, remote, local, &options).await;
        Self::conclude_copy(copied, begun, || {
            (self.place(remote), local.display().to_string())
        })
    }

    /// Copies a file or a directory of this session into another one. What is carried passes through this program, and is looked at
    /// as if it came to this side; nothing of it is kept here.
    ///
    /// Names mean what they mean to [`Session::copy_to`].
    pub async fn copy_across(
        &self,
        path: &str,
        to: &Self,
        destination: &str,
        options: CopyOptions,
    ) -> Result<CopyReport, Error> {
        let begun = Instant::now();
        let copied = across::across((self, path), (to, destination), &options).await;
        Self::conclude_copy(copied, begun, || (self.place(path), to.place(destination)))
    }

    /// A path in the session, as `podbay cp` names it.
    fn place(&self, remote: &str) -> String {
        format!("{}:{remote}", self.id())
    }

    fn conclude_copy(
        copied: Result<CopyReport, Failure>,
        begun: Instant,
        ends: impl FnOnce() -> (String, String),
    ) -> Result<CopyReport, Error> {
        match copied {
            Ok(report) => Ok(CopyReport {
                seconds: begun.elapsed().as_secs_f64(),
                ..report
            }),
            Err(Failure::Session(error)) => Err(error),
            Err(Failure::Copy(source)) => {
                let (from, to) = ends();
                Err(Error::Copy { from, to, source })
            }
        }
    }
}
