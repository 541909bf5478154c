//! What runs in a session: who its agent is, and all that is below it or carries its mark.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use podbay_process::descent;
use podbay_process::proc_fs::Process;
use podbay_protocol::agent::MARK_VARIABLE;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::sockopt::socket_peercred;
use rustix::process::{Pid, PidfdFlags, Signal, geteuid, pidfd_open, pidfd_send_signal};

/// The process that listens on a session's socket.
#[derive(Debug)]
pub(crate) struct Agent {
    pid: Pid,
}

/// Who listens on a socket, as the system tells (unix(7), `SO_PEERCRED`); `None` if nobody does. Another user's is refused.
pub(crate) fn reach(socket: &Path) -> io::Result<Option<Agent>> {
    let stream = match UnixStream::connect(socket) {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
            ) =>
        {
            return Ok(None);
        }
        connected => connected?,
    };
    let peer = socket_peercred(&stream)?;
    if peer.uid != geteuid() {
        let message = format!("user {} listens there", peer.uid.as_raw());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
    }
    Ok(Some(Agent { pid: peer.pid }))
}

impl Agent {
    /// A handle to it, which is not that of a later process with its id if it lives after this call.
    pub(crate) fn handle(&self) -> io::Result<Handle> {
        Ok(Handle(pidfd_open(self.pid, PidfdFlags::empty())?))
    }
}

/// A process, whatever becomes of its id.
#[derive(Debug)]
pub(crate) struct Handle(OwnedFd);

impl Handle {
    /// Asks it to end.
    pub(crate) fn terminate(&self) -> io::Result<()> {
        self.send(Signal::TERM)
    }

    /// Kills it.
    pub(crate) fn kill(&self) -> io::Result<()> {
        self.send(Signal::KILL)
    }

    fn send(&self, signal: Signal) -> io::Result<()> {
        match pidfd_send_signal(&self.0, signal) {
            // It has ended.
            Err(Errno::SRCH) => Ok(()),
            sent => Ok(sent?),
        }
    }

    /// Waits for its end, for so long at most. Blocks. Whether it has ended.
    pub(crate) fn wait(&self, patience: Duration) -> io::Result<bool> {
        // A time that the system's type can't hold is none.
        let limit = Timespec::try_from(patience).ok();
        // A pidfd can be read once its process is dead (pidfd_open(2)).
        let mut interest = [PollFd::from_borrowed_fd(self.0.as_fd(), PollFlags::IN)];
        loop {
            match poll(&mut interest, limit.as_ref()) {
                Ok(ready) => return Ok(ready > 0),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

/// Stops all that runs in the session until nothing new appears. Blocks. What is stopped starts nothing.
pub(crate) fn freeze(agent: &Agent, uid: &str) {
    descent::stop(|| commands(agent, uid));
}

/// Lets all go on.
pub(crate) fn thaw(agent: &Agent, uid: &str) {
    descent::resume(|| commands(agent, uid));
}

/// Kills all that carries the mark of a session without an agent, and what is below it. Blocks. Returns how many there were.
pub(crate) fn kill_left(uid: &str) -> usize {
    let left = || marked(uid);
    let found = descent::stop(left);
    descent::kill(left);
    found
}

/// What runs in a session: all below the supervisors, which are the agent's children and stay as they are, and what carries
/// the mark.
fn commands(agent: &Agent, uid: &str) -> Vec<Process> {
    let mut found = descent::below(agent.pid);
    found.retain(|process| process.parent != Some(agent.pid));
    for process in marked(uid) {
        if !found.contains(&process) {
            found.push(process);
        }
    }
    found
}

fn marked(uid: &str) -> Vec<Process> {
    let mark = format!("{MARK_VARIABLE}={uid}/").into_bytes();
    descent::of_mark(None, |variable| variable.starts_with(&mark))
}
