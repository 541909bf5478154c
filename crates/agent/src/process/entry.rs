//! One process as all who deal with it share it.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use podbay_protocol::{Offsets, ProcessId, ProcessInfo, ProcessSpec, ReaderId, StreamName, TerminalSize};
use rustix::termios::{Winsize, tcsetwinsize};
use tokio::sync::futures::Notified;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::error::{AcknowledgeError, ReadError};
use super::input::{Input, Stdin};
use super::kept::{KeptRecord, Words};
use super::log::{At, Attendance, StreamLog};
use super::request::{Digest, Request};
use super::settings::ProcessSettings;
use super::spool::{Spool, SpoolFile};

/// What is done to a process from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// Send a signal.
    Signal { number: i32, tree: bool },
    /// Kill it with all that is below.
    Kill,
}

/// A process. Once it has ended, all that was needed only while it ran is given back.
pub(super) struct Entry {
    pub(super) id: Arc<ProcessId>,
    pub(super) digest: Digest,
    argv: Words,
    shell: Option<Box<str>>,
    pub(super) started: Instant,
    pub(super) has_terminal: bool,
    pub(super) spool: Arc<Spool>,
    state: Mutex<State>,
    /// Told when there is something new to read.
    written: Notify,
    /// Told when a reader took something, came or went.
    taken: Notify,
}

/// What changes of it.
pub(super) struct State {
    stdout: Stream,
    stderr: Stream,
    pub(super) attendance: Attendance,
    pub(super) pid: Option<i32>,
    /// The outer side of its terminal, while it runs.
    terminal: Option<OwnedFd>,
    /// A size that was set before there was a terminal.
    size: Option<TerminalSize>,
    input: Option<Stdin>,
    /// To the task that looks after it; none when nothing is left to look after.
    commands: Option<mpsc::UnboundedSender<Command>>,
    end: Option<Box<KeptRecord>>,
    ended: Option<Instant>,
}

/// An output.
pub(super) struct Stream {
    pub(super) log: StreamLog,
    pub(super) file: Option<Arc<SpoolFile>>,
}

