//! A scripted cluster's state: the store, and the parts of a cluster that act on it. Nothing here waits: what is to
//! happen later is set as a timer, and time comes in as a value, so that a run depends on calls and times alone.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use podbay_k8s_client::{Kind, Object, ObjectKey};

use super::claims::ClaimRule;
use super::clock::timestamp;
use super::events::{EventLog, Said};
use super::exec::ExecRule;
use super::jobs::JobMemory;
use super::pods::PodRun;
use super::ports::PortRule;
use super::script::{Incident, Script};
use super::settings::Settings;
use super::timers::Timers;
use crate::identity::Identities;
use crate::store::{Birth, Deleted, Deletion, Denial, Kept, News, Store};

/// A pod's script, if the rule is for this pod.
pub(super) type ScriptRule = Box<dyn Fn(&Pod) -> Option<Script> + Send>;

/// A scripted cluster's state.
pub(super) struct Engine {
    pub(super) settings: Settings,
    pub(super) store: Store,
    pub(super) events: EventLog,
    pub(super) timers: Timers<Due>,
    /// Newest last; the newest that matches counts.
    pub(super) scripts: Vec<ScriptRule>,
    /// What happens to a pod that none of them is for.
    pub(super) usual: Arc<Script>,
    pub(super) claim_rules: Vec<ClaimRule>,
    pub(super) exec_rules: Vec<ExecRule>,
    pub(super) port_rules: Vec<PortRule>,
    /// The pods there are, by UID.
    pub(super) pods: HashMap<String, PodRun>,
    /// What the Job controller remembers, by the Job's UID.
    pub(super) jobs: HashMap<String, JobMemory>,
    /// Nodes that do not answer.
    pub(super) lost_nodes: BTreeSet<String>,
    /// Pods placed so far: the next one's node and address follow from it.
    pub(super) placed: u64,
    identities: Identities,
    /// Time since the cluster's beginning, as of what is being done.
    pub(super) now: Duration,
}

/// What a timer is set for.
#[derive(Clone, Debug)]
pub(super) enum Due {
    /// The next stage of a pod, unless its plan has changed since.
    Stage { uid: String, plan: u32 },
    /// Something that happens to a pod's containers, unless they have been restarted since.
    Incident {
        uid: String,
        start: u32,
        incident: Incident,
    },
    /// A pod's containers start again.
    Restart { uid: String, start: u32 },
    /// A deleted pod's containers have ended.
    Ended { uid: String },
    /// A pod's `activeDeadlineSeconds` are over.
    PodDeadline { uid: String },
    /// A pod on a lost node is deleted.
    TaintEviction { uid: String },
    /// Garbage collection looks at an object.
    Garbage(ObjectKey),
    /// Claim protection looks at a claim.
    ReleaseClaim(ObjectKey),
    /// A claim's volume is there, or its provisioner has something to say.
    Provision { uid: String },
    /// The Job controller looks at a Job.
    Job { uid: String },
}

