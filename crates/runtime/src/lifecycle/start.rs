//! From a session's record to a session that takes commands: what the record owns, and the wait for it.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use podbay_k8s_client::{Kind, Object, ObjectKey};
use podbay_manifests::network_policy::{self, NetworkPolicyPlan};
use podbay_manifests::{Owner, Record, SessionKey, SessionSpec};
use podbay_protocol::PhaseTimes;
use tokio::time::Instant;

use super::ensure::Ensured;
use super::limit::Others;
use super::open::Opening;
use super::workload::{self, Workload, is_queued, is_suspended};
use super::{exposure, limit, pause};
use crate::error::Error;
use crate::readiness::{JobPod, Progress, wait_for_pod_of_job, wait_until_ready};
use crate::watch::{PodFollower, PodState};

/// What a start has made so far and its failure would leave behind, or its success tells of.
#[derive(Clone, Debug, Default)]
pub(super) struct Made {
    /// The UID of the claim, if it was not there.
    pub(super) claim: Option<String>,
    pub(super) workload: bool,
}

/// A session that takes commands.
pub(super) struct Started {
    /// The name of its pod.
    pub(super) pod: String,
    /// The seconds of each step; none where it was ready already.
    pub(super) times: Option<PhaseTimes>,
}

impl Opening {
    /// Makes what the record owns and is missing, and waits until the session takes commands.
    pub(super) async fn start(
        &self,
        record: &Record,
        adopted: bool,
        made: &mut Made,
        begun: Instant,
    ) -> Result<Started, Error> {
        let owner = record.owner();
        // An adopted session keeps its own specification: it is what its record says.
        let spec = if adopted { &record.spec } else { &self.spec };
        let mut follower = self.watch.follow(&spec.names());
        let living = if adopted {
            Box::pin(workload::living(self.site(), spec, &owner)).await?
        } else {
            None
        };
        let lived = living.is_some();
        Box::pin(self.take_a_place(record, adopted)).await?;
        let workload = match living {
            Some(workload) => {
                if !workload.runs() {
                    Box::pin(self.restore_claim(spec)).await?;
                }
                // Suspended, it was paused.
                Box::pin(self.wake(spec, &owner, &workload)).await?;
                Some(workload)
            }
            None => Box::pin(self.make(record, adopted, made)).await?,
        };
        let pod = match workload {
            Some(workload) => Box::pin(self.pod_of(spec, &workload, &mut follower)).await?,
            None => Box::pin(self.pod_of_creator(&owner, &mut follower)).await?,
        };
        let times = Box::pin(self.wait(&pod, spec, begun, &mut follower)).await?;
        Ok(Started {
            pod: pod.metadata.name.clone().unwrap_or_default(),
            times: (!lived || !was_ready_at_once(&times)).then_some(times),
        })
    }

    /// Makes sure that the session is not one too many. One that was there and not paused had its place before.
    async fn take_a_place(&self, record: &Record, adopted: bool) -> Result<(), Error> {
        if !adopted {
            return self.check_limit(record, Others::Before).await;
        }
        if !record.paused {
            return Ok(());
        }
        // It counts for others before it counts them, so that of two that are resumed at once not both slip through.
        pause::mark(self.site(), record, false).await?;
        let checked = self.check_limit(record, Others::All).await;
        if checked.is_err() {
            pause::mark(self.site(), record, true).await?;
        }
        checked
    }

    async fn check_limit(&self, record: &Record, others: Others) -> Result<(), Error> {
        if let Some(limit) = self.limit {
            limit::check(self.site(), record, others, limit).await?;
        }
        self.check_cancelled()
    }

    /// Lets a Job make its pod: one that was just created, or that a pause has suspended. A queue lets its own go itself.
    async fn wake(&self, spec: &SessionSpec, owner: &Owner, workload: &Workload) -> Result<(), Error> {
        if let Workload::Job(job) = workload
            && is_suspended(job)
            && !is_queued(job)
        {
            workload::release(self.site(), spec, owner, workload, job).await?;
        }
        Ok(())
    }

