//! Waiting for a command, and killing its tree when it is given up.

use std::collections::HashSet;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use process_wrap::tokio::ChildWrapper;
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::process::ProcessEnd;
use crate::tree::{Leaders, Mark, kill_marked};

/// A command that runs. Dropped before it was waited for (its runtime is shut down), it is killed with its
/// descendants.
pub(crate) struct Supervisor {
    child: Box<dyn ChildWrapper>,
    mark: Mark,
    leaders: Leaders,
    /// Its id; none once it was waited for.
    leader: Option<Pid>,
}

impl Supervisor {
    /// Takes charge of a process that was just started.
    pub(crate) fn new(child: Box<dyn ChildWrapper>, mark: Mark, leaders: Leaders) -> Self {
        let leader = child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
        if let Some(leader) = leader {
            leaders.add(leader);
        }
        Self {
            child,
            mark,
            leaders,
            leader,
        }
    }

    /// Waits for the command's end, and sends it what comes from `signals`. When `given_up` it is killed with all its descendants, and these are gone
    /// when this returns.
    pub(crate) async fn wait(
        mut self,
        given_up: CancellationToken,
        mut signals: mpsc::UnboundedReceiver<i32>,
    ) -> ProcessEnd {
        let early = loop {
            tokio::select! {
                status = self.child.wait() => break Some(status),
                () = given_up.cancelled() => break None,
                Some(signal) = signals.recv() => self.signal(signal),
            }
        };
        let status = if let Some(status) = early {
            status
        } else {
            let (mark, leaders) = (self.mark.clone(), self.leader.into_iter().collect::<HashSet<_>>());
            // It blocks for milliseconds. An error is a panic in it, or a runtime that is being shut down; the
            // drop below then does it.
            tokio::task::spawn_blocking(move || kill_marked(&mark, &leaders))
                .await
                .ok();
            self.child.wait().await
        };
        match status {
            Ok(status) => {
                self.waited_for();
                end(status)
            }
            Err(error) => ProcessEnd::Lost {
                message: format!("waiting for the command's process failed: {error}"),
            },
        }
    }

    /// Sends the command a signal. Its id is its own: it was not waited for yet.
    fn signal(&self, number: i32) {
        let (Some(leader), Some(signal)) = (self.leader, Signal::from_named_raw(number)) else {
            return;
        };
        if let Err(error) = kill_process(leader, signal) {
            tracing::debug!(%error, number, "sending a signal to a command");
        }
    }

    fn waited_for(&mut self) {
        if let Some(leader) = self.leader.take() {
            self.leaders.remove(leader);
        }
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        if let Some(leader) = self.leader {
            kill_marked(&self.mark, &HashSet::from([leader]));
            self.waited_for();
        }
    }
}

fn end(status: ExitStatus) -> ProcessEnd {
    match (status.code(), status.signal()) {
        (Some(code), _) => ProcessEnd::Exited { code },
        (None, Some(signal)) => ProcessEnd::Signaled { signal },
        // Only a stopped process has neither, and those aren't waited for.
        (None, None) => ProcessEnd::Lost {
            message: format!("the command's process ended without a code: {status}"),
        },
    }
}
