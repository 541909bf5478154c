//! A command while it runs.

use std::convert::Infallible;
use std::fmt;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use podbay_k8s_client::TerminalSize;
use podbay_protocol::{
    Cause, End, Hint, Offsets, Outcome, ProcessId, ProcessSpec, ProcessUser, Signal, SignalTarget, StreamEnd,
    TransportUsed, Verdict,
};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Command;
use super::drain::{Drain, Writer};
use super::input::{Reader, feed};
use super::reconnect::{Process, Role};
use crate::error::{Error, ProcessError};
use crate::transport::{Attachment, AttachmentEnd, ProcessTransport, Reached};

/// How much longer than its time-out a command is waited for that is killed by whoever carries it.
const TIMEOUT_GRACE: Duration = Duration::from_secs(10);

/// A command that was started.
///
/// Dropping it, or the future of [`Running::outcome`], gives it up: with the local backend that kills it, in
/// a container it goes on. [`super::Command::cancel_on`] kills it everywhere.
///
/// One that was [attached to](crate::Session::attach) goes on in any case.
pub struct Running {
    process: Process,
    attachment: Attachment,
    begun: Instant,
    /// Where its outputs are read from.
    from: Offsets,
    /// How much of its standard input there is already.
    written: u64,
    terminal: Option<watch::Sender<TerminalSize>>,
    carried: Carried,
    signals: Option<mpsc::UnboundedReceiver<i32>>,
    used: TransportUsed,
}

/// What a command is given, and what becomes of what it gives.
pub(super) struct Carried {
    pub(super) stdin: Option<Reader>,
    pub(super) stdout: Option<Writer>,
    pub(super) stderr: Option<Writer>,
    pub(super) capture: usize,
    pub(super) timeout: Option<Duration>,
    pub(super) cancel: CancellationToken,
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running")
            .field("process", &self.process.id)
            .finish_non_exhaustive()
    }
}

/// Starts a command.
pub(super) async fn start(command: Command) -> Result<Running, Error> {
    let spec = specification(&command)?;
    let Command {
        session,
        timeout,
        stdin,
        stdout,
        stderr,
        capture,
        cancel,
        without_agent,
        ..
    } = command;
    let carried = Carried {
        stdin,
        stdout,
        stderr,
        capture,
        timeout,
        cancel,
    };
    let Reached { processes, used } = if without_agent {
        session.without_agent()
    } else {
        Box::pin(session.reach_processes()).await?
    };
    Running::start(processes, used, spec, carried).await
}

/// What is started for a command, but for its streams.
pub(super) fn specification(command: &Command) -> Result<ProcessSpec, Error> {
    if command.argv.first().is_none_or(String::is_empty) {
        return Err(Error::EmptyCommand);
    }
    let id = command.process.clone();
    let id = id.unwrap_or_else(|| ProcessId::from_random(rand::random()));
    let mut spec = ProcessSpec::new(id, command.argv.clone());
    spec.directory.clone_from(&command.workdir);
    spec.user = command.user.map(|user| ProcessUser {
        uid: user.uid(),
        gid: user.gid(),
    });
    spec.terminal = command.terminal;
    Ok(spec)
}

/// Why a command is no longer waited for.
enum Stop {
    Ended(AttachmentEnd),
    TimedOut(Duration),
    Cancelled,
    Broken(Error),
}

impl Running {
    /// Starts a process over a transport.
    pub(super) async fn start(
        transport: Arc<dyn ProcessTransport>,
        used: TransportUsed,
        mut spec: ProcessSpec,
        carried: Carried,
    ) -> Result<Self, Error> {
        let begun = Instant::now();
        let mut carried = carried;
        spec.stdin = carried.stdin.is_some();
        if transport.capabilities().timeouts {
            spec.timeout_seconds = seconds(carried.timeout);
            // The carrier's own word comes with all output up to then.
            carried.timeout = carried.timeout.map(|timeout| timeout + TIMEOUT_GRACE);
        }
        let terminal = spec.terminal.map(watch::Sender::new);
        let (process, attachment) = Box::pin(Process::start(transport, spec)).await?;
        Ok(Self {
            process,
            attachment,
            begun,
            from: Offsets::default(),
            written: 0,
            terminal,
            carried,
            signals: None,
            used,
        })
    }

    /// What a process that was attached to is read and written by.
    pub(super) const fn attached(
        process: Process,
        used: TransportUsed,
        attachment: Attachment,
        (from, written): (Offsets, u64),
        terminal: Option<watch::Sender<TerminalSize>>,
        carried: Carried,
        begun: Instant,
    ) -> Self {
        Self {
            process,
            attachment,
            begun,
            from,
            written,
            terminal,
            carried,
            signals: None,
            used,
        }
    }

    /// The program and its arguments.
    pub fn argv(&self) -> &[String] {
        &self.process.argv
    }

    /// Its name among the processes of the session.
    pub const fn id(&self) -> &ProcessId {
        &self.process.id
    }

    /// Where its outputs are read from: their beginning, unless it was attached to and that is not kept any longer.
    pub const fn from(&self) -> Offsets {
        self.from
    }

    /// Tells the command's terminal its size; `None` without a terminal.
    pub fn resizer(&self) -> Option<watch::Sender<TerminalSize>> {
        self.terminal.clone()
    }

    /// Passes signals on to the command, by number; its descendants do not get them.
    #[must_use]
    pub fn signals(mut self, signals: mpsc::UnboundedReceiver<i32>) -> Self {
        self.signals = Some(signals);
        self
    }

