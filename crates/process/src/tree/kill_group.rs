//! Killing the processes of a mark where there is no `/proc` to find them by: the commands' groups.

use std::collections::HashSet;

use rustix::process::{Pid, Signal, kill_process_group};

use super::Mark;

/// Kills the process groups of the `leaders` (children of this process, not waited for yet).
pub(crate) fn kill_marked(_mark: &Mark, leaders: &HashSet<Pid>) {
    for leader in leaders {
        if let Err(error) = kill_process_group(*leader, Signal::KILL) {
            tracing::debug!(%error, "killing a process group");
        }
    }
}
