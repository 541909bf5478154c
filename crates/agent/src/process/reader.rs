//! Reading a process's output.

use bytes::Bytes;
use podbay_protocol::{EndRecord, StreamName};

/// A piece of what a process wrote, or how it ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// Bytes of an output. Each output comes in order and without a gap.
    Output {
        /// Which one.
        stream: StreamName,
        /// How many bytes came before these, from the beginning of the output.
        offset: u64,
        /// The bytes, at least one.
        bytes: Bytes,
    },
    /// Output was dropped before this reader took it. The last piece.
    Gone {
        /// Which output.
        stream: StreamName,
        /// The first byte that is kept.
        first: u64,
    },
    /// The process has ended, and all its output was read. The last piece.
    End(Box<EndRecord>),
}
