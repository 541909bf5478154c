//! The task that looks after one process: it hears the supervisor, obeys clients, watches the time, and writes the record.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use podbay_protocol::StreamName;
use rustix::process::Pid;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use super::carried::Carried;
use super::descriptor::{sink, source};
use super::end::Seen;
use super::entry::{Command, Entry};
use super::input::Pieces;
use super::record::record;
use super::request::{Request, Timeout};
use crate::cgroup::oom_kills;
use crate::init::{ChildEnd, Children};
use crate::supervise::{Event, Order, Spare, Supervisor, Told, Usage, kill_left};

/// SIGKILL.
const KILL: i32 = 9;
/// How long the end of a command is waited for once its supervisor is dead and its processes are killed.
const LOST_WITHIN: Duration = Duration::from_secs(1);

/// A process that is about to run: its supervisor is started, and its streams are there.
pub(super) struct Driver {
    entry: Arc<Entry>,
    children: Children,
    supervisor: Supervisor,
    commands: mpsc::UnboundedReceiver<Command>,
    linger: Duration,
    timeout: Option<Timeout>,
    mark: Vec<u8>,
    /// The agent's ends of the pipes, by output; none with a terminal.
    outputs: Vec<(StreamName, OwnedFd)>,
    input: Option<(Option<OwnedFd>, Pieces)>,
    oom_kills_before: Option<u64>,
}

/// What else the driver needs.
pub(super) struct Given {
    pub(super) children: Children,
    pub(super) commands: mpsc::UnboundedReceiver<Command>,
    pub(super) input: Option<Pieces>,
    pub(super) spare: Spare,
    pub(super) linger: Duration,
}

impl Driver {
    /// Starts the supervisor. Within a tokio runtime.
    pub(super) fn start(entry: Arc<Entry>, request: &Request, given: Given) -> io::Result<Self> {
        let mut theirs = Vec::new();
        let mut outputs = Vec::new();
        let mut input = given.input.map(|pieces| (None, pieces));
        if request.terminal.is_none() {
            if let Some((ours, _)) = &mut input {
                let (reader, writer) = io::pipe()?;
                theirs.push(OwnedFd::from(reader));
                *ours = Some(writer.into());
            }
            for name in [StreamName::Stdout, StreamName::Stderr] {
                let (reader, writer) = io::pipe()?;
                theirs.push(writer.into());
                outputs.push((name, reader.into()));
            }
        }
        let oom_kills_before = oom_kills();
        let descriptors: Vec<BorrowedFd<'_>> = theirs.iter().map(OwnedFd::as_fd).collect();
        let supervisor = given.spare.supervise(&request.launch, &descriptors)?;
        Ok(Self {
            entry,
            children: given.children,
            supervisor,
            commands: given.commands,
            linger: given.linger,
            timeout: request.timeout,
            mark: request.mark.as_encoded_bytes().to_vec(),
            outputs,
            input,
            oom_kills_before,
        })
    }

    /// Looks after the process until nothing is left of it. `note_end` is called when its record is complete.
    pub(super) async fn run(self, note_end: impl Fn()) {
        let Self {
            entry,
            children,
            supervisor,
            commands,
            linger,
            timeout,
            mark,
            outputs,
            input,
            oom_kills_before,
        } = self;
        let mut carried = Carried::new(Arc::clone(&entry));
        for (name, descriptor) in outputs {
            match source(descriptor) {
                Ok(source) => carried.output(name, source),
                Err(error) => tracing::error!(%error, "an output can't be read"),
            }
        }
        let mut terminal_input = None;
        match input {
            Some((Some(descriptor), pieces)) => match sink(descriptor) {
                Ok(sink) => carried.input(sink, pieces, false),
                Err(error) => tracing::error!(%error, "standard input can't be written"),
            },
            Some((None, pieces)) => terminal_input = Some(pieces),
            None => {}
        }
        let mut watched = Watched {
            supervisor,
            commands,
            timeout,
            deadline: timeout.map(|timeout| entry.started + timeout.duration),
            seen: Seen::default(),
            not_started: None,
            usage: None,
            pid: None,
            orphan: None,
        };
        let told = watched
            .until_end(&entry, &children, &mut carried, terminal_input, &mark)
            .await;
        carried.feeder_ends();
        let outputs = watched.obey_while(carried.finish(linger)).await;
        let oom_kills = oom_kills().zip(oom_kills_before);
        watched.seen.oom_kills = oom_kills.map_or(0, |(after, before)| after.saturating_sub(before));
        entry.end(record(&entry, &watched, &outputs));
        note_end();
        // Who waits for the end is answered first: what follows are calls of the system that take as long as a small command.
        tokio::task::yield_now().await;
        if told == End::OfCommand {
            watched.until_gone(&children, &mark).await;
        }
    }
}

/// Why waiting for the end is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The command has ended; things it started may be left.
    OfCommand,
    /// Nothing is left.
    OfAll,
}

/// The supervisor, and what was seen so far.
pub(super) struct Watched {
    supervisor: Supervisor,
    commands: mpsc::UnboundedReceiver<Command>,
    timeout: Option<Timeout>,
    deadline: Option<Instant>,
    pub(super) seen: Seen,
    pub(super) not_started: Option<(String, String)>,
    pub(super) usage: Option<Usage>,
    pub(super) pid: Option<Pid>,
    /// The command's end, should it become our own child.
    orphan: Option<oneshot::Receiver<ChildEnd>>,
}

