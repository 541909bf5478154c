//! Processes of the host by the mark they carry, and making an end of them.
//!
//! A process tree is found again by an environment variable its root was started with and all its descendants
//! inherit, whatever group or session they moved to ([`Mark`]). One that leaves the tree *and* clears its
//! environment is found only while it is a descendant or in the session of a command that still runs. That is
//! what can be had without isolation; without `/proc` (not Linux), it is the command's process group alone.

mod directory;
#[cfg_attr(target_os = "linux", path = "kill_linux.rs")]
#[cfg_attr(not(target_os = "linux"), path = "kill_group.rs")]
mod kill;
mod mark;
#[cfg(target_os = "linux")]
mod proc_fs;

pub(crate) use directory::remove_tree;
pub(crate) use kill::kill_marked;
pub(crate) use mark::{Leaders, Mark, VARIABLE};
