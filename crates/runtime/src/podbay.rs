//! Choosing a cluster, and what can be asked of it.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use podbay_config::{Config, Origin};
use podbay_k8s_client::{Cluster, ClusterClient, DeleteOptions, Kind, Object, ObjectKey, WatchPolicy};
use podbay_manifests::labels::{OWNER, RUNTIME_ID, selector_all};
use podbay_manifests::{Record, RuntimeId, SessionId, SessionOwner};

use crate::backend::{self, Backend, BackendKind};
use crate::connect::connect;
use crate::context::{Backing, Context, SessionContext, parse_id, parse_owner};
use crate::dial::{BoxIo, DialError, Dialer, Loopback, SandboxAddress, Ways};
use crate::error::{Error, ForSession as _};
use crate::index::{Join, SessionIndex};
use crate::lifecycle::{self, Closed, OpenMode, RetryPolicy};
use crate::local::{self, LocalSession};
use crate::machine::Machine;
use crate::place::Place;
use crate::session::{
    Look, Session, SessionBuilder, Summary, look_at_record, look_here, summarise, summarise_here,
};

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
    in_process: bool,
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
        Podbay::new(client, self.config, namespace, self.scope, self.policy, false)
    }

    /// Has sessions of this machine kept by this process: they need no agent, end with the last handle, and no other process
    /// finds them. Without, each is kept by an agent (`podbay-agent`, found by the setting `agent.binary`, beside this program
    /// or in `PATH`) that outlives this process. Sessions of a cluster are as they are.
    #[must_use]
    pub const fn in_this_process(mut self) -> Self {
        self.in_process = true;
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
            policy,
            named,
            in_process,
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
            let machine = Machine::new(config, in_process);
            return Ok(Podbay(Backing::Machine(Arc::new(machine)), None));
        };
        let (client, context_namespace) = connect(&cluster, &config).await?;
        // A namespace that was set wins over the context's; the setting's default does not.
        let namespace = match config.origin("kubernetes.namespace") {
            Origin::Default => context_namespace,
            _ => config.kubernetes.namespace.clone(),
        };
        Ok(Podbay::new(
            client,
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
            in_process: false,
        }
    }

    /// Uses any implementation of the client: a double in tests, one with other credentials.
    pub fn with_client(client: Arc<dyn ClusterClient>, config: Config) -> Self {
        Self::builder(config).with_client(client)
    }

    fn new(
        client: Arc<dyn ClusterClient>,
        config: Config,
        namespace: String,
        scope: WatchScope,
        policy: WatchPolicy,
        in_cluster: bool,
    ) -> Self {
        let mut ctx = Context::new(client, config, namespace, scope, policy);
        if in_cluster {
            let ways = Ways::of_cluster(&ctx.client, &ctx.namespace, true, ctx.config.agent.dial);
            ctx.ways = Arc::new(ways);
            ctx.in_cluster = true;
        }
        Self(Backing::Cluster(Arc::new(ctx)), None)
    }

    /// The same for the sessions of another namespace: with the same client and configuration, and watches and connections of its own.
    ///
    /// [`Error::Unsupported`] where sessions are processes of this machine, which have no namespaces.
    pub fn in_namespace(&self, namespace: &str) -> Result<Self, Error> {
        let Backing::Cluster(ctx) = &self.0 else {
            return Err(Error::Unsupported {
                what: "a namespace",
                why: "sessions of this machine have none".to_owned(),
            });
        };
        if let Err(error) = namespace.parse::<podbay_manifests::DnsLabel>() {
            return Err(Error::Setting {
                key: "kubernetes.namespace",
                message: format!("{namespace:?}: {error}"),
            });
        }
        let (client, config) = (Arc::clone(&ctx.client), ctx.config.clone());
        let of_owner = self.1.clone();
        let mut other = Self::new(
            client,
            config,
            namespace.to_owned(),
            ctx.scope,
            ctx.policy,
            ctx.in_cluster,
        );
        other.1 = of_owner;
        Ok(other)
    }

    /// What sessions run on.
    pub fn kind(&self) -> BackendKind {
        self.0.kind()
    }

    /// The namespace of the sessions.
    pub fn namespace(&self) -> &str {
        self.0.namespace()
    }

    /// How what listens in its sandboxes is reached: by the first of [`Podbay::dialers`].
    pub fn dialer(&self) -> Arc<dyn Dialer> {
        let first = self.dialers().into_iter().next();
        first.unwrap_or_else(|| Arc::new(Loopback))
    }

    /// The ways to what listens in its sandboxes, the best first: the pods' addresses from within a cluster, the API server's
    /// port-forward, its exec; on this machine the loopback interface. One that the setting `agent.dial` names is alone.
    pub fn dialers(&self) -> Vec<Arc<dyn Dialer>> {
        match &self.0 {
            Backing::Machine(_) => vec![Arc::new(Loopback)],
            Backing::Cluster(ctx) => ctx.ways.all(),
        }
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        self.0.config()
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
        Ok(Self(self.0.clone(), Some(parse_owner(name)?)))
    }

    /// The same for the sessions of an owner that is known by its label; `None` is those of nobody in particular.
    #[must_use]
    pub fn of_owner(&self, owner: Option<SessionOwner>) -> Self {
        Self(self.0.clone(), owner)
    }

    /// Looks for a session, with one call: on a cluster by the name of its record.
    pub async fn look(&self, id: &str) -> Result<Option<Look>, Error> {
        let id = parse_id(id)?;
        match &self.0 {
            Backing::Cluster(ctx) => {
                let record = self.session_context(ctx, &id).record().await?;
                Ok(record.map(look_at_record))
            }
            Backing::Machine(machine) => {
                let seen = self.local(machine, id).look().await?;
                Ok(seen.map(|seen| look_here(machine, seen)))
            }
        }
    }

    /// Looks for the session, whoever owns it, that is found from outside by this id: on a cluster with one list, by label.
    pub async fn look_for(&self, id: &RuntimeId) -> Result<Option<Look>, Error> {
        let ctx = match &self.0 {
            Backing::Cluster(ctx) => ctx,
            Backing::Machine(_) => {
                let mut all = self.look_at_all().await?;
                all.retain(|look| look.record.runtime_id.as_ref() == Some(id));
                return Ok(all.pop());
            }
        };
        let selector = format!("{},{RUNTIME_ID}={id}", selector_all());
        let records = ctx.client.list(Kind::ConfigMap, &ctx.namespace, &selector).await;
        let records = records.map_err(|source| Error::Cluster { source })?.into_iter();
        let mut records = records
            .filter_map(Object::into_config_map)
            .filter_map(|object| Record::parse(&object).ok());
        Ok(records.next().map(look_at_record))
    }

    /// Looks at all sessions of this machine, whoever owns them. Those of a cluster are in [`Podbay::index`].
    pub async fn look_at_all(&self) -> Result<Vec<Look>, Error> {
        match &self.0 {
            Backing::Cluster(_) => Err(Error::Unsupported {
                what: "looking at all sessions one by one",
                why: "the index knows those of a cluster".to_owned(),
            }),
            Backing::Machine(machine) => {
                let seen = local::list(machine, None, "").await?.into_iter();
                Ok(seen.map(|seen| look_here(machine, seen)).collect())
            }
        }
    }

    /// Connects to a port of a sandbox, by the first of [`Podbay::dialers`] that leads there. Who answers has not proved
    /// whose it is.
    pub async fn dial(&self, address: &SandboxAddress, port: u16) -> Result<BoxIo, DialError> {
        match &self.0 {
            Backing::Cluster(ctx) => ctx.ways.connect(address, port).await,
            Backing::Machine(_) => Loopback.connect(address, port).await,
        }
    }

    fn session_context<'a>(&'a self, ctx: &'a Context, id: &'a SessionId) -> SessionContext<'a> {
        ctx.session(self.1.as_ref(), id)
    }

    fn local(&self, machine: &Arc<Machine>, id: SessionId) -> LocalSession {
        LocalSession::new(Arc::clone(machine), self.1.clone(), id)
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
        let ctx = match &self.0 {
            Backing::Cluster(ctx) => ctx,
            Backing::Machine(machine) => {
                let seen = local::list(machine, self.1.as_ref(), selector).await?;
                return Ok(seen.iter().map(summarise_here).collect());
            }
        };
        let selector = self.selector(selector);
        let client = &ctx.client;
        let (records, pods) = futures::try_join!(
            client.list(Kind::ConfigMap, &ctx.namespace, &selector),
            client.list(Kind::Pod, &ctx.namespace, &selector),
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
                Summary {
                    // Also of a record that can't be read.
                    owner: record.place.owner().map(str::to_owned),
                    ..summarise(&record.name, record.record.as_deref(), &pods, None, now)
                }
            })
            .collect();
        summaries.sort_by(|one, other| one.session.cmp(&other.session));
        Ok(summaries)
    }

    /// The index of all sessions of the namespace, which this process keeps by watching: for a service, whose answers may be
    /// as old as [`SessionIndex::staleness`] says. [`Podbay::list`] asks the cluster.
    ///
    /// Needs the right to watch ConfigMaps and pods. Of this machine's sessions there is none: they are looked at when asked for.
    pub fn index(&self) -> Result<SessionIndex, Error> {
        let Backing::Cluster(ctx) = &self.0 else {
            return Err(Error::Unsupported {
                what: "an index of sessions",
                why: "nothing tells of changes to the sessions of this machine; list them".to_owned(),
            });
        };
        let index = ctx.namespace_index();
        index.watch_kind(Kind::ConfigMap);
        index.watch_kind(Kind::Pod);
        Ok(index)
    }

    /// Ends a session; its claim is kept where it was made persistent. One that isn't there is closed already.
    pub async fn close(&self, id: &str, wait: bool) -> Result<Closed, Error> {
        let id = parse_id(id)?;
        let ctx = match &self.0 {
            Backing::Cluster(ctx) => ctx,
            // On this machine there is nothing to wait for when the call returns.
            Backing::Machine(machine) => return self.local(machine, id).close().await,
        };
        let session = self.session_context(ctx, &id);
        match session.record().await? {
            Some(record) => lifecycle::close(session, &record, wait).await,
            None => Ok(Closed::missing(&id)),
        }
    }

    /// Frees a session's pod and keeps the rest: its record, its claim, its Services. [`Podbay::resume`] brings it back.
    ///
    /// Refused for a session whose workspace would be lost with its pod. What was installed outside the workspace is
    /// lost; what ran is ended. Safe to repeat.
    ///
    /// On this machine nothing is freed or lost: all that runs in the session stands still until it is resumed.
    pub async fn pause(&self, id: &str, wait: bool) -> Result<(), Error> {
        let id = parse_id(id)?;
        let ctx = match &self.0 {
            Backing::Cluster(ctx) => ctx,
            Backing::Machine(machine) => return self.local(machine, id).pause().await,
        };
        let session = self.session_context(ctx, &id);
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
        let id = parse_id(id)?;
        match &self.0 {
            Backing::Cluster(ctx) => lifecycle::delete(self.session_context(ctx, &id), wait).await,
            Backing::Machine(machine) => self.local(machine, id).close().await,
        }
    }

    /// Ends all sessions with the labels that `selector` asks for, also those whose record can't be read. One
    /// that can't be closed does not keep the others from it.
    ///
    /// All are those of all owners where this names none ([`Podbay::for_owner`]); [`Podbay::close_unowned`] leaves those alone.
    pub async fn close_all(&self, selector: &str, wait: bool) -> Result<Vec<Result<Closed, Error>>, Error> {
        match &self.0 {
            Backing::Cluster(ctx) => {
                let records = self.records(ctx, selector).await?;
                Ok(close_records(ctx, records, wait).await)
            }
            Backing::Machine(machine) => {
                let seen = local::list(machine, self.1.as_ref(), selector).await?;
                Ok(local::close(machine, seen).await)
            }
        }
    }

    /// As [`Podbay::close_all`], for the sessions that belong to nobody in particular, whichever owner this names: those of a
    /// service's users stay, and are counted.
    pub async fn close_unowned(&self, selector: &str, wait: bool) -> Result<ClosedUnowned, Error> {
        let all = self.of_owner(None);
        match &all.0 {
            Backing::Cluster(ctx) => {
                let records = all.records(ctx, selector).await?;
                let (owned, unowned): (Vec<_>, Vec<_>) = records
                    .into_iter()
                    .partition(|record| Place::of(&record.metadata).owner().is_some());
                Ok(ClosedUnowned {
                    closed: close_records(ctx, unowned, wait).await,
                    owned: owned.len(),
                })
            }
            Backing::Machine(machine) => {
                let seen = local::list(machine, None, selector).await?;
                let (owned, unowned): (Vec<_>, Vec<_>) = seen
                    .into_iter()
                    .partition(|seen| seen.record.spec.owner().is_some());
                Ok(ClosedUnowned {
                    closed: local::close(machine, unowned).await,
                    owned: owned.len(),
                })
            }
        }
    }

    /// The records of the sessions with the labels that `selector` asks for.
    async fn records(&self, ctx: &Context, selector: &str) -> Result<Vec<ConfigMap>, Error> {
        let records = ctx
            .client
            .list(Kind::ConfigMap, &ctx.namespace, &self.selector(selector))
            .await
            .map_err(|source| Error::Cluster { source })?;
        Ok(records.into_iter().filter_map(Object::into_config_map).collect())
    }

    /// Ends the sessions whose start failed longer ago than `podbay.failed_session_ttl_seconds` at `now`, claims apart, and
    /// returns them. One that is started again, or changed otherwise, meanwhile stays.
    ///
    /// Whoever runs a service whose sessions stay when they fail ([`SessionBuilder::keep_failed`]) calls it from time to time.
    pub async fn remove_expired(&self, now: Timestamp) -> Result<Vec<Result<Closed, Error>>, Error> {
        // On this machine nothing stays of a start that fails.
        let Backing::Cluster(ctx) = &self.0 else {
            return Ok(Vec::new());
        };
        let records = self.records(ctx, "").await?;
        let ttl = Duration::from_secs(ctx.config.podbay.failed_session_ttl_seconds);
        let expired = records
            .into_iter()
            .filter_map(|object| Record::parse(&object).ok())
            .filter(|record| lifecycle::is_expired(record, ttl, now));
        let removing = stream::iter(expired)
            .map(|record| async move { lifecycle::remove(ctx.session_of(&record), &record).await });
        let removed: Vec<_> = removing.buffered(CLOSING_AT_ONCE).collect().await;
        Ok(removed.into_iter().filter_map(Result::transpose).collect())
    }
}

