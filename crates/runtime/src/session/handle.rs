//! A session that is there.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use podbay_config::CleanupPolicy;
use podbay_k8s_client::{
    ErrorKind, ExecProcess, ExecRequest, Kind, LogRequest, LogStream, Object, ObjectKey,
};
use podbay_manifests::labels::selector_session;
use podbay_manifests::pod::CONTAINER;
use podbay_manifests::secret::SESSION_KEY;
use podbay_manifests::{Record, SessionId, SessionNames, SessionSpec};
use podbay_protocol::{Outcome, PhaseTimes, SessionState, StartPhase};
use secrecy::SecretString;

use super::builder::OpenReport;
use super::describe::{self, Description};
use crate::command::Command;
use crate::error::Error;
use crate::lifecycle::{Closed, RetainedClaim, close_record};
use crate::podbay::Podbay;
use crate::readiness::{Progress, wait_until_ready};
use crate::state::{pod_is_gone, pod_rank, session_state};

/// A session. Dropping the handle leaves the session open: [`Session::close`] ends it.
#[derive(Clone, Debug)]
pub struct Session {
    podbay: Podbay,
    id: SessionId,
    /// Its record, where this process has read it.
    record: Option<Record>,
    /// The name of its pod, where it is known not to be the session's own: a Job's pods are named by its controller.
    pod: Arc<Mutex<Option<String>>>,
    report: OpenReport,
}

impl Session {
    pub(crate) fn unverified(podbay: Podbay, id: SessionId) -> Self {
        Self {
            podbay,
            id,
            record: None,
            pod: Arc::default(),
            report: OpenReport {
                attached: true,
                ..OpenReport::default()
            },
        }
    }

    pub(crate) fn opened(podbay: Podbay, record: Record, pod: String, report: OpenReport) -> Self {
        Self {
            podbay,
            id: record.id().clone(),
            record: Some(record),
            pod: Arc::new(Mutex::new(Some(pod))),
            report,
        }
    }

    /// Its id.
    pub fn id(&self) -> &str {
        self.id.as_str()
    }

    /// Where it runs.
    pub const fn podbay(&self) -> &Podbay {
        &self.podbay
    }

    /// What opening it came to.
    pub const fn report(&self) -> &OpenReport {
        &self.report
    }

    /// The name of its pod, as far as this process knows it: that of a Job's pod is known once the session was opened or
    /// used here.
    pub fn pod_name(&self) -> String {
        self.known_pod()
            .clone()
            .unwrap_or_else(|| SessionNames::of(&self.id).object())
    }

    fn known_pod(&self) -> MutexGuard<'_, Option<String>> {
        self.pod.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The key that the session's server takes (`X-Session-API-Key`).
    pub async fn session_key(&self) -> Result<SecretString, Error> {
        let names = SessionNames::of(&self.id);
        let key = ObjectKey::new(Kind::Secret, self.podbay.namespace(), names.secret());
        let call = |source| Error::Call {
            session: self.id.to_string(),
            source,
        };
        let found = self.podbay.client().get(&key).await.map_err(call)?;
        let value = found
            .and_then(Object::into_secret)
            .and_then(|secret| secret.data?.remove(SESSION_KEY))
            .and_then(|bytes| String::from_utf8(bytes.0).ok());
        value.map(SecretString::from).ok_or_else(|| self.not_found())
    }

    /// Where a browser finds the session's VS Code, if it was asked for. `token` is VS Code's own connection token; without,
    /// the URL holds no secret and VS Code asks for it.
    pub async fn vscode_url(&self, token: Option<&str>) -> Result<Option<String>, Error> {
        Ok(self.specification().await?.vscode_url(token))
    }

    /// Where the ports that were asked for are reached.
    pub async fn web_hosts(&self) -> Result<BTreeMap<String, u16>, Error> {
        Ok(self.specification().await?.web_hosts())
    }

