//! What a session should be, and opening it.

use std::collections::BTreeMap;
use std::sync::Arc;

use podbay_config::{NetworkMode, WorkloadKind};
use podbay_manifests::{
    AgentMeans, Difference, MainCommand, Profile, SessionObjects, SessionRequest, SessionSecrets, SessionSpec,
};
use podbay_protocol::{PhaseTimes, SessionState, StartPhase};
use secrecy::SecretString;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::handle::Session;
use super::on_host;
use super::starting::{Start, Starting};
use crate::backend::BackendKind;
use crate::context::{Backing, Podbay, parse_id, parse_owner};
use crate::delivery::Means;
use crate::error::Error;
use crate::lifecycle::{OpenMode, OpenOperation, RetryPolicy, creation_values};
use crate::local::LocalOpen;

/// The image a session of the local backend has: this machine's own files.
const HOST_IMAGE: &str = "host";

/// A session to be opened.
///
/// What is not said comes from the configuration. Nothing is made before [`SessionBuilder::open`].
#[derive(Debug)]
pub struct SessionBuilder {
    podbay: Podbay,
    id: String,
    owner: Option<String>,
    request: SessionRequest,
    mode: OpenMode,
    keep_failed: bool,
    owner_limit: Option<u32>,
    cancel: CancellationToken,
}

/// What opening a session came to.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact that users of the library know by its name"
)]
pub struct OpenReport {
    /// Whether the session was there already.
    pub attached: bool,
    /// Whether it was there without its pod and got a new one: only a persistent workspace was kept.
    pub recreated: bool,
    /// Whether it was there, paused, and has its pod back.
    pub resumed: bool,
    /// Whether it was there, failed, and was started again with its environment and its key.
    pub started_again: bool,
    /// What was asked and the session that was there has otherwise.
    pub differences: Vec<Difference>,
    /// The seconds of each step; none where the session was there and ready.
    pub times: Option<PhaseTimes>,
    /// Why the agent that was meant for the session could not be brought in, or can't be reached from here; commands and files
    /// go by the API server's exec then. None where it answers, and where none was meant.
    pub without_agent: Option<String>,
}

impl SessionBuilder {
    pub(crate) fn new(podbay: Podbay, id: String) -> Self {
        Self {
            podbay,
            id,
            owner: None,
            request: SessionRequest::default(),
            mode: OpenMode::default(),
            keep_failed: false,
            owner_limit: None,
            cancel: CancellationToken::new(),
        }
    }

    /// Takes a whole request in place of what was said so far.
    #[must_use]
    pub fn request(mut self, request: SessionRequest) -> Self {
        self.request = request;
        self
    }

    /// Whom the session belongs to, by name; see [`Podbay::for_owner`]. Not said, it is the owner of the [`Podbay`] it is
    /// opened by, if that has one.
    #[must_use]
    pub fn owner(mut self, name: impl Into<String>) -> Self {
        self.owner = Some(name.into());
        self
    }

    /// The image, `[REGISTRY/]NAME[:TAG][@DIGEST]`.
    #[must_use]
    pub fn image(mut self, image: impl Into<String>) -> Self {
        self.request.image = Some(image.into());
        self
    }

