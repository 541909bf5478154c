//! The task that looks after one process: it hears the supervisor, obeys clients, watches the time, and writes the record.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use podbay_protocol::{EndRecord, ProcessEnd, ResourceUsage, StreamEnd, StreamName};
use rustix::process::Pid;
use tokio::net::unix::pipe;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::cgroup::oom_kills;
use super::descriptor::{sink, source};
use super::end::{Seen, conclude};
use super::entry::{Command, Entry};
use super::input::{Pieces, feed};
use super::pump::{Phase, Pumped, carry};
use super::request::{Request, Timeout};
use crate::init::{ChildEnd, Children};
use crate::supervise::{Event, Order, Supervisor, Told, Usage, kill_left, reason};

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
    pub(super) program: std::path::PathBuf,
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
        let supervisor = Supervisor::start(&given.children, &given.program, &request.launch, &descriptors)?;
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
        if told == End::OfCommand {
            watched.until_gone(&children, &mark).await;
        }
    }
}

/// The streams of a process, being carried.
struct Carried {
    entry: Arc<Entry>,
    phase: watch::Sender<Phase>,
    outputs: Vec<(StreamName, JoinHandle<Pumped>)>,
    feeder: Option<JoinHandle<()>>,
}

impl Carried {
    fn new(entry: Arc<Entry>) -> Self {
        Self {
            entry,
            phase: watch::Sender::new(Phase::Running),
            outputs: Vec::new(),
            feeder: None,
        }
    }

    fn output(&mut self, name: StreamName, source: pipe::Receiver) {
        let pump = carry(Arc::clone(&self.entry), name, source, self.phase.subscribe());
        self.outputs.push((name, tokio::spawn(pump)));
    }

    fn input(&mut self, sink: pipe::Sender, pieces: Pieces, is_terminal: bool) {
        self.feeder = Some(tokio::spawn(feed(sink, pieces, is_terminal)));
    }

    /// The outer side of a terminal, for both directions and for its size.
    fn terminal(&mut self, terminal: OwnedFd, input: Option<Pieces>) -> io::Result<()> {
        if let Some(pieces) = input {
            self.input(sink(terminal.try_clone()?)?, pieces, true);
        }
        self.output(StreamName::Stdout, source(terminal.try_clone()?)?);
        self.entry.has_got_terminal(terminal);
        Ok(())
    }

    /// The process reads no more.
    fn feeder_ends(&mut self) {
        if let Some(feeder) = self.feeder.take() {
            feeder.abort();
        }
    }

    /// Waits until all that the process has written is in its log, and a while for what it left behind.
    async fn finish(self, linger: Duration) -> Vec<(StreamName, Option<Pumped>)> {
        self.phase.send_replace(Phase::Exited);
        let (names, tasks): (Vec<_>, Vec<_>) = self.outputs.into_iter().unzip();
        let mut done = join_all(tasks);
        let pumped = if let Ok(pumped) = tokio::time::timeout(linger, &mut done).await {
            pumped
        } else {
            self.phase.send_replace(Phase::Lingered);
            done.await
        };
        // A pump that panicked has nothing to say; its stream is told as cut.
        names
            .into_iter()
            .zip(pumped.into_iter().map(Result::ok))
            .collect()
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
struct Watched {
    supervisor: Supervisor,
    commands: mpsc::UnboundedReceiver<Command>,
    timeout: Option<Timeout>,
    deadline: Option<Instant>,
    seen: Seen,
    not_started: Option<(String, String)>,
    usage: Option<Usage>,
    pid: Option<Pid>,
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
                Next::Told(Told::Event(..)) => {}
                Next::Command(command) => self.obey(command).await,
                Next::Deadline => self.kill_rest().await,
            }
        }
        let pid = self.pid;
        if !self.supervisor.ended().await {
            kill_rest_of_lost(pid, mark).await;
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
        tracing::warn!("the supervisor of a process was killed; what it had started is killed too");
        self.seen.supervisor_lost = true;
        kill_rest_of_lost(self.pid, mark).await;
        if let Some(orphan) = self.orphan.take() {
            let end = tokio::time::timeout(LOST_WITHIN, orphan).await;
            self.seen.command = end.ok().and_then(Result::ok);
        }
        if let Some(pid) = self.pid {
            children.unwatch(pid);
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

/// The record of a process's end.
fn record(entry: &Entry, watched: &Watched, outputs: &[(StreamName, Option<Pumped>)]) -> EndRecord {
    let end = match &watched.not_started {
        Some((reason, message)) => ProcessEnd::NotStarted {
            reason: reason.clone(),
            message: message.clone(),
        },
        // Before it was told that the command was started.
        None if watched.pid.is_none() && watched.seen.supervisor_lost => ProcessEnd::NotStarted {
            reason: "supervisor".to_owned(),
            message: "the process that should supervise it ended before it started it".to_owned(),
        },
        None => conclude(&watched.seen),
    };
    let mut record = EndRecord::new(end);
    record.seconds = Some(entry.started.elapsed().as_secs_f64());
    record.oom_kills = watched.seen.oom_kills;
    record.usage = watched.usage.map(|used| {
        let mut usage = ResourceUsage::default();
        usage.user_seconds = used.user_seconds;
        usage.system_seconds = used.system_seconds;
        usage.max_resident_bytes = used.max_resident_bytes;
        usage
    });
    record.stdout = stream_end(entry, StreamName::Stdout, outputs);
    record.stderr = stream_end(entry, StreamName::Stderr, outputs);
    record
}

/// What there is to say of an output. A process that has no such stream, or was not started, has not written to it.
fn stream_end(entry: &Entry, name: StreamName, outputs: &[(StreamName, Option<Pumped>)]) -> StreamEnd {
    /// SHA-256 of nothing.
    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let state = entry.lock();
    let log = &state.stream(name).log;
    let output = outputs.iter().find(|(this, _)| *this == name);
    let (sha256, was_cut) = match output.map(|(_, pumped)| pumped) {
        None => (Some(EMPTY.to_owned()), false),
        Some(Some(pumped)) => (Some(pumped.sha256.clone()), pumped.was_cut),
        Some(None) => (None, true),
    };
    let mut end = StreamEnd::default();
    end.bytes = Some(log.written());
    end.sha256 = sha256;
    end.truncated = was_cut || log.is_truncated();
    end.first = log.first();
    end.spooled = log.went_on();
    end
}

/// The record of a process whose supervisor could not be started.
pub(super) fn not_started(entry: &Entry, error: &io::Error) -> EndRecord {
    let mut record = EndRecord::new(ProcessEnd::NotStarted {
        reason: reason(error),
        message: format!("starting its supervisor: {error}"),
    });
    record.seconds = Some(entry.started.elapsed().as_secs_f64());
    record.stdout = stream_end(entry, StreamName::Stdout, &[]);
    record.stderr = stream_end(entry, StreamName::Stderr, &[]);
    record
}
