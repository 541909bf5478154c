//! The agent as a session's commands meet it: the real program behind the port-forward of a scripted cluster. Needs no
//! cluster.
//!
//! ```text
//!   sandbox.rs      a session whose pod's port leads to a real agent
//!   faults.rs       what befalls connections on their way
//!   conformance.rs  one suite of commands for the agent in a pod and on this machine, and for processes of this one
//!   files/          one suite of files and copies, over whatever way there is to them
//!   commands.rs     an exec subresource that runs commands on this machine
//!   lost.rs         connections that break, stall and are cut into slices
//!   ways.rs         the ways to an agent, and whom none of them leads to
//! ```

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod commands;
mod conformance;
mod faults;
mod files;
mod lost;
mod sandbox;
mod ways;
