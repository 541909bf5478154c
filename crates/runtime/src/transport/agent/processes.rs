//! Processes by the agent.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::Method;
use http::header::{CONTENT_TYPE, HeaderValue};
use http_body_util::Full;
use podbay_k8s_client::{Kind, ObjectKey};
use podbay_protocol::agent::path::{self, ProcessPart};
use podbay_protocol::agent::process::{Acknowledgement, ProcessList, SignalRequest, Taken};
use podbay_protocol::agent::{AgentError, AgentErrorCode, READER_HEADER};
use podbay_protocol::{
    Cause, End, Hint, Offsets, ProcessId, ProcessInfo, ProcessSpec, ReaderId, Signal, SignalTarget,
    TerminalSize, Verdict,
};
use tokio_util::task::AbortOnDropHandle;

use super::outputs::{self, Outputs};
use crate::agent::AgentConnection;
use crate::agent::request::{answer, body, done, empty, in_time, json, read_json, request, to_json};
use crate::context::Context;
use crate::error::{AgentFailure, Error, ProcessError};
use crate::readiness::{end_by_events, end_of_pod, node_lost};
use crate::session::{Place, Session};
use crate::state::pod_is_gone;
use crate::transport::capabilities::{Capabilities, Integrity, TreeKill};
use crate::transport::exec::conclude::{conclude, needs_a_look};
use crate::transport::processes::{Attachment, AttachmentEnd, ProcessTransport};

