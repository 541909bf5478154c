//! Sessions found: in the index, by one call where it does not know them, and with what a start in this process knows better.

use std::sync::Arc;

use podbay_manifests::{RuntimeId, SessionNames, SessionOwner};
use podbay_runtime::{Error, SessionId, SessionIndex, SessionState};
use tokio::time::Instant;

use super::NotKnown;
use super::known::{BEGUN, Known, SessionKey};
use super::service::ServiceSessions;
use super::starts::Start;
use super::unknown::Unknown;

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
            all.iter().filter_map(|view| Known::of_view(view, now)).collect()
        } else {
            let all = self.podbay.look_at_all().await;
            let all = all.map_err(|error| not_known(&error))?;
            all.into_iter().map(Known::from).collect()
        };
        all.retain(|known| self.may_see(owner, known.record.spec.owner()) && !self.is_stopped(known));
        for known in &mut all {
            self.tell_start(known);
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
                    Some(known) => Some(known),
                    None => self.look(key).await?,
                }
            }
            None => self.look(key).await?,
        };
        let found = found.filter(|known| !self.is_stopped(known));
        let found = self.with_start(key, found);
        if let Some(known) = &found {
            self.carry_on(known).await;
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
            view.and_then(|view| Known::of_view(&view, self.now()))
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
        }
        Ok(found)
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
            Some(error) => {
                let is_of_this = start
                    .known()
                    .is_some_and(|stored| stored.record.uid == known.record.uid);
                if is_of_this
                    && known.state.verdict().is_none()
                    && !matches!(known.state, SessionState::Ready(_))
                {
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
    if let Some(verdict) = error.verdict() {
        known.state = SessionState::Failed(verdict.clone());
    } else {
        known.state = SessionState::Unreadable;
        known.failure = Some(error.chain());
    }
}

fn not_known(error: &Error) -> NotKnown {
    NotKnown {
        message: error.chain(),
    }
}
