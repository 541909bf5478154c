//! The agent as a session's commands meet it: the real program behind the port-forward of a scripted cluster. Needs no
//! cluster.
//!
//! ```text
//!   sandbox.rs      a session whose pod's port leads to a real agent
//!   container.rs    a session without an agent, whose commands an exec carries
//!   faults.rs       what befalls connections on their way
//!   conformance.rs  one suite of commands for the agent in a pod and on this machine, for exec, and for processes of this one
//!   files/          one suite of files and copies, over whatever way there is to them
//!   detached.rs     processes that are left to themselves, and reached again
//!   verdicts.rs     commands without an end of their own
//!   ports.rs        ports of this machine that lead to ports of a session
//!   task.rs         commands whose output is known before they run
//!   lost.rs         these over connections that break
//!   broken.rs       clients that are wrong on purpose, which are found out
//!   terminals.rs    terminals over connections that break, and those who watch them
//!   ways.rs         the ways to an agent, and whom none of them leads to
//! ```

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod broken;
mod conformance;
mod container;
mod detached;
mod faults;
mod files;
mod lost;
mod ports;
mod sandbox;
mod task;
mod terminals;
mod verdicts;
mod ways;
