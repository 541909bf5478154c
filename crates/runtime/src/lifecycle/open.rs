//! Opening a session.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use podbay_k8s_client::{ClusterClient, DeleteOptions, Kind, Object, ObjectKey};
use podbay_manifests::{Owner, Record, SessionKey, SessionSecrets, SessionSpec};
use podbay_protocol::{PhaseTimes, StartPhase};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::close::{close_record, wait_for_objects};
use super::ensure::{Ensured, Site, is_finished};
use crate::error::Error;
use crate::readiness::{Graces, Progress, wait_until_ready};
use crate::watch::{PodFollower, PodState, PodWatch};

/// A session about to be opened.
pub(crate) struct Opening {
    pub(crate) client: Arc<dyn ClusterClient>,
    pub(crate) spec: SessionSpec,
    pub(crate) secrets: SessionSecrets,
    pub(crate) watch: PodWatch,
    pub(crate) graces: Graces,
    pub(crate) deletion_timeout: std::time::Duration,
    /// Whether a session that is there is closed and made anew.
    pub(crate) replace: bool,
    /// Told of each step as it begins.
    pub(crate) on_phase: Arc<dyn Fn(StartPhase) + Send + Sync>,
    /// Ends the start early; what it made is removed.
    pub(crate) cancel: CancellationToken,
}

/// A session that takes commands.
pub(crate) struct Opened {
    pub(crate) record: Record,
    /// The seconds of each step; none where the session was there and ready.
    pub(crate) times: Option<PhaseTimes>,
    /// Whether it was there already.
    pub(crate) adopted: bool,
    /// Whether it was there without its pod, and got a new one.
    pub(crate) recreated: bool,
}

/// What a start has made so far.
#[derive(Clone, Copy, Debug, Default)]
struct Made {
    claim: bool,
    pod: bool,
}

impl Opening {
    /// Makes what is missing and waits until the session takes commands. What this call made is removed again
    /// when it fails.
    pub(crate) async fn open(self) -> Result<Opened, Error> {
        let begun = Instant::now();
        (self.on_phase)(StartPhase::Creating);
        let nonce = format!("{:032x}", rand::random::<u128>());
        let record = self.record(&nonce).await?;
        let adopted = !record.is_created();
        let record = record.into_inner();
        let mut made = Made::default();
        let outcome = self.start(&record, adopted, &mut made, begun).await;
        match outcome {
            Ok(times) => Ok(Opened {
                record,
                times,
                adopted,
                recreated: adopted && made.pod,
            }),
            Err(error) => {
                if !adopted {
                    self.roll_back(&record, made.claim).await;
                }
                Err(error)
            }
        }
    }

