//! Processes of this machine, which the local backend starts, marks and kills.

use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt as _;
use podbay_k8s_client::{ExecProcess, ExecRequest};
use podbay_manifests::pod::CONTAINER;
use podbay_protocol::{
    End, Offsets, ProcessId, ProcessInfo, ProcessSpec, Signal, SignalTarget, TerminalSize, Verdict,
};

use super::capabilities::Capabilities;
use super::connections::{Connections, Handles, attachment_end, begin};
use super::exec::outputs::whole;
use super::processes::{Attachment, AttachmentEnd, ProcessTransport};
use super::report::report;
use super::user;
use crate::error::{Operation, ProcessError};
use crate::session::Session;

const CAPABILITIES: Capabilities = Capabilities::of_one_connection("the local backend");

/// Enters a directory, since the backend starts all commands in the session's.
const ENTER: &str = include_str!("enter.sh");

/// Processes of a session on this machine.
pub(super) struct LocalProcesses {
    session: Session,
    connections: Connections<()>,
}

impl LocalProcesses {
    pub(super) fn new(session: Session) -> Self {
        Self {
            session,
            connections: Connections::default(),
        }
    }
}

#[async_trait]
impl ProcessTransport for LocalProcesses {
    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    async fn start(&self, spec: ProcessSpec) -> Result<Attachment, ProcessError> {
        CAPABILITIES.require_retention(spec.retention)?;
        self.connections.require_free(&spec.id)?;
        let as_user = user::prefix(&self.session, spec.user).await?;
        let argv: Vec<String> = as_user.into_iter().chain(spec.argv).collect();
        let request = ExecRequest {
            container: CONTAINER.to_owned(),
            argv: match spec.directory {
                Some(directory) => ["/bin/sh", "-c", ENTER, "podbay", &directory]
                    .into_iter()
                    .map(str::to_owned)
                    .chain(argv)
                    .collect(),
                None => argv,
            },
            stdin: spec.stdin,
            tty: spec.terminal.is_some(),
        };
        let ExecProcess {
            stdin,
            stdout,
            stderr,
            resize,
            signals,
            end,
            guard,
        } = begin(&self.session, request).await?;
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
