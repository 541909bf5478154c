//! The agent where it is alone: as PID 1 of a namespace, in a cgroup with little memory. What can't be made here is said to
//! be skipped, and why.
//!
//! What is tested within is a test of this program too, which is ignored unless its neighbour runs it there.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests fail by panicking, and say what they skip"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "the outer tests have no agent in their process: nobody else waits for their children"
)]

mod memory;
mod pid_one;
#[expect(dead_code, reason = "the tests of processes use all of it")]
#[path = "../processes/support.rs"]
mod support;
