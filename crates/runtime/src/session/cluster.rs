//! A session of a cluster: calls about its objects and its pod.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use podbay_k8s_client::{ErrorKind, ExecProcess, ExecRequest, Kind, LogRequest, LogStream, Object};
use podbay_manifests::pod::CONTAINER;
use podbay_manifests::{Owner, Record, SessionId, SessionOwner, SessionSpec};
use podbay_protocol::{Blame, Cause, Hint, PhaseTimes, SessionState, StartPhase, Verdict};
use secrecy::SecretString;
use tokio::time::Instant;

use super::describe::{self, AgentLook, Description};
use crate::agent::AgentConnection;
use crate::context::{Context, SessionContext, session_key};
use crate::delivery::is_running;
use crate::dial::SandboxAddress;
use crate::error::{Error, chain};
use crate::lifecycle::{self, Closed};
use crate::pod::{container, pod_rank};
use crate::readiness::end_of_pod;
use crate::state::{pod_is_gone, session_state};
use crate::wait::{ReadyWait, final_verdict, wait_until_ready};

/// A session of a cluster. Cheap to clone.
#[derive(Clone)]
pub(crate) struct ClusterSession {
    ctx: Arc<Context>,
    owner: Option<SessionOwner>,
    id: SessionId,
    /// Its record, where this process has read it.
    record: Option<Arc<Record>>,
    /// The name of its pod, where it is known not to be the session's own: a Job's pods are named by its controller.
    pod: Arc<Mutex<Option<String>>>,
    /// Its agent, as it was reached last.
    agent: Arc<Mutex<Option<AgentConnection>>>,
}

impl ClusterSession {
    /// One that is taken to be there.
    pub(super) fn unverified(ctx: Arc<Context>, owner: Option<SessionOwner>, id: SessionId) -> Self {
        Self {
            ctx,
            owner,
            id,
            record: None,
            pod: Arc::default(),
            agent: Arc::default(),
        }
    }

    /// One that was opened.
    pub(super) fn opened(ctx: Arc<Context>, record: Box<Record>, pod: String) -> Self {
        Self {
            ctx,
            owner: record.spec.owner().cloned(),
            id: record.id().clone(),
            record: Some(Arc::from(record)),
            pod: Arc::new(Mutex::new(Some(pod))),
            agent: Arc::default(),
        }
    }

    /// Its id.
    pub(crate) fn id(&self) -> &str {
        self.id.as_str()
    }

    /// What it shares with others.
    pub(crate) const fn ctx(&self) -> &Arc<Context> {
        &self.ctx
    }

    /// The name of its pod, as far as this process knows it.
    pub(super) fn pod_name(&self) -> String {
        self.known_pod()
            .clone()
            .unwrap_or_else(|| self.context().names().object())
    }

