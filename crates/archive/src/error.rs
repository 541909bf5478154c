//! Why packing or extracting failed.

use crate::policy::Refusal;
use crate::tar::Malformed;

/// Why packing or extracting failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Reading or writing a file failed.
    #[error("{path}")]
    Local {
        /// The file.
        path: String,
        /// The system's own words.
        #[source]
        source: std::io::Error,
    },
    /// A file is of a kind that is not packed.
    #[error("{path} is {kind}: only files, directories and symbolic links are copied")]
    Kind {
        /// The file.
        path: String,
        /// What it is.
        kind: &'static str,
    },
    /// What stands at the destination is not what the source is.
    #[error("{path} is {found}, and can't be replaced by {wanted}")]
    Target {
        /// The destination.
        path: String,
        /// What it is.
        found: &'static str,
        /// What was to be put there.
        wanted: &'static str,
    },
    /// The directory that the copy should go into is not there.
    #[error("there is no directory {path} on this side")]
    NoDirectory {
        /// The directory.
        path: String,
    },
    /// A file changed its size while it was read.
    #[error("{path} changed while it was read: it had {expected} bytes, then {found}")]
    Changed {
        /// The file.
        path: String,
        /// Its size when it was opened, in bytes.
        expected: u64,
        /// What it had in the end.
        found: &'static str,
    },
    /// More than the caller allows.
    #[error("more than {limit} {unit}: the copy is limited to that")]
    OverLimit {
        /// The limit.
        limit: u64,
        /// Of what: `bytes` or `entries`.
        unit: &'static str,
    },
    /// The archive has an entry that must not be written.
    #[error("entry {entry:?} was refused")]
    Refused {
        /// The entry's name, with what is not text escaped.
        entry: String,
        /// Why.
        #[source]
        reason: Refusal,
    },
    /// The bytes are no archive.
    #[error("the archive can't be read")]
    Malformed {
        /// What is wrong with it.
        #[source]
        source: Malformed,
    },
}
