//! What was asked of the cluster.

use podbay_k8s_client::{ErrorKind, Kind};

/// A call of the client trait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operation {
    /// `create`
    Create,
    /// `get`
    Get,
    /// `list`
    List,
    /// `patch`
    Patch,
    /// `delete`
    Delete,
    /// `watch`
    Watch,
    /// `events`
    Events,
    /// `exec`
    Exec,
    /// `logs`
    Logs,
    /// `port_forward`
    PortForward,
}

/// A call that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Which one.
    pub operation: Operation,
    /// What it was about.
    pub kind: Option<Kind>,
    /// In which namespace.
    pub namespace: String,
    /// The object's name; a list's or a watch's selector.
    pub name: String,
    /// How it went.
    pub outcome: Outcome,
}

/// How a call went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// No answer came (yet).
    Unanswered,
    /// It succeeded. A watch has begun.
    Succeeded,
    /// The cluster refused it.
    Failed(
        /// Why.
        ErrorKind,
    ),
    /// A fault made it fail.
    Faulted(
        /// Why.
        ErrorKind,
    ),
}

impl Operation {
    /// Whether it changes objects.
    pub const fn is_write(self) -> bool {
        matches!(self, Self::Create | Self::Patch | Self::Delete)
    }
}
