//! A validated session: all that its objects are made from.

use std::collections::BTreeMap;

use podbay_config::{AgentLogLevel, CleanupPolicy, Config, NetworkMode, Origin, WorkloadKind};
use podbay_protocol::Field;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::agent_delivery::AgentDelivery;
use crate::dns::DnsLabel;
use crate::environment::EnvName;
use crate::image::ImageRef;
use crate::labels::UserLabels;
use crate::launch::MainCommand;
use crate::names::SessionNames;
use crate::path::ContainerPath;
use crate::pod_template::PodTemplate;
use crate::profile::Profile;
use crate::server::{OPENHANDS_WORKDIR, ServerKind};
use crate::session_id::SessionId;
use crate::session_owner::SessionOwner;
use crate::user::RunAs;
use crate::word::Word;

mod addresses;
mod agent;
mod errors;
mod exposure;
mod image;
mod network;
mod placement;
mod problem;
mod problems;
mod reason;
mod resources;
mod sandbox_volumes;
mod security;
mod server;
mod storage;
mod v1;
mod validate;
mod workload;

pub use errors::SpecErrors;
pub use exposure::{ExposureSpec, GatewayRef, PublicBy, PublicSpec};
pub use image::PullSpec;
pub use network::NetworkSpec;
pub use placement::PlacementSpec;
pub use problem::SpecProblem;
pub use reason::{Reason, ValueError};
pub use resources::{ResourceBounds, ResourceSpec};
pub(crate) use security::BASELINE_CAPABILITIES;
pub use security::{Seccomp, SecuritySpec};
pub use server::{ServerSpec, start_timeout_seconds};
pub use storage::{CaBundleSpec, CacheSpec, ClaimSpec, StorageSpec, VolumeSource, WorkspaceSpec};
pub(crate) use v1::SpecV1;
pub use workload::WorkloadSpec;

/// A session that can be made: every field checked, with the configuration's defaults filled in.
///
/// It holds no secret: of the environment only the names. As JSON it is stored in the session's record, so
/// that any process can make again what is missing. A field that changes its meaning needs a new
/// [`record::SCHEMA_VERSION`](crate::record::SCHEMA_VERSION).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionSpec {
    pub(crate) id: SessionId,
    /// `None` is a session of nobody in particular, as the command line opens them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<SessionOwner>,
    pub(crate) namespace: DnsLabel,
    pub(crate) image: ImageRef,
    pub(crate) pull: PullSpec,
    /// `None` is an image without a server, which is kept alive by a shell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) server: Option<ServerSpec>,
    pub(crate) security: SecuritySpec,
    /// Names of the environment variables in the Secret, sorted.
    pub(crate) env: Vec<EnvName>,
    /// `None` keeps the image's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) workdir: Option<ContainerPath>,
    pub(crate) resources: ResourceSpec,
    pub(crate) storage: StorageSpec,
    pub(crate) placement: PlacementSpec,
    pub(crate) network: NetworkSpec,
    /// `None` makes no Service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) exposure: Option<Box<ExposureSpec>>,
    pub(crate) workload: WorkloadSpec,
    pub(crate) labels: UserLabels,
    /// Annotations of the pod.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) annotations: BTreeMap<String, String>,
    /// What is laid over the pod last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pod_template: Option<PodTemplate>,
    #[serde(default, skip_serializing_if = "AgentDelivery::is_none")]
    pub(crate) agent: AgentDelivery,
    /// How much the agent writes into its log; `None` is its own default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) agent_log: Option<Word<AgentLogLevel>>,
    /// Where the agent serves the actions of OpenHands' V0 clients, if the session was asked for by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) actions: Option<u16>,
    /// What is run beside what keeps the session alive, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) main: Option<MainCommand>,
}

/// What the API takes as the key of an annotation.
const ANNOTATION_KEY: &str =
    "an optional DNS subdomain and \"/\", then 1 to 63 letters, digits, \"-\", \"_\" and \".\"";

/// The values of a session's environment. They go into the session's Secret and nowhere else; `Debug` hides
/// them.
#[derive(Clone, Debug, Default)]
pub struct SessionSecrets {
    pub(crate) env: BTreeMap<EnvName, SecretString>,
}

/// Whether a source gave the setting `field`. A value that differs from the default was given, too; this is for
/// one that happens to be equal to it.
fn is_given(config: &Config, field: Field) -> bool {
    field
        .setting()
        .is_some_and(|key| config.origin(key) != Origin::Default)
}

// === impl SessionSpec ===

impl SessionSpec {
    /// The session's id.
    pub fn id(&self) -> &SessionId {
        &self.id
    }

