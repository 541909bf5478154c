//! What reaches into a session: its files, over whatever way there is.
//!
//! ```text
//!   capabilities.rs  what a way can do, and the one error for what it can't
//!   error.rs         why something on the other side failed
//!   files.rs         `FileTransport`: stat, get, put, trees
//!   exec/            the way over the exec subresource (or local processes), with the image's own programs
//! ```
//!
//! What is above (`copy/`) decides what a copy means and asks what the capabilities say; how it gets there is the
//! matter of the transport alone.

mod capabilities;
mod error;
mod exec;
mod files;

pub use capabilities::{Capabilities, Integrity};
pub use error::TransportError;
pub use files::{ByteRange, FileKind, FileStat, FileTransport, Ownership, Reader, Writer};

use tokio_util::sync::CancellationToken;

use crate::session::Session;
use exec::ExecFiles;

impl Session {
    /// Its files, by the best way there is to them. Cancelling `cancel` ends what is under way.
    pub fn files(&self, cancel: CancellationToken) -> Box<dyn FileTransport> {
        Box::new(ExecFiles::new(self.clone(), cancel))
    }
}
