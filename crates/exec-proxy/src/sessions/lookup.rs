//! Sessions found: in the index, by one call where it does not know them, and with what a start in this process knows better.

use std::sync::{Arc, PoisonError};

use podbay_config::WorkloadKind;
use podbay_manifests::{RuntimeId, SessionNames, SessionOwner};
use podbay_runtime::{Error, SessionId, SessionIndex, SessionState, SessionView};
use tokio::time::Instant;

use super::NotKnown;
use super::known::{BEGUN, Known, SessionKey};
use super::service::ServiceSessions;
use super::starts::Start;
use super::unknown::Unknown;
use crate::words::Http;

impl ServiceSessions {
    /// Whether `owner` may see a session of `of`.
    pub(super) fn may_see(&self, owner: &SessionOwner, of: Option<&SessionOwner>) -> bool {
        match of {
            Some(of) => of == owner,
            None => self.adopts.as_ref() == Some(owner),
        }
    }

    /// The session of this id, as `owner` may see it.
    pub async fn find(&self, owner: &SessionOwner, id: &SessionId) -> Result<Option<Known>, NotKnown> {
        let own = SessionKey {
            owner: Some(owner.clone()),
            id: id.clone(),
        };
        if let Some(found) = self.find_by_key(&own).await? {
            return Ok(Some(found));
        }
        if self.may_see(owner, None) {
            let nobodys = SessionKey {
                owner: None,
                id: id.clone(),
            };
            return self.find_by_key(&nobodys).await;
        }
        Ok(None)
    }

    /// The session with this runtime id, as `owner` may see it.
    pub async fn find_by_runtime_id(
        &self,
        owner: &SessionOwner,
        id: &RuntimeId,
    ) -> Result<Option<Known>, NotKnown> {
        let found = self.find_any(id).await?;
        Ok(found.filter(|known| self.may_see(owner, known.record.spec.owner())))
    }

    /// All sessions that `owner` may see, by id.
    pub async fn list(&self, owner: &SessionOwner) -> Result<Vec<Known>, NotKnown> {
        let now = self.now();
        let mut all: Vec<Known> = if let Some(index) = &self.index {
            let all = index.list();
            let known = all.iter().filter_map(|view| {
                let mut known = Known::of_view(view, now)?;
                self.known_address_of_job(&mut known, view);
                Some(known)
            });
            known.collect()
        } else {
            let all = self.podbay.look_at_all().await;
            let all = all.map_err(|error| not_known(&error))?;
            all.into_iter().map(Known::from).collect()
        };
        all.retain(|known| self.may_see(owner, known.record.spec.owner()) && !self.is_stopped(known));
        for known in &mut all {
            self.tell_start(known);
            self.look_after_server(known).await;
        }
        all.sort_by(|one, other| one.record.id().cmp(other.record.id()));
        Ok(all)
    }

    pub(super) async fn find_by_key(&self, key: &SessionKey) -> Result<Option<Known>, NotKnown> {
        let found = match &self.index {
            Some(index) => {
                let view = index.get(&SessionNames::of(key.owner.as_ref(), &key.id));
                let known = Known::of_view(&view, self.now());
                // Two names may meet in a hash.
                match known.filter(|known| known.key() == *key) {
                    Some(mut known) => {
                        self.address_of_job(&mut known, &view).await;
                        Some(known)
                    }
                    None => self.look(key).await?,
                }
            }
            None => self.look(key).await?,
        };
        let found = found.filter(|known| !self.is_stopped(known));
        let mut found = self.with_start(key, found);
        if let Some(known) = &mut found {
            self.carry_on(known).await;
            self.recover(known);
            self.look_after_server(known).await;
        }
        Ok(found)
    }

    async fn look(&self, key: &SessionKey) -> Result<Option<Known>, NotKnown> {
        let podbay = self.podbay.of_owner(key.owner.clone());
        let look = podbay
            .look(key.id.as_str())
            .await
            .map_err(|error| not_known(&error))?;
        Ok(look.map(Known::from))
    }

    pub(super) async fn find_any(&self, id: &RuntimeId) -> Result<Option<Known>, NotKnown> {
        let mut found = if let Some(index) = &self.index {
            let view = index.find(id);
            let found = view.and_then(|view| Some((Known::of_view(&view, self.now())?, view)));
            match found {
                Some((mut known, view)) => {
                    self.address_of_job(&mut known, &view).await;
                    Some(known)
                }
                None => None,
            }
        } else {
            let look = self.podbay.look_for(id).await;
            look.map_err(|error| not_known(&error))?.map(Known::from)
        };
        if found.as_ref().is_some_and(|known| self.is_stopped(known)) {
            return Ok(None);
        }
        if found.is_none()
            && let Some(start) = self.starts.find(id).filter(|start| self.tells(start))
        {
            return Ok(Self::of_start(&start));
        }
        if found.is_none()
            && let Some(index) = &self.index
        {
            found = self.ask_for(id, index).await?;
        }
        if let Some(known) = &mut found {
            self.tell_start(known);
            self.carry_on(known).await;
            self.recover(known);
            self.look_after_server(known).await;
        }
        Ok(found)
    }

