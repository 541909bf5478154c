//! Processes of this machine that this process keeps: started, marked and killed by it.

use std::ffi::OsString;

use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt as _;
use podbay_k8s_client::{ExecEnd, ExecOutput, ExecProcess, ExecStdin};
use podbay_local::SandboxCommand;
use podbay_process::{Output, Process, ProcessEnd};
use podbay_protocol::{
    End, Offsets, ProcessId, ProcessInfo, ProcessSpec, Signal, SignalTarget, TerminalSize, Verdict,
};
use tokio_util::sync::CancellationToken;

use super::capabilities::Capabilities;
use super::connections::{Connections, Handles, attachment_end};
use super::errand::Errand;
use super::exec::outputs::whole;
use super::processes::{Attachment, AttachmentEnd, ProcessTransport};
use super::report::report;
use super::user;
use crate::error::{Error, Operation, ProcessError};
use crate::local::{Access, LocalSession};

const CAPABILITIES: Capabilities = Capabilities::of_one_connection("the local backend");

/// Enters a directory, so that one that can't be entered is told as a shell tells it.
const ENTER: &str = include_str!("enter.sh");

/// Processes of a session that this process keeps.
pub(super) struct LocalProcesses {
    session: LocalSession,
    connections: Connections<()>,
}

impl LocalProcesses {
    pub(super) fn new(session: LocalSession) -> Self {
        Self {
            session,
            connections: Connections::default(),
        }
    }

    /// Starts a command. A program that can't be started is an end.
    async fn exec(&self, argv: Vec<String>, stdin: bool, terminal: bool) -> Result<ExecProcess, Error> {
        let gone = || self.session.not_found();
        let sandbox = match self.session.access().await? {
            Access::Process(sandbox) => sandbox,
            // Its agent is asked by another transport.
            Access::Agent { .. } => return Err(gone()),
        };
        if argv.iter().any(|word| word.contains('\0')) {
            return Err(Error::Unsupported {
                what: "a word with a NUL character",
                why: "no argument of a process can have one".to_owned(),
            });
        }
        let program = OsString::from(argv.first().map(String::as_str).unwrap_or_default());
        let command = SandboxCommand {
            argv,
            stdin,
            terminal,
            ..SandboxCommand::default()
        };
        Ok(match sandbox.start(command).map_err(|_closed| gone())? {
            Ok(process) => started(process),
            Err(error) => not_started(ExecEnd::NotStarted {
                reason: error.reason(),
                message: error.describe(&program),
            }),
        })
    }

    /// Runs a short command of our own.
    async fn errand(&self, argv: Vec<String>) -> Result<Errand, Error> {
        let process = self.exec(argv, false, false).await?;
        Ok(Errand::of(process).await)
    }
}

/// A process as a command of a cluster, whose streams are carried alike.
fn started(process: Process) -> ExecProcess {
    ExecProcess {
        stdin: process.stdin.map(|input| ExecStdin::new(input.into_sender())),
        stdout: output(process.stdout),
        stderr: output(process.stderr),
        resize: process.resize,
        signals: Some(process.signals),
        end: process.end.map(end).boxed(),
        guard: process.guard,
    }
}

fn output(output: Output) -> ExecOutput {
    let cut = output.cut();
    ExecOutput::new(output).cut_as(cut)
}

fn end(end: ProcessEnd) -> ExecEnd {
    match end {
        ProcessEnd::Exited { code } => ExecEnd::Exited { code },
        ProcessEnd::Signaled { signal } => ExecEnd::Signaled { signal },
        ProcessEnd::Lost { message } => ExecEnd::Lost { message },
        other => ExecEnd::Lost {
            message: format!("the command ended in a way that has no name here: {other:?}"),
        },
    }
}

/// A command that ended before it began.
fn not_started(end: ExecEnd) -> ExecProcess {
    ExecProcess {
        stdin: None,
        stdout: ExecOutput::new(futures::stream::empty()),
        stderr: ExecOutput::new(futures::stream::empty()),
        resize: None,
        signals: None,
        end: futures::future::ready(end).boxed(),
        guard: CancellationToken::new().drop_guard(),
    }
}

#[async_trait]
impl ProcessTransport for LocalProcesses {
    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    async fn start(&self, spec: ProcessSpec) -> Result<Attachment, ProcessError> {
        CAPABILITIES.require_specification(&spec)?;
        self.connections.require_free(&spec.id)?;
        let as_user = match spec.user {
            Some(user) => user::prefix(user, self.errand(user::question(user)).await?)?,
            None => Vec::new(),
        };
        let argv: Vec<String> = as_user.into_iter().chain(spec.argv).collect();
        let argv = match spec.directory {
            Some(directory) => ["/bin/sh", "-c", ENTER, "podbay", &directory]
                .into_iter()
                .map(str::to_owned)
                .chain(argv)
                .collect(),
            None => argv,
        };
        let ExecProcess {
            stdin,
            stdout,
            stderr,
            resize,
            signals,
            end,
            guard,
        } = self.exec(argv, spec.stdin, spec.terminal.is_some()).await?;
        let handles = Handles {
            stdin,
            resize,
            signals,
            guard,
        };
        let held = self.connections.hold(spec.id.clone(), handles, ());
        if let Some(size) = spec.terminal {
            self.connections.resize(&spec.id, size)?;
        }
        Ok(Attachment {
            stdout: whole(stdout),
            stderr: whole(stderr),
            end: end.map(attachment_end).boxed(),
            guard: Box::new(held),
        })
    }

    async fn attach(&self, _: &ProcessId, _: Offsets) -> Result<Attachment, ProcessError> {
        Err(CAPABILITIES.refusal(Operation::Attach).into())
    }

    async fn write(&self, id: &ProcessId, offset: u64, bytes: Bytes) -> Result<u64, ProcessError> {
        self.connections.write(id, offset, bytes, &CAPABILITIES).await
    }

    async fn close_stdin(&self, id: &ProcessId) -> Result<(), ProcessError> {
        self.connections.close_stdin(id)
    }

    async fn resize(&self, id: &ProcessId, size: TerminalSize) -> Result<(), ProcessError> {
        self.connections.resize(id, size)
    }

    async fn signal(&self, id: &ProcessId, signal: Signal, target: SignalTarget) -> Result<(), ProcessError> {
        match target {
            // The backend kills all that a connection carried when that is given up.
            SignalTarget::Tree if signal == Signal::KILL => self.connections.give_up(id),
            SignalTarget::Tree => Err(CAPABILITIES.refusal(Operation::SignalTree).into()),
            SignalTarget::Process => {
                if self.connections.pass_signal(id, signal.number())? {
                    Ok(())
                } else {
                    // A program that could not be started takes none.
                    Err(ProcessError::Unknown { id: id.clone() })
                }
            }
        }
    }

    async fn list(&self) -> Result<Vec<ProcessInfo>, ProcessError> {
        Err(CAPABILITIES.refusal(Operation::ListProcesses).into())
    }

    async fn forget(&self, id: &ProcessId) -> Result<(), ProcessError> {
        self.connections.forget_known(id)
    }

    async fn conclude(&self, _: &ProcessId, end: AttachmentEnd) -> (End, Option<Verdict>) {
        report(end)
    }
}
