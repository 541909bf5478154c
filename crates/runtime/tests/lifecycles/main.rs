//! The lifecycles of sessions on a scripted cluster: clients that die at any call, clients that get into each other's way,
//! calls that fail, limits, retries, Jobs, pauses.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]
#![expect(clippy::panic, reason = "tests fail by panicking")]

mod clients;
mod crashes;
mod failed;
mod faults;
mod identity;
mod keeping;
mod limits;
mod scenario;
mod starting;
#[path = "../support/mod.rs"]
mod support;
mod trying_again;
mod watched_cluster;