/// What an agent can do.
pub(crate) const AGENT_CAPABILITIES: Capabilities = Capabilities {
    transport: "the agent",
    reattach: true,
    repeated_start: true,
    stdin_offsets: true,
    stdin_piece: INPUT,
    // A mebibyte on its way: what a link of 100 ms needs for 10 MB/s. The agent holds no more than that for one that does not read.
    stdin_pieces: 8,
    signals: true,
    tree_signals: true,
    tree_kill: TreeKill::Descendants,
    list: true,
    timeouts: true,
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
/// After how long it is told of again what could not be told.
const TELL_AGAIN: Duration = Duration::from_secs(1);

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

    /// Reads both outputs; as the `reader` that the process waits for, or as an onlooker.
    async fn read(
        &self,
        id: &ProcessId,
        from: Offsets,
        reader: Option<&ReaderId>,
    ) -> Result<Outputs, AgentFailure> {
        let Offsets { stdout, stderr } = from;
        let mut path = format!("{}?stdout={stdout}&stderr={stderr}", ProcessPart::Output.of(id));
        if let Some(reader) = reader {
            path.push_str("&reader=");
            path.push_str(reader.as_str());
        }
        let answer = answer(&self.connection, request(Method::GET, &path, empty())?).await?;
        Ok(outputs::read(answer.into_body(), from))
    }

    /// The same as [`AgentProcesses::error`]. Where the agent can't be reached, the pod is looked at: one that has ended is not
    /// waited for.
    async fn explained(&self, id: &ProcessId, failure: AgentFailure) -> ProcessError {
        self.explained_error(self.error(id, failure)).await
    }

    /// The same for what is asked once and not tried again: the last word on the pod is waited for.
    async fn explained_once(&self, error: ProcessError) -> ProcessError {
        match self.session.home() {
            Place::Cluster(session) if error.may_pass() => {
                Box::pin(session.explain_agent(error.into())).await.into()
            }
            _ => self.explained_error(error).await,
        }
    }

    async fn explained_error(&self, error: ProcessError) -> ProcessError {
        if !error.may_pass() {
            return error;
        }
        if let Place::Cluster(session) = self.session.home()
            && let Err(paused @ Error::Paused { .. }) = session.record_in_use().await
        {
            return paused.into();
        }
        match self.end_of_pod().await {
            Some(verdict) => Error::Lost {
                session: self.session.id().to_owned(),
                verdict: Box::new(verdict),
            }
            .into(),
            None => error,
        }
    }

    /// Why the pod takes no processes any longer and never will, if it doesn't.
    async fn end_of_pod(&self) -> Option<Verdict> {
        match self.look_at_pod().await {
            Pod::Ended(verdict) => Some(verdict),
            Pod::Unreachable(_) | Pod::Runs => None,
        }
    }

    async fn look_at_pod(&self) -> Pod {
        let session = match self.session.home() {
            Place::Machine(_) => {
                let verdict = self.session.verdict_of_end().await;
                return verdict.map_or(Pod::Runs, Pod::Ended);
            }
            Place::Cluster(session) => session,
        };
        match session.pod().await {
            Ok(None) => {
                let verdict = self.by_events(session.ctx()).await;
                Pod::Ended(session.unless_paused(verdict.unwrap_or_else(pod_is_gone)).await)
            }
            Ok(Some(pod)) if pod.metadata.uid.as_deref() != Some(self.connection.address().uid()) => {
                Pod::Ended(
                    self.by_events(session.ctx())
                        .await
                        .unwrap_or_else(pod_was_replaced),
                )
            }
            Ok(Some(pod)) if end_of_pod(&pod).is_some() => match session.end_of(pod).await {
                Some(verdict) => Pod::Ended(verdict),
                None => Pod::Runs,
            },
            Ok(Some(pod)) => node_lost(&pod).map_or(Pod::Runs, Pod::Unreachable),
            // The cluster doesn't answer: the end stands as it is.
            Err(error) => {
                tracing::debug!(error = error.chain(), "the pod could not be looked at");
                Pod::Runs
            }
        }
    }

    /// Who took the pod away that is no longer there, by the events about it.
    async fn by_events(&self, ctx: &Context) -> Option<Verdict> {
        let address = self.connection.address();
        let key = ObjectKey::new(Kind::Pod, ctx.namespace.clone(), address.pod_name());
        // The right to read them may be missing.
        let events = ctx.client.events(&key, address.uid()).await.ok()?;
        end_by_events(&events)
    }

    async fn attach_as(
        &self,
        id: &ProcessId,
        from: Offsets,
        reader: Option<ReaderId>,
    ) -> Result<Attachment, ProcessError> {
        match self.read(id, from, reader.as_ref()).await {
            Ok(outputs) => Ok(self.attachment(id, from, reader, outputs)),
            Err(failure) => Err(self.explained(id, failure).await),
        }
    }

    /// What is read from `from` on, whose `reader` tells what he has taken.
    fn attachment(
        &self,
        id: &ProcessId,
        from: Offsets,
        reader: Option<ReaderId>,
        outputs: Outputs,
    ) -> Attachment {
        let Outputs {
            stdout,
            stderr,
            end,
            taken,
        } = outputs;
        let acknowledging = reader.map(|reader| {
            let acknowledging = acknowledge(self.connection.clone(), id.clone(), reader, taken, from);
            AbortOnDropHandle::new(tokio::spawn(acknowledging))
        });
        Attachment {
            stdout,
            stderr,
            end,
            guard: Box::new(acknowledging),
        }
    }

    /// Starts a process, and reads its outputs from the same answer. `None` where an older agent answered without them.
    async fn start_as(&self, spec: &ProcessSpec, reader: &ReaderId) -> Result<Option<Outputs>, AgentFailure> {
        let mut request = request(Method::PUT, &path::process(&spec.id), to_json(spec)?)?;
        let name = HeaderValue::from_str(reader.as_str());
        let name = name.map_err(|error| AgentFailure::Unreadable {
            reason: error.to_string(),
        })?;
        request.headers_mut().insert(READER_HEADER, name);
        let answer = in_time(answer(&self.connection, request)).await?;
        let kind = answer.headers().get(CONTENT_TYPE);
        if kind.is_some_and(|kind| kind == "application/json") {
            in_time(read_json::<ProcessInfo>(answer.into_body())).await?;
            return Ok(None);
        }
        Ok(Some(outputs::read(answer.into_body(), Offsets::default())))
    }
}

