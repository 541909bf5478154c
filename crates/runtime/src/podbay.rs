//! Choosing a cluster, and what can be asked of it.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use podbay_config::{Config, Origin};
use podbay_embedded::EmbeddedCluster;
use podbay_k8s_client::{Cluster, ClusterClient, DeleteOptions, Kind, Object, ObjectKey, WatchPolicy};
use podbay_manifests::labels::{OWNER, selector_all};
use podbay_manifests::{Record, SessionId};

use crate::backend::{self, Backend, BackendKind};
use crate::connect::connect;
use crate::context::{Context, SessionContext, parse_id, parse_owner};
use crate::dial::{Dialer, Loopback, Ways};
use crate::error::{Error, ForSession as _};
use crate::index::{Join, SessionIndex};
use crate::lifecycle::{self, Closed, OpenMode, RetryPolicy};
use crate::session::{Session, SessionBuilder, Summary, summarise};

pub use crate::context::{Podbay, WatchScope};

/// Sessions closed at once by [`Podbay::close_all`]: enough to hide the round trips, few enough to be fair.
const CLOSING_AT_ONCE: usize = 16;

/// Chooses and connects to a cluster.
#[derive(Debug)]
pub struct PodbayBuilder {
    config: Config,
    backend: Backend,
    scope: WatchScope,
    policy: WatchPolicy,
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

    /// What watches do about a failure that waiting may not mend; [`WatchPolicy::FailFast`] if not said. A service chooses
    /// [`WatchPolicy::Persist`]: it keeps what is known, and [`SessionIndex::staleness`] tells how old that may be.
    #[must_use]
    pub const fn watch_policy(mut self, policy: WatchPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Uses this client in place of the backend's: a double in tests, one with other credentials.
    pub fn with_client(self, client: Arc<dyn ClusterClient>) -> Podbay {
        let namespace = self.config.kubernetes.namespace.clone();
        Podbay::new(
            client,
            BackendKind::Cluster,
            self.config,
            namespace,
            self.scope,
            self.policy,
            false,
        )
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
            policy,
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
                BackendKind::Local,
                config,
                namespace,
                scope,
                policy,
                false,
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
            policy,
            matches!(cluster, Cluster::InPod),
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
            policy: WatchPolicy::FailFast,
            named: Vec::new(),
        }
    }

    /// Uses any implementation of the client: a double in tests, one with other credentials.
    pub fn with_client(client: Arc<dyn ClusterClient>, config: Config) -> Self {
        Self::builder(config).with_client(client)
    }

    fn new(
        client: Arc<dyn ClusterClient>,
        kind: BackendKind,
        config: Config,
        namespace: String,
        scope: WatchScope,
        policy: WatchPolicy,
        in_cluster: bool,
    ) -> Self {
        let mut ctx = Context::new(client, kind, config, namespace, scope, policy);
        if in_cluster {
            let ways = Ways::of_cluster(&ctx.client, &ctx.namespace, true, ctx.config.agent.dial);
            ctx.ways = Arc::new(ways);
        }
        Self(Arc::new(ctx), None)
    }

    /// What sessions run on.
    pub fn kind(&self) -> BackendKind {
        self.0.kind
    }

    /// The namespace of the sessions.
    pub fn namespace(&self) -> &str {
        &self.0.namespace
    }

    /// How what listens in its sandboxes is reached: by the first of [`Podbay::dialers`].
    pub fn dialer(&self) -> Arc<dyn Dialer> {
        let first = self.dialers().into_iter().next();
        first.unwrap_or_else(|| Arc::new(Loopback))
    }

