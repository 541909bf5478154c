//! The children of this program, and the only place where they are waited for.

use std::collections::HashMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, mpsc};
use std::thread;

use podbay_process::take_over_ignored;
use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, WaitStatus, getpid, set_child_subreaper, wait};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChildEnd {
    /// It exited with this code.
    Exited(i32),
    /// This signal ended it.
    Signaled(i32),
}

impl ChildEnd {
    /// What a wait status says; none of a child that only stopped or went on.
    pub(crate) fn from_status(status: WaitStatus) -> Option<Self> {
        let exited = status.exit_status().map(Self::Exited);
        exited.or_else(|| status.terminating_signal().map(Self::Signaled))
    }
}

/// A child that was started.
#[derive(Debug)]
pub struct Spawned {
    /// Its id, which is its own until its end was told.
    pub pid: Pid,
    /// How it ends. An error if nobody waits for children any more.
    pub end: oneshot::Receiver<ChildEnd>,
}

/// The children of this program, and the only one who waits for them. A handle: all are the same.
///
/// Once it exists, nothing else in the program may wait for a child (`std::process::Child::wait`, `Command::output`,
/// `tokio::process`): it would find that the child's end was already taken, or take that of another.
#[derive(Clone, Debug)]
pub struct Children(Arc<Tables>);

#[derive(Debug, Default)]
struct Tables {
    table: Mutex<Table>,
    /// Processes of others that may become our children. Locked for moments alone, after `table` where both are.
    watched: Mutex<HashMap<Pid, oneshot::Sender<ChildEnd>>>,
}

/// Held over each spawn and each wait: a child whose end is told before it is in the table would be taken for an
/// orphan; and the standard library itself waits for a child whose program could not be executed, and must find it.
#[derive(Debug, Default)]
struct Table {
    /// Who is told of the end of which child.
    waiting: HashMap<Pid, oneshot::Sender<ChildEnd>>,
    /// How many were waited for that nobody asked about.
    orphans: u64,
}

impl Children {
    /// Takes over waiting for this program's children. Orphans of its descendants become its children too.
    pub fn of_this_program() -> io::Result<Self> {
        static CHILDREN: OnceLock<Children> = OnceLock::new();
        static STARTING: Mutex<()> = Mutex::new(());
        let _one_at_a_time = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(children) = CHILDREN.get() {
            return Ok(children.clone());
        }
        let children = Self(Arc::default());
        // PID 1 gets all orphans anyway; where the call is not known (gVisor) it is the only one who does.
        if let Err(error) = set_child_subreaper(Some(getpid())) {
            tracing::debug!(%error, "orphans of our descendants will not become our children");
        }
        children.start_reaper()?;
        Ok(CHILDREN.get_or_init(|| children).clone())
    }

    /// Starts a child. The standard streams and all else are as `command` says.
    pub fn spawn(&self, command: &mut Command) -> io::Result<Spawned> {
        let mut table = self.table();
        let child = command.spawn()?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| io::Error::other("the system gave a child no valid id"))?;
        let (sender, end) = oneshot::channel();
        table.waiting.insert(pid, sender);
        Ok(Spawned { pid, end })
    }

    /// Asks for the end of a process that may become our child when its parent dies.
    pub(crate) fn watch(&self, pid: Pid) -> oneshot::Receiver<ChildEnd> {
        let (sender, end) = oneshot::channel();
        self.watched().insert(pid, sender);
        end
    }

    /// Takes [`Children::watch`] back: its parent has waited for it, and the id may become another's.
    pub(crate) fn unwatch(&self, pid: Pid) {
        self.watched().remove(&pid);
    }

    /// How many children that were not started here have been waited for.
    pub fn orphans(&self) -> u64 {
        self.table().orphans
    }

    /// Waits for all children that have ended.
    fn reap(&self) {
        let mut table = self.table();
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => {
                    let Some(end) = ChildEnd::from_status(status) else {
                        continue;
                    };
                    let waiting = table.waiting.remove(&pid);
                    match waiting.or_else(|| self.watched().remove(&pid)) {
                        // Whoever asked may have stopped waiting.
                        Some(sender) => drop(sender.send(end)),
                        None => table.orphans += 1,
                    }
                }
                Err(Errno::INTR) => {}
                Ok(None) | Err(_) => return, // None has ended, or there is none (ECHILD).
            }
        }
    }

    /// Starts the thread that waits for children: its own, so that it goes on whatever becomes of other runtimes.
    fn start_reaper(&self) -> io::Result<()> {
        let children = self.clone();
        let (started, outcome) = mpsc::channel();
        thread::Builder::new()
            .name("reaper".to_owned())
            .stack_size(256 * 1024)
            .spawn(move || {
                let prepared = tokio::runtime::Builder::new_current_thread()
                    .enable_io()
                    .build()
                    .and_then(|runtime| {
                        let inside = runtime.enter();
                        take_over_ignored();
                        let signals = signal(SignalKind::child())?;
                        drop(inside);
                        Ok((signals, runtime))
                    });
                match prepared {
                    Ok((signals, runtime)) => {
                        started.send(Ok(())).ok(); // The one who waits for it does so at once.
                        runtime.block_on(children.reap_on(signals));
                    }
                    Err(error) => drop(started.send(Err(error))),
                }
            })?;
        outcome.recv().unwrap_or_else(|_| {
            Err(io::Error::other(
                "the thread that waits for children ended at once",
            ))
        })
    }

    async fn reap_on(self, mut signals: Signal) {
        loop {
            // A bug here must not leave zombies for ever, nor end PID 1.
            if catch_unwind(AssertUnwindSafe(|| self.reap())).is_err() {
                tracing::error!("waiting for children failed; it is tried again with the next that ends");
            }
            if signals.recv().await.is_none() {
                return; // The runtime of this thread, which nobody ends.
            }
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watched(&self) -> MutexGuard<'_, HashMap<Pid, oneshot::Sender<ChildEnd>>> {
        self.0.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
