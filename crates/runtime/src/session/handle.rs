//! A session that is there.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use podbay_k8s_client::{ExecProcess, ExecRequest, Kind, LogRequest, LogStream, Object, ObjectKey};
use podbay_manifests::pod::CONTAINER;
use podbay_manifests::{Record, SessionId, SessionNames};
use podbay_protocol::{Cause, Outcome, StartPhase, Verdict};

use super::builder::OpenReport;
use super::describe::{self, Description};
use crate::command::Command;
use crate::error::Error;
use crate::lifecycle::{Closed, RetainedClaim, close_record};
use crate::podbay::Podbay;
use crate::readiness::{Progress, end_of_pod, node_lost, phase_of, wait_until_ready};

/// A session. Dropping the handle leaves the session open: [`Session::close`] ends it.
#[derive(Clone, Debug)]
pub struct Session {
    podbay: Podbay,
    id: SessionId,
    /// Its record, where this process has read it.
    record: Option<Record>,
    report: OpenReport,
}

impl Session {
    pub(crate) fn unverified(podbay: Podbay, id: SessionId) -> Self {
        Self {
            podbay,
            id,
            record: None,
            report: OpenReport {
                attached: true,
                ..OpenReport::default()
            },
        }
    }

    pub(crate) fn opened(podbay: Podbay, record: Record, report: OpenReport) -> Self {
        Self {
            podbay,
            id: record.id().clone(),
            record: Some(record),
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

    /// The name of its pod.
    pub fn pod_name(&self) -> String {
        SessionNames::of(&self.id).object()
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
        match self
            .podbay
            .client()
            .logs(self.podbay.namespace(), &self.pod_name(), request)
            .await
        {
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
        let mut events = Vec::new();
        let mut events_error = None;
        if let Some(pod) = &pod {
            let key = ObjectKey::new(Kind::Pod, self.podbay.namespace(), self.pod_name());
            let uid = pod.metadata.uid.as_deref().unwrap_or_default();
            match self.podbay.client().events(&key, uid).await {
                Ok(read) => events = read,
                // The right to read them may be missing; the rest is worth showing all the same.
                Err(error) => events_error = Some(error.to_string()),
            }
        }
        Ok(describe::describe(&record, pod.as_ref(), &events, events_error))
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

    /// Its pod, if it is there.
    pub(crate) async fn pod(&self) -> Result<Option<Pod>, Error> {
        let key = ObjectKey::new(Kind::Pod, self.podbay.namespace(), self.pod_name());
        let found = self
            .podbay
            .client()
            .get(&key)
            .await
            .map_err(|source| Error::Call {
                session: self.id.to_string(),
                source,
            })?;
        Ok(found.and_then(Object::into_pod))
    }

    /// Runs a command in its pod, as the client has it.
    pub(crate) async fn exec_request(
        &self,
        request: ExecRequest,
    ) -> Result<ExecProcess, podbay_k8s_client::Error> {
        self.podbay
            .client()
            .exec(self.podbay.namespace(), &self.pod_name(), request)
            .await
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
        let server = record.spec.server();
        if end_of_pod(&pod).is_some() || phase_of(&pod, server) == StartPhase::Ready {
            return Err(self.explain(refused).await);
        }
        let progress = Progress {
            client: &**self.podbay.client(),
            session: self.id.as_str(),
            namespace: self.podbay.namespace(),
            pod_name: &names.object(),
            uid: pod.metadata.uid.as_deref().unwrap_or_default(),
            server,
            graces: self.podbay.graces(),
            creating: Duration::ZERO,
            on_phase: &|_| {},
        };
        let mut follower = self.podbay.watch(&names).follow(&names.object());
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
        match self.podbay.record(&self.id).await {
            Ok(None) => return self.not_found(),
            Ok(Some(_)) => {}
            Err(_) => return call(source),
        }
        match self.pod().await {
            Ok(Some(pod)) => match end_of_pod(&pod).or_else(|| node_lost(&pod)) {
                Some(verdict) => Error::Lost {
                    session: self.id.to_string(),
                    verdict: Box::new(verdict),
                },
                None => call(source),
            },
            Ok(None) => Error::Lost {
                session: self.id.to_string(),
                verdict: Box::new(pod_is_gone()),
            },
            Err(_) => call(source),
        }
    }
}

/// The verdict on a session whose record is there and whose pod is not.
pub(crate) fn pod_is_gone() -> Verdict {
    Verdict::new(
        Cause::Deleted,
        "the session's pod is gone",
        "podbay open makes a new one on what the session keeps (its claim, if it has one)",
    )
}