/// What became of the sessions that belong to nobody in particular.
#[derive(Debug)]
pub struct ClosedUnowned {
    /// What became of each of them.
    pub closed: Vec<Result<Closed, Error>>,
    /// How many sessions of owners were left alone.
    pub owned: usize,
}

/// Closes the sessions of some records.
async fn close_records(ctx: &Context, records: Vec<ConfigMap>, wait: bool) -> Vec<Result<Closed, Error>> {
    let closing = stream::iter(records).map(|object| async move {
        match Record::parse(&object) {
            Ok(record) => lifecycle::close(ctx.session_of(&record), &record, wait).await,
            Err(_) => close_unreadable(ctx, &object).await,
        }
    });
    closing.buffered(CLOSING_AT_ONCE).collect().await
}

/// Closes a session whose record this version can't read: its objects go with it all the same.
async fn close_unreadable(ctx: &Context, record: &ConfigMap) -> Result<Closed, Error> {
    let name = record.metadata.name.clone().unwrap_or_default();
    let key = ObjectKey::new(Kind::ConfigMap, &ctx.namespace, &name);
    let options = DeleteOptions::only(record.metadata.uid.as_deref().unwrap_or_default());
    let existed = ctx.client.delete(&key, options).await.for_session(&name)?;
    Ok(Closed {
        session: name,
        existed,
        claim: None,
    })
}
