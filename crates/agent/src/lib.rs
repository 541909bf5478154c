//! The server inside a sandbox: processes as resources, files, and the duties of PID 1.
//!
//! * [`process`]: processes whose output is never lost silently.
//! * [`files`]: files and trees of files.
//! * `figures`: what the sandbox uses, and since when nobody needs it.
//! * [`action`]: the actions of OpenHands' clients: a shell that stays, files, an editor.
//! * [`server`]: all of it as resources of an HTTP server.
//! * [`serve`]: the program's mode that is PID 1 of a sandbox.
//! * [`key`]: the session's key, which clients present and hostile code must not get.
//! * [`bridge`]: the program's mode that is a connection over standard streams.
//! * [`log`]: log lines on standard error.
//! * [`init`]: waiting for children, orphans too, in one place; signals that end the sandbox.
//! * [`supervise`]: the process of its own that stands above each command.
//!
//! Linux alone.

mod cgroup;
mod figures;

pub mod action;
pub mod bridge;
pub mod files;
pub mod init;
pub mod key;
pub mod log;
pub mod process;
pub mod serve;
pub mod server;
pub mod supervise;

/// The README's example is run as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
