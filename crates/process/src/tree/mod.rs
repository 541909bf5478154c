//! Processes of the host by the mark they carry, and making an end of them.
//!
//! A process tree is found again by an environment variable its root was started with and all its descendants
//! inherit, whatever group or session they moved to ([`Mark`]). One that leaves the tree *and* clears its
//! environment is found only while it is a descendant or in the session of a command that still runs. That is
//! what can be had without isolation; without `/proc` (none mounted, or not Linux), it is the command's process group
//! alone: see [`sees_all_processes`].

#[cfg(target_os = "linux")]
pub mod descent;
mod kill_group;
#[cfg(target_os = "linux")]
mod kill_linux;
mod mark;
#[cfg(target_os = "linux")]
pub mod proc_fs;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::Pid;

pub use mark::VARIABLE;
pub(crate) use mark::{Leaders, Mark};

use crate::process::Process;
use crate::spec::ProcessSpec;
use crate::start::start;
use crate::start_error::StartError;

/// Whether a tree can be killed with all its descendants. Else (no `/proc`, or one of other processes than ours) it is
/// the processes that were started, and what is still in their process groups.
pub fn sees_all_processes() -> bool {
    #[cfg(target_os = "linux")]
    {
        proc_fs::is_ours()
    }
    #[cfg(not(target_os = "linux"))]
    {
        false
    }
}

/// Kills all processes that carry `mark`, all in the sessions of the `leaders` (children of this process, not
/// waited for yet), and all their descendants, as far as they can be seen. Blocks until they are gone.
pub(crate) fn kill_marked(mark: &Mark, leaders: &HashSet<Pid>) {
    #[cfg(target_os = "linux")]
    if sees_all_processes() {
        return kill_linux::kill_marked(mark, leaders);
    }
    tracing::debug!(
        ?mark,
        "killing process groups alone: there is no /proc to find others by"
    );
    kill_group::kill_groups(leaders);
}

/// Processes that are started one by one and end together.
///
/// Handles are cheap to clone and are of the same tree. Dropping them kills nothing.
#[derive(Clone, Debug)]
pub struct ProcessTree {
    mark: Mark,
    leaders: Leaders,
    /// How many were started.
    started: Arc<Mutex<u64>>,
}

impl ProcessTree {
    /// A tree of no processes. Its `id` marks them, and must be no other tree's on this host.
    pub fn new(id: &str) -> Self {
        Self {
            mark: Mark::of_tree(id),
            leaders: Leaders::default(),
            started: Arc::default(),
        }
    }

    /// Starts a process, as the leader of a session of its own. Must be called within a tokio runtime.
    pub fn start(&self, spec: &ProcessSpec) -> Result<Process, StartError> {
        let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        *started += 1;
        let mark = self.mark.of_process(*started);
        drop(started);
        start(spec, mark, self.leaders.clone())
    }

    /// Kills all its processes with all their descendants, and waits until they are gone. Blocks.
    ///
    /// A process that is started meanwhile may be missed: the caller sees to it that none is.
    pub fn kill(&self) {
        let started = *self.started.lock().unwrap_or_else(PoisonError::into_inner);
        // Looking through all processes of the host costs milliseconds: not for a tree that is empty.
        if started > 0 {
            kill_marked(&self.mark, &self.leaders.running());
        }
    }
}