    /// A server of this machine that has ended is told as the failure that it is: a pod would have ended with it, but the agent of such a
    /// session lives on. One that answered the last time it was asked for anything is taken to run.
    async fn look_after_server(&self, known: &mut Known) {
        let has_server = self.is_on_this_machine() && known.record.spec.server().is_some();
        let answered = known
            .address
            .as_ref()
            .is_some_and(|address| self.answering.contains(address.uid()));
        if !has_server || answered || !matches!(known.state, SessionState::Ready(_)) {
            return;
        }
        let podbay = self.podbay.of_owner(known.record.spec.owner().cloned());
        let ended = match podbay.existing(known.record.id().as_str()) {
            Ok(session) => session.ended_command().await,
            Err(error) => Err(error),
        };
        match ended {
            Ok(Some(verdict)) => known.state = SessionState::Failed(verdict),
            Ok(None) => {}
            Err(error) => {
                tracing::debug!(session = %known.record.id(), error = error.chain(), "it can't be told whether the server runs");
            }
        }
    }

    /// Puts in the address of a Job's pod, if it is known without asking. Returns the UID of a pod that has to be asked for.
    fn known_address_of_job<'a>(&self, known: &mut Known, view: &'a SessionView) -> Option<&'a str> {
        if known.address.is_some() || known.record.spec.workload() != WorkloadKind::Job {
            return None;
        }
        let uid = view.pod_uid()?;
        known.address = self.jobs.lock().unwrap_or_else(PoisonError::into_inner).get(uid);
        // One without an address can't be reached yet.
        (known.address.is_none() && view.pod_ip().is_some()).then_some(uid)
    }

    /// The same, and asks the cluster.
    async fn address_of_job(&self, known: &mut Known, view: &SessionView) {
        let Some(uid) = self.known_address_of_job(known, view) else {
            return;
        };
        let podbay = self.podbay.of_owner(known.record.spec.owner().cloned());
        let asked = match podbay.existing(known.record.id().as_str()) {
            Ok(session) => session.address().await,
            Err(error) => Err(error),
        };
        match asked {
            Ok(Some(address)) if address.uid() == uid && address.ip().is_some() => {
                let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
                jobs.keep(address.clone());
                known.address = Some(address);
            }
            // Another pod has taken its place, which the index will tell.
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(session = %known.record.id(), error = error.chain(), "the pod of a Job can't be asked for");
            }
        }
    }

    /// Asks the cluster for a runtime id that the index does not know, as often as it may be asked.
    async fn ask_for(&self, id: &RuntimeId, index: &SessionIndex) -> Result<Option<Known>, NotKnown> {
        let what = self.questions().about(id, Instant::now());
        match what {
            Unknown::NotThere => Ok(None),
            Unknown::TooMany if index.knows_all_records() => Ok(None),
            Unknown::TooMany => Err(NotKnown {
                message: "the sessions are not known yet, and too many unknown ones were asked for"
                    .to_owned(),
            }),
            Unknown::Ask => {
                let look = self
                    .podbay
                    .look_for(id)
                    .await
                    .map_err(|error| not_known(&error))?;
                if look.is_none() {
                    self.questions().not_there(id, Instant::now());
                }
                Ok(look.map(Known::from))
            }
        }
    }

    /// Whether this process has ended it, and the index has not learned of that.
    fn is_stopped(&self, known: &Known) -> bool {
        self.stopped().contains(&known.record.uid)
    }

    /// Whether a start tells of a session of which nothing else does: one that is under way. One that has failed does where
    /// nothing stays of it, on this machine; on a cluster its session stays, and one that is not there was removed.
    fn tells(&self, start: &Start) -> bool {
        start.failure().is_none() || self.is_on_this_machine()
    }

    /// What is known, with what a start in this process knows better; or what such a start knows alone.
    fn with_start(&self, key: &SessionKey, found: Option<Known>) -> Option<Known> {
        if let Some(mut known) = found {
            self.tell_start(&mut known);
            return Some(known);
        }
        let start = self.starts.get(key).filter(|start| self.tells(start));
        start.and_then(|start| Self::of_start(&start))
    }

    /// A start that is under way knows more than the objects do: that the agent has to answer, too, and what events say.
    fn tell_start(&self, known: &mut Known) {
        let Some(start) = self.starts.get(&known.key()) else {
            return;
        };
        match start.failure() {
            None => {
                let state = start.state.borrow().clone();
                // The objects may tell of a session that was closed meanwhile.
                if known.state != SessionState::Stopping {
                    known.state = state;
                }
            }
            // What has come of the session since stands in its objects: it was paused, or is there after all.
            Some(_) if !matches!(known.state, SessionState::Starting(_)) => {
                self.starts.forget_failure(&known.key());
            }
            Some(error) => {
                // Another replica may have started it again.
                let is_of_this = start.known().is_some_and(|stored| {
                    stored.record.uid == known.record.uid
                        && stored.record.started_again == known.record.started_again
                });
                if is_of_this {
                    fail(known, &error);
                }
            }
        }
    }

    /// What a start in this process knows of its session, where nothing else does.
    pub(super) fn of_start(start: &Start) -> Option<Known> {
        let stored = start.known()?;
        let mut known = Known {
            record: Arc::new(stored.record),
            state: BEGUN,
            address: None,
            restarts: (0, None),
            failure: None,
        };
        match start.failure() {
            None => known.state = start.state.borrow().clone(),
            Some(error) => fail(&mut known, &error),
        }
        Some(known)
    }
}

/// Tells of a start that failed.
fn fail(known: &mut Known, error: &Error) {
    match error.verdict() {
        Some(verdict) => known.state = SessionState::Failed(verdict.clone()),
        None => known.failure = Some(error.chain_in_words(&Http)),
    }
}

fn not_known(error: &Error) -> NotKnown {
    NotKnown {
        message: error.chain_in_words(&Http),
    }
}