    /// What it was made from.
    async fn specification(&self) -> Result<SessionSpec, Error> {
        match &self.record {
            Some(record) => Ok(record.spec.clone()),
            None => match self.podbay.record(&self.id).await? {
                Some(record) => Ok(record.spec),
                None => Err(self.not_found()),
            },
        }
    }

    /// Runs a program with its arguments and waits for it, with an empty standard input. Both streams are
    /// kept up to [`crate::command::DEFAULT_CAPTURE`] bytes; counts and hashes are of all bytes.
    ///
    /// The words stand in the API server's audit log: no secrets there. They come in by
    /// [`crate::SessionBuilder::env`].
    pub async fn exec<I, S>(&self, argv: I) -> Result<Outcome, Error>
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        self.command(argv).output().await
    }

    /// A command to be run.
    pub fn command<I, S>(&self, argv: I) -> Command
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        Command::new(self.clone(), argv.into_iter().map(Into::into).collect())
    }

    /// The log of its container: what its main program wrote, not what commands did.
    pub async fn logs(&self, request: LogRequest) -> Result<LogStream, Error> {
        let request = LogRequest {
            container: CONTAINER.to_owned(),
            ..request
        };
        let log = self
            .on_pod(async |name| {
                let (client, namespace) = (self.podbay.client(), self.podbay.namespace());
                client.logs(namespace, &name, request.clone()).await
            })
            .await;
        match log {
            Ok(log) => Ok(log),
            Err(source) => Err(self.explain(source).await),
        }
    }

    /// All there is to know of it.
    pub async fn describe(&self) -> Result<Description, Error> {
        let record = self
            .podbay
            .record(&self.id)
            .await?
            .ok_or_else(|| self.not_found())?;
        let pod = self.pod().await?;
        let mut events = Ok(Vec::new());
        if let Some(pod) = &pod {
            let name = pod.metadata.name.clone().unwrap_or_default();
            let key = ObjectKey::new(Kind::Pod, self.podbay.namespace(), name);
            let uid = pod.metadata.uid.as_deref().unwrap_or_default();
            // The right to read them may be missing; the rest is worth showing all the same.
            let read = self.podbay.client().events(&key, uid).await;
            events = read.map_err(|error| error.to_string());
        }
        Ok(describe::describe(
            &record,
            pod.as_ref(),
            events,
            Timestamp::now(),
        ))
    }

    /// Ends the session; see [`Podbay::close`].
    pub async fn close(self) -> Result<Closed, Error> {
        let Some(record) = &self.record else {
            return self.podbay.close(self.id.as_str(), false).await;
        };
        let namespace = self.podbay.namespace();
        let existed = close_record(&**self.podbay.client(), self.id.as_str(), namespace, record).await?;
        Ok(Closed {
            session: self.id.to_string(),
            existed,
            claim: record.spec.claim().map(|_| RetainedClaim {
                name: record.spec.names().claim(),
                namespace: namespace.to_owned(),
                deleted: false,
            }),
        })
    }

    /// Ends the session, or leaves it, as its clean-up policy says of one whose work succeeded or not. None where it was
    /// left.
    pub async fn finish(self, succeeded: bool) -> Result<Option<Closed>, Error> {
        let keep = match self.specification().await?.cleanup_policy() {
            CleanupPolicy::AlwaysKeep => true,
            CleanupPolicy::KeepOnFailure => !succeeded,
            CleanupPolicy::AlwaysClean => false,
        };
        if keep {
            Ok(None)
        } else {
            self.close().await.map(Some)
        }
    }

    /// Its pod, if it is there.
    pub(crate) async fn pod(&self) -> Result<Option<Pod>, Error> {
        let key = ObjectKey::new(Kind::Pod, self.podbay.namespace(), self.pod_name());
        let call = |source| Error::Call {
            session: self.id.to_string(),
            source,
        };
        let found = self.podbay.client().get(&key).await.map_err(call)?;
        match found.and_then(Object::into_pod) {
            Some(pod) => Ok(Some(pod)),
            None => self.find_pod().await.map_err(call),
        }
    }

    /// Looks for its pod by label, and remembers its name.
    async fn find_pod(&self) -> Result<Option<Pod>, podbay_k8s_client::Error> {
        let selector = selector_session(&SessionNames::of(&self.id));
        let namespace = self.podbay.namespace();
        let pods = self.podbay.client().list(Kind::Pod, namespace, &selector).await?;
        let pods = pods.into_iter().filter_map(Object::into_pod);
        let pod = pods.max_by_key(pod_rank);
        if let Some(pod) = &pod {
            self.known_pod().clone_from(&pod.metadata.name);
        }
        Ok(pod)
    }

    /// Runs a command in its pod, as the client has it.
    pub(crate) async fn exec_request(
        &self,
        request: ExecRequest,
    ) -> Result<ExecProcess, podbay_k8s_client::Error> {
        self.on_pod(async |name| {
            let (client, namespace) = (self.podbay.client(), self.podbay.namespace());
            client.exec(namespace, &name, request.clone()).await
        })
        .await
    }

    /// Makes a call on its pod by name. A Job's pod has a name of its own; its first use in this process looks for it.
    async fn on_pod<T>(
        &self,
        call: impl AsyncFn(String) -> Result<T, podbay_k8s_client::Error>,
    ) -> Result<T, podbay_k8s_client::Error> {
        let name = self.pod_name();
        match call(name.clone()).await {
            Err(error) if error.kind == ErrorKind::NotFound => match self.find_pod().await {
                Ok(Some(pod)) if pod.metadata.name.as_ref().is_some_and(|found| *found != name) => {
                    call(self.pod_name()).await
                }
                _ => Err(error),
            },
            answer => answer,
        }
    }

    /// Waits for a session that was begun and is not ready; `refused` is what the command met, and stands where
    /// the session is ready or there is none.
    pub(crate) async fn wait_until_ready(&self, refused: podbay_k8s_client::Error) -> Result<(), Error> {
        let Some(record) = self.podbay.record(&self.id).await? else {
            return Err(self.not_found());
        };
        let names = SessionNames::of(&self.id);
        let Some(pod) = self.pod().await? else {
            return Err(self.explain(refused).await);
        };
        let state = session_state(Ok(&record), [&pod], None, Timestamp::now());
        // A pod that is there while its session is only being created is that of a session it replaces.
        if !matches!(state, SessionState::Starting(phase) if phase > StartPhase::Creating) {
            return Err(self.explain(refused).await);
        }
        let progress = Progress {
            client: &**self.podbay.client(),
            session: self.id.as_str(),
            namespace: self.podbay.namespace(),
            pod_name: &self.pod_name(),
            uid: pod.metadata.uid.as_deref().unwrap_or_default(),
            server: record.spec.server().is_some(),
            graces: self.podbay.graces(),
            creating: Duration::ZERO,
            on_phase: &|_| {},
        };
        let mut follower = self.podbay.watch(&names).follow(&names);
        wait_until_ready(progress, &mut follower).await.map(|_| ())
    }

    pub(crate) fn not_found(&self) -> Error {
        Error::NotFound {
            session: self.id.to_string(),
            namespace: self.podbay.namespace().to_owned(),
        }
    }

    /// Why a call on the session's pod failed: there is no such session, or its pod has ended.
    pub(crate) async fn explain(&self, source: podbay_k8s_client::Error) -> Error {
        let call = |source| Error::Call {
            session: self.id.to_string(),
            source,
        };
        let session = self.id.to_string();
        let record = match self.podbay.record(&self.id).await {
            Ok(None) => return self.not_found(),
            Ok(Some(record)) if record.paused => return Error::Paused { session },
            Ok(Some(record)) => record,
            Err(_) => return call(source),
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
                _ => call(source),
            },
            // Whether it was ever there does not matter to a command that needs it now.
            Ok(None) => Error::Lost {
                session,
                verdict: Box::new(pod_is_gone()),
            },
            Err(_) => call(source),
        }
    }
}
