//! What can be wrong with a session's specification.

use std::error::Error;
use std::fmt;

use crate::dns::DnsError;
use crate::environment::EnvError;
use crate::labels::LabelError;
use crate::path::ContainerPathError;
use crate::quantity::QuantityError;
use crate::user::RunAsError;
use crate::{ImageError, Profile, Quantity, RunAs};

/// All that is wrong with a specification; never empty.
#[derive(Debug)]
pub struct SpecErrors(pub(super) Vec<SpecError>);

/// One thing that is wrong. `setting` is the flag or the configuration's field that it came from.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// The namespace is no DNS label.
    #[error("--namespace (or kubernetes.namespace) can't be used")]
    Namespace(#[source] DnsError),
    /// The image is no image reference.
    #[error("{setting} can't be used")]
    Image {
        /// Where the image came from.
        setting: &'static str,
        /// What is wrong with it.
        source: ImageError,
    },
    /// The user is not one Kubernetes takes.
    #[error("--user can't be used")]
    User(#[source] RunAsError),
    /// The configuration asks for privilege and the request for less.
    #[error("--profile {asked} contradicts kubernetes.privileged = true: drop one of them")]
    ProfileContradiction {
        /// The profile that was asked for.
        asked: Profile,
    },
    /// Root where the profile forbids it.
    #[error("--user {user} is root, which the profile restricted forbids: add --profile baseline")]
    Root {
        /// The user.
        user: RunAs,
    },
    /// An amount is no quantity.
    #[error("{setting} can't be used")]
    Quantity {
        /// Where the amount came from.
        setting: &'static str,
        /// What is wrong with it.
        source: QuantityError,
    },
    /// An amount is zero.
    #[error("{setting} must be more than 0")]
    Zero {
        /// Where the amount came from.
        setting: &'static str,
    },
    /// Bytes that are no whole number.
    #[error("{setting} {value} is not a whole number of bytes: \"m\" is a thousandth, write \"M\" or \"Mi\"")]
    Fraction {
        /// Where the amount came from.
        setting: &'static str,
        /// The amount.
        value: Quantity,
    },
    /// More is requested than the limit lets the container use.
    #[error(
        "{request_setting} {request} is more than {limit_setting} {limit}: a request is at most the limit"
    )]
    RequestAboveLimit {
        /// Where the request came from.
        request_setting: &'static str,
        /// The request.
        request: Quantity,
        /// Where the limit came from.
        limit_setting: &'static str,
        /// The limit.
        limit: Quantity,
    },
    /// A path can't be one in the container.
    #[error("{setting} can't be used")]
    Path {
        /// Where the path came from.
        setting: &'static str,
        /// What is wrong with it.
        source: ContainerPathError,
    },
    /// The workspace would hide the whole image.
    #[error(
        "workspace_mount_path_in_sandbox can't be \"/\": the image's own files would be hidden; name a directory"
    )]
    WorkspaceAtRoot,
    /// The environment can't be used.
    #[error("{setting} can't be used")]
    Env {
        /// Where the environment came from.
        setting: &'static str,
        /// What is wrong with it.
        source: EnvError,
    },
    /// A variable that Podbay sets itself.
    #[error(
        "{setting} {name} is set by Podbay when the image brings a server (each session has its own key): drop it"
    )]
    EnvReserved {
        /// Where the variable came from.
        setting: &'static str,
        /// The variable.
        name: &'static str,
    },
    /// A label can't be used.
    #[error("--label can't be used")]
    Label(#[source] LabelError),
    /// Half a node selector.
    #[error("{given} needs {missing}: a node selector is a key and a value")]
    NodeSelectorHalf {
        /// The field that is set.
        given: &'static str,
        /// The field that is not.
        missing: &'static str,
    },
    /// A node selector that no node's labels can meet.
    #[error("kubernetes.node_selector_key and kubernetes.node_selector_val can't be used")]
    NodeSelector(#[source] LabelError),
    /// The name of an object is no DNS subdomain.
    #[error("{setting} can't be used")]
    ObjectName {
        /// Where the name came from.
        setting: &'static str,
        /// What is wrong with it.
        source: DnsError,
    },
}

impl SpecErrors {
    /// The problems, in the order of the specification's fields.
    pub fn iter(&self) -> impl Iterator<Item = &SpecError> {
        self.0.iter()
    }
}

impl fmt::Display for SpecErrors {
    /// One line a problem, each with its cause: several errors can't share one chain of sources.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
            if let Some(source) = error.source() {
                write!(f, ": {source}")?;
            }
        }
        Ok(())
    }
}

impl Error for SpecErrors {}