    /// Everything that the record owns. None where only the session's creator can make it.
    async fn make(&self, record: &Record, adopted: bool, made: &mut Made) -> Result<Option<Workload>, Error> {
        let owner = record.owner();
        let spec = if adopted { &record.spec } else { &self.spec };
        let site = self.site();
        if let Some(claim) = podbay_manifests::claim::claim(spec) {
            made.claim = match site.claim(claim.into()).await? {
                Ensured::Created(claim) => Some(claim.uid().to_owned()),
                Ensured::Adopted(_) => None,
            };
            self.check_cancelled()?;
        }
        if adopted && !self.has_values_for(spec) && !self.secret_is_there(&owner).await? {
            return Ok(None);
        }
        let key = SessionKey::from_random(rand::random());
        let secret = podbay_manifests::secret::secret(spec, &self.secrets, &key, &owner);
        site.owned(secret.into(), &owner).await?;
        self.check_cancelled()?;
        // Before the pod, so that there is no moment in which it may reach more than it should.
        match network_policy::policy(spec, &owner) {
            Some(NetworkPolicyPlan::Shared(policy)) => {
                self.policies.ensure(site, policy).await?;
            }
            Some(NetworkPolicyPlan::Own(policy)) => {
                site.owned(policy.into(), &owner).await?;
            }
            None => {}
        }
        self.check_cancelled()?;
        let workload = match workload::ensure(site, spec, &owner).await? {
            Ensured::Created(workload) => {
                made.workload = true;
                workload
            }
            Ensured::Adopted(workload) => workload,
        };
        self.wake(spec, &owner, &workload).await?;
        self.check_cancelled()?;
        exposure::expose(site, spec, &owner).await?;
        self.check_cancelled()?;
        Ok(Some(workload))
    }

    /// Makes the claim anew that a pod waits for. One client may have deleted it while another opened the session: without
    /// this it would wait for ever.
    async fn restore_claim(&self, spec: &SessionSpec) -> Result<(), Error> {
        let Some(claim) = podbay_manifests::claim::claim(spec) else {
            return Ok(());
        };
        let claim = Object::from(claim);
        let found = self.client.get(&claim.key()).await;
        if found.map_err(|source| self.site().call(source))?.is_none() {
            self.site().claim(claim).await?;
        }
        Ok(())
    }

    /// Whether the session's Secret was written: then nobody needs to know what is in it.
    async fn secret_is_there(&self, owner: &Owner) -> Result<bool, Error> {
        let key = ObjectKey::new(Kind::Secret, self.spec.namespace(), self.spec.names().secret());
        let found = self.client.get(&key).await;
        let found = found.map_err(|source| self.site().call(source))?;
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

    /// The pod of a workload that is there.
    async fn pod_of(
        &self,
        spec: &SessionSpec,
        workload: &Workload,
        follower: &mut PodFollower,
    ) -> Result<Arc<Pod>, Error> {
        let job = match workload {
            Workload::Pod(pod) => return Ok(Arc::clone(pod)),
            Workload::Job(job) => job,
        };
        let wanted = JobPod {
            client: &*self.client,
            session: spec.id().as_str(),
            job: workload::key(spec),
            uid: job.metadata.uid.as_deref().unwrap_or_default(),
            patience: self.graces.start,
        };
        tokio::select! {
            pod = wait_for_pod_of_job(wanted, |pod| workload.has(pod), follower) => pod,
            () = self.cancel.cancelled() => Err(self.cancelled()),
        }
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
        spec: &SessionSpec,
        begun: Instant,
        follower: &mut PodFollower,
    ) -> Result<PhaseTimes, Error> {
        let progress = Progress {
            client: &*self.client,
            session: self.spec.id().as_str(),
            namespace: self.spec.namespace(),
            pod_name: pod.metadata.name.as_deref().unwrap_or_default(),
            uid: pod.metadata.uid.as_deref().unwrap_or_default(),
            server: spec.server().is_some(),
            graces: self.graces,
            creating: begun.elapsed(),
            on_phase: &*self.on_phase,
        };
        tokio::select! {
            ready = wait_until_ready(progress, follower) => ready,
            () = self.cancel.cancelled() => Err(self.cancelled()),
        }
    }
}

/// Whether a session was found ready: then nothing was waited for but one answer of the watch.
fn was_ready_at_once(times: &PhaseTimes) -> bool {
    times.preparing == 0.0 && times.starting == 0.0
}