/// What comes next.
enum Next {
    Told(Told),
    Command(Command),
    Deadline,
}

impl Watched {
    async fn next(&mut self) -> Next {
        let deadline = async {
            match self.deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            told = self.supervisor.told() => Next::Told(told),
            // Never closed: the entry holds the other end, and this task the entry.
            Some(command) = self.commands.recv() => Next::Command(command),
            () = deadline => Next::Deadline,
        }
    }

    /// Until the command has ended, or was not started.
    async fn until_end(
        &mut self,
        entry: &Arc<Entry>,
        children: &Children,
        carried: &mut Carried,
        mut terminal_input: Option<Pieces>,
        mark: &[u8],
    ) -> End {
        loop {
            match self.next().await {
                Next::Told(Told::Event(event, terminal)) => match event {
                    Event::Started { pid } => {
                        entry.lock().pid = Some(pid);
                        self.pid = Pid::from_raw(pid);
                        self.orphan = self.pid.map(|pid| children.watch(pid));
                        if let Some(terminal) = terminal
                            && let Err(error) = carried.terminal(terminal, terminal_input.take())
                        {
                            tracing::error!(%error, "a terminal can't be read");
                        }
                    }
                    Event::NotStarted { reason, message } => {
                        self.not_started = Some((reason, message));
                        return End::OfCommand;
                    }
                    Event::NotItsToKill => self.kill_group(),
                    Event::Ended { code, signal, usage } => {
                        if let Some(pid) = self.pid {
                            children.unwatch(pid);
                        }
                        self.orphan = None;
                        self.usage = Some(usage);
                        self.seen.command = code
                            .map(ChildEnd::Exited)
                            .or_else(|| signal.map(ChildEnd::Signaled));
                        return End::OfCommand;
                    }
                },
                Next::Told(Told::Gone) => {
                    self.lost(children, mark).await;
                    return End::OfAll;
                }
                Next::Command(command) => self.obey(command).await,
                Next::Deadline => {
                    self.deadline = None;
                    self.seen.timed_out = self.timeout.map(|timeout| timeout.seconds);
                    self.supervisor.order(Order::Kill).await;
                }
            }
        }
    }

    /// Obeys while something else is waited for. What the supervisor tells waits in the socket.
    async fn obey_while<T>(&mut self, other: impl Future<Output = T>) -> T {
        let mut other = std::pin::pin!(other);
        loop {
            let deadline = self.deadline;
            let passed = async {
                match deadline {
                    Some(deadline) => sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                done = &mut other => return done,
                Some(command) = self.commands.recv() => self.obey(command).await,
                () = passed => self.kill_rest().await,
            }
        }
    }

    /// The command has ended; waits until what it started has too.
    async fn until_gone(mut self, children: &Children, mark: &[u8]) {
        loop {
            match self.next().await {
                Next::Told(Told::Gone) => break,
                Next::Told(Told::Event(Event::NotItsToKill, _)) => self.kill_group(),
                Next::Told(Told::Event(..)) => {}
                Next::Command(command) => self.obey(command).await,
                Next::Deadline => self.kill_rest().await,
            }
        }
        let pid = self.pid;
        let group = self.supervisor.take_group();
        if !self.supervisor.ended().await {
            kill_rest_of_lost(pid, mark).await;
        }
        if let Some(group) = group {
            group.clear().await;
        }
        if let Some(pid) = pid {
            children.unwatch(pid);
        }
    }

    /// The time-out is of all that was started, also of what outlives the command.
    async fn kill_rest(&mut self) {
        self.deadline = None;
        self.supervisor.order(Order::Kill).await;
    }

    /// Kills all at once, the supervisor too: it can't.
    fn kill_group(&mut self) {
        self.seen.group_killed |= self.supervisor.kill_group();
    }

    async fn obey(&mut self, command: Command) {
        let order = match command {
            Command::Signal { number, tree } => {
                self.seen.was_killed |= number == KILL;
                Order::Signal { number, tree }
            }
            Command::Kill => {
                self.seen.was_killed = true;
                Order::Kill
            }
        };
        self.supervisor.order(order).await;
    }

    /// The supervisor is gone and has not told how the command ended: it was killed.
    async fn lost(&mut self, children: &Children, mark: &[u8]) {
        if !self.seen.group_killed {
            tracing::warn!("the supervisor of a process was killed; what it had started is killed too");
        }
        self.seen.supervisor_lost = true;
        kill_rest_of_lost(self.pid, mark).await;
        if let Some(group) = self.supervisor.take_group() {
            group.clear().await;
        }
        if let Some(orphan) = self.orphan.take() {
            let end = tokio::time::timeout(LOST_WITHIN, orphan).await;
            self.seen.command = end.ok().and_then(Result::ok);
            // Of a command whose end was told nobody watches the pid: it may be another's by now.
            if let Some(pid) = self.pid {
                children.unwatch(pid);
            }
        }
    }
}

/// Blocks for milliseconds, so in a thread of its own.
async fn kill_rest_of_lost(command: Option<Pid>, mark: &[u8]) {
    let mark = mark.to_vec();
    let killed = tokio::task::spawn_blocking(move || kill_left(command, Some(&mark))).await;
    if let Err(error) = killed {
        tracing::error!(%error, "killing what a process has left");
    }
}
