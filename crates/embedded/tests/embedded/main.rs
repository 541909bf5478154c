//! The embedded cluster as its users see it: through `ClusterClient`, with real processes.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "in a test they are assertions"
)]

mod exec;
mod files;
mod harness;
mod killing;
mod objects;
mod pods;
mod terminal;
