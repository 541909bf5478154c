//! What a process has written, as a log of bytes with offsets: what is kept of it, who is waited for, what is gone.
//! Values and time go in, decisions come out; nothing here reads, writes or waits.
//!
//! ```text
//!   stream       one output: what is kept, and where; blocks what is in memory of it
//!   attendance   whether the reader that a process waits for is there
//! ```

mod attendance;
mod blocks;
#[cfg(test)]
mod model;
mod stream;

pub(crate) use attendance::Attendance;
pub(crate) use stream::{At, Place, StreamLog};
