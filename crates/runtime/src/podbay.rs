//! A cluster to run sessions on.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use podbay_config::{Config, Origin};
use podbay_embedded::EmbeddedCluster;
use podbay_k8s_client::{ClusterClient, Kind, Object, ObjectKey};
use podbay_manifests::labels::{SESSION, selector_all, selector_session};
use podbay_manifests::{Record, SessionId, SessionNames};

use crate::backend::{self, Backend, BackendKind};
use crate::connect::connect;
use crate::error::Error;
use crate::lifecycle::{
    Closed, RetainedClaim, RetryPolicy, SharedPolicies, Site, close_record, delete_claim, wait_for_objects,
};
use crate::readiness::Graces;
use crate::session::{Session, SessionBuilder, Summary, summarise};
use crate::watch::PodWatch;

/// Sessions closed at once by [`Podbay::close_all`]: enough to hide the round trips, few enough to be fair.
const CLOSING_AT_ONCE: usize = 16;

/// A cluster, or this machine, to run sessions on. Cheap to clone; clones share connections and watches.
#[derive(Clone)]
pub struct Podbay(Arc<Inner>);

struct Inner {
    client: Arc<dyn ClusterClient>,
    kind: BackendKind,
    config: Config,
    namespace: String,
    scope: WatchScope,
    shared_watch: Mutex<Option<PodWatch>>,
    policies: Arc<SharedPolicies>,
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

impl fmt::Debug for Podbay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Podbay")
            .field("kind", &self.0.kind)
            .field("namespace", &self.0.namespace)
            .finish()
    }
}

/// Chooses and connects to a cluster.
#[derive(Debug)]
pub struct PodbayBuilder {
    config: Config,
    backend: Backend,
    scope: WatchScope,
    named: Vec<String>,
}

impl PodbayBuilder {
    /// Which backend; [`Backend::Auto`] if not said.
    #[must_use]
    pub const fn backend(mut self, backend: Backend) -> Self {
        self.backend = backend;
        self
    }

    /// Which pods to watch.
    #[must_use]
    pub const fn watch_scope(mut self, scope: WatchScope) -> Self {
        self.scope = scope;
        self
    }

    /// Says that something of a cluster was named (`--image debian:12`), so that [`Backend::Auto`] doesn't
    /// fall back to this machine.
    #[must_use]
    pub fn names_cluster(mut self, what: impl Into<String>) -> Self {
        self.named.push(what.into());
        self
    }

    /// Chooses the backend and reads the cluster's credentials. Nothing is sent yet.
    pub async fn connect(self) -> Result<Podbay, Error> {
        let Self {
            config,
            backend,
            scope,
            named,
        } = self;
        if let Err(error) = config.kubernetes.namespace.parse::<podbay_manifests::DnsLabel>() {
            return Err(Error::Setting {
                key: "kubernetes.namespace",
                message: error.to_string(),
            });
        }
        // Before anything is created by it.
        RetryPolicy::of(&config)?;
        let Some(cluster) = backend::choose(backend, &config, &named)? else {
            let client = EmbeddedCluster::new().map_err(|source| Error::Embedded { source })?;
            let namespace = config.kubernetes.namespace.clone();
            return Ok(Podbay::new(
                Arc::new(client),
                BackendKind::Embedded,
                config,
                namespace,
                scope,
            ));
        };
        let (client, context_namespace) = connect(&cluster, &config).await?;
        // A namespace that was set wins over the context's; the setting's default does not.
        let namespace = match config.origin("kubernetes.namespace") {
            Origin::Default => context_namespace,
            _ => config.kubernetes.namespace.clone(),
        };
        Ok(Podbay::new(
            client,
            BackendKind::Cluster,
            config,
            namespace,
            scope,
        ))
    }
}

impl Podbay {
    /// The cluster that the configuration and the surroundings name, see [`Backend::Auto`].
    pub async fn from_config(config: Config) -> Result<Self, Error> {
        Self::builder(config).connect().await
    }

    /// Chooses a cluster step by step.
    pub const fn builder(config: Config) -> PodbayBuilder {
        PodbayBuilder {
            config,
            backend: Backend::Auto,
            scope: WatchScope::Namespace,
            named: Vec::new(),
        }
    }

    /// Uses any implementation of the client: a double in tests, one with other credentials.
    pub fn with_client(client: Arc<dyn ClusterClient>, config: Config) -> Self {
        let namespace = config.kubernetes.namespace.clone();
        Self::new(
            client,
            BackendKind::Cluster,
            config,
            namespace,
            WatchScope::Namespace,
        )
    }

    fn new(
        client: Arc<dyn ClusterClient>,
        kind: BackendKind,
        config: Config,
        namespace: String,
        scope: WatchScope,
    ) -> Self {
        Self(Arc::new(Inner {
            client,
            kind,
            config,
            namespace,
            scope,
            shared_watch: Mutex::default(),
            policies: Arc::default(),
        }))
    }

