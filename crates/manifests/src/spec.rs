//! A validated session: all that its objects are made from.

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::api::core::v1::Toleration;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::dns::{DnsLabel, DnsSubdomain};
use crate::{
    ContainerPath, EnvName, ImageRef, Profile, Quantity, RunAs, SessionId, SessionNames, UserLabels,
};

mod error;
mod validate;

pub use error::{SpecError, SpecErrors};

/// A session that can be made: every field checked, with the configuration's defaults filled in.
///
/// It holds no secret: of the environment only the names. As JSON it is stored in the session's record, so
/// that any process can make again what is missing. A field that changes its meaning needs a new
/// [`record::SCHEMA_VERSION`](crate::record::SCHEMA_VERSION).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SessionSpec {
    pub(crate) id: SessionId,
    pub(crate) namespace: DnsLabel,
    pub(crate) image: ImageRef,
    /// Whether the image brings its own HTTP server and is run with its own command.
    pub(crate) server: bool,
    pub(crate) profile: Profile,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) run_as: Option<RunAs>,
    /// Names of the environment variables in the Secret, sorted.
    pub(crate) env: Vec<EnvName>,
    /// `None` keeps the image's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) workdir: Option<ContainerPath>,
    pub(crate) workspace_mount_path: ContainerPath,
    pub(crate) cpu: ResourceBounds,
    pub(crate) memory: ResourceBounds,
    /// `None` puts the workspace on an `emptyDir`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) claim: Option<ClaimSpec>,
    pub(crate) labels: UserLabels,
    pub(crate) node_selector: BTreeMap<String, String>,
    pub(crate) tolerations: Vec<Toleration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) image_pull_secret: Option<DnsSubdomain>,
    /// Seconds between TERM and KILL when the pod is deleted.
    pub(crate) termination_grace_seconds: u64,
    /// Seconds that a server in the image may take until it answers.
    pub(crate) start_timeout_seconds: u64,
}

/// What a container may count on and what it may not exceed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResourceBounds {
    /// What the scheduler reserves.
    pub request: Quantity,
    /// What the node enforces, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Quantity>,
}

/// The persistent claim of a workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClaimSpec {
    /// Storage asked, in bytes.
    pub size: Quantity,
    /// Storage class; `None` takes the cluster's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_class: Option<DnsSubdomain>,
}

/// The values of a session's environment. They go into the session's Secret and nowhere else; `Debug` hides
/// them.
#[derive(Clone, Debug, Default)]
pub struct SessionSecrets {
    pub(crate) env: BTreeMap<EnvName, SecretString>,
}

// === impl SessionSpec ===

impl SessionSpec {
    /// The session's id.
    pub fn id(&self) -> &SessionId {
        &self.id
    }

    /// Names of the session's objects.
    pub fn names(&self) -> SessionNames {
        SessionNames::of(&self.id)
    }

    /// Namespace of all of the session's objects.
    pub fn namespace(&self) -> &str {
        self.namespace.as_str()
    }

    /// The container's image.
    pub fn image(&self) -> &ImageRef {
        &self.image
    }

    /// Whether the image brings its own HTTP server.
    pub fn server(&self) -> bool {
        self.server
    }

    /// Pod security level.
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// The user that was asked for, if any.
    pub fn run_as(&self) -> Option<RunAs> {
        self.run_as
    }

    /// Names of the environment variables, sorted.
    pub fn env_names(&self) -> &[EnvName] {
        &self.env
    }

    /// Working directory of the container and of commands run in it; `None` is the image's own.
    pub fn workdir(&self) -> Option<&ContainerPath> {
        self.workdir.as_ref()
    }

    /// Where the workspace is mounted.
    pub fn workspace_mount_path(&self) -> &ContainerPath {
        &self.workspace_mount_path
    }

    /// CPU, in cores.
    pub fn cpu(&self) -> &ResourceBounds {
        &self.cpu
    }

    /// Memory, in bytes.
    pub fn memory(&self) -> &ResourceBounds {
        &self.memory
    }

    /// The workspace's persistent claim, if it has one.
    pub fn claim(&self) -> Option<&ClaimSpec> {
        self.claim.as_ref()
    }

    /// Labels the user added.
    pub fn labels(&self) -> &UserLabels {
        &self.labels
    }

    /// Node labels the pod must meet.
    pub fn node_selector(&self) -> &BTreeMap<String, String> {
        &self.node_selector
    }

    /// Taints the pod tolerates.
    pub fn tolerations(&self) -> &[Toleration] {
        &self.tolerations
    }

    /// Name of the Secret that images are pulled with.
    pub fn image_pull_secret(&self) -> Option<&DnsSubdomain> {
        self.image_pull_secret.as_ref()
    }

    /// Seconds between TERM and KILL when the pod is deleted.
    pub fn termination_grace_seconds(&self) -> u64 {
        self.termination_grace_seconds
    }
}

impl fmt::Display for ResourceBounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.limit {
            Some(limit) if *limit == self.request => write!(f, "{limit}"),
            Some(limit) => write!(f, "{} to {limit}", self.request),
            None => write!(f, "{}, no limit", self.request),
        }
    }
}

// === impl SessionSecrets ===

impl SessionSecrets {
    /// The variables and their values, sorted by name.
    pub fn env(&self) -> impl Iterator<Item = (&EnvName, &SecretString)> {
        self.env.iter()
    }
}
