//! The scripted cluster, on a paused clock.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod api;
mod claims;
mod commands;
mod faults;
mod harness;
mod jobs;
mod pods;
mod properties;
mod quota;
mod scale;
