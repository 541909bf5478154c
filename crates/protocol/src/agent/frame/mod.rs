//! The outputs of a process as a stream of frames.
//!
//! ```text
//!   0      1                  9            13
//!   | kind | offset, u64 BE   | length, u32 BE | payload …
//! ```
//!
//! | kind | offset | payload |
//! |---|---|---|
//! | 1, standard output | of the payload's first byte in the stream | bytes of the stream |
//! | 2, standard error | the same | the same |
//! | 3, end | 0 | the [`EndRecord`] as JSON; nothing follows |
//! | 4, idle | 0 | none; sent while there is nothing else, so that a dead connection shows |
//!
//! A stream without an end frame was cut. The offsets of one output follow one another without gaps, from the one that
//! was asked for; the decoder checks that.

mod decoder;

pub use decoder::{FrameDecoder, FrameError};

use crate::process::{EndRecord, StreamName};

/// Bytes before a payload.
pub const HEADER: usize = 13;
/// Bytes of an output in one frame, at most.
pub const OUTPUT_LIMIT: usize = 1 << 20;
/// Bytes of an end's record, at most.
pub const END_LIMIT: usize = 64 << 10;

const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const END: u8 = 3;
const IDLE: u8 = 4;

/// Something that came.
#[derive(Clone, Debug, PartialEq)]
pub enum Frame<'a> {
    /// Bytes of an output. A frame that arrives in pieces is given in pieces, each with its own offset.
    Output {
        /// Which one.
        stream: StreamName,
        /// Where the bytes are in it.
        offset: u64,
        /// At least one byte.
        bytes: &'a [u8],
    },
    /// The process has ended, and all of its outputs came before.
    End(Box<EndRecord>),
    /// There is nothing at the moment.
    Idle,
}

/// The header of a frame with `length` bytes of `stream` from `offset` on, which must follow. `length` is at most
/// [`OUTPUT_LIMIT`].
pub fn output_header(stream: StreamName, offset: u64, length: u32) -> [u8; HEADER] {
    let kind = match stream {
        StreamName::Stdout => STDOUT,
        StreamName::Stderr => STDERR,
    };
    header(kind, offset, length)
}

/// The frame that says that the process has ended; `record` is its [`EndRecord`] in JSON.
pub fn end(record: &[u8]) -> Vec<u8> {
    let length = u32::try_from(record.len()).unwrap_or(u32::MAX);
    let mut frame = header(END, 0, length).to_vec();
    frame.extend(record);
    frame
}

/// The frame that says that there is nothing at the moment.
pub fn idle() -> [u8; HEADER] {
    header(IDLE, 0, 0)
}

fn header(kind: u8, offset: u64, length: u32) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[0] = kind;
    header[1..9].copy_from_slice(&offset.to_be_bytes());
    header[9..].copy_from_slice(&length.to_be_bytes());
    header
}
