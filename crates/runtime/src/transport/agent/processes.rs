//! Processes by the agent.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::Method;
use http_body_util::Full;
use podbay_protocol::agent::AgentErrorCode;
use podbay_protocol::agent::path::{self, ProcessPart};
use podbay_protocol::agent::process::{Acknowledgement, ProcessList, SignalRequest, Taken};
use podbay_protocol::{
    End, Offsets, ProcessId, ProcessInfo, ProcessSpec, ReaderId, Signal, SignalTarget, TerminalSize, Verdict,
};
use tokio_util::task::AbortOnDropHandle;

use super::outputs::{self, Outputs};
use crate::agent::AgentConnection;
use crate::agent::request::{answer, body, done, empty, json, read_json, request, to_json};
use crate::error::{AgentFailure, Error, ProcessError};
use crate::session::Session;
use crate::transport::capabilities::{Capabilities, Integrity, TreeKill};
use crate::transport::exec::conclude::{conclude, needs_a_look};
use crate::transport::processes::{Attachment, AttachmentEnd, ProcessTransport};

/// What an agent can do.
pub(crate) const AGENT_CAPABILITIES: Capabilities = Capabilities {
    transport: "the agent",
    reattach: true,
    repeated_start: true,
    stdin_offsets: true,
    signals: true,
    tree_signals: true,
    tree_kill: TreeKill::Descendants,
    list: true,
    spool: true,
    tail: true,
    users: true,
    get_from_offset: true,
    put_from_offset: true,
    put_is_atomic: true,
    put_with_mode: true,
    owners_of_archive: false,
    integrity: Integrity::Hashed,
};

/// How much a reader takes before it says so, in bytes: a quarter of what the agent sends ahead of it, so that the process is
/// not held up by a word that is on its way.
const ACKNOWLEDGE_EVERY: u64 = 256 << 10;

/// Bytes of input in one request, at most: the agent takes no more than 256 KiB of it at once.
const INPUT: usize = 128 << 10;

/// Processes of a session, which its agent starts and keeps.
pub(in crate::transport) struct AgentProcesses {
    session: Session,
    connection: AgentConnection,
}

impl AgentProcesses {
    pub(in crate::transport) const fn new(session: Session, connection: AgentConnection) -> Self {
        Self { session, connection }
    }

    /// What a failure means for whoever asked for `id`.
    fn error(&self, id: &ProcessId, failure: AgentFailure) -> ProcessError {
        let id = id.clone();
        let Some(refusal) = failure.refusal() else {
            return self.of_session(failure);
        };
        match (refusal.code, refusal.stream) {
            (AgentErrorCode::UnknownProcess, _) => ProcessError::Unknown { id },
            (AgentErrorCode::IdTaken, _) => ProcessError::IdTaken { id },
            (AgentErrorCode::OutputGone, Some(stream)) => ProcessError::OutputGone {
                stream,
                first: refusal.first.unwrap_or_default(),
            },
            (AgentErrorCode::StdinClosed, _) => ProcessError::InputClosed,
            // Who asked for it looks for how it ended.
            (AgentErrorCode::ProcessEnded, _) => {
                ProcessError::SignalFailed("the process has ended".to_owned())
            }
            _ => self.of_session(failure),
        }
    }

    fn of_session(&self, source: AgentFailure) -> ProcessError {
        Error::Agent {
            session: self.session.id().to_owned(),
            source: Box::new(source),
        }
        .into()
    }

    async fn post(
        &self,
        id: &ProcessId,
        part: ProcessPart,
        value: &impl serde::Serialize,
    ) -> Result<(), ProcessError> {
        let call = async {
            let request = request(Method::POST, &part.of(id), to_json(value)?)?;
            done(&self.connection, request).await
        };
        call.await.map_err(|failure| self.error(id, failure))
    }

    async fn read(&self, id: &ProcessId, from: Offsets, reader: &ReaderId) -> Result<Outputs, AgentFailure> {
        let Offsets { stdout, stderr } = from;
        let path = format!(
            "{}?stdout={stdout}&stderr={stderr}&reader={reader}",
            ProcessPart::Output.of(id)
        );
        let answer = answer(&self.connection, request(Method::GET, &path, empty())?).await?;
        Ok(outputs::read(answer.into_body(), from))
    }
}

#[async_trait]
impl ProcessTransport for AgentProcesses {
    fn capabilities(&self) -> Capabilities {
        AGENT_CAPABILITIES
    }

