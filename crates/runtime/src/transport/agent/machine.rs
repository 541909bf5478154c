//! Processes of a session of this machine, by its agent.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use podbay_protocol::{
    End, Offsets, ProcessId, ProcessInfo, ProcessSpec, Signal, SignalTarget, TerminalSize, Verdict,
};
use tokio::sync::OnceCell;

use super::processes::{AGENT_CAPABILITIES, AgentProcesses};
use crate::agent::AgentConnection;
use crate::dial::{SandboxAddress, Ways};
use crate::error::{Error, ProcessError};
use crate::local::{Access, LocalSession};
use crate::session::Session;
use crate::transport::capabilities::Capabilities;
use crate::transport::processes::{Attachment, AttachmentEnd, ProcessTransport};

/// The port that is asked for, where there is none.
const NO_PORT: u16 = 0;

/// Processes of a session of this machine. The session is looked at when they are used first, and whenever a connection was
/// lost: what is wrong with it is told at once, and not as an agent that can't be reached.
pub(in crate::transport) struct MachineProcesses {
    session: Session,
    local: LocalSession,
    agent: OnceCell<AgentProcesses>,
}

impl MachineProcesses {
    pub(in crate::transport) fn new(session: Session, local: LocalSession) -> Self {
        Self {
            session,
            local,
            agent: OnceCell::new(),
        }
    }

    /// Its agent, as it was reached first.
    async fn agent(&self) -> Result<&AgentProcesses, ProcessError> {
        self.agent
            .get_or_try_init(async || self.reach().await)
            .await
            .map_err(Into::into)
    }

    async fn reach(&self) -> Result<AgentProcesses, Error> {
        match connection(&self.local).await? {
            Some(connection) => Ok(AgentProcesses::new(self.session.clone(), connection)),
            // This process keeps it, and reaches its processes by another transport.
            None => Err(self.local.not_found()),
        }
    }
}

/// Looks at the session, and makes or finds the way to its agent; `None` where this process keeps it. Nothing is sent yet.
pub(in crate::transport) async fn connection(
    session: &LocalSession,
) -> Result<Option<AgentConnection>, Error> {
    if let Some(connection) = session.fresh_agent() {
        return Ok(Some(connection));
    }
    match session.access().await? {
        Access::Agent { uid, key, socket } => {
            let address = SandboxAddress::on_this_machine(session.id(), &uid);
            let ways = Arc::new(Ways::of_socket(socket));
            let connection = AgentConnection::new(ways, address, NO_PORT, key);
            Ok(Some(session.machine().agents.keep(&uid, connection)))
        }
        Access::Process(_) => Ok(None),
    }
}

#[async_trait]
impl ProcessTransport for MachineProcesses {
    fn capabilities(&self) -> Capabilities {
        AGENT_CAPABILITIES
    }

    async fn start(&self, spec: ProcessSpec) -> Result<Attachment, ProcessError> {
        self.agent().await?.start(spec).await
    }

    async fn attach(&self, id: &ProcessId, from: Offsets) -> Result<Attachment, ProcessError> {
        // Of a connection that was lost it tells whether there is any use in another one. One that is paused has its agent.
        match self.local.access().await {
            Ok(_) | Err(Error::Paused { .. }) => self.agent().await?.attach(id, from).await,
            Err(error) => Err(error.into()),
        }
    }

    async fn watch(&self, id: &ProcessId, from: Offsets) -> Result<Attachment, ProcessError> {
        match self.local.access().await {
            Ok(_) | Err(Error::Paused { .. }) => self.agent().await?.watch(id, from).await,
            Err(error) => Err(error.into()),
        }
    }

    async fn info(&self, id: &ProcessId) -> Result<ProcessInfo, ProcessError> {
        self.agent().await?.info(id).await
    }

    async fn write(&self, id: &ProcessId, offset: u64, bytes: Bytes) -> Result<u64, ProcessError> {
        self.agent().await?.write(id, offset, bytes).await
    }

    async fn close_stdin(&self, id: &ProcessId) -> Result<(), ProcessError> {
        self.agent().await?.close_stdin(id).await
    }

    async fn resize(&self, id: &ProcessId, size: TerminalSize) -> Result<(), ProcessError> {
        self.agent().await?.resize(id, size).await
    }

    async fn signal(&self, id: &ProcessId, signal: Signal, target: SignalTarget) -> Result<(), ProcessError> {
        self.agent().await?.signal(id, signal, target).await
    }

    async fn list(&self) -> Result<Vec<ProcessInfo>, ProcessError> {
        self.agent().await?.list().await
    }

    async fn forget(&self, id: &ProcessId) -> Result<(), ProcessError> {
        self.agent().await?.forget(id).await
    }

    async fn conclude(&self, id: &ProcessId, end: AttachmentEnd) -> (End, Option<Verdict>) {
        match self.agent().await {
            Ok(agent) => agent.conclude(id, end).await,
            Err(error) => {
                tracing::debug!(
                    error = error.chain(),
                    "the session could not be asked how a process ended"
                );
                crate::transport::report::report(end)
            }
        }
    }
}
