//! Processes that are there: attaching to them, listing them, signals to them.

use std::fmt;

use podbay_k8s_client::TerminalSize;
use podbay_protocol::{Offsets, Outcome, ProcessId, ProcessInfo, Retention, Signal, SignalTarget};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::reconnect::{Process, Role};
use super::running::{Carried, Running, seconds, specification};
use super::{Command, DEFAULT_CAPTURE};
use crate::error::{Error, Operation, ProcessError};
use crate::session::Session;
use crate::transport::Reached;

/// How often the beginning of what is kept is looked for anew, when it is dropped between the look and the attempt to read it.
const LOOKS: u32 = 5;

/// A process about to be attached to: see [`Session::attach`].
#[must_use = "nothing is attached to before it is started"]
pub struct Attach {
    session: Session,
    id: ProcessId,
    from: Option<Offsets>,
    terminal: Option<TerminalSize>,
    carried: Carried,
}

impl fmt::Debug for Attach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attach")
            .field("session", &self.session.id())
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Attach {
    /// Where its outputs are read from, in bytes from the beginning of each; without, from the first bytes that are kept. What is
    /// not kept any longer is refused as [`ProcessError::OutputGone`], which names the first byte that is.
    pub const fn from(mut self, from: Offsets) -> Self {
        self.from = Some(from);
        self
    }

    /// What is written to its standard input, after what was written before, and then the end of file. Of several who write at
    /// once bytes are lost.
    pub fn stdin(mut self, reader: impl AsyncRead + Send + Unpin + 'static) -> Self {
        self.carried.stdin = Some(Box::new(reader));
        self
    }

    /// Where its standard output is written as it comes.
    pub fn stdout(mut self, writer: impl AsyncWrite + Send + Unpin + 'static) -> Self {
        self.carried.stdout = Some(Box::new(writer));
        self
    }

    /// Where its standard error is written as it comes.
    pub fn stderr(mut self, writer: impl AsyncWrite + Send + Unpin + 'static) -> Self {
        self.carried.stderr = Some(Box::new(writer));
        self
    }

    /// How many bytes of each stream the outcome keeps.
    pub const fn capture(mut self, bytes: usize) -> Self {
        self.carried.capture = bytes;
        self
    }

    /// The size that its terminal, if it has one, gets now.
    pub const fn terminal(mut self, size: TerminalSize) -> Self {
        self.terminal = Some(size);
        self
    }

    /// Attaches, and waits for the process's end.
    pub async fn output(self) -> Result<Outcome, Error> {
        self.start().await?.outcome().await
    }

    /// Attaches.
    pub async fn start(self) -> Result<Running, Error> {
        let Self {
            session,
            id,
            from,
            terminal,
            carried,
        } = self;
        let begun = Instant::now();
        let Reached { processes, used } = session.lasting_processes().await?;
        let mut process = Process {
            transport: processes,
            id,
            argv: Vec::new(),
            role: Role::Onlooker,
        };
        let able = process.transport.capabilities();
        able.require(Operation::ReachProcess)
            .map_err(ProcessError::from)?;
        let mut looks = 0;
        loop {
            let info = process.again(|| process.transport.info(&process.id)).await?;
            if carried.stdin.is_some() && info.stdin.is_none() && info.end.is_none() {
                return Err(ProcessError::InputClosed.into());
            }
            let begin = from.or(info.first).unwrap_or_default();
            match process.again(|| process.attach_once(begin)).await {
                Ok(attachment) => {
                    process.argv = info.shell.into_iter().chain(info.argv).collect();
                    let size = terminal.filter(|_| info.terminal).map(watch::Sender::new);
                    let places = (begin, info.stdin.unwrap_or_default());
                    return Ok(Running::attached(
                        process, used, attachment, places, size, carried, begun,
                    ));
                }
                // Somebody else took it meanwhile, and it was dropped.
                Err(ProcessError::OutputGone { .. }) if from.is_none() && looks < LOOKS => looks += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Starts a command and leaves it to itself.
pub(super) async fn detach(command: Command) -> Result<ProcessId, Error> {
    let mut spec = specification(&command)?;
    spec.retention = Retention::Spool;
    spec.stdin = command.open_stdin;
    spec.timeout_seconds = seconds(command.timeout);
    let transport = command.session.lasting_processes().await?.processes;
    let able = transport.capabilities();
    able.require_retention(spec.retention)
        .map_err(ProcessError::from)?;
    let (process, _attachment) = Box::pin(Process::start(transport, spec)).await?;
    Ok(process.id)
}

impl Session {
    /// A process that is to be attached to: one that was [detached](Command::detach), or that another client started. Its outputs
    /// come from the beginning of what is kept, and then as they are written, up to its end. Who attaches so holds nothing up and
    /// takes nothing from others; when he leaves, it goes on.
    ///
    /// Needs an agent in the session's pod; without one it is refused as [`NotPossible`](crate::NotPossible).
    pub fn attach(&self, id: ProcessId) -> Attach {
        Attach {
            session: self.clone(),
            id,
            from: None,
            terminal: None,
            carried: Carried {
                stdin: None,
                stdout: None,
                stderr: None,
                capture: DEFAULT_CAPTURE,
                timeout: None,
                cancel: CancellationToken::new(),
            },
        }
    }

    /// Its processes: those that run, and those that ended and are kept (the last thousand, for an hour), in the order of their
    /// starts. Needs an agent in the session's pod.
    pub async fn list_processes(&self) -> Result<Vec<ProcessInfo>, Error> {
        let transport = self.lasting_processes().await?.processes;
        let able = transport.capabilities();
        able.require(Operation::ListProcesses)
            .map_err(ProcessError::from)?;
        Ok(transport.list().await?)
    }

    /// Sends a process a signal, or it and all that it started. One that has ended needs none. Needs an agent in the session's
    /// pod.
    pub async fn signal_process(
        &self,
        id: &ProcessId,
        signal: Signal,
        target: SignalTarget,
    ) -> Result<(), Error> {
        let transport = self.lasting_processes().await?.processes;
        let able = transport.capabilities();
        able.require(Operation::ReachProcess)
            .map_err(ProcessError::from)?;
        Ok(transport.signal(id, signal, target).await?)
    }
}
