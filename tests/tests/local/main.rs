//! Sessions on this machine, each kept by the real agent. Needs no cluster.
//!
//! ```text
//!   machine.rs  places of one's own, and requests to the agent of a session
//!   life.rs     sessions that are made, found, frozen, ended and lost
//!   program.rs  the same by the program, as a user runs it
//!   server.rs   servers that the service runs on this machine
//! ```

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod life;
mod machine;
mod program;
mod server;
