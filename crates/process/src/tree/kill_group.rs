//! Killing commands where there is no `/proc` to find their descendants by: their process groups.

use std::collections::HashSet;

use rustix::process::{Pid, Signal, kill_process_group};

/// Kills the process groups of the `leaders` (children of this process, not waited for yet).
pub(super) fn kill_groups(leaders: &HashSet<Pid>) {
    for leader in leaders {
        if let Err(error) = kill_process_group(*leader, Signal::KILL) {
            tracing::debug!(%error, "killing a process group");
        }
    }
}