    /// What sessions run on.
    pub fn kind(&self) -> BackendKind {
        self.0.kind
    }

    /// The namespace of the sessions.
    pub fn namespace(&self) -> &str {
        &self.0.namespace
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    pub(crate) fn client(&self) -> &Arc<dyn ClusterClient> {
        &self.0.client
    }

    pub(crate) fn graces(&self) -> Graces {
        Graces::of(&self.0.config)
    }

    pub(crate) fn policies(&self) -> &Arc<SharedPolicies> {
        &self.0.policies
    }

    /// How many sessions the namespace may have at once, if there is a limit.
    pub(crate) fn session_limit(&self) -> Option<u32> {
        let config = &self.0.config;
        config
            .kubernetes
            .max_sessions
            .or(config.max_concurrent_conversations)
    }

    /// Where the objects of the session `id` are.
    pub(crate) fn site<'a>(&'a self, id: &'a SessionId) -> Site<'a> {
        Site {
            client: &*self.0.client,
            id,
            patience: self.deletion_timeout(),
        }
    }

    pub(crate) fn deletion_timeout(&self) -> Duration {
        Duration::from_secs(self.0.config.podbay.deletion_timeout_seconds)
    }

    /// Whether one watch serves all sessions.
    pub(crate) fn shares_its_watch(&self) -> bool {
        self.0.scope == WatchScope::Namespace
    }

    /// The watch to wait on for a session's pod.
    pub(crate) fn watch(&self, names: &SessionNames) -> PodWatch {
        if self.0.scope == WatchScope::Session {
            return PodWatch::start(&self.0.client, &self.0.namespace, &selector_session(names));
        }
        let mut shared = self.0.shared_watch.lock().unwrap_or_else(PoisonError::into_inner);
        match &*shared {
            Some(watch) if !watch.has_failed() => watch.clone(),
            _ => shared
                .insert(PodWatch::start(
                    &self.0.client,
                    &self.0.namespace,
                    &selector_all(),
                ))
                .clone(),
        }
    }

    /// A session to be opened: made, or attached to where one of this id is there.
    pub fn session(&self, id: impl Into<String>) -> SessionBuilder {
        SessionBuilder::new(self.clone(), id.into())
    }

    /// A session taken to be there. No call is made: the first use tells whether it is.
    pub fn existing(&self, id: &str) -> Result<Session, Error> {
        Ok(Session::unverified(self.clone(), parse_id(id)?))
    }

    /// The sessions with the labels that `selector` (Kubernetes' syntax; empty for all) asks for, by id.
    pub async fn list(&self, selector: &str) -> Result<Vec<Summary>, Error> {
        let selector = with_labels(selector);
        let client = &self.0.client;
        let (records, pods) = futures::try_join!(
            client.list(Kind::ConfigMap, &self.0.namespace, &selector),
            client.list(Kind::Pod, &self.0.namespace, &selector),
        )
        .map_err(|source| Error::Cluster { source })?;
        let pods: Vec<Pod> = pods.into_iter().filter_map(Object::into_pod).collect();
        let now = Timestamp::now();
        let mut summaries: Vec<Summary> = records
            .into_iter()
            .filter_map(Object::into_config_map)
            .map(|object| {
                let name = object.metadata.name.clone().unwrap_or_default();
                summarise(
                    &name,
                    &Record::parse(&object),
                    &pods_of(&pods, &object),
                    None,
                    now,
                )
            })
            .collect();
        summaries.sort_by(|one, other| one.session.cmp(&other.session));
        Ok(summaries)
    }

    /// Ends a session; its claim is kept where it was made persistent. One that isn't there is closed already.
    pub async fn close(&self, id: &str, wait: bool) -> Result<Closed, Error> {
        let id = parse_id(id)?;
        let record = self.record(&id).await?;
        self.close_found(&id, record.as_ref(), wait).await
    }

    /// Frees a session's pod and keeps the rest: its record, its claim, its Services. [`Podbay::resume`] brings it back.
    ///
    /// Refused for a session whose workspace would be lost with its pod. What was installed outside the workspace is
    /// lost; what ran is ended. Safe to repeat.
    pub async fn pause(&self, id: &str, wait: bool) -> Result<(), Error> {
        let id = parse_id(id)?;
        let Some(record) = self.record(&id).await? else {
            return Err(Error::NotFound {
                session: id.to_string(),
                namespace: self.0.namespace.clone(),
            });
        };
        crate::lifecycle::pause(self.site(&id), &record, wait).await
    }

    /// Brings a paused session back and waits until it takes commands. One that isn't paused is attached to; one that
    /// isn't there is an error.
    pub async fn resume(&self, id: &str) -> Result<Session, Error> {
        self.session(id).attach_to_existing(true).open().await
    }

    /// Ends a session and deletes its claim.
    pub async fn delete(&self, id: &str, wait: bool) -> Result<Closed, Error> {
        let id = parse_id(id)?;
        // First the claim, which stays while its pod does: from now on no new session takes it for its own, and one that
        // has taken it is found by the look at its record.
        let deleted = delete_claim(&*self.0.client, &id, &self.0.namespace).await;
        let record = self.record(&id).await?;
        // A claim that can't be deleted keeps nothing else from it.
        let closed = self.close_found(&id, record.as_ref(), wait).await?;
        let deleted = deleted?;
        let claim = deleted.then(|| RetainedClaim {
            name: SessionNames::of(&id).claim(),
            namespace: self.0.namespace.clone(),
            deleted: true,
        });
        if let (true, Some(claim)) = (wait, &claim) {
            self.wait_for_claim(&id, &claim.name).await?;
        }
        Ok(Closed { claim, ..closed })
    }

    /// Ends all sessions with the labels that `selector` asks for, also those whose record can't be read. One
    /// that can't be closed does not keep the others from it.
    pub async fn close_all(&self, selector: &str, wait: bool) -> Result<Vec<Result<Closed, Error>>, Error> {
        let records = self
            .0
            .client
            .list(Kind::ConfigMap, &self.0.namespace, &with_labels(selector))
            .await
            .map_err(|source| Error::Cluster { source })?;
        let closing =
            stream::iter(records.into_iter().filter_map(Object::into_config_map)).map(|object| async move {
                let name = object.metadata.name.clone().unwrap_or_default();
                match Record::parse(&object) {
                    Ok(record) => {
                        let id = record.id().clone();
                        self.close_found(&id, Some(&record), wait).await
                    }
                    Err(_) => self.close_unreadable(&name, object.metadata.uid.as_deref()).await,
                }
            });
        Ok(closing.buffered(CLOSING_AT_ONCE).collect().await)
    }

    /// Closes a session whose record this version can't read: its objects go with it all the same.
    async fn close_unreadable(&self, name: &str, uid: Option<&str>) -> Result<Closed, Error> {
        let key = ObjectKey::new(Kind::ConfigMap, &self.0.namespace, name);
        let options = podbay_k8s_client::DeleteOptions::only(uid.unwrap_or_default());
        let existed = self
            .0
            .client
            .delete(&key, options)
            .await
            .map_err(|source| Error::Call {
                session: name.to_owned(),
                source,
            })?;
        Ok(Closed {
            session: name.to_owned(),
            existed,
            claim: None,
        })
    }

    async fn close_found(
        &self,
        id: &SessionId,
        record: Option<&Record>,
        wait: bool,
    ) -> Result<Closed, Error> {
        let Some(record) = record else {
            return Ok(Closed {
                session: id.to_string(),
                existed: false,
                claim: None,
            });
        };
        let client = &*self.0.client;
        let existed = close_record(client, id.as_str(), &self.0.namespace, record).await?;
        if wait {
            wait_for_objects(self.site(id), record).await?;
        }
        let claim = record.spec.claim().map(|_| RetainedClaim {
            name: record.spec.names().claim(),
            namespace: self.0.namespace.clone(),
            deleted: false,
        });
        Ok(Closed {
            session: id.to_string(),
            existed,
            claim,
        })
    }

    async fn wait_for_claim(&self, id: &SessionId, name: &str) -> Result<(), Error> {
        let key = ObjectKey::new(Kind::PersistentVolumeClaim, &self.0.namespace, name);
        let call = |source| Error::Call {
            session: id.to_string(),
            source,
        };
        let Some(claim) = self.0.client.get(&key).await.map_err(call)? else {
            return Ok(());
        };
        let timeout = self.deletion_timeout();
        crate::lifecycle::wait_until_gone(&*self.0.client, id.as_str(), &key, claim.uid(), timeout).await
    }

    /// The record of a session, if it is there.
    pub(crate) async fn record(&self, id: &SessionId) -> Result<Option<Record>, Error> {
        self.site(id)
            .existing_record(&self.0.namespace, &SessionNames::of(id))
            .await
    }
}
/// A session's id from what a user gave.
pub(crate) fn parse_id(id: &str) -> Result<SessionId, Error> {
    id.parse()
        .map_err(|error: podbay_manifests::SessionIdError| Error::Id {
            id: id.to_owned(),
            message: error.to_string(),
        })
}

/// The pods of the session whose record this is.
fn pods_of<'a>(pods: &'a [Pod], record: &ConfigMap) -> Vec<&'a Pod> {
    let session = |labels: &'a Option<BTreeMap<String, String>>| labels.as_ref()?.get(SESSION);
    let Some(wanted) = record
        .metadata
        .labels
        .as_ref()
        .and_then(|labels| labels.get(SESSION))
    else {
        return Vec::new();
    };
    pods.iter()
        .filter(|pod| session(&pod.metadata.labels) == Some(wanted))
        .collect()
}

/// The selector of our objects, and of those the user means.
fn with_labels(selector: &str) -> String {
    if selector.is_empty() {
        selector_all()
    } else {
        format!("{},{selector}", selector_all())
    }
}
