//! Stock clients of OpenHands, unmodified, against `podbay serve`: the programs in `tests/conformance`, which need Python 3.12.
//!
//! ```text
//!   python.rs   a Python that has the client, or why there is none
//!   service.rs  a running `podbay serve`
//!   local.rs    over sessions of this machine
//!   cluster.rs  over pods of a real cluster
//!   warm.rs     what OpenHands' app is offered
//! ```

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]
#![expect(
    clippy::print_stdout,
    reason = "what was run, and why something was not, is told"
)]

mod cluster;
mod local;
mod python;
mod service;
mod warm;