    fn known_pod(&self) -> MutexGuard<'_, Option<String>> {
        self.pod.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn context(&self) -> SessionContext<'_> {
        self.ctx.session(self.owner.as_ref(), &self.id)
    }

    /// The key that the session's server takes (`X-Session-API-Key`).
    pub(crate) async fn session_key(&self) -> Result<SecretString, Error> {
        let session = self.context();
        let found = session
            .get(&session.key(Kind::Secret, session.names().secret()))
            .await?;
        let key = found.and_then(Object::into_secret).and_then(session_key);
        key.ok_or_else(|| session.not_found())
    }

    /// Whether this process has read its record.
    pub(crate) const fn knows_its_record(&self) -> bool {
        self.record.is_some()
    }

    /// What it was made from.
    pub(crate) async fn specification(&self) -> Result<SessionSpec, Error> {
        match &self.record {
            Some(record) => Ok(record.spec.clone()),
            None => Ok(self.read_record().await?.spec),
        }
    }

    /// Its record, as it is now.
    pub(super) async fn read_record(&self) -> Result<Record, Error> {
        let session = self.context();
        session.record().await?.ok_or_else(|| session.not_found())
    }

    /// The log of its container: what its main program wrote, not what commands did.
    pub(super) async fn logs(&self, request: LogRequest) -> Result<LogStream, Error> {
        let request = LogRequest {
            container: CONTAINER.to_owned(),
            ..request
        };
        let ctx = &self.ctx;
        let name = self.pod_name();
        let mut log = ctx.client.logs(&ctx.namespace, &name, request.clone()).await;
        if let Some(other) = self.pod_of_other_name(&name, log.as_ref().err()).await {
            log = ctx.client.logs(&ctx.namespace, &other, request).await;
        }
        match log {
            Ok(log) => Ok(log),
            Err(source) => Err(self.explain(source).await),
        }
    }

    /// All there is to know of it.
    pub(super) async fn describe(&self) -> Result<Description, Error> {
        let record = self.read_record().await?;
        let pod = self.pod().await?;
        let mut events = Ok(Vec::new());
        if let Some(pod) = &pod {
            let name = pod.metadata.name.clone().unwrap_or_default();
            let key = self.context().key(Kind::Pod, name);
            let uid = pod.metadata.uid.as_deref().unwrap_or_default();
            // The right to read them may be missing; the rest is worth showing all the same.
            let read = self.ctx.client.events(&key, uid).await;
            events = read.map_err(|error| error.to_string());
        }
        let look = self.look_at_agent(&record, pod.as_ref()).await;
        Ok(describe::describe(
            &record,
            pod.as_ref(),
            look,
            events,
            Timestamp::now(),
        ))
    }

    /// Whether the agent answers, by which way, and if it does not, whether it runs.
    async fn look_at_agent(&self, record: &Record, pod: Option<&Pod>) -> AgentLook {
        let (Some(pod), Some(port)) = (pod, record.spec.agent().port()) else {
            return AgentLook {
                running: Some(false),
                ..AgentLook::default()
            };
        };
        let running = self.agent_runs(record, pod).await;
        if running == Some(false) {
            return AgentLook {
                running,
                ..AgentLook::default()
            };
        }
        let connected = async {
            let Some(address) = self.address().await? else {
                return Ok(None);
            };
            let connection = self.agent_at(address, port).await?;
            Ok::<_, Error>(connection.used().await)
        };
        match connected.await {
            Ok(used) => AgentLook {
                running: used.as_ref().map(|_| true).or(running),
                dial: used.and_then(|used| used.dial),
                unreachable: None,
            },
            Err(Error::Agent { source, .. }) => AgentLook {
                running,
                dial: None,
                unreachable: Some(chain(&*source)),
            },
            Err(error) => AgentLook {
                running,
                dial: None,
                unreachable: Some(error.chain()),
            },
        }
    }

    /// The connection to its agent, if that has answered a moment ago: then the cluster need not be asked which pod is the
    /// session's, which takes longer than most commands.
    pub(crate) fn fresh_agent(&self) -> Option<AgentConnection> {
        let known = self.agent.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .as_ref()
            .filter(|agent| agent.is_fresh(Instant::now()))
            .cloned()
    }

    /// The connection to its agent, which listens on `port` at `address`: made or found.
    pub(crate) async fn agent_at(
        &self,
        address: SandboxAddress,
        port: u16,
    ) -> Result<AgentConnection, Error> {
        let connection = self.connect_agent(address, port).await?;
        let mut known = self.agent.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Some(connection.clone());
        Ok(connection)
    }

    async fn connect_agent(&self, address: SandboxAddress, port: u16) -> Result<AgentConnection, Error> {
        let ctx = &self.ctx;
        if let Some(known) = ctx.agents.get(address.uid()) {
            // What can't be made again now may be a little later: who uses it tries for a while.
            let _ = known.ensure().await;
            return Ok(known);
        }
        let key = self.session_key().await?;
        let uid = address.uid().to_owned();
        let connection = AgentConnection::new(Arc::clone(&ctx.ways), address, port, key);
        match connection.ensure().await {
            Ok(()) => Ok(ctx.agents.keep(&uid, connection)),
            Err(source) => Err(Error::Agent {
                session: self.id.to_string(),
                source: Box::new(source),
            }),
        }
    }

    /// Whether the agent runs in this pod: where it is the container's command it does if that runs; where it was to be
    /// uploaded, a look into the pod tells.
    async fn agent_runs(&self, record: &Record, pod: &Pod) -> Option<bool> {
        let runs = container(pod)
            .and_then(|status| status.state.as_ref())
            .is_some_and(|state| state.running.is_some());
        if !runs || !record.spec.agent().is_upload() {
            return Some(runs);
        }
        is_running(self.context(), pod.metadata.name.as_deref()?).await
    }

    /// Ends the session; see [`Podbay::close`](crate::Podbay::close).
    pub(super) async fn close(&self) -> Result<Closed, Error> {
        let session = self.context();
        match &self.record {
            Some(record) => lifecycle::close(session, record, false).await,
            None => match session.record().await? {
                Some(record) => lifecycle::close(session, &record, false).await,
                None => Ok(Closed::missing(&self.id)),
            },
        }
    }

    /// Its pod, if it is there.
    pub(crate) async fn pod(&self) -> Result<Option<Pod>, Error> {
        let session = self.context();
        match session.get(&session.key(Kind::Pod, self.pod_name())).await? {
            Some(Object::Pod(pod)) => Ok(Some(*pod)),
            _ => self.find_pod().await,
        }
    }

    /// Looks for its pod by label, and remembers its name.
    async fn find_pod(&self) -> Result<Option<Pod>, Error> {
        let pods = self.context().pods().await?;
        let pod = pods.into_iter().filter_map(Object::into_pod).max_by_key(pod_rank);
        if let Some(pod) = &pod {
            self.known_pod().clone_from(&pod.metadata.name);
        }
        Ok(pod)
    }

    /// Its record, as it is now, of a session that is not paused: the pod of one that is goes, or is gone, and takes no commands.
    pub(crate) async fn record_in_use(&self) -> Result<Record, Error> {
        let record = self.read_record().await?;
        if record.paused {
            return Err(Error::Paused {
                session: self.id.to_string(),
            });
        }
        Ok(record)
    }

    /// Where its sandbox is, for the [dialer](crate::Podbay::dialer). `None` if it has no pod.
    pub(crate) async fn address(&self) -> Result<Option<SandboxAddress>, Error> {
        let (record, pod) = tokio::join!(self.read_record(), self.pod());
        Box::pin(self.address_of(&record?.owner(), pod?)).await
    }

    /// The port of its agent, and where its sandbox is, if it has a pod. `None` if it has no agent. Refused while it is paused.
    pub(crate) async fn agent_address(&self) -> Result<Option<(u16, Option<SandboxAddress>)>, Error> {
        let (record, pod) = tokio::join!(self.record_in_use(), self.pod());
        let record = record?;
        let Some(port) = record.spec.agent().port() else {
            return Ok(None);
        };
        Ok(Some((port, self.address_of(&record.owner(), pod?).await?)))
    }

    async fn address_of(&self, owner: &Owner, pod: Option<Pod>) -> Result<Option<SandboxAddress>, Error> {
        let Some(pod) = pod else {
            return Ok(None);
        };
        let mut address = SandboxAddress::of_pod(&self.id, owner, &pod, None);
        if address.is_err() {
            let session = self.context();
            let job = session
                .get(&session.key(Kind::Job, session.names().object()))
                .await;
            // The right to read Jobs may be missing where there are none; then the pod is nobody's.
            let job = job.ok().flatten().and_then(Object::into_job);
            address = SandboxAddress::of_pod(&self.id, owner, &pod, job.as_ref());
        }
        address.map(Some).map_err(|refused| Error::NameTaken {
            session: refused.session,
            object: format!("pod {}", refused.pod),
        })
    }

    /// Why its pod takes no processes any longer, if it doesn't.
    pub(super) async fn verdict_of_pod(&self) -> Option<Verdict> {
        match self.pod().await {
            Ok(None) => Some(self.unless_paused(pod_is_gone()).await),
            Ok(Some(pod)) if end_of_pod(&pod).is_some() => self.end_of(pod).await,
            Ok(Some(_)) => None,
            // The cluster doesn't answer: the end stands as it is.
            Err(error) => {
                tracing::debug!(error = error.chain(), "the pod could not be looked at");
                None
            }
        }
    }

    /// Why this pod of its, which runs no commands any longer, has ended; waits for the last word on it.
    pub(crate) async fn end_of(&self, pod: Pod) -> Option<Verdict> {
        let verdict = final_verdict(&*self.ctx.client, pod).await?;
        Some(self.unless_paused(verdict).await)
    }

    /// Why its pod ended: because it was paused, else as `verdict` says. Of a pod that a pause took away the cluster tells no more than
    /// that it was deleted.
    pub(crate) async fn unless_paused(&self, verdict: Verdict) -> Verdict {
        if verdict.cause != Cause::Deleted {
            return verdict;
        }
        match self.record_in_use().await {
            Err(Error::Paused { session }) => was_paused(session),
            _ => verdict,
        }
    }

    /// What a failure of its agent comes from: that it was paused, or that its pod has ended, of which the API server learns a moment
    /// later; else it stands as it is.
    pub(crate) async fn explain_agent(&self, failure: Error) -> Error {
        if let Err(paused @ Error::Paused { .. }) = self.record_in_use().await {
            return paused;
        }
        let verdict = match self.pod().await {
            Ok(None) => Some(pod_is_gone()),
            Ok(Some(pod)) => self.end_of(pod).await,
            Err(_) => None,
        };
        match verdict {
            Some(verdict) => Error::Lost {
                session: self.id.to_string(),
                verdict: Box::new(verdict),
            },
            None => failure,
        }
    }

    /// Runs a command in its pod, as the client has it.
    pub(crate) async fn exec_request(
        &self,
        request: ExecRequest,
    ) -> Result<ExecProcess, podbay_k8s_client::Error> {
        let ctx = &self.ctx;
        let name = self.pod_name();
        let mut process = ctx.client.exec(&ctx.namespace, &name, request.clone()).await;
        if let Some(other) = self.pod_of_other_name(&name, process.as_ref().err()).await {
            process = ctx.client.exec(&ctx.namespace, &other, request).await;
        }
        process
    }

    /// The name of its pod, where a call on `tried` found none of that name and there is another: a Job's pod has a name of
    /// its own, and its first use in this process looks for it.
    async fn pod_of_other_name(
        &self,
        tried: &str,
        error: Option<&podbay_k8s_client::Error>,
    ) -> Option<String> {
        if error.is_none_or(|error| error.kind != ErrorKind::NotFound) {
            return None;
        }
        let pod = self.find_pod().await.ok()??;
        pod.metadata.name.filter(|found| found != tried)
    }

    /// Waits for a session that was begun and is not ready; `refused` is what the command met, and stands where
    /// the session is ready or there is none.
    pub(crate) async fn wait_until_ready(&self, refused: podbay_k8s_client::Error) -> Result<(), Error> {
        let record = self.read_record().await?;
        let Some(pod) = self.pod().await? else {
            return Err(self.explain(refused).await);
        };
        let state = session_state(Ok(&record), [&pod], None, Timestamp::now());
        // A pod that is there while its session is only being created is that of a session it replaces.
        if !matches!(state, SessionState::Starting(phase) if phase > StartPhase::Creating) {
            return Err(self.explain(refused).await);
        }
        let wait = ReadyWait {
            session: self.context(),
            pod_name: &self.pod_name(),
            uid: pod.metadata.uid.as_deref().unwrap_or_default(),
            server: record.spec.server().is_some(),
            creating: Duration::ZERO,
            on_phase: &|_| {},
        };
        let names = self.context().names();
        let mut receiver = self.ctx.index(&names).follow(&names);
        wait_until_ready(wait, &mut receiver).await.map(|_| ())
    }

    /// Why a call on the session's pod failed: there is no such session, or its pod has ended.
    pub(crate) async fn explain(&self, source: podbay_k8s_client::Error) -> Error {
        let session = self.id.to_string();
        let record = match self.context().record().await {
            Ok(None) => return self.context().not_found(),
            Ok(Some(record)) if record.paused => return Error::Paused { session },
            Ok(Some(Record {
                last_failure: Some(failure),
                ..
            })) => {
                return Error::Start {
                    session,
                    verdict: Box::new(failure.verdict),
                    times: failure.times,
                    kept: false,
                };
            }
            Ok(Some(record)) => record,
            Err(_) => return Error::Call { session, source },
        };
        match self.pod().await {
            Ok(Some(pod)) => match session_state(Ok(&record), [&pod], None, Timestamp::now()) {
                SessionState::Lost(verdict) => Error::Lost {
                    session,
                    verdict: Box::new(verdict),
                },
                SessionState::Failed(verdict) => Error::Start {
                    session,
                    verdict: Box::new(verdict),
                    times: PhaseTimes::default(),
                    kept: false,
                },
                SessionState::Starting(StartPhase::Creating) => Error::Lost {
                    session,
                    verdict: Box::new(pod_is_gone()),
                },
                _ => Error::Call { session, source },
            },
            // Whether it was ever there does not matter to a command that needs it now.
            Ok(None) => Error::Lost {
                session,
                verdict: Box::new(pod_is_gone()),
            },
            Err(_) => Error::Call { session, source },
        }
    }
}

/// What ran in a session that was paused is gone with its pod, and nobody's fault but of who paused it.
fn was_paused(session: String) -> Verdict {
    Verdict {
        blame: Blame::Configuration,
        ..Verdict::new(
            Cause::Deleted,
            "the session was paused, and its pod went with all that ran in it",
            Hint::Resume { session },
        )
    }
}
