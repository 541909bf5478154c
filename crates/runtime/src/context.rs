//! What every operation on the sessions of a namespace needs, said once; and the calls about one session.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::Secret;
use podbay_config::Config;
use podbay_k8s_client::{ClusterClient, DeleteOptions, Kind, Object, ObjectKey, WatchPolicy};
use podbay_manifests::labels::{SESSION_ID, selector_all, selector_session};
use podbay_manifests::secret::SESSION_KEY;
use podbay_manifests::{Owner, Record, SessionId, SessionNames, SessionOwner};
use secrecy::SecretString;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::agent::AgentConnections;
use crate::backend::BackendKind;
use crate::dial::Ways;
use crate::error::{Error, ForSession as _};
use crate::events::EventLists;
use crate::index::SessionIndex;
use crate::machine::Machine;
use crate::readiness::GracePeriods;

/// How many sessions of a namespace a process has create their pods at once, while others are not stored yet. Each makes a few calls for
/// it, one after the other: with calls of half a second this many make as many as `podbay.requests_per_second` lets through unless
/// it is raised.
const CREATING: usize = 32;

/// A cluster, or this machine, to run sessions on. Cheap to clone; clones share connections and watches.
///
/// The second field is whose sessions it deals with; `None` is all that belong to nobody in particular, and in lists all.
#[derive(Clone)]
pub struct Podbay(pub(crate) Backing, pub(crate) Option<SessionOwner>);

/// What sessions run on.
#[derive(Clone)]
pub(crate) enum Backing {
    /// A cluster.
    Cluster(Arc<Context>),
    /// This machine.
    Machine(Arc<Machine>),
}

impl Backing {
    /// The configuration.
    pub(crate) fn config(&self) -> &Config {
        match self {
            Self::Cluster(ctx) => &ctx.config,
            Self::Machine(machine) => &machine.config,
        }
    }

    /// The namespace of the sessions.
    pub(crate) fn namespace(&self) -> &str {
        match self {
            Self::Cluster(ctx) => &ctx.namespace,
            Self::Machine(machine) => &machine.namespace,
        }
    }

    /// Which kind of backend it is.
    pub(crate) const fn kind(&self) -> BackendKind {
        match self {
            Self::Cluster(_) => BackendKind::Cluster,
            Self::Machine(_) => BackendKind::Local,
        }
    }
}

impl fmt::Debug for Podbay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Podbay")
            .field("kind", &self.0.kind())
            .field("namespace", &self.0.namespace())
            .field("owner", &self.1)
            .finish()
    }
}

/// Which pods are watched while a session starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WatchScope {
    /// All of the namespace's sessions, by one watch for the whole process: for many sessions at once.
    #[default]
    Namespace,
    /// The session that starts, by a watch of its own: for a process that opens one session.
    Session,
}

/// The client, the configuration, and what the sessions of one process share.
pub(crate) struct Context {
    pub(crate) client: Arc<dyn ClusterClient>,
    pub(crate) config: Config,
    pub(crate) namespace: String,
    pub(crate) scope: WatchScope,
    /// What a watch does about a failure that waiting may not mend.
    pub(crate) policy: WatchPolicy,
    /// How long each kind of trouble may last while a session starts.
    pub(crate) grace_periods: GracePeriods,
    /// How long a deletion is waited for.
    pub(crate) deletion_timeout: Duration,
    /// How many sessions the namespace may have at once, if there is a limit.
    pub(crate) session_limit: Option<u32>,
    /// The network policies shared by sessions that this process has seen, and when. Held locked over the calls: of many
    /// sessions that start at once, one asks and the others wait for its answer.
    pub(crate) shared_policies: tokio::sync::Mutex<HashMap<ObjectKey, Instant>>,
    /// Who may create what a pod needs and the pod. A start is answered for once its record and Secret are stored, so of many
    /// that come at once all are stored before most go on; a start waits for its turn for a moment only.
    pub(crate) creating: Semaphore,
    /// The events of pods that start, shared by all who wait for one of them.
    pub(crate) event_lists: EventLists,
    /// The ways to what listens in sandboxes.
    pub(crate) ways: Arc<Ways>,
    /// Whether this process reaches pods by their addresses: it is in a pod of the cluster.
    pub(crate) in_cluster: bool,
    /// Connections to the agents of pods.
    pub(crate) agents: AgentConnections,
    shared_index: Mutex<Option<SessionIndex>>,
}

impl Context {
    /// The context of the sessions in `namespace`, of a process that is not in a pod of the cluster.
    pub(crate) fn new(
        client: Arc<dyn ClusterClient>,
        config: Config,
        namespace: String,
        scope: WatchScope,
        policy: WatchPolicy,
    ) -> Self {
        let limit = config.kubernetes.max_sessions;
        let ways = Ways::of_cluster(&client, &namespace, false, config.agent.dial);
        Self {
            client,
            namespace,
            scope,
            policy,
            grace_periods: GracePeriods::of(&config),
            deletion_timeout: Duration::from_secs(config.podbay.deletion_timeout_seconds),
            session_limit: limit.or(config.max_concurrent_conversations),
            config,
            shared_policies: tokio::sync::Mutex::default(),
            creating: Semaphore::new(CREATING),
            event_lists: EventLists::default(),
            ways: Arc::new(ways),
            in_cluster: false,
            agents: AgentConnections::default(),
            shared_index: Mutex::default(),
        }
    }

