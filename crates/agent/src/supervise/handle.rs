//! A supervisor as the agent holds it.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use podbay_process::descent;
use rustix::process::Pid;
use tokio::io::Interest;
use tokio::net::UnixDatagram;
use tokio::sync::oneshot;

use super::channel::{Received, pair, receive, send};
use super::launch::Launch;
use super::message::{Event, Order};
use crate::cgroup::{Group, Groups};
use crate::init::{ChildEnd, Children, Spawned};
use podbay_protocol::agent::SUPERVISE_MODE;

/// A supervisor that was started.
#[derive(Debug)]
pub(crate) struct Supervisor {
    /// A socket of packets: tokio has a type for these alone of datagrams, which is read and written alike.
    control: UnixDatagram,
    /// How it ends itself.
    end: oneshot::Receiver<ChildEnd>,
    /// The cgroup that it is in with all below it, if they have one of their own.
    group: Option<Group>,
}

/// A supervisor that was told nothing yet. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Waiting {
    control: OwnedFd,
    end: oneshot::Receiver<ChildEnd>,
    group: Option<Group>,
}

impl Waiting {
    /// Starts the supervisor `program`, in a cgroup of its own if there are `groups`. The kernel may take some 20 ms to move the
    /// first process for a while.
    pub(super) fn start(children: &Children, program: &Path, groups: Option<&Groups>) -> io::Result<Self> {
        let (control, theirs) = pair()?;
        let mut command = Command::new(program);
        command
            .arg(SUPERVISE_MODE)
            .env_clear() // The agent's key may be in ours.
            .stdin(Stdio::from(theirs))
            .process_group(0); // What our terminal sends to our group is not for it.
        let Spawned { pid, end } = children.spawn(&mut command)?;
        let group = groups.and_then(|groups| groups.put(pid));
        Ok(Self { control, end, group })
    }

    /// Has it start the command that the file `launch` describes and whose streams are `descriptors`. Within a tokio runtime.
    pub(super) fn begin(self, launch: &OwnedFd, descriptors: &[BorrowedFd<'_>]) -> io::Result<Supervisor> {
        let with: Vec<BorrowedFd<'_>> = std::iter::once(launch.as_fd())
            .chain(descriptors.iter().copied())
            .collect();
        send(&self.control, &Order::Start, &with)?;
        let control = std::os::unix::net::UnixDatagram::from(self.control);
        control.set_nonblocking(true)?;
        Ok(Supervisor {
            control: UnixDatagram::from_std(control)?,
            end: self.end,
            group: self.group,
        })
    }

    /// Ends it.
    pub(super) async fn end(self) {
        drop(self.control);
        self.end.await.ok(); // Nobody waits for children any more.
    }
}

/// What a supervisor tells.
#[derive(Debug)]
pub(crate) enum Told {
    /// Something of its command, maybe with the outer side of a terminal.
    Event(Event, Option<OwnedFd>),
    /// It has ended, and nothing is below it; or it was killed.
    Gone,
}

impl Supervisor {
    /// Starts the supervisor `program` for a command whose streams are `descriptors`. Within a tokio runtime.
    pub(crate) fn start(
        children: &Children,
        program: &Path,
        launch: &Launch,
        descriptors: &[BorrowedFd<'_>],
    ) -> io::Result<Self> {
        let launch = launch.to_file()?;
        Waiting::start(children, program, None)?.begin(&launch, descriptors)
    }

    /// Waits for what it tells next.
    pub(crate) async fn told(&self) -> Told {
        loop {
            if self.control.readable().await.is_err() {
                return Told::Gone; // The runtime is being shut down.
            }
            let received = self
                .control
                .try_io(Interest::READABLE, || Ok(receive::<Event>(&self.control)?));
            match received {
                Ok(Some(Received { message, descriptors })) => {
                    return Told::Event(message, descriptors.into_iter().next());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(None) => return Told::Gone,
                Err(error) => {
                    tracing::warn!(%error, "what a supervisor tells is not understood");
                    return Told::Gone;
                }
            }
        }
    }

    /// Gives it an order; waits while it has too many. One that has ended takes none.
    pub(crate) async fn order(&self, order: Order) {
        loop {
            if self.control.writable().await.is_err() {
                return;
            }
            let sent = self
                .control
                .try_io(Interest::WRITABLE, || Ok(send(&self.control, &order, &[])?));
            match sent {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(()) | Err(_) => return,
            }
        }
    }

    /// Kills it with all that is in its cgroup. Whether it has one.
    pub(crate) fn kill_group(&self) -> bool {
        self.group.as_ref().map(Group::kill).is_some()
    }

    /// Its cgroup, for what may be left in it when it is gone.
    pub(crate) fn take_group(&mut self) -> Option<Group> {
        self.group.take()
    }

    /// Waits for its own end, once it is gone. Whether it ended as it should.
    pub(crate) async fn ended(self) -> bool {
        matches!(self.end.await, Ok(ChildEnd::Exited(0)))
    }
}

/// Kills what a supervisor that was killed has left: `command` is its command's id, `mark` the variable that its
/// processes were started with, if they have one. Blocks until they are gone, or are not ours to kill.
pub(crate) fn kill_left(command: Option<Pid>, mark: Option<&[u8]>) {
    let left = || descent::of_mark(command, |variable| mark == Some(variable));
    descent::stop(left);
    descent::kill(left);
}