    /// Names of the session's objects.
    pub fn names(&self) -> SessionNames {
        SessionNames::of(self.owner.as_ref(), &self.id)
    }

    /// Whom the session belongs to, if to anybody.
    pub fn owner(&self) -> Option<&SessionOwner> {
        self.owner.as_ref()
    }

    /// How the agent comes into its pod.
    pub fn agent(&self) -> &AgentDelivery {
        &self.agent
    }

    /// How much the agent writes into its log, if that was asked for: a word of its flag `--log`.
    pub fn agent_log(&self) -> Option<&'static str> {
        self.agent_log.map(|level| level.0.as_str())
    }

    /// The port on which the agent serves the actions of OpenHands' V0 clients, if the session was asked for by one.
    pub fn actions(&self) -> Option<u16> {
        self.actions
    }

    /// The same with the agent's image mounted, where an init container would copy the agent out of it.
    #[must_use]
    pub fn with_agent_mounted(mut self) -> Self {
        self.agent = self.agent.mounted();
        self
    }

    /// Namespace of all of the session's objects.
    pub fn namespace(&self) -> &str {
        self.namespace.as_str()
    }

    /// The container's image, as it was named: it may be pulled from a mirror.
    pub fn image(&self) -> &ImageRef {
        &self.image
    }

    /// The HTTP server that the image brings, if it has one.
    pub fn server(&self) -> Option<&ServerSpec> {
        self.server.as_ref()
    }

    /// Pod security level.
    pub fn profile(&self) -> Profile {
        self.security.profile
    }

    /// The user that was asked for, if any.
    pub fn run_as(&self) -> Option<RunAs> {
        self.security.run_as
    }

    /// Names of the environment variables, sorted.
    pub fn env_names(&self) -> &[EnvName] {
        &self.env
    }

    /// Working directory of commands in the container; `None` is the image's own.
    pub fn workdir(&self) -> Option<&ContainerPath> {
        self.workdir.as_ref()
    }

    /// The directory that the session's commands start in, which is the container's; `None` is the image's own. OpenHands'
    /// V0 server has to be started where its code is, so that its sessions' commands start there too, and
    /// [`SessionSpec::workdir`] is what the server takes for its working directory.
    pub fn container_workdir(&self) -> Option<&str> {
        match &self.server {
            Some(server) if server.kind() == ServerKind::OpenHands => Some(OPENHANDS_WORKDIR),
            Some(_) | None => self.workdir.as_ref().map(ContainerPath::as_str),
        }
    }

    /// Where the workspace is mounted.
    pub fn workspace_mount_path(&self) -> &ContainerPath {
        &self.storage.workspace_mount_path
    }

    /// CPU, in cores.
    pub fn cpu(&self) -> &ResourceBounds {
        &self.resources.cpu
    }

    /// Memory, in bytes.
    pub fn memory(&self) -> &ResourceBounds {
        &self.resources.memory
    }

    /// CPU, memory, disk and devices.
    pub fn resources(&self) -> &ResourceSpec {
        &self.resources
    }

    /// The claim that the session makes for its workspace, if it does. One that was there before is none of its
    /// own.
    pub fn claim(&self) -> Option<&ClaimSpec> {
        match &self.storage.workspace {
            WorkspaceSpec::Claim(claim) => Some(claim),
            WorkspaceSpec::EmptyDir(_) | WorkspaceSpec::Existing(_) => None,
        }
    }

    /// The workspace and all other mounts.
    pub fn storage(&self) -> &StorageSpec {
        &self.storage
    }

    /// Whether the workspace outlives the pod.
    pub fn persistent(&self) -> bool {
        !matches!(self.storage.workspace, WorkspaceSpec::EmptyDir(_))
    }

    /// Labels the user added.
    pub fn labels(&self) -> &UserLabels {
        &self.labels
    }

    /// Where in the cluster the pod may run.
    pub fn placement(&self) -> &PlacementSpec {
        &self.placement
    }

    /// What the sandbox may reach.
    pub fn network(&self) -> NetworkMode {
        self.network.mode.0
    }

    /// The kind of object that runs the session.
    pub fn workload(&self) -> WorkloadKind {
        self.workload.kind.0
    }

    /// What stays of the session when its client is done with it.
    pub fn cleanup_policy(&self) -> CleanupPolicy {
        self.workload.cleanup_policy.0
    }

    /// Seconds between TERM and KILL when the pod is deleted.
    pub fn termination_grace_seconds(&self) -> u64 {
        self.workload.termination_grace_seconds
    }
}

// === impl SessionSecrets ===

impl SessionSecrets {
    /// The variables and their values, sorted by name.
    pub fn env(&self) -> impl Iterator<Item = (&EnvName, &SecretString)> {
        self.env.iter()
    }
}
