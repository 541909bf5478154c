//! The supervisor: a process of its own with one thread, between the agent and one command. All that the command starts
//! stays below it, since orphans become its children (`PR_SET_CHILD_SUBREAPER` of prctl(2)).

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::ExitCode;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{SigSet, Signal as NixSignal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::time::TimeValLike as _;
use podbay_process::{descent, proc_fs};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitOptions, getpid, kill_process, kill_process_group, set_child_subreaper, wait,
};
use rustix_libc_wrappers::process::SignalExt as _;

use super::channel::{receive, send};
use super::launch::Launch;
use super::message::{Event, Order, Usage};
use super::start::{Running, StartError, start};
use crate::init::ChildEnd;

/// The first descriptor that is no standard stream.
const FIRST: i32 = 3;
/// How long to wait for killed processes before looking for what was forked meanwhile, at first; each time twice as long.
/// Each end is told anyway.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// The longest such wait: what is still there is not ours to kill.
const LOOK_AGAIN_AT_LAST: Duration = Duration::from_secs(1);

/// The program's mode `supervise`: its standard input is the socket to the agent. Returns when nothing is below it.
pub fn supervise() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the supervisor of a process ended early");
            ExitCode::FAILURE
        }
    }
}

fn run() -> io::Result<()> {
    close_fds::set_fds_cloexec(FIRST, &[]);
    // What is blocked is inherited by the command.
    SigSet::empty().thread_set_mask()?;
    // Where the call is not known, orphans go to PID 1, and are found by mark and session.
    set_child_subreaper(Some(getpid())).ok();
    let control = rustix::stdio::stdin();
    let Some((launch, descriptors)) = order_to_start(control)? else {
        return Ok(()); // The agent is gone, or has thought better of it.
    };
    let launch = Launch::from_file(launch).map_err(|source| StartError::Request {
        problem: format!("reading what to start: {source}"),
    });
    let running = launch.and_then(|launch| start(&launch, descriptors));
    let Running { pid, terminal } = match running {
        Ok(running) => running,
        Err(error) => {
            let event = Event::NotStarted {
                reason: error.reason(),
                message: error.to_string(),
            };
            return Ok(send(control, &event, &[])?);
        }
    };
    let event = Event::Started {
        pid: pid.as_raw_nonzero().get(),
    };
    let with: Vec<BorrowedFd<'_>> = terminal.iter().map(OwnedFd::as_fd).collect();
    let agent_is_there = send(control, &event, &with).is_ok();
    drop(terminal);
    Supervisor {
        control,
        command: Some(pid),
        is_killing: !agent_is_there,
        agent_is_there,
        asked_for_help: false,
    }
    .watch()
}

