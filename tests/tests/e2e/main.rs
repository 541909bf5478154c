//! The command line against a real cluster.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod account;
mod agent;
mod commands;
mod containers;
mod deploy;
mod deploy_tls;
mod in_pod;
mod integrity;
mod library;
mod lifecycle;
mod network;
mod ports;
mod rights;
mod rolled;
mod servers;
mod snapshots;
mod verdicts;
mod workloads;
