//! The agent of a session that is opened: how it comes in, where the cluster has to be asked, its upload, and its answer.

use futures::future::BoxFuture;
use podbay_config::WorkloadKind;
use podbay_k8s_client::{Kind, Object};
use podbay_manifests::{AgentDelivery, Record};
use podbay_protocol::PhaseTimes;
use secrecy::SecretString;

use super::main_command::run_main_command;
use super::open::OpenOperation;
use super::plan::OpenMode;
use super::workload;
use crate::delivery::{mounts_images, session_key, upload};
use crate::dial::SandboxAddress;
use crate::error::{Error, chain};
use crate::index::{PodState, SessionReceiver};
use crate::readiness::silent_agent;
use crate::wait::{AGENT_PATIENCE, AgentWait, is_agents_fault, wait_for_agent};

impl OpenOperation {
    /// Has the agent's image mounted in place of being copied from, where that is not said and the cluster can.
    pub(super) fn choose_delivery(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let is_copied = matches!(self.spec.agent(), AgentDelivery::InitContainer { .. });
            // A session that is there has what its record says.
            if is_copied
                && self.means.may_choose()
                && self.mode != OpenMode::Attach
                && mounts_images(&*self.ctx.client).await
            {
                self.spec = self.spec.clone().with_agent_mounted();
            }
        })
    }

    /// Uploads the agent into a pod that takes commands, where the record says that it comes that way. Of a pod that was
    /// there, whoever has an agent makes up for a creator that died before its upload.
    ///
    /// Returns why there is none, where the session does without.
    pub(super) fn bring_agent<'a>(
        &'a self,
        record: &'a Record,
        pod: &'a str,
        times: &'a PhaseTimes,
    ) -> BoxFuture<'a, Result<Option<String>, Error>> {
        Box::pin(async move {
            let Some(binary) = self
                .means
                .binary
                .as_ref()
                .filter(|_| record.spec.agent().is_upload())
            else {
                return Ok(None);
            };
            let uploaded = tokio::select! {
                uploaded = upload(self.session(), record, pod, binary) => uploaded,
                () = self.cancel.cancelled() => return Err(self.cancelled()),
            };
            let Err(failure) = uploaded else {
                return Ok(None);
            };
            if self.means.must_upload() {
                return Err(Error::Start {
                    session: self.spec.id().to_string(),
                    verdict: Box::new(failure.verdict()),
                    times: *times,
                    kept: false,
                });
            }
            let why = failure.chain();
            tracing::warn!(
                session = self.spec.id().as_str(),
                "the agent could not be brought in, and commands go by the API server's exec: {why}"
            );
            Ok(Some(why))
        })
    }
    /// Waits until the agent that the record speaks of answers and proves itself; the connection is kept for those who use the
    /// session.
    ///
    /// Returns why it can't be used, where the session does without: no way to it is open from here, or it was to be uploaded
    /// and is not there.
    pub(super) fn meet_agent<'a>(
        &'a self,
        record: &'a Record,
        times: &'a PhaseTimes,
        receiver: &'a mut SessionReceiver,
    ) -> BoxFuture<'a, Result<Option<String>, Error>> {
        Box::pin(async move {
            let Some(port) = record.spec.agent().port() else {
                return Ok(None);
            };
            let Some(address) = self.address(record, receiver).await? else {
                return Ok(None);
            };
            let key = match self.key_of(record).await {
                Ok(key) => key,
                Err(why) => return Ok(Some(why)),
            };
            let uploaded = record.spec.agent().is_upload();
            // One that nobody here has uploaded may never come: its creator may have died.
            let patience = if uploaded && self.means.binary.is_none() {
                std::time::Duration::ZERO
            } else {
                AGENT_PATIENCE
            };
            let wait = AgentWait {
                session: self.session(),
                address: address.clone(),
                port,
                key: key.clone(),
                patience,
                times,
            };
            let answered = tokio::select! {
                answered = wait_for_agent(wait, receiver) => answered?,
                () = self.cancel.cancelled() => return Err(self.cancelled()),
            };
            let failure = match answered {
                Ok(connection) => {
                    let connection = self.ctx.agents.keep(address.uid(), connection);
                    run_main_command(&connection, &record.spec, false, &key).await?;
                    return Ok(None);
                }
                Err(failure) => failure,
            };
            let why = chain(&failure);
            if is_agents_fault(&failure) && (!uploaded || self.means.must_upload()) {
                return Err(Error::Start {
                    session: self.spec.id().to_string(),
                    verdict: Box::new(silent_agent(uploaded, patience.as_secs(), &why)),
                    times: *times,
                    kept: false,
                });
            }
            tracing::warn!(
                session = self.spec.id().as_str(),
                "the agent can't be reached, and commands go by the API server's exec: {why}"
            );
            Ok(Some(why))
        })
    }

    /// Where the pod is that was waited for; `None` if it has gone since, which its next use tells.
    async fn address(
        &self,
        record: &Record,
        receiver: &mut SessionReceiver,
    ) -> Result<Option<SandboxAddress>, Error> {
        let PodState::Present(pod) = receiver.pod() else {
            return Ok(None);
        };
        let session = self.session();
        let job = match record.spec.workload() {
            WorkloadKind::Pod => None,
            WorkloadKind::Job => session
                .get(&workload::key(&record.spec))
                .await?
                .and_then(Object::into_job),
        };
        let address = SandboxAddress::of_pod(session.id, &record.owner(), &pod, job.as_ref());
        address
            .map(Some)
            .map_err(|other| session.name_taken(&session.key(Kind::Pod, other.pod)))
    }

    /// The session's key: our own where we made it, else that of its Secret. Or why it can't be read.
    async fn key_of(&self, record: &Record) -> Result<SecretString, String> {
        let own = &self.values.key;
        if record.key_hash.as_ref() == Some(&own.hash()) {
            return Ok(own.expose().into());
        }
        let read = session_key(self.session(), record).await;
        read.map_err(|failure| failure.chain())
    }
}