    /// The ways to what listens in its sandboxes, the best first: the pods' addresses from within a cluster, the API server's
    /// port-forward, its exec; on this machine the loopback interface. One that the setting `agent.dial` names is alone.
    pub fn dialers(&self) -> Vec<Arc<dyn Dialer>> {
        self.0.ways.all()
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// A session to be opened: made, or attached to where one of this id is there.
    pub fn session(&self, id: impl Into<String>) -> SessionBuilder {
        SessionBuilder::new(self.clone(), id.into())
    }

    /// The same for the sessions of one owner: all that is opened, looked for, listed and closed by it is that owner's. Two
    /// owners may use one id. Sessions without an owner are those of the command line.
    ///
    /// `name` is any text without control characters, and no space at its ends; else [`Error::Owner`].
    pub fn for_owner(&self, name: &str) -> Result<Self, Error> {
        Ok(Self(Arc::clone(&self.0), Some(parse_owner(name)?)))
    }

    fn session_context<'a>(&'a self, id: &'a SessionId) -> SessionContext<'a> {
        self.0.session(self.1.as_ref(), id)
    }

    /// The selector of our objects, of the owner's, and of those the user means.
    fn selector(&self, asked: &str) -> String {
        let ours = match &self.1 {
            Some(owner) => format!("{},{OWNER}={owner}", selector_all()),
            None => selector_all(),
        };
        if asked.is_empty() {
            ours
        } else {
            format!("{ours},{asked}")
        }
    }

    /// A session taken to be there. No call is made: the first use tells whether it is.
    pub fn existing(&self, id: &str) -> Result<Session, Error> {
        Ok(Session::unverified(self.clone(), parse_id(id)?))
    }

    /// The sessions with the labels that `selector` (Kubernetes' syntax; empty for all) asks for, by id.
    pub async fn list(&self, selector: &str) -> Result<Vec<Summary>, Error> {
        let selector = self.selector(selector);
        let client = &self.0.client;
        let (records, pods) = futures::try_join!(
            client.list(Kind::ConfigMap, &self.0.namespace, &selector),
            client.list(Kind::Pod, &self.0.namespace, &selector),
        )
        .map_err(|source| Error::Cluster { source })?;
        let mut join = Join::default();
        join.reset(Kind::ConfigMap, records);
        join.reset(Kind::Pod, pods);
        let now = Timestamp::now();
        let mut summaries: Vec<Summary> = join
            .records()
            .map(|(session, record)| {
                let pods: Vec<&Pod> = join.pods(session).iter().map(|pod| &**pod).collect();
                summarise(&record.name, &record.record, &pods, None, now)
            })
            .collect();
        summaries.sort_by(|one, other| one.session.cmp(&other.session));
        Ok(summaries)
    }

    /// The index of all sessions of the namespace, which this process keeps by watching: for a service, whose answers may be
    /// as old as [`SessionIndex::staleness`] says. [`Podbay::list`] asks the cluster.
    ///
    /// Needs the right to watch ConfigMaps and pods.
    pub fn index(&self) -> SessionIndex {
        let index = self.0.namespace_index();
        index.watch_kind(Kind::ConfigMap);
        index.watch_kind(Kind::Pod);
        index
    }

    /// Ends a session; its claim is kept where it was made persistent. One that isn't there is closed already.
    pub async fn close(&self, id: &str, wait: bool) -> Result<Closed, Error> {
        let id = parse_id(id)?;
        let session = self.session_context(&id);
        match session.record().await? {
            Some(record) => lifecycle::close(session, &record, wait).await,
            None => Ok(Closed::missing(&id)),
        }
    }

    /// Frees a session's pod and keeps the rest: its record, its claim, its Services. [`Podbay::resume`] brings it back.
    ///
    /// Refused for a session whose workspace would be lost with its pod. What was installed outside the workspace is
    /// lost; what ran is ended. Safe to repeat.
    pub async fn pause(&self, id: &str, wait: bool) -> Result<(), Error> {
        let id = parse_id(id)?;
        let session = self.session_context(&id);
        let record = session.record().await?.ok_or_else(|| session.not_found())?;
        lifecycle::pause(session, &record, wait).await
    }

    /// Brings a paused session back and waits until it takes commands. One that isn't paused is attached to; one that
    /// isn't there is an error.
    pub async fn resume(&self, id: &str) -> Result<Session, Error> {
        self.session(id).mode(OpenMode::Attach).open().await
    }

    /// Ends a session and deletes its claim.
    pub async fn delete(&self, id: &str, wait: bool) -> Result<Closed, Error> {
        lifecycle::delete(self.session_context(&parse_id(id)?), wait).await
    }

    /// Ends all sessions with the labels that `selector` asks for, also those whose record can't be read. One
    /// that can't be closed does not keep the others from it.
    pub async fn close_all(&self, selector: &str, wait: bool) -> Result<Vec<Result<Closed, Error>>, Error> {
        let records = self
            .0
            .client
            .list(Kind::ConfigMap, &self.0.namespace, &self.selector(selector))
            .await
            .map_err(|source| Error::Cluster { source })?;
        let closing =
            stream::iter(records.into_iter().filter_map(Object::into_config_map)).map(|object| async move {
                match Record::parse(&object) {
                    Ok(record) => lifecycle::close(self.0.session_of(&record), &record, wait).await,
                    Err(_) => self.close_unreadable(&object).await,
                }
            });
        Ok(closing.buffered(CLOSING_AT_ONCE).collect().await)
    }

    /// Ends the sessions whose start failed longer ago than `podbay.failed_session_ttl_seconds` at `now`, claims apart, and
    /// returns them. One that is started again, or changed otherwise, meanwhile stays.
    ///
    /// Whoever runs a service whose sessions stay when they fail ([`SessionBuilder::keep_failed`]) calls it from time to time.
    pub async fn remove_expired(&self, now: Timestamp) -> Result<Vec<Result<Closed, Error>>, Error> {
        let records = self
            .0
            .client
            .list(Kind::ConfigMap, &self.0.namespace, &self.selector(""))
            .await
            .map_err(|source| Error::Cluster { source })?;
        let ttl = Duration::from_secs(self.0.config.podbay.failed_session_ttl_seconds);
        let expired = records
            .into_iter()
            .filter_map(Object::into_config_map)
            .filter_map(|object| Record::parse(&object).ok())
            .filter(|record| lifecycle::is_expired(record, ttl, now));
        let removing = stream::iter(expired)
            .map(|record| async move { lifecycle::remove(self.0.session_of(&record), &record).await });
        let removed: Vec<_> = removing.buffered(CLOSING_AT_ONCE).collect().await;
        Ok(removed.into_iter().filter_map(Result::transpose).collect())
    }

    /// Closes a session whose record this version can't read: its objects go with it all the same.
    async fn close_unreadable(&self, record: &ConfigMap) -> Result<Closed, Error> {
        let name = record.metadata.name.clone().unwrap_or_default();
        let key = ObjectKey::new(Kind::ConfigMap, &self.0.namespace, &name);
        let options = DeleteOptions::only(record.metadata.uid.as_deref().unwrap_or_default());
        let existed = self.0.client.delete(&key, options).await.for_session(&name)?;
        Ok(Closed {
            session: name,
            existed,
            claim: None,
        })
    }
}