/// Waits for the first order.
fn order_to_start(control: BorrowedFd<'_>) -> io::Result<Option<(OwnedFd, Vec<OwnedFd>)>> {
    loop {
        wait_for(&[control], None)?;
        match receive::<Order>(control) {
            Ok(Some(received)) if received.message == Order::Start => {
                let mut descriptors = received.descriptors.into_iter();
                let launch = descriptors.next().ok_or(Errno::BADMSG)?;
                return Ok(Some((launch, descriptors.collect())));
            }
            Ok(_) => return Ok(None),
            Err(Errno::AGAIN) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Waits until one of `descriptors` can be read; tells which can.
fn wait_for(descriptors: &[BorrowedFd<'_>], limit: Option<&Timespec>) -> io::Result<Vec<bool>> {
    let mut polled: Vec<PollFd<'_>> = descriptors
        .iter()
        .map(|descriptor| PollFd::from_borrowed_fd(*descriptor, PollFlags::IN))
        .collect();
    match poll(&mut polled, limit) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(errno) => return Err(errno.into()),
    }
    Ok(polled
        .iter()
        .map(|descriptor| !descriptor.revents().is_empty())
        .collect())
}

struct Supervisor<'a> {
    control: BorrowedFd<'a>,
    /// The command, until it was waited for.
    command: Option<Pid>,
    is_killing: bool,
    agent_is_there: bool,
    /// Whether the agent was told that something is not ours to kill.
    asked_for_help: bool,
}

impl Supervisor<'_> {
    /// Waits for the end of all that is below, and obeys the agent meanwhile.
    fn watch(mut self) -> io::Result<()> {
        // Blocked only now, after the command was started, which would have inherited it; whoever has ended in between
        // is waited for before the first look at the descriptor.
        let mut child = SigSet::empty();
        child.add(NixSignal::SIGCHLD);
        child.thread_block()?;
        let ended = SignalFd::with_flags(&child, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        let mut was_stopped = false;
        let mut pause = LOOK_AGAIN;
        loop {
            if !self.reap() {
                return Ok(());
            }
            if self.is_killing {
                if !was_stopped {
                    descent::stop(|| descent::below(getpid()));
                    was_stopped = true;
                }
                self.kill();
                pause = (pause * 2).min(LOOK_AGAIN_AT_LAST);
            }
            // Its only error is a number that is too large for the system's.
            let limit = Timespec::try_from(pause).ok().filter(|_| self.is_killing);
            let limit = limit.as_ref();
            let readable = if self.agent_is_there {
                wait_for(&[ended.as_fd(), self.control], limit)?
            } else {
                wait_for(&[ended.as_fd()], limit)?
            };
            while ended.read_signal()?.is_some() {}
            if readable.get(1) == Some(&true) {
                self.obey();
            }
        }
    }

    /// Waits for all that have ended. Whether anything is left below.
    fn reap(&mut self) -> bool {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => {
                    if let Some(end) = ChildEnd::from_status(status)
                        && self.command == Some(pid)
                    {
                        self.command = None;
                        self.tell(end);
                    }
                }
                Ok(None) => return true,
                Err(Errno::INTR) => {}
                Err(_) => return false, // ECHILD.
            }
        }
    }

    /// Tells how the command ended.
    fn tell(&mut self, end: ChildEnd) {
        let (code, signal) = match end {
            ChildEnd::Exited(code) => (Some(code), None),
            ChildEnd::Signaled(signal) => (None, Some(signal)),
        };
        let event = Event::Ended {
            code,
            signal,
            usage: usage(),
        };
        if send(self.control, &event, &[]).is_err() {
            self.agent_is_gone();
        }
    }

    /// Does what the agent orders.
    fn obey(&mut self) {
        loop {
            match receive::<Order>(self.control) {
                Ok(Some(received)) => match received.message {
                    Order::Signal { number, tree } => self.signal(number, tree),
                    Order::Kill => self.is_killing = true,
                    Order::Start => {} // It has been.
                },
                Err(Errno::AGAIN) => return,
                Ok(None) | Err(_) => return self.agent_is_gone(),
            }
        }
    }

    /// Nobody is left who could want what is below.
    fn agent_is_gone(&mut self) {
        self.agent_is_there = false;
        self.is_killing = true;
    }

    /// Sends a signal. One that has ended gets none.
    fn signal(&mut self, number: i32, tree: bool) {
        let Some(signal) = Signal::from_raw(number) else {
            return; // One that the C library keeps for itself.
        };
        if !tree {
            if let Some(command) = self.command {
                // Its id is its own: it was not waited for yet.
                kill_process(command, signal).ok();
            }
        } else if signal == Signal::KILL {
            self.is_killing = true;
        } else {
            for process in descent::below(getpid()) {
                descent::send(&process, signal).ok(); // One that has gone, or became another user's.
            }
        }
    }

    /// Kills all that is there now.
    fn kill(&mut self) {
        if proc_fs::is_ours() {
            for process in descent::below(getpid()) {
                // Of another user (set-user-id), or gone.
                if matches!(descent::send(&process, Signal::KILL), Err(Errno::PERM)) {
                    self.ask_for_help();
                }
            }
        } else if let Some(command) = self.command {
            // Without /proc nobody tells who is below: the command and what is in its process group.
            kill_process_group(command, Signal::KILL).ok();
        }
    }

    /// Tells the agent, once, that something is not ours to kill.
    fn ask_for_help(&mut self) {
        if !self.asked_for_help && self.agent_is_there {
            self.asked_for_help = true;
            send(self.control, &Event::NotItsToKill, &[]).ok(); // It has its own way to see that we are killed.
        }
    }
}

/// What the children that were waited for used, and theirs.
fn usage() -> Usage {
    let Ok(used) = getrusage(UsageWho::RUSAGE_CHILDREN) else {
        return Usage::default();
    };
    #[expect(clippy::cast_precision_loss, reason = "exact for 285 years")]
    let seconds = |microseconds: i64| microseconds as f64 / 1e6;
    Usage {
        user_seconds: seconds(used.user_time().num_microseconds()),
        system_seconds: seconds(used.system_time().num_microseconds()),
        // In kilobytes there.
        max_resident_bytes: u64::try_from(used.max_rss()).unwrap_or_default() * 1024,
    }
}
