//! Tar archives that come from somewhere hostile, and those that go there.
//!
//! * [`tar`]: the format, without any I/O: entries from bytes, bytes from members.
//! * [`Extraction`]: an archive written to a directory as it arrives. A [`Policy`] decides on each entry: nothing is
//!   written but plain files and directories below the [`Destination`], each in a directory that came before it, each
//!   once, within [`Limits`]; symbolic links only where [`Links`] says so. No link that is there is followed, and each file gets its name when it is whole.
//! * [`Rewriting`]: the same decisions on an archive that goes on elsewhere.
//! * [`Source`]: files of this machine packed, piece by piece, into a [`Sink`].
//!
//! ```
//! use podbay_archive::{Destination, Extraction, Faults, Limits, Links, Packed, Packing, Policy, Sink, Source, tar::Owner};
//!
//! /// Holds an archive in memory.
//! struct Memory(Vec<u8>);
//!
//! impl Sink for Memory {
//!     fn send(&mut self, piece: bytes::Bytes) -> Result<(), podbay_archive::Closed> {
//!         self.0.extend(piece);
//!         Ok(())
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let place = tempfile::tempdir()?;
//! # let (from, to) = (place.path().join("from"), place.path().join("to"));
//! # std::fs::create_dir(&to)?;
//! std::fs::write(&from, "content")?;
//! let limits = Limits { max_bytes: 1 << 20, max_entries: 100 };
//! let mut archive = Memory(Vec::new());
//! let packing = Packing { name: Some(b"name"), follow: true, limits, skip_links: false, faults: Faults::End, owner: Owner::default() };
//! let packed = Source::find(&from)?.pack(&packing, &mut archive);
//! assert!(matches!(packed, Ok(Packed { members: 1, .. })));
//!
//! let policy = Policy::new(Some(b"name"), limits, Links::Refuse);
//! let destination = Destination::find(&to, Some("name".as_ref()))?;
//! let mut extraction = Extraction::new(policy, destination);
//! for piece in archive.0.chunks(1000) {
//!     extraction.feed(piece)?;
//! }
//! let report = extraction.finish()?.commit()?;
//! assert_eq!((report.files, report.bytes), (1, 7));
//! assert_eq!(std::fs::read(to.join("name"))?, b"content");
//! # Ok(())
//! # }
//! ```
//!
//! ```text
//!   tar/             the format: decoder, encoder (pure)
//!   member_path.rs   a path that can't lead out of a directory (pure)
//!   parts.rs         files that are not whole yet, and what killed copies have left of them
//!   policy.rs        what of an archive is written, skipped, refused (pure)
//!   destination.rs   where a copy goes, and what it is called there
//!   tree.rs          files written below a directory
//!   extraction.rs    decoder, policy and tree together
//!   left.rs          what was left out (pure)
//!   packing.rs       files read into an archive
//!   rewriting.rs     decoder, policy and encoder together: an archive that is passed on
//! ```

mod destination;
mod error;
mod extraction;
mod left;
mod member_path;
mod packing;
mod parts;
mod policy;
mod rewriting;
pub mod tar;
#[cfg(test)]
mod tests;
mod tree;

pub use destination::Destination;
pub use error::Error;
pub use extraction::{Extracted, Extraction};
pub use left::{Left, LeftOut};
pub use member_path::{COMPONENT_LIMIT, DEPTH_LIMIT, MemberPath};
pub use packing::{Closed, Faults, Packed, Packing, Sink, Source, SourceFile, Stopped, name_of};
pub use policy::{Accepted, AcceptedKind, Decision, Limits, Links, Policy, Refusal};
pub use rewriting::Rewriting;

/// What was packed or extracted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
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
    /// What was left out because it could not be copied.
    pub left: LeftOut,
}

/// The README's example is run as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
