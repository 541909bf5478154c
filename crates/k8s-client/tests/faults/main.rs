//! The live client through faults: a scripted API server on loopback, real sockets, a real kubeconfig file.
//!
//! What counts is what the caller is told and how many requests the server saw.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod answer;
mod authority;
mod connection;
mod encoding;
mod kubeconfigs;
mod persistence;
mod refusals;
mod resets;
mod server;
mod setup;
mod sizes;
mod slow;
mod stalls;
mod tls;
mod tokens;
mod unreachable;
mod watched;
