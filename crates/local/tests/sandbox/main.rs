//! Sandboxes of this process, with real processes.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "in a test they are assertions"
)]

mod commands;
mod files;
mod harness;
mod killing;
mod terminal;
