//! Executing a plan: what the record owns is created, and its pod waited for.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::Pod;
use podbay_k8s_client::Object;
use podbay_manifests::network_policy::{self, NetworkPolicyPlan};
use podbay_manifests::{Owner, Record, SessionSpec};
use podbay_protocol::{PhaseTimes, StartPhase};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use tokio::sync::SemaphorePermit;
use tokio::time::Instant;

use super::apply::Ensured;
use super::limit::Limit;
use super::marks::mark_paused;
use super::network::ensure_shared_policy;
use super::open::OpenOperation;
use super::plan::{PlaceState, Step};
use super::workload::{self, Workload, resume_job};
use super::{exposure, limit};
use crate::context::session_key;
use crate::error::{Error, ForSession as _};
use crate::index::{PodState, SessionIndex, SessionReceiver};
use crate::place::{CountedAgainst, CountedOf, Place};
use crate::wait::{JobPod, ReadyWait, wait_for_pod_of_job, wait_until_ready};

/// How long the wait for a turn has to take for somebody to have paused the session meanwhile: less is no more than any of the calls
/// takes that each start makes before its pod, and is worth no call more.
const LONG: Duration = Duration::from_millis(100);

/// The turn of a start to create its pod.
struct Turn<'a> {
    /// None of one that has waited long enough: those before it may wait for what is being deleted.
    _permit: Option<SemaphorePermit<'a>>,
    /// Whether it took [`LONG`].
    has_waited: bool,
}

/// How long a start waits for others to create their pods. It is stored, so that whoever asked for it is answered; but any client may
/// pause or delete it by now, and who finds no pod for five seconds takes its creator for dead.
const TURN_WAIT: Duration = Duration::from_secs(1);

/// What an attempt has created beside the record: rolled back if it fails, reported if it succeeds.
#[derive(Clone, Debug, Default)]
pub(super) struct CreatedObjects {
    /// The UID of the claim.
    pub(super) claim: Option<String>,
    /// Whether the workload was created.
    pub(super) workload: bool,
}

/// A session that takes commands.
pub(super) struct Started {
    /// The name of its pod.
    pub(super) pod: String,
    /// The seconds of each step; `None` if it was ready already.
    pub(super) times: Option<PhaseTimes>,
    /// Why the agent that was meant can't be used.
    pub(super) without_agent: Option<String>,
}

/// Who makes the pod.
enum PodSource {
    /// A workload that is there.
    Workload(Workload),
    /// The session's creator, another client.
    Creator,
}

