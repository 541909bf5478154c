//! How the C library's allocator keeps what was freed.
//!
//! By itself it keeps a heap for each thread, and once something large was freed, twice as much at the end of each: after a
//! large output several megabytes of nothing. How it does is told by a variable that is read before a program begins (mallopt(3),
//! "GNU libc tunables"), so the server replaces itself once by itself with that variable.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use crate::key::handover;
use crate::key::source::VARIABLES;

/// The variable.
const VARIABLE: &str = "GLIBC_TUNABLES";
/// One heap for all; what is large apart from it, and given back at once; little kept at its end.
const TUNABLES: &str =
    "glibc.malloc.arena_max=1:glibc.malloc.mmap_threshold=131072:glibc.malloc.trim_threshold=131072";

/// Replaces this process, unless that was done, or somebody has set the variable to something else, or the key is about to
/// replace it anyway. To be called before anything is read from standard input. Returns if it did not.
pub(super) fn tune() {
    let is_set = |name: &&str| std::env::var_os(name).is_some();
    if is_set(&VARIABLE) || VARIABLES.iter().any(is_set) {
        return;
    }
    if let Ok(mut command) = handover::this_program(None) {
        let error = tuned(&mut command).exec();
        tracing::debug!(%error, "the allocator stays as it is");
    }
}

/// Sets the variable, unless somebody has.
pub(super) fn tuned(command: &mut Command) -> &mut Command {
    if std::env::var_os(VARIABLE).is_none() {
        command.env(VARIABLE, TUNABLES);
    }
    command
}

/// Whether a variable is one of ours alone, and none of the sandbox.
pub(super) fn is_ours(name: &OsStr, value: &OsString) -> bool {
    name == VARIABLE && value == TUNABLES
}