    async fn start(&self, spec: ProcessSpec) -> Result<Attachment, ProcessError> {
        let id = spec.id.clone();
        let start = async {
            let request = request(Method::PUT, &path::process(&id), to_json(&spec)?)?;
            json::<ProcessInfo>(&self.connection, request).await
        };
        start.await.map_err(|failure| self.error(&id, failure))?;
        self.attach(&id, Offsets::default()).await
    }

    async fn attach(&self, id: &ProcessId, from: Offsets) -> Result<Attachment, ProcessError> {
        let reader = ReaderId::from_random(rand::random());
        let read = self.read(id, from, &reader).await;
        let Outputs {
            stdout,
            stderr,
            end,
            taken,
        } = read.map_err(|failure| self.error(id, failure))?;
        let acknowledging = acknowledge(self.connection.clone(), id.clone(), reader, taken, from);
        Ok(Attachment {
            stdout,
            stderr,
            end,
            guard: Box::new(AbortOnDropHandle::new(tokio::spawn(acknowledging))),
        })
    }

    async fn write(&self, id: &ProcessId, offset: u64, mut bytes: Bytes) -> Result<u64, ProcessError> {
        // The rest is offered from where this ends.
        bytes.truncate(INPUT);
        let write = async {
            let path = format!("{}?offset={offset}", ProcessPart::Stdin.of(id));
            let request = request(Method::POST, &path, body(Full::new(bytes)))?;
            // It waits as long as the process does not read.
            let answer = answer(&self.connection, request).await?;
            read_json::<Taken>(answer.into_body()).await
        };
        let taken = write.await.map_err(|failure| self.error(id, failure))?;
        Ok(taken.offset)
    }

    async fn close_stdin(&self, id: &ProcessId) -> Result<(), ProcessError> {
        let close = async {
            let request = request(Method::DELETE, &ProcessPart::Stdin.of(id), empty())?;
            done(&self.connection, request).await
        };
        close.await.map_err(|failure| self.error(id, failure))
    }

    async fn resize(&self, id: &ProcessId, size: TerminalSize) -> Result<(), ProcessError> {
        match self.post(id, ProcessPart::Size, &size).await {
            // One that has ended needs no size.
            Err(ProcessError::SignalFailed(_)) => Ok(()),
            result => result,
        }
    }

    async fn signal(&self, id: &ProcessId, signal: Signal, target: SignalTarget) -> Result<(), ProcessError> {
        match self
            .post(id, ProcessPart::Signal, &SignalRequest { signal, target })
            .await
        {
            // It has what a signal could bring about.
            Err(ProcessError::SignalFailed(_)) => Ok(()),
            result => result,
        }
    }

    async fn list(&self) -> Result<Vec<ProcessInfo>, ProcessError> {
        let list = async {
            let request = request(Method::GET, path::PROCESSES, empty())?;
            json::<ProcessList>(&self.connection, request).await
        };
        match list.await {
            Ok(list) => Ok(list.processes),
            Err(failure) => Err(self.of_session(failure)),
        }
    }

    async fn forget(&self, id: &ProcessId) -> Result<(), ProcessError> {
        let forget = async {
            let request = request(Method::DELETE, &path::process(id), empty())?;
            done(&self.connection, request).await
        };
        forget.await.map_err(|failure| self.error(id, failure))
    }

    async fn conclude(&self, _: &ProcessId, end: AttachmentEnd) -> (End, Option<Verdict>) {
        let pod = if needs_a_look(&end) {
            self.session.verdict_of_end().await
        } else {
            None
        };
        conclude(end, pod, None)
    }
}

/// Tells the agent what the readers have taken, so that it lets go of it, and the process goes on.
async fn acknowledge(
    connection: AgentConnection,
    id: ProcessId,
    reader: ReaderId,
    taken: Arc<outputs::Taken>,
    mut told: Offsets,
) {
    loop {
        taken.changed().await;
        let now = taken.offsets();
        let news = (now.stdout - told.stdout).max(now.stderr - told.stderr);
        if news < ACKNOWLEDGE_EVERY {
            continue;
        }
        let acknowledgement = Acknowledgement {
            reader: reader.clone(),
            stdout: now.stdout,
            stderr: now.stderr,
        };
        let path = ProcessPart::Acknowledged.of(&id);
        let telling = async {
            let request = request(Method::POST, &path, to_json(&acknowledgement)?)?;
            done(&connection, request).await
        };
        match telling.await {
            Ok(()) => told = now,
            // The outputs' own connection tells what is wrong; the next piece is told of again.
            Err(error) => tracing::debug!(%error, %id, "a reader's progress could not be told"),
        }
    }
}
