//! The sessions of all namespaces that a service has: its own, and those that API keys name.
//!
//! Who presents a key sees those of the key's namespace. A URL says nothing of one: the namespace of its session is the one whose index
//! knows the id.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use podbay_manifests::RuntimeId;
use podbay_runtime::Error;
use podbay_runtime::dial::{BoxIo, DialError, SandboxAddress};

use super::service::{ASK_AGAIN, ServiceSessions};
use super::{NotKnown, NotWoken, Route, Sessions};
use crate::keys::{ApiKeys, Caller};

/// The sessions of all namespaces of a service. Cheap to clone.
#[derive(Clone)]
pub struct AllSessions {
    /// Those of the service's own namespace.
    own: Arc<ServiceSessions>,
    /// Those of others, by their names.
    others: Arc<BTreeMap<String, Arc<ServiceSessions>>>,
    /// Whether all of them were known at once.
    were_known: Arc<AtomicBool>,
}

/// Of one namespace alone.
impl From<Arc<ServiceSessions>> for AllSessions {
    fn from(own: Arc<ServiceSessions>) -> Self {
        Self {
            own,
            others: Arc::default(),
            were_known: Arc::default(),
        }
    }
}

impl AllSessions {
    /// Those of the service's own namespace, and of each other one that a key names. Watches begin there.
    pub fn of_keys(own: ServiceSessions, keys: &ApiKeys) -> Result<Self, Error> {
        let own_name = own.podbay.namespace().to_owned();
        let mut others = BTreeMap::new();
        for name in keys.namespaces() {
            if name != own_name {
                let owners = keys.owners(|namespace| namespace == Some(name));
                let sessions = own.in_namespace(name)?.with_owners(owners);
                others.insert(name.to_owned(), Arc::new(sessions));
            }
        }
        let owners = keys.owners(|namespace| namespace.is_none_or(|name| name == own_name));
        Ok(Self {
            own: Arc::new(own.with_owners(owners)),
            others: Arc::new(others),
            were_known: Arc::default(),
        })
    }

    /// Those of the service's own namespace.
    pub const fn own(&self) -> &Arc<ServiceSessions> {
        &self.own
    }

    /// Those that a caller has to do with.
    pub(crate) fn of(&self, caller: &Caller) -> &ServiceSessions {
        let named = caller.namespace.as_deref();
        named.and_then(|name| self.others.get(name)).unwrap_or(&self.own)
    }

    /// Each namespace's.
    pub(crate) fn each(&self) -> impl Iterator<Item = &ServiceSessions> {
        std::iter::once(&*self.own).chain(self.others.values().map(|sessions| &**sessions))
    }

    /// How many sessions are in each state, in all namespaces, and how old the oldest of what is known of them may be. `None` where
    /// there is no index.
    pub fn figures(&self) -> Option<(BTreeMap<&'static str, usize>, Duration)> {
        let mut all: Option<(BTreeMap<_, _>, Duration)> = None;
        for (states, staleness) in self.each().filter_map(ServiceSessions::figures) {
            let (sum, oldest) = all.get_or_insert_default();
            for (state, count) in states {
                *sum.entry(state).or_insert(0) += count;
            }
            *oldest = staleness.max(*oldest);
        }
        all
    }

    /// Whether it can be told which sessions there are: at first those of each namespace. Later a namespace of a key that is out of
    /// reach, because its Role was taken away, keeps nobody else from theirs.
    pub fn is_ready(&self) -> bool {
        if self.were_known.load(Ordering::Relaxed) {
            return self.own.is_ready();
        }
        let are_known = self.each().all(ServiceSessions::is_ready);
        self.were_known.fetch_or(are_known, Ordering::Relaxed);
        are_known
    }

    /// Removes failed sessions whose time is over.
    pub async fn remove_expired(&self) {
        for sessions in self.each() {
            sessions.remove_expired().await;
        }
    }

    /// The sessions among which this one is known to be. Nobody is asked.
    fn with(&self, id: &RuntimeId) -> Option<&ServiceSessions> {
        if self.others.is_empty() {
            return Some(&self.own);
        }
        self.each().find(|sessions| sessions.knows(id))
    }
}

#[async_trait]
impl Sessions for AllSessions {
    async fn route(&self, id: &RuntimeId) -> Result<Option<Route>, NotKnown> {
        if let Some(sessions) = self.with(id) {
            return sessions.route(id).await;
        }
        let mut not_known = None;
        for sessions in self.each() {
            match sessions.route(id).await {
                Ok(Some(route)) => return Ok(Some(route)),
                Ok(None) => {}
                Err(error) => not_known = Some(error),
            }
        }
        not_known.map_or(Ok(None), Err)
    }

    async fn changed(&self, seen: &Route) {
        match self.with(&seen.runtime_id) {
            Some(sessions) => sessions.changed(seen).await,
            None => tokio::time::sleep(ASK_AGAIN).await,
        }
    }

    async fn wake(&self, id: &RuntimeId) -> Result<(), NotWoken> {
        if let Some(sessions) = self.with(id) {
            return sessions.wake(id).await;
        }
        for sessions in self.each() {
            let found = sessions.route(id).await;
            if found
                .map_err(|error| NotWoken::Refused(error.to_string()))?
                .is_some()
            {
                return sessions.wake(id).await;
            }
        }
        Err(NotWoken::Refused("there is no such session".to_owned()))
    }

    async fn connect(&self, address: &SandboxAddress, port: u16) -> Result<BoxIo, DialError> {
        let sessions = self.others.get(address.namespace()).unwrap_or(&self.own);
        sessions.connect(address, port).await
    }
}