    /// One session of this context, of `owner` if it has one.
    pub(crate) const fn session<'a>(
        &'a self,
        owner: Option<&'a SessionOwner>,
        id: &'a SessionId,
    ) -> SessionContext<'a> {
        SessionContext { ctx: self, owner, id }
    }

    /// The session of a record.
    pub(crate) fn session_of<'a>(&'a self, record: &'a Record) -> SessionContext<'a> {
        self.session(record.spec.owner(), record.id())
    }

    /// The index to wait on for a session: one for all of the namespace, or one for it alone.
    pub(crate) fn index(&self, names: &SessionNames) -> SessionIndex {
        match self.scope {
            WatchScope::Session => self.new_index(selector_session(names)),
            WatchScope::Namespace => self.namespace_index(),
        }
    }

    /// The index of all sessions of the namespace. One whose watch has failed for good is begun anew.
    pub(crate) fn namespace_index(&self) -> SessionIndex {
        let mut shared = self.shared_index.lock().unwrap_or_else(PoisonError::into_inner);
        match &*shared {
            Some(index) if !index.has_failed() => index.clone(),
            _ => shared.insert(self.new_index(selector_all())).clone(),
        }
    }

    fn new_index(&self, selector: String) -> SessionIndex {
        SessionIndex::new(&self.client, &self.namespace, selector, self.policy)
    }
}

/// One session of a context: calls about it, whose errors name it.
#[derive(Clone, Copy)]
pub(crate) struct SessionContext<'a> {
    pub(crate) ctx: &'a Context,
    /// Two owners may use one id.
    pub(crate) owner: Option<&'a SessionOwner>,
    pub(crate) id: &'a SessionId,
}

impl<'a> SessionContext<'a> {
    pub(crate) fn names(&self) -> SessionNames {
        SessionNames::of(self.owner, self.id)
    }

    /// The key of an object in the session's namespace.
    pub(crate) fn key(&self, kind: Kind, name: impl Into<String>) -> ObjectKey {
        ObjectKey::new(kind, &self.ctx.namespace, name)
    }

    /// The key of its record.
    pub(crate) fn record_key(&self) -> ObjectKey {
        self.key(Kind::ConfigMap, self.names().object())
    }

    pub(crate) async fn get(&self, key: &ObjectKey) -> Result<Option<Object>, Error> {
        self.ctx.client.get(key).await.for_session(self.id)
    }

    /// Deletes the object if it has this UID. Returns whether it was there.
    pub(crate) async fn delete(&self, key: &ObjectKey, uid: &str) -> Result<bool, Error> {
        let deleted = self.ctx.client.delete(key, DeleteOptions::only(uid)).await;
        deleted.for_session(self.id)
    }

    /// All its pods. Those of a Job have names that its controller makes up, so they are looked for by label.
    pub(crate) async fn pods(&self) -> Result<Vec<Object>, Error> {
        let selector = selector_session(&self.names());
        let pods = self.ctx.client.list(Kind::Pod, &self.ctx.namespace, &selector);
        pods.await.for_session(self.id)
    }

    /// Its record. Returns `None` if it does not exist or is being deleted; fails if the name is another session's.
    ///
    /// Boxed, because it holds whole objects.
    pub(crate) fn record(self) -> BoxFuture<'a, Result<Option<Record>, Error>> {
        Box::pin(async move {
            let key = self.record_key();
            let found = self.get(&key).await?;
            let Some(object) = found.filter(|object| !object.is_terminating()) else {
                return Ok(None);
            };
            let record = self.parse_record(object)?;
            if self.is_its(&record) {
                Ok(Some(record))
            } else {
                Err(self.name_taken(&key))
            }
        })
    }

    /// Whether a record of its name is its record.
    pub(crate) fn is_its(&self, record: &Record) -> bool {
        record.id() == self.id && record.spec.owner() == self.owner
    }

    /// Reads the object as a record.
    pub(crate) fn parse_record(&self, object: Object) -> Result<Record, Error> {
        let key = object.key();
        let Some(config_map) = object.into_config_map() else {
            return Err(self.name_taken(&key));
        };
        Record::parse(&config_map).map_err(|source| Error::Record {
            session: self.id.to_string(),
            source,
        })
    }

    /// Whether an object was made for this session, be it for an earlier record of it.
    pub(crate) fn is_ours(&self, object: &Object) -> bool {
        object
            .metadata()
            .annotations
            .as_ref()
            .and_then(|annotations| annotations.get(SESSION_ID))
            .is_some_and(|id| id == self.id.as_str())
    }

    pub(crate) fn name_taken(&self, key: &ObjectKey) -> Error {
        Error::NameTaken {
            session: self.id.to_string(),
            object: key.to_string(),
        }
    }

    pub(crate) fn not_found(&self) -> Error {
        Error::NotFound {
            session: self.id.to_string(),
            namespace: self.ctx.namespace.clone(),
        }
    }
}

/// Whether `owner` owns the object.
pub(crate) fn is_owned(object: &Object, owner: &Owner) -> bool {
    owner.owns(object.metadata().owner_references.as_deref().unwrap_or_default())
}

/// The key that a session's Secret holds.
pub(crate) fn session_key(secret: Secret) -> Option<SecretString> {
    let bytes = secret.data?.remove(SESSION_KEY)?;
    String::from_utf8(bytes.0).ok().map(SecretString::from)
}

/// The owner of this name.
pub(crate) fn parse_owner(name: &str) -> Result<SessionOwner, Error> {
    SessionOwner::of(name).map_err(|source| Error::Owner {
        name: name.to_owned(),
        source,
    })
}

/// Parses a session's id.
pub(crate) fn parse_id(id: &str) -> Result<SessionId, Error> {
    id.parse()
        .map_err(|error: podbay_manifests::SessionIdError| Error::Id {
            id: id.to_owned(),
            message: error.to_string(),
        })
}