    fn site(&self) -> Site<'_> {
        Site {
            client: &*self.client,
            id: self.spec.id(),
            patience: self.deletion_timeout,
        }
    }

    /// The record: ours, or the one that is there.
    async fn record(&self, nonce: &str) -> Result<Ensured<Record>, Error> {
        let object: Object = podbay_manifests::record::record(&self.spec, nonce).into();
        let record = self.site().record(object.clone(), nonce).await?;
        match record {
            Ensured::Adopted(old) if self.replace => {
                let session = self.spec.id().as_str();
                close_record(&*self.client, session, self.spec.namespace(), &old).await?;
                wait_for_objects(&*self.client, &old, self.spec.namespace(), self.deletion_timeout).await?;
                self.site().record(object, nonce).await
            }
            record => Ok(record),
        }
    }

    /// What the record owns, and the wait for it.
    async fn start(
        &self,
        record: &Record,
        adopted: bool,
        made: &mut Made,
        begun: Instant,
    ) -> Result<Option<PhaseTimes>, Error> {
        let names = self.spec.names();
        let mut follower = self.watch.follow(&names.object());
        let owner = record.owner();
        if adopted && let Some(pod) = self.living_pod(&owner).await? {
            let times = self
                .wait(&pod, record.spec.server(), begun, &mut follower)
                .await?;
            return Ok((!was_ready_at_once(&times)).then_some(times));
        }
        // An adopted session keeps its own specification: it is what its record says.
        let spec = if adopted { &record.spec } else { &self.spec };
        if let Some(claim) = podbay_manifests::claim::claim(spec) {
            made.claim = self.site().claim(claim.into()).await?.is_created();
            self.check_cancelled()?;
        }
        if adopted && !self.has_values_for(spec) && !self.secret_is_there(&owner).await? {
            let pod = self.pod_of_creator(&owner, &mut follower).await?;
            return self
                .wait(&pod, spec.server(), begun, &mut follower)
                .await
                .map(Some);
        }
        let key = SessionKey::from_random(rand::random());
        let secret = podbay_manifests::secret::secret(spec, &self.secrets, &key, &owner);
        self.site().owned(secret.into(), &owner).await?;
        self.check_cancelled()?;
        let pod = podbay_manifests::pod::pod(spec, &owner);
        let pod = self.site().owned(pod.into(), &owner).await?;
        made.pod = pod.is_created();
        let pod = pod.into_inner();
        self.check_cancelled()?;
        let Some(pod) = pod.into_pod() else {
            return Err(Error::NameTaken {
                session: self.spec.id().to_string(),
                object: names.object(),
            });
        };
        self.wait(&pod, spec.server(), begun, &mut follower)
            .await
            .map(Some)
    }

    /// The pod of an adopted session, if it lives.
    async fn living_pod(&self, owner: &Owner) -> Result<Option<Pod>, Error> {
        let key = ObjectKey::new(Kind::Pod, self.spec.namespace(), self.spec.names().object());
        let found = self.client.get(&key).await.map_err(|source| Error::Call {
            session: self.spec.id().to_string(),
            source,
        })?;
        Ok(found
            .filter(|object| !object.is_terminating())
            .and_then(Object::into_pod)
            .filter(|pod| {
                let owners = pod.metadata.owner_references.as_deref().unwrap_or_default();
                owner.owns(owners) && !is_finished(pod)
            }))
    }

    /// Whether the session's Secret was written: then nobody needs to know what is in it.
    async fn secret_is_there(&self, owner: &Owner) -> Result<bool, Error> {
        let key = ObjectKey::new(Kind::Secret, self.spec.namespace(), self.spec.names().secret());
        let found = self.client.get(&key).await.map_err(|source| Error::Call {
            session: self.spec.id().to_string(),
            source,
        })?;
        Ok(found.is_some_and(|secret| {
            let owners = secret.metadata().owner_references.as_deref().unwrap_or_default();
            !secret.is_terminating() && owner.owns(owners)
        }))
    }

    /// Whether this caller could write the Secret of the session: its record names variables, but not what is
    /// in them.
    fn has_values_for(&self, spec: &SessionSpec) -> bool {
        spec.env_names()
            .iter()
            .all(|name| self.secrets.env().any(|(known, _)| known == name))
    }

    /// The pod that the session's creator is about to make: only it knows the environment.
    async fn pod_of_creator(&self, owner: &Owner, follower: &mut PodFollower) -> Result<Arc<Pod>, Error> {
        let deadline = Instant::now() + self.deletion_timeout;
        loop {
            if let PodState::Present(pod) = follower.state()
                && owner.owns(pod.metadata.owner_references.as_deref().unwrap_or_default())
            {
                return Ok(pod);
            }
            tokio::select! {
                () = follower.changed() => {}
                () = self.cancel.cancelled() => return Err(self.cancelled()),
                () = tokio::time::sleep_until(deadline) => {
                    return Err(Error::Unfinished {
                        session: self.spec.id().to_string(),
                        seconds: self.deletion_timeout.as_secs(),
                    });
                }
            }
        }
    }

    async fn wait(
        &self,
        pod: &Pod,
        server: bool,
        begun: Instant,
        follower: &mut PodFollower,
    ) -> Result<PhaseTimes, Error> {
        let names = self.spec.names();
        let progress = Progress {
            client: &*self.client,
            session: self.spec.id().as_str(),
            namespace: self.spec.namespace(),
            pod_name: &names.object(),
            uid: pod.metadata.uid.as_deref().unwrap_or_default(),
            server,
            graces: self.graces,
            creating: begun.elapsed(),
            on_phase: &*self.on_phase,
        };
        tokio::select! {
            ready = wait_until_ready(progress, follower) => ready,
            () = self.cancel.cancelled() => Err(self.cancelled()),
        }
    }

    fn check_cancelled(&self) -> Result<(), Error> {
        if self.cancel.is_cancelled() {
            Err(self.cancelled())
        } else {
            Ok(())
        }
    }

    fn cancelled(&self) -> Error {
        Error::Cancelled {
            session: self.spec.id().to_string(),
        }
    }

    /// Removes what this start made. It fails only where the cluster does, and the error that stands is the
    /// first one.
    async fn roll_back(&self, record: &Record, claim_created: bool) {
        let session = self.spec.id().as_str();
        let namespace = self.spec.namespace();
        if let Err(error) = close_record(&*self.client, session, namespace, record).await {
            tracing::warn!(
                session,
                error = error.chain(),
                "what the failed start made could not be removed"
            );
        }
        if claim_created {
            let key = ObjectKey::new(Kind::PersistentVolumeClaim, namespace, self.spec.names().claim());
            if let Err(error) = self.client.delete(&key, DeleteOptions::default()).await {
                tracing::warn!(session, %error, "the claim of the failed start could not be removed");
            }
        }
    }
}

/// Whether a session was found ready: then nothing was waited for but one answer of the watch.
fn was_ready_at_once(times: &PhaseTimes) -> bool {
    times.preparing == 0.0 && times.starting == 0.0
}