    /// The user of all commands: `root` or `UID[:GID]`.
    #[must_use]
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.request.user = Some(user.into());
        self
    }

    /// The Pod Security profile.
    #[must_use]
    pub const fn profile(mut self, profile: Profile) -> Self {
        self.request.profile = Some(profile);
        self
    }

    /// A variable of the environment of all commands. It travels in a Secret.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<SecretString>) -> Self {
        self.request.env.insert(name.into(), value.into());
        self
    }

    /// The directory commands start in.
    #[must_use]
    pub fn workdir(mut self, directory: impl Into<String>) -> Self {
        self.request.workdir = Some(directory.into());
        self
    }

    /// CPUs, a Kubernetes quantity: `2`, `500m`.
    #[must_use]
    pub fn cpu(mut self, quantity: impl Into<String>) -> Self {
        self.request.cpu = Some(quantity.into());
        self
    }

    /// Memory, a Kubernetes quantity: `4Gi`.
    #[must_use]
    pub fn memory(mut self, quantity: impl Into<String>) -> Self {
        self.request.memory = Some(quantity.into());
        self
    }

    /// Whether the workspace is a claim that outlives the session.
    #[must_use]
    pub const fn persistent(mut self, persistent: bool) -> Self {
        self.request.persistent = Some(persistent);
        self
    }

    /// Labels of the session's objects.
    #[must_use]
    pub fn labels(mut self, labels: BTreeMap<String, String>) -> Self {
        self.request.labels = labels;
        self
    }

    /// What to do about a session of this id that exists, or does not.
    #[must_use]
    pub const fn mode(mut self, mode: OpenMode) -> Self {
        self.mode = mode;
        self
    }

    /// Whether the session stays, as a failed one, if its start fails; if not said, nothing does.
    ///
    /// A failed session has no pod and holds no place under the limit. The rest of it stays: its Secret, its claim, its Services.
    /// So the next start of its id has the same environment and the same key. Its state tells the verdict
    /// ([`SessionState::Failed`]). It goes by [`Podbay::close`], [`Podbay::delete`], [`OpenMode::Replace`], and
    /// after its time by [`Podbay::remove_expired`]. Whether its pod stays to be looked at is the clean-up policy's matter.
    ///
    /// A start that is cancelled or dropped, or refused for want of a place, has not failed. On this machine nothing stays of a
    /// start that fails, whatever is said here.
    #[must_use]
    pub const fn keep_failed(mut self, keep: bool) -> Self {
        self.keep_failed = keep;
        self
    }

    /// How many sessions its owner may have at once, this one with them; if not said, as many as there is room for. Those that are
    /// paused or have failed do not count. One that would be too many is refused ([`Error::TooManyOfOwner`]), also when
    /// it is brought back. On this machine it has no effect.
    #[must_use]
    pub const fn owner_limit(mut self, limit: Option<u32>) -> Self {
        self.owner_limit = limit;
        self
    }

    /// Ports of the session to be reached by a Service, and by an Ingress or a Gateway's route.
    #[must_use]
    pub fn ports(mut self, ports: impl IntoIterator<Item = u16>) -> Self {
        self.request.ports = ports.into_iter().collect();
        self
    }

    /// What the session may reach over the network.
    #[must_use]
    pub const fn network(mut self, network: NetworkMode) -> Self {
        self.request.network = Some(network);
        self
    }

    /// Whether the session is run by a pod or by a Job.
    #[must_use]
    pub const fn workload(mut self, workload: WorkloadKind) -> Self {
        self.request.workload = Some(workload);
        self
    }

    /// Cancelling `token` ends the start and removes what it made; [`SessionBuilder::open`] then fails with
    /// [`Error::Cancelled`] once that is done.
    #[must_use]
    pub fn cancel_on(mut self, token: CancellationToken) -> Self {
        self.cancel = token;
        self
    }

    /// What would be made, without a call to the cluster.
    pub fn render(&self, values: podbay_manifests::SecretValues) -> Result<SessionObjects, Error> {
        // Where no agent is to be had, what would be made is shown without.
        let means = Means::look(self.podbay.config())
            .map_or_else(|_| AgentMeans::default(), |means| means.of_manifests());
        let (spec, secrets) = self.validate(means)?;
        Ok(podbay_manifests::render(&spec, &secrets, values))
    }

    fn validate(&self, means: AgentMeans) -> Result<(SessionSpec, SessionSecrets), Error> {
        let mut request = self.request.clone();
        request.owner = match &self.owner {
            Some(name) => Some(parse_owner(name)?),
            None => request.owner.or_else(|| self.podbay.1.clone()),
        };
        if self.podbay.kind() == BackendKind::Local {
            on_host::refuse(&request, self.podbay.config())?;
            request.image = Some(HOST_IMAGE.to_owned());
        }
        let on_host =
            (self.podbay.kind() == BackendKind::Local).then(|| on_host::without_pods(self.podbay.config()));
        SessionSpec::validate_with(
            parse_id(&self.id)?,
            self.podbay.namespace(),
            on_host.as_ref().unwrap_or_else(|| self.podbay.config()),
            request,
            means,
        )
        .map_err(|source| Error::Spec {
            session: self.id.clone(),
            source,
        })
    }

    /// Opens the session: attaches to one of this id that lives, else makes it, and waits until it takes
    /// commands.
    ///
    /// Safe to repeat and to call from two clients at once: both get the same session. A failed start leaves
    /// nothing behind unless [`SessionBuilder::keep_failed`] asks for it, nor does one whose future is dropped: the clean-up then goes on in the background.
    pub async fn open(self) -> Result<Session, Error> {
        self.start()?.ready().await
    }

    /// Begins to open the session, as [`SessionBuilder::open`] does, and returns at once. Fails if what was asked is not
    /// valid: then nothing was created. To be called inside a tokio runtime.
    pub fn start(self) -> Result<Starting, Error> {
        // No agent is brought into anything on this machine.
        let means = match self.podbay.kind() {
            BackendKind::Cluster => Means::look(self.podbay.config())?,
            BackendKind::Local => Means::none(),
        };
        let (spec, secrets) = self.validate(means.of_manifests())?;
        let Self {
            podbay: Podbay(backing, _),
            id: _,
            owner: _,
            request,
            mode,
            keep_failed,
            owner_limit,
            cancel,
        } = self;
        let podbay = Podbay(backing, spec.owner().cloned());
        // It would have nobody to serve what its clients ask.
        if podbay.kind() == BackendKind::Cluster && needs_agent(&spec) && spec.agent().is_none() {
            return Err(Error::Unsupported {
                what: "a session whose agent serves OpenHands' V0 clients or runs a command",
                why: "no agent comes into its pod: set agent.image, or agent.binary to a static agent, and leave \
                      agent.delivery other than \"none\""
                    .to_owned(),
            });
        }
        let state = watch::Sender::new(SessionState::Starting(StartPhase::Creating));
        let stored = watch::Sender::new(None);
        let start = Start {
            podbay: podbay.clone(),
            id: spec.id().clone(),
            request,
            state: state.clone(),
            stored: stored.subscribe(),
            // The caller's token may be for more than this start.
            cancel: cancel.child_token(),
        };
        let cancel = start.cancel.clone();
        match &podbay.0 {
            Backing::Cluster(ctx) => {
                let operation = Box::new(OpenOperation {
                    ctx: Arc::clone(ctx),
                    retries: RetryPolicy::of(podbay.config())?,
                    spec,
                    secrets,
                    values: creation_values(),
                    mode,
                    keep_failed,
                    owner_limit,
                    means,
                    state,
                    stored,
                    cancel,
                });
                Ok(start.begin(operation.open()))
            }
            Backing::Machine(machine) => {
                let operation = LocalOpen {
                    machine: Arc::clone(machine),
                    spec,
                    secrets,
                    mode,
                    owner_limit,
                    state,
                    stored,
                    cancel,
                };
                Ok(start.begin(operation.open()))
            }
        }
    }
}

/// Whether a session is nothing without its agent.
fn needs_agent(spec: &SessionSpec) -> bool {
    spec.actions().is_some() || matches!(spec.main_command(), Some(MainCommand::Program(_)))
}