/// What becomes of processes by their pod.
enum Pod {
    /// They may run, as far as the cluster knows.
    Runs,
    /// They may run, and can't be reached.
    Unreachable(Verdict),
    /// They have ended with it.
    Ended(Verdict),
}

/// The session has a new pod, and this process was in the old one.
fn pod_was_replaced() -> Verdict {
    Verdict::new(
        Cause::Deleted,
        "the pod that the command ran in was replaced by another one",
        Hint::LookBeforeRunningAgain,
    )
}

#[async_trait]
impl ProcessTransport for AgentProcesses {
    fn capabilities(&self) -> Capabilities {
        AGENT_CAPABILITIES
    }

    async fn start(&self, spec: ProcessSpec) -> Result<Attachment, ProcessError> {
        let reader = ReaderId::from_random(rand::random());
        match self.start_as(&spec, &reader).await {
            Ok(Some(outputs)) => Ok(self.attachment(&spec.id, Offsets::default(), Some(reader), outputs)),
            Ok(None) => self.attach_as(&spec.id, Offsets::default(), Some(reader)).await,
            Err(failure) => Err(self.explained(&spec.id, failure).await),
        }
    }

    async fn attach(&self, id: &ProcessId, from: Offsets) -> Result<Attachment, ProcessError> {
        let reader = ReaderId::from_random(rand::random());
        self.attach_as(id, from, Some(reader)).await
    }

    async fn watch(&self, id: &ProcessId, from: Offsets) -> Result<Attachment, ProcessError> {
        self.attach_as(id, from, None).await
    }

    async fn info(&self, id: &ProcessId) -> Result<ProcessInfo, ProcessError> {
        let info = async {
            let request = request(Method::GET, &path::process(id), empty())?;
            json(&self.connection, request).await
        };
        match info.await {
            Ok(info) => Ok(info),
            Err(failure) => Err(self.explained(id, failure).await),
        }
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
        match write.await {
            Ok(taken) => Ok(taken.offset),
            Err(failure) => match failure.refusal() {
                // It came before one that it follows on: the rest is offered again from there.
                Some(AgentError {
                    code: AgentErrorCode::StdinGap,
                    offset: Some(taken),
                    ..
                }) => Ok(*taken),
                _ => Err(self.error(id, failure)),
            },
        }
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
            Ok(()) | Err(ProcessError::SignalFailed(_)) => Ok(()),
            Err(error) => Err(self.explained_once(error).await),
        }
    }

    async fn list(&self) -> Result<Vec<ProcessInfo>, ProcessError> {
        let list = async {
            let request = request(Method::GET, path::PROCESSES, empty())?;
            json::<ProcessList>(&self.connection, request).await
        };
        match list.await {
            Ok(list) => Ok(list.processes),
            Err(failure) => Err(self.explained_once(self.of_session(failure)).await),
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
            match self.look_at_pod().await {
                Pod::Ended(verdict) => Some(verdict),
                // It may run on there: it is lost, and not known to be killed.
                Pod::Unreachable(verdict) => match end {
                    AttachmentEnd::Lost { message } => return (End::Lost { message }, Some(verdict)),
                    AttachmentEnd::Ended(_) => None,
                },
                Pod::Runs => None,
            }
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
    let mut has_failed = false;
    loop {
        // The process may wait for what could not be told: then there is no next piece.
        if has_failed {
            tokio::time::sleep(TELL_AGAIN).await;
        } else {
            taken.changed().await;
        }
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
        let telling = telling.await;
        has_failed = telling.is_err();
        match telling {
            Ok(()) => told = now,
            // The outputs' own connection tells what is wrong.
            Err(error) => tracing::debug!(%error, %id, "a reader's progress could not be told"),
        }
    }
}