impl Entry {
    pub(super) fn new(
        spec: &ProcessSpec,
        digest: Digest,
        request: &Request,
        settings: &ProcessSettings,
        spool: Arc<Spool>,
        (input, commands): (Option<Input>, mpsc::UnboundedSender<Command>),
    ) -> Self {
        let now = Instant::now();
        let stream = || Stream {
            log: StreamLog::new(request.retention, settings.window),
            file: None,
        };
        Self {
            id: Arc::new(spec.id.clone()),
            digest,
            argv: Words::new(&spec.argv),
            shell: spec.shell.as_deref().map(Box::from),
            started: now,
            has_terminal: spec.terminal.is_some(),
            spool,
            state: Mutex::new(State {
                stdout: stream(),
                stderr: stream(),
                attendance: Attendance::new(settings.reattach_grace, now),
                pid: None,
                terminal: None,
                size: None,
                input: input.map(|input| Stdin::Open(Arc::new(input))),
                commands: Some(commands),
                end: None,
                ended: None,
            }),
            written: Notify::new(),
            taken: Notify::new(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells those who read that there is something new.
    pub(super) fn tell_readers(&self) {
        self.written.notify_waiters();
    }

    /// Tells those who write that something was taken.
    pub(super) fn tell_writers(&self) {
        self.taken.notify_waiters();
    }

    /// Ready when there is something new to read, from now on.
    pub(super) fn news(&self) -> Notified<'_> {
        self.written.notified()
    }

    /// Ready when a reader takes something, comes or goes, from now on.
    pub(super) fn room(&self) -> Notified<'_> {
        self.taken.notified()
    }

    /// Its standard input, if it has one.
    pub(super) fn stdin(&self) -> Option<Stdin> {
        self.lock().input.clone()
    }

    /// Gives an order to the task that looks after it. Whether something is left to look after.
    pub(super) fn order(&self, command: Command) -> bool {
        let state = self.lock();
        let commands = state.commands.as_ref();
        commands.is_some_and(|commands| commands.send(command).is_ok())
    }

    pub(super) fn info(&self) -> ProcessInfo {
        let state = self.lock();
        let mut info = ProcessInfo::new(
            (*self.id).clone(),
            self.argv.to_vec(),
            state.offsets(StreamLog::written),
            state.end.as_ref().map(|record| record.to_record()),
        );
        info.shell = self.shell.as_deref().map(str::to_owned);
        info.first = Some(state.offsets(StreamLog::first));
        info.stdin = state.input.as_ref().map(Stdin::taken);
        info.pid = state.pid;
        let now = Instant::now();
        let until = state.ended.unwrap_or(now);
        info.seconds = Some(until.duration_since(self.started).as_secs_f64());
        info.age_seconds = Some(now.duration_since(self.started).as_secs_f64());
        info.terminal = self.has_terminal;
        info
    }

    pub(super) fn has_ended(&self) -> bool {
        self.lock().end.is_some()
    }

    /// The record of its end is complete, and nothing more comes.
    pub(super) fn end(self: &Arc<Self>, record: KeptRecord) {
        let mut state = self.lock();
        state.end = Some(Box::new(record));
        state.ended = Some(Instant::now());
        state.terminal = None;
        if let Some(Stdin::Open(input)) = &state.input {
            input.end();
        }
        drop(state);
        self.settle();
        self.tell_readers();
        self.tell_writers();
    }

    /// Nothing is left of it. Called after [`Entry::end`].
    pub(super) fn is_gone(&self) {
        let mut state = self.lock();
        state.commands = None;
        if let Some(Stdin::Open(input)) = &state.input
            && let Some(taken) = input.close_ended()
        {
            state.input = Some(Stdin::Ended { taken });
        }
    }

    /// A reader has taken output for good.
    pub(super) fn acknowledge(
        self: &Arc<Self>,
        reader: &ReaderId,
        taken: Offsets,
    ) -> Result<(), AcknowledgeError> {
        let mut state = self.lock();
        if !state.attendance.saw(reader, Instant::now()) {
            return Err(AcknowledgeError::OtherReader {
                id: (*self.id).clone(),
                reader: reader.clone(),
            });
        }
        for (stream, asked) in [
            (StreamName::Stdout, taken.stdout),
            (StreamName::Stderr, taken.stderr),
        ] {
            let written = state.stream(stream).log.written();
            if asked > written {
                return Err(AcknowledgeError::Ahead {
                    id: (*self.id).clone(),
                    stream,
                    asked,
                    written,
                });
            }
        }
        state.stdout.log.acknowledge(taken.stdout);
        state.stderr.log.acknowledge(taken.stderr);
        let has_ended = state.end.is_some();
        drop(state);
        self.tell_writers();
        if has_ended {
            self.settle();
        }
        Ok(())
    }

    /// Frees what an ended process need not keep in memory.
    fn settle(self: &Arc<Self>) {
        for name in [StreamName::Stdout, StreamName::Stderr] {
            let mut state = self.lock();
            let stream = state.stream_mut(name);
            let goes_to_file = stream.log.settle();
            if !stream.log.is_in_file() {
                stream.file = None;
            }
            if !goes_to_file {
                continue;
            }
            let memory = stream.log.memory();
            drop(state);
            let entry = Arc::clone(self);
            let Ok(runtime) = tokio::runtime::Handle::try_current() else {
                continue; // It is being shut down; nobody will read.
            };
            runtime.spawn_blocking(move || {
                let Some(file) = entry.spool.create(&memory.bytes) else {
                    return; // It stays in memory.
                };
                let mut state = entry.lock();
                let stream = state.stream_mut(name);
                // It may have been taken meanwhile.
                if !stream.log.is_in_file() && stream.log.memory() == memory {
                    stream.log.moved_to_file();
                    stream.file = Some(Arc::new(file));
                }
            });
        }
    }

    /// Whether output can be read from here.
    pub(super) fn check(&self, from: Offsets) -> Result<(), ReadError> {
        let state = self.lock();
        for (stream, asked) in [
            (StreamName::Stdout, from.stdout),
            (StreamName::Stderr, from.stderr),
        ] {
            let log = &state.stream(stream).log;
            match log.at(asked, 0) {
                At::Gone { first } => {
                    return Err(ReadError::Gone {
                        id: (*self.id).clone(),
                        stream,
                        asked,
                        first,
                    });
                }
                At::Ahead => {
                    return Err(ReadError::Ahead {
                        id: (*self.id).clone(),
                        stream,
                        asked,
                        written: log.written(),
                    });
                }
                At::Bytes(_) | At::File { .. } | At::End => {}
            }
        }
        Ok(())
    }

    /// The process's terminal is there.
    pub(super) fn has_got_terminal(&self, terminal: OwnedFd) {
        let mut state = self.lock();
        if let Some(size) = state.size.take() {
            set_size(&terminal, size);
        }
        state.terminal = Some(terminal);
    }

    /// Looks at the terminal, while there is one.
    pub(super) fn with_terminal<T>(&self, look: impl FnOnce(BorrowedFd<'_>) -> T) -> Option<T> {
        let state = self.lock();
        state.terminal.as_ref().map(|terminal| look(terminal.as_fd()))
    }

    /// Sets the terminal's size, now or once there is one.
    pub(super) fn resize(&self, size: TerminalSize) {
        let mut state = self.lock();
        match &state.terminal {
            Some(terminal) => set_size(terminal, size),
            None => state.size = Some(size),
        }
    }
}

/// A size that isn't taken is not worth a process.
fn set_size(terminal: &OwnedFd, TerminalSize { width, height }: TerminalSize) {
    let size = Winsize {
        ws_row: height,
        ws_col: width,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    if let Err(error) = tcsetwinsize(terminal, size) {
        tracing::debug!(%error, width, height, "setting a terminal's size");
    }
}

impl State {
    pub(super) const fn stream(&self, name: StreamName) -> &Stream {
        match name {
            StreamName::Stdout => &self.stdout,
            StreamName::Stderr => &self.stderr,
        }
    }

    pub(super) const fn stream_mut(&mut self, name: StreamName) -> &mut Stream {
        match name {
            StreamName::Stdout => &mut self.stdout,
            StreamName::Stderr => &mut self.stderr,
        }
    }

    pub(super) fn end(&self) -> Option<&KeptRecord> {
        self.end.as_deref()
    }

    fn offsets(&self, of: impl Fn(&StreamLog) -> u64) -> Offsets {
        Offsets {
            stdout: of(&self.stdout.log),
            stderr: of(&self.stderr.log),
        }
    }
}
