//! One process as all who deal with it share it.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use podbay_protocol::{
    EndRecord, Offsets, ProcessId, ProcessInfo, ProcessSpec, ReaderId, StreamName, TerminalSize,
};
use rustix::termios::{Winsize, tcsetwinsize};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::error::{AcknowledgeError, ReadError};
use super::input::Input;
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

/// A process.
pub(super) struct Entry {
    pub(super) id: ProcessId,
    pub(super) digest: Digest,
    argv: Vec<String>,
    shell: Option<String>,
    pub(super) started: Instant,
    pub(super) input: Option<Input>,
    pub(super) has_terminal: bool,
    pub(super) spool: Arc<Spool>,
    /// To the task that looks after it.
    pub(super) commands: mpsc::UnboundedSender<Command>,
    state: Mutex<State>,
    /// Told when there is something new to read.
    written: watch::Sender<()>,
    /// Told when a reader took something, came or went.
    taken: watch::Sender<()>,
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
    end: Option<EndRecord>,
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
            id: spec.id.clone(),
            digest,
            argv: spec.argv.clone(),
            shell: spec.shell.clone(),
            started: now,
            input,
            has_terminal: spec.terminal.is_some(),
            spool,
            commands,
            state: Mutex::new(State {
                stdout: stream(),
                stderr: stream(),
                attendance: Attendance::new(settings.reattach_grace, now),
                pid: None,
                terminal: None,
                size: None,
                end: None,
                ended: None,
            }),
            written: watch::Sender::new(()),
            taken: watch::Sender::new(()),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells those who read that there is something new.
    pub(super) fn tell_readers(&self) {
        self.written.send_replace(());
    }

    /// Tells those who write that something was taken.
    pub(super) fn tell_writers(&self) {
        self.taken.send_replace(());
    }

    pub(super) fn news(&self) -> watch::Receiver<()> {
        self.written.subscribe()
    }

    pub(super) fn room(&self) -> watch::Receiver<()> {
        self.taken.subscribe()
    }

    pub(super) fn info(&self) -> ProcessInfo {
        let state = self.lock();
        let mut info = ProcessInfo::new(
            self.id.clone(),
            self.argv.clone(),
            state.offsets(StreamLog::written),
            state.end.clone(),
        );
        info.shell.clone_from(&self.shell);
        info.first = Some(state.offsets(StreamLog::first));
        info.stdin = self.input.as_ref().map(Input::taken);
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
    pub(super) fn end(self: &Arc<Self>, record: EndRecord) {
        let mut state = self.lock();
        state.end = Some(record);
        state.ended = Some(Instant::now());
        state.terminal = None;
        drop(state);
        if let Some(input) = &self.input {
            input.end();
        }
        self.settle();
        self.tell_readers();
        self.tell_writers();
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
                id: self.id.clone(),
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
                    id: self.id.clone(),
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
                        id: self.id.clone(),
                        stream,
                        asked,
                        first,
                    });
                }
                At::Ahead => {
                    return Err(ReadError::Ahead {
                        id: self.id.clone(),
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

    pub(super) const fn end(&self) -> Option<&EndRecord> {
        self.end.as_ref()
    }

    fn offsets(&self, of: impl Fn(&StreamLog) -> u64) -> Offsets {
        Offsets {
            stdout: of(&self.stdout.log),
            stderr: of(&self.stderr.log),
        }
    }
}