impl Engine {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            store: Store::new(settings.history),
            events: EventLog::default(),
            timers: Timers::new(),
            scripts: Vec::new(),
            usual: Arc::default(),
            claim_rules: Vec::new(),
            exec_rules: Vec::new(),
            port_rules: Vec::new(),
            pods: HashMap::new(),
            jobs: HashMap::new(),
            lost_nodes: BTreeSet::new(),
            placed: 0,
            identities: Identities::from_seed(settings.seed),
            now: Duration::ZERO,
            settings,
        }
    }

    /// Does all that is due by `now`.
    pub(super) fn advance(&mut self, now: Duration) {
        while !self.advance_by(now, usize::MAX) {}
    }

    /// Does at most so many things that are due by `now`. Returns whether that was all.
    pub(super) fn advance_by(&mut self, now: Duration, most: usize) -> bool {
        self.attend();
        for _ in 0..most {
            let Some((at, due)) = self.timers.take(now) else {
                self.now = self.now.max(now);
                return true;
            };
            self.now = self.now.max(at);
            self.happen(due);
            self.attend();
        }
        false
    }

    /// Sets a timer.
    pub(super) fn later(&mut self, delay: Duration, due: Due) {
        self.timers.set(self.now + delay, due);
    }

    /// The time, as the API writes it.
    pub(super) fn time(&self) -> jiff::Timestamp {
        timestamp(self.now)
    }

    pub(super) fn create(&mut self, object: Object) -> Result<Arc<Kept>, Denial> {
        let birth = self.birth();
        self.store.create(object, birth)
    }

    pub(super) fn delete(&mut self, key: &ObjectKey, deletion: &Deletion) -> Result<Deleted, Denial> {
        let now = self.time();
        self.store.delete(key, deletion, now)
    }

    pub(super) fn say(&mut self, uid: &str, said: Said<'_>) {
        self.events.say(uid, said, self.now);
    }

    fn birth(&mut self) -> Birth {
        let now = self.time();
        self.identities.birth(now)
    }

    /// What a new object is called that `generateName` names.
    pub(super) fn suffix(&mut self) -> String {
        self.identities.suffix()
    }

    fn happen(&mut self, due: Due) {
        match due {
            Due::Stage { uid, plan } => self.stage(&uid, plan),
            Due::Incident { uid, start, incident } => {
                if self.pods.get(&uid).is_some_and(|pod| pod.starts == start) {
                    self.incident(&uid, &incident);
                }
            }
            Due::Restart { uid, start } => self.restart(&uid, start),
            Due::Ended { uid } => self.ended(&uid),
            Due::PodDeadline { uid } => self.pod_deadline(&uid),
            Due::TaintEviction { uid } => self.taint_eviction(&uid),
            Due::Garbage(key) => {
                if self.store.is_garbage(&key) {
                    // It may wait for its finalizers or its node; either way it is on its way.
                    drop(self.delete(&key, &Deletion::default()));
                } else {
                    self.store.forget_absent_owners(&key);
                }
            }
            Due::ReleaseClaim(key) => self.store.release_claim(&key),
            Due::Provision { uid } => self.provision(&uid),
            Due::Job { uid } => self.sync_job(&uid),
        }
    }

    /// Lets the cluster's parts see what changed.
    pub(super) fn attend(&mut self) {
        loop {
            let news = self.store.take_news();
            if news.is_empty() {
                return;
            }
            for news in news {
                match news {
                    News::Garbage(key) => self.later(self.settings.garbage_collection, Due::Garbage(key)),
                    News::Claim(key) => self.later(self.settings.controllers, Due::ReleaseClaim(key)),
                    News::Changed(change) => {
                        let (before, after) = (change.before.as_deref(), change.after.as_deref());
                        self.changed(before, after);
                    }
                }
            }
        }
    }

    fn changed(&mut self, before: Option<&Kept>, after: Option<&Kept>) {
        let Some(kind) = after.or(before).map(|object| object.kind()) else {
            return;
        };
        match kind {
            Kind::Pod => self.pod_changed(before, after),
            Kind::PersistentVolumeClaim => {
                self.claim_changed(before.map(Deref::deref), after.map(Deref::deref));
            }
            Kind::Job => self.job_changed(before.map(Deref::deref), after.map(Deref::deref)),
            _ => {
                if let (Some(object), None) = (before, after) {
                    self.events.depart(object.uid());
                }
            }
        }
    }

    /// A pod by name, without containers and volumes.
    pub(super) fn pod(&self, namespace: &str, name: &str) -> Option<&Pod> {
        match &***self.store.get(&ObjectKey::new(Kind::Pod, namespace, name))? {
            Object::Pod(pod) => Some(pod),
            _ => None,
        }
    }

    /// A pod by UID with all that is in it.
    pub(super) fn whole_pod(&self, uid: &str) -> Option<Pod> {
        self.store.find(uid)?.whole().into_pod()
    }

    /// A pod by UID, without containers and volumes.
    pub(super) fn pod_by_uid(&self, uid: &str) -> Option<&Pod> {
        match &***self.store.find(uid)? {
            Object::Pod(pod) => Some(pod),
            _ => None,
        }
    }

    /// How many objects of each kind a namespace has; kinds without any are left out.
    pub(super) fn count(&self, namespace: &str) -> BTreeMap<Kind, usize> {
        let everything = crate::store::Selector::default();
        let counts = Kind::ALL
            .iter()
            .map(|&kind| (kind, self.store.list(kind, namespace, &everything).count()));
        counts.filter(|(_, count)| *count > 0).collect()
    }
}
