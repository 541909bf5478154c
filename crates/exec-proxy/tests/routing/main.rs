//! The way to a sandbox, over sockets of this machine: a service with the router, sessions that a test scripts, sandboxes of a few
//! lines.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

mod bodies;
mod confusion;
mod entry;
mod held;
mod known_faults;
mod listeners;
mod pages;
mod ports;
mod smuggling;
mod styles;
mod support;
mod tls;
mod upgrades;
mod vscode;