    /// Carries the streams until the command ends, is cancelled or runs into its time-out. A connection that is lost is made
    /// again, if the transport can do that, for up to a minute; what was missed meanwhile comes then.
    pub async fn outcome(self) -> Result<Outcome, Error> {
        let Self {
            process,
            attachment,
            begun,
            from,
            written,
            terminal,
            carried,
            signals,
            used,
        } = self;
        let Carried {
            stdin,
            stdout,
            stderr,
            capture,
            timeout,
            cancel,
        } = carried;
        // It stays until the process is killed or its end is told: some transports know a process as long as it is held.
        let mut attachment = Some(attachment);
        let mut out = Drain::new(stdout, "standard output", capture, from.stdout);
        let mut err = Drain::new(stderr, "standard error", capture, from.stderr);
        let stop = tokio::select! {
            // What has ended has ended, whatever else happened at the same moment.
            biased;
            end = process.follow(&mut attachment, &mut out, &mut err) => match end {
                Ok(end) => Stop::Ended(end),
                Err(error) => Stop::Broken(error),
            },
            error = feed(&process, stdin, written) => Stop::Broken(error),
            never = pass_signals(&process, signals) => match never {},
            never = pass_sizes(&process, terminal) => match never {},
            () = cancel.cancelled() => Stop::Cancelled,
            after = timed_out(begun, timeout) => Stop::TimedOut(after),
        };
        let (mut end, mut verdict, lost, told) = match stop {
            Stop::Ended(end) => {
                let (lost, told) = match &end {
                    AttachmentEnd::Ended(record) => (false, [record.stdout.clone(), record.stderr.clone()]),
                    AttachmentEnd::Lost { .. } => (true, <[StreamEnd; 2]>::default()),
                };
                let (end, verdict) = process.transport.conclude(&process.id, end).await;
                (end, verdict, lost, told)
            }
            Stop::TimedOut(after) => {
                let seconds = after.as_secs_f64();
                (
                    End::TimedOut { seconds },
                    kill(&process).await,
                    true,
                    <[StreamEnd; 2]>::default(),
                )
            }
            Stop::Cancelled => (
                End::Cancelled,
                kill(&process).await,
                true,
                <[StreamEnd; 2]>::default(),
            ),
            Stop::Broken(error) => {
                kill(&process).await;
                return Err(error);
            }
        };
        drop(attachment);
        let (mut stdout, stdout_content, out_proof) = out.finish(lost, &told[0]);
        let (mut stderr, stderr_content, err_proof) = err.finish(lost, &told[1]);
        if let Err(message) = out_proof.and(err_proof) {
            (stdout.truncated, stderr.truncated) = (true, true);
            verdict = Some(Verdict::new(
                Cause::ConnectionLost,
                &message,
                Hint::LookBeforeRunningAgain,
            ));
            end = End::Lost { message };
        }
        Ok(Outcome {
            end,
            stdout,
            stderr,
            stdout_content,
            stderr_content,
            seconds: begun.elapsed().as_secs_f64(),
            verdict,
            transport: used,
        })
    }
}

/// Waits for the time-out.
async fn timed_out(begun: Instant, timeout: Option<Duration>) -> Duration {
    match timeout {
        Some(after) => {
            tokio::time::sleep_until(begun + after).await;
            after
        }
        None => pending().await,
    }
}

/// What the agent takes as a time-out; none for what it does not take.
pub(super) fn seconds(timeout: Option<Duration>) -> Option<f64> {
    timeout
        .map(|timeout| timeout.as_secs_f64())
        .filter(|seconds| *seconds > 0.0)
}

/// Kills the command and all its descendants, if it is ours. A verdict says that it could not be.
async fn kill(process: &Process) -> Option<Verdict> {
    if process.role == Role::Onlooker {
        return None;
    }
    let killed = process
        .transport
        .signal(&process.id, Signal::KILL, SignalTarget::Tree)
        .await;
    match killed {
        // What is not there needs none.
        Ok(()) | Err(ProcessError::Unknown { .. }) => None,
        Err(error) => Some(Verdict::new(
            Cause::ConnectionLost,
            format!("the command may still run: {}", error.chain()),
            Hint::CloseToEndAll,
        )),
    }
}

/// Passes signals on to the command as long as it runs.
async fn pass_signals(process: &Process, signals: Option<mpsc::UnboundedReceiver<i32>>) -> Infallible {
    if let Some(mut signals) = signals {
        while let Some(number) = signals.recv().await {
            let Ok(signal) = Signal::try_from(number) else {
                continue;
            };
            let sent = process
                .transport
                .signal(&process.id, signal, SignalTarget::Process)
                .await;
            if let Err(error) = sent {
                tracing::debug!(number, error = error.chain(), "a signal could not be passed on");
            }
        }
    }
    pending().await
}

/// Tells the command's terminal each size as long as it runs; it has the first one.
async fn pass_sizes(process: &Process, sizes: Option<watch::Sender<TerminalSize>>) -> Infallible {
    if let Some(sizes) = sizes {
        let mut sizes = sizes.subscribe();
        // The first one again: it may have changed before anyone listened.
        sizes.mark_changed();
        while sizes.changed().await.is_ok() {
            let size = *sizes.borrow_and_update();
            if let Err(error) = process.transport.resize(&process.id, size).await {
                tracing::debug!(error = error.chain(), "the terminal could not be told its size");
            }
        }
    }
    pending().await
}