impl OpenOperation {
    /// Makes sure that the session is not one too many.
    pub(super) fn take_place<'a>(
        &'a self,
        record: &'a Record,
        state: &'a PlaceState,
        index: &'a SessionIndex,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let place = Place::of_record(record);
            match state {
                PlaceState::New => self.check_limit(&place, CountedAgainst::Earlier, index).await,
                PlaceState::Held => Ok(()),
                PlaceState::GivenUp => {
                    // It counts for others before it counts them, so that of two that are resumed at once not both slip
                    // through.
                    let version = mark_paused(self.session(), record, false).await?;
                    let place = place.at_version(version.as_deref());
                    let checked = self.check_limit(&place, CountedAgainst::All, index).await;
                    if checked.is_err() {
                        // As it was written a moment ago.
                        let resumed = Record {
                            paused: false,
                            resource_version: version,
                            ..record.clone()
                        };
                        self.tell_put_back(mark_paused(self.session(), &resumed, true).await);
                    }
                    checked
                }
                PlaceState::Failed(earlier) => {
                    let checked = self.check_limit(&place, CountedAgainst::All, index).await;
                    if checked.is_err() {
                        // Another client may have joined the start and made the pod.
                        self.tell_put_back(self.leave_failed(record, earlier, false).await);
                    }
                    checked
                }
            }
        })
    }

    /// That there is no place stands, whatever came of putting the session back as it was.
    fn tell_put_back<T>(&self, put_back: Result<T, Error>) {
        if let Err(error) = put_back {
            tracing::warn!(
                session = self.spec.id().as_str(),
                error = error.chain(),
                "a session without a place could not be put back as it was"
            );
        }
    }

    async fn check_limit(
        &self,
        place: &Place,
        against: CountedAgainst,
        index: &SessionIndex,
    ) -> Result<(), Error> {
        let limits = [
            (self.ctx.session_limit, CountedOf::All),
            (self.owner_limit, CountedOf::Owner),
        ];
        for (most, of) in limits {
            if let Some(most) = most {
                let limit = Limit { most, of };
                limit::check(self.session(), place, against, limit, index).await?;
            }
        }
        self.check_cancelled()
    }

    /// Does the step, and waits until the session takes commands. Whether or not that succeeds, tells what was created.
    pub(super) async fn execute(
        &self,
        record: &Record,
        step: Step,
        begun: Instant,
        receiver: &mut SessionReceiver,
    ) -> (CreatedObjects, Result<Started, Error>) {
        let existed = matches!(step, Step::Attach(_));
        let (created, source) = match step {
            Step::Attach(workload) => {
                // It was made after both.
                self.tell_stored(record, None);
                (CreatedObjects::default(), self.attach(record, workload).await)
            }
            Step::Complete { ended } => self.complete(record, ended).await,
            Step::AwaitCreator => (CreatedObjects::default(), Ok(PodSource::Creator)),
        };
        let started = match source {
            Ok(source) => self.wait(record, source, begun, receiver).await,
            Err(error) => Err(error),
        };
        let started = match started {
            Ok((pod, times)) => {
                if self.stored.borrow().is_none() {
                    self.tell_stored(record, None);
                }
                let is_told = !existed || !was_ready_at_once(&times);
                self.with_agent(record, pod, times, is_told, receiver).await
            }
            Err(error) => Err(error),
        };
        (created, started)
    }

    /// Sees to it that the agent is there and answers, where one is meant to be. The times are told if they are of interest.
    fn with_agent<'a>(
        &'a self,
        record: &'a Record,
        pod: String,
        mut times: PhaseTimes,
        is_told: bool,
        receiver: &'a mut SessionReceiver,
    ) -> BoxFuture<'a, Result<Started, Error>> {
        Box::pin(async move {
            let begun = Instant::now();
            let without_agent = match self.bring_agent(record, &pod, &times).await? {
                None => self.meet_agent(record, &times, receiver).await?,
                without => without,
            };
            times.add(StartPhase::Starting, begun.elapsed());
            Ok(Started {
                pod,
                times: is_told.then_some(times),
                without_agent,
            })
        })
    }

    /// Wakes up a workload that lives, and creates what its creator may not have come to.
    fn attach<'a>(
        &'a self,
        record: &'a Record,
        workload: Workload,
    ) -> BoxFuture<'a, Result<PodSource, Error>> {
        Box::pin(async move {
            if !workload.runs() {
                self.restore_claim(&record.spec).await?;
            }
            let (session, spec, owner) = (self.session(), &record.spec, record.owner());
            resume_job(session, spec, &owner, &workload).await?;
            exposure::complete(session, spec, &owner).await?;
            Ok(PodSource::Workload(workload))
        })
    }

    /// Creates the claim anew that a pod waits for. One client may have deleted it while another opened the session: without
    /// this it would wait for ever.
    async fn restore_claim(&self, spec: &SessionSpec) -> Result<(), Error> {
        let Some(claim) = podbay_manifests::claim::claim(spec) else {
            return Ok(());
        };
        let claim = Object::from(claim);
        if self.session().get(&claim.key()).await?.is_none() {
            self.session().apply_claim(claim).await?;
        }
        Ok(())
    }

    /// Creates everything that the record owns and that is missing, and deletes what has ended.
    fn complete<'a>(
        &'a self,
        record: &'a Record,
        ended: Option<String>,
    ) -> BoxFuture<'a, (CreatedObjects, Result<PodSource, Error>)> {
        Box::pin(async move {
            let mut created = CreatedObjects::default();
            let completed = async {
                let (session, spec, owner) = (self.session(), &record.spec, record.owner());
                if let Some(uid) = ended {
                    // A claim that is being deleted waits for it.
                    session.delete(&workload::key(spec), &uid).await?;
                }
                if let Some(claim) = podbay_manifests::claim::claim(spec) {
                    created.claim = match session.apply_claim(claim.into()).await? {
                        Ensured::Created(claim) => Some(claim.uid().to_owned()),
                        Ensured::Adopted(_) => None,
                    };
                    self.check_cancelled()?;
                }
                self.apply_secret(record).await?;
                let turn = self.turn_to_create().await?;
                self.apply_network_policy(spec, &owner).await?;
                self.check_cancelled()?;
                let workload = workload::apply(session, spec, &owner).await?;
                created.workload = workload.is_created();
                let workload = workload.into_inner();
                let has_waited = turn.has_waited;
                drop(turn);
                // Who made the record has not given the start up; but others may have paused the session while it waited.
                let is_others = record.nonce.as_ref() != Some(&self.values.nonce);
                if created.workload && (is_others || has_waited) {
                    self.is_still_to_start(record, &workload).await?;
                }
                resume_job(session, spec, &owner, &workload).await?;
                self.check_cancelled()?;
                exposure::expose(session, spec, &owner).await?;
                self.check_cancelled()?;
                Ok(PodSource::Workload(workload))
            }
            .await;
            (created, completed)
        })
    }

    /// Waits for its turn to create the pod, while many others do.
    async fn turn_to_create(&self) -> Result<Turn<'_>, Error> {
        let begun = Instant::now();
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(self.cancelled()),
            // It is never closed.
            permit = tokio::time::timeout(TURN_WAIT, self.ctx.creating.acquire()) => Ok(Turn {
                _permit: permit.ok().and_then(Result::ok),
                has_waited: begun.elapsed() >= LONG,
            }),
        }
    }

    /// The Secret, and in the record the hash of the key that it holds.
    ///
    /// The Secret is the truth: it can't be changed while the record lives, and whoever is to make the pod comes by here
    /// first. Its key is another than the record says if the creator died, or was overtaken, between the two.
    async fn apply_secret(&self, record: &Record) -> Result<(), Error> {
        let (session, owner) = (self.session(), record.owner());
        let secret = podbay_manifests::secret::secret(&record.spec, &self.secrets, &self.values.key, &owner);
        let key = match session.apply(secret.into(), &owner).await? {
            Ensured::Created(_) => Some(self.values.key.expose().into()),
            Ensured::Adopted(found) => found.into_secret().and_then(session_key),
        };
        let held = key
            .as_ref()
            .map(|key: &SecretString| key.expose_secret().as_bytes());
        // Records of earlier versions say nothing of the key.
        match (held, &record.key_hash) {
            (Some(held), Some(_)) if !record.is_of_key(held) => {
                let mut patch = podbay_manifests::record::key_hash_patch(&record.spec, held);
                patch["metadata"] = json!({"uid": record.uid});
                let patched = session.ctx.client.patch(&session.record_key(), patch).await;
                patched.for_session(session.id)?;
            }
            _ => {}
        }
        self.tell_stored(record, key);
        Ok(())
    }

    /// Before the pod, so that there is no moment in which it may reach more than it should.
    async fn apply_network_policy(&self, spec: &SessionSpec, owner: &Owner) -> Result<(), Error> {
        match network_policy::policy(spec, owner) {
            Some(NetworkPolicyPlan::Shared(policy)) => ensure_shared_policy(self.session(), policy).await,
            Some(NetworkPolicyPlan::Own(policy)) => {
                self.session().apply(policy.into(), owner).await.map(drop)
            }
            None => Ok(()),
        }
    }

    /// Waits until the session takes commands. Returns the name of its pod, and the seconds of each step.
    fn wait<'a>(
        &'a self,
        record: &'a Record,
        source: PodSource,
        begun: Instant,
        receiver: &'a mut SessionReceiver,
    ) -> BoxFuture<'a, Result<(String, PhaseTimes), Error>> {
        Box::pin(async move {
            tokio::select! {
                ready = self.wait_for_pod(record, source, begun, receiver) => ready,
                () = self.cancel.cancelled() => Err(self.cancelled()),
            }
        })
    }

    async fn wait_for_pod(
        &self,
        record: &Record,
        source: PodSource,
        begun: Instant,
        receiver: &mut SessionReceiver,
    ) -> Result<(String, PhaseTimes), Error> {
        let pod = match source {
            PodSource::Workload(Workload::Pod(pod)) => pod,
            PodSource::Workload(workload @ Workload::Job(_)) => {
                let wanted = JobPod {
                    session: self.session(),
                    job: workload::key(&record.spec),
                    uid: workload.uid(),
                };
                wait_for_pod_of_job(wanted, |pod| workload.has(pod), receiver).await?
            }
            PodSource::Creator => self.pod_of_creator(&record.owner(), receiver).await?,
        };
        let pod_name = pod.metadata.name.as_deref().unwrap_or_default();
        let ready = ReadyWait {
            session: self.session(),
            pod_name,
            uid: pod.metadata.uid.as_deref().unwrap_or_default(),
            server: record.spec.server().is_some(),
            creating: begun.elapsed(),
            on_phase: &|phase| self.report(phase),
        };
        let times = wait_until_ready(ready, receiver).await?;
        Ok((pod_name.to_owned(), times))
    }

    /// The pod that the session's creator is about to make: only it knows the environment.
    async fn pod_of_creator(&self, owner: &Owner, receiver: &mut SessionReceiver) -> Result<Arc<Pod>, Error> {
        let timeout = self.ctx.deletion_timeout;
        let deadline = Instant::now() + timeout;
        loop {
            if let PodState::Present(pod) = receiver.pod()
                && owner.owns(pod.metadata.owner_references.as_deref().unwrap_or_default())
            {
                return Ok(pod);
            }
            tokio::select! {
                () = receiver.changed() => {}
                () = tokio::time::sleep_until(deadline) => {
                    return Err(Error::Unfinished {
                        session: self.spec.id().to_string(),
                        seconds: timeout.as_secs(),
                    });
                }
            }
        }
    }
}

/// Whether a session was found ready: then nothing was waited for but one answer of the watch.
fn was_ready_at_once(times: &PhaseTimes) -> bool {
    times.preparing == 0.0 && times.starting == 0.0
}
