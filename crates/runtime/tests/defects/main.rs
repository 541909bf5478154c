//! The 30 defects and limits that the source of OpenHands' own Kubernetes runtime shows (`kubernetes_runtime.py`, up to
//! its last release), each impossible here: one test a defect, numbered and named for it, grouped as they were found.
//!
//! All run on the scripted cluster, with a recorder of calls before it and, where time matters, on a paused clock.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod configuration;
mod containers;
mod correctness;
mod identity;
mod objects;
mod readiness;
mod security;
#[path = "../support/mod.rs"]
mod support;
mod test_client;
