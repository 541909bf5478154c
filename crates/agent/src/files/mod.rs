//! Files of the sandbox: read, written, listed, moved, removed, and whole trees in and out.
//!
//! ```text
//!   path.rs     what may be named (pure)
//!   range.rs    which part of a file is asked for (pure)
//!   error.rs    why something failed, with the code that clients see
//!   disk.rs     blocking calls, on a bounded number of threads
//!   kind.rs     what stands under a name
//!   read.rs     a file's content, piece by piece, hashed
//!   write.rs    a file that gets its name when it is whole; resumable transfers
//!   transfers.rs  transfers between the requests that they come in
//!   list.rs     a directory, as it is read
//!   change.rs   making directories, removing, moving
//!   tree.rs     archives in and out, by `podbay-archive`
//! ```
//!
//! A path is the client's own: symbolic links on the way to the last name are followed, as a shell would. The last one
//! never is where something is written, removed or moved; and below a directory that a tree is written to, none is.
//! Named pipes, sockets, terminals and devices are neither opened nor waited for. Memory does not grow with the size of
//! a file: it goes through in pieces of [`PIECE`] bytes.

mod change;
mod disk;
mod error;
mod kind;
mod list;
mod path;
mod range;
mod read;
mod transfers;
mod tree;
mod write;

pub use change::{make_directory, remove, rename};
pub use disk::Disk;
pub use error::FileError;
pub use kind::stat;
pub use list::Listing;
pub use path::AbsolutePath;
pub use range::ByteRange;
pub use read::Content;
pub use transfers::{AtWork, Done, FILE_KEPT, Found, TREE_KEPT, Transfers, Turn};
pub use tree::{PackOrder, Packed, Packing, UnpackOrder, Unpacking, pack};
pub use write::{Order, Resumed, Writing, abandon_transfer, expire_transfer, transferred};

/// Bytes of a file that are read or written at once.
pub const PIECE: usize = 256 << 10;
