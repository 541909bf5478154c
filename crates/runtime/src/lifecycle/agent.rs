//! The agent of a session that is opened: how it comes in, where the cluster has to be asked, and its upload.

use futures::future::BoxFuture;
use podbay_manifests::{AgentDelivery, Record};
use podbay_protocol::PhaseTimes;

use super::open::OpenOperation;
use super::plan::OpenMode;
use crate::delivery::{mounts_images, upload};
use crate::error::Error;

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
}
