//! The tar format, without any I/O: bytes in, entries out, and the other way round.
//!
//! Formats: POSIX.1-2017 `pax` (interchange format of `pax(1)`) and GNU tar's extensions to ustar ("Basic Tar
//! Format" in its manual). The fields of the 512-byte header are the tar library's matter; everything that a
//! hostile archive could use, the sequence of headers, sizes, long names and extensions, is read here with
//! bounds on each.

mod decoder;
mod encoder;
mod entry;
mod pax;

pub use decoder::Decoder;
pub use decoder::Malformed;
pub use encoder::{Member, MemberKind, Owner, end_of_archive, header, left_out, padding};
pub use entry::{Entry, EntryKind, Event};

/// The unit of the format, in bytes.
const BLOCK: usize = 512;
