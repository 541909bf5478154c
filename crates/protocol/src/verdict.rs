//! Why a session or a command failed.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::code::ErrorCode;

/// The reason of a failure, with what a machine needs to act on it and what a person needs to mend it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// What happened.
    pub cause: Cause,
    /// Whose fault it is.
    pub blame: Blame,
    /// Whether trying again can help.
    pub retry: Retry,
    /// The cluster's own words: a condition's or an event's message, a container's state.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

impl Verdict {
    /// A verdict with the blame and the retry advice that `cause` has by itself.
    pub fn new(cause: Cause, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            cause,
            blame: cause.blame(),
            retry: cause.retry(),
            message: message.into(),
            hint: hint.into(),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} (blame: {}, retry: {}): {}",
            self.cause, self.blame, self.retry, self.message
        )
    }
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The registry has no such image.
    ImageNotFound,
    /// The registry refused: no or wrong credentials.
    ImageDenied,
    /// The image's name cannot be parsed by the container runtime.
    ImageInvalid,
    /// Pulling fails for another reason (network, registry error, rate limit) and did not recover.
    ImagePull,
    /// The image lacks what the session's command needs (no `/bin/sh` for the keep-alive).
    ImageUnsupported,
    /// No node matches the node selector or affinity.
    NodeMismatch,
    /// Every node that would do has a taint the pod doesn't tolerate.
    Taint,
    /// The pod asks for more than any node has.
    TooLarge,
    /// The nodes that would do are full.
    Capacity,
    /// The scheduler refuses for another reason.
    Unschedulable,
    /// A ResourceQuota or LimitRange refuses.
    Quota,
    /// Pod Security admission refuses.
    PodSecurity,
    /// Another admission plugin or webhook refuses.
    Admission,
    /// The claim stays pending.
    ClaimPending,
    /// A volume can't be attached or mounted.
    Volume,
    /// The container can't be configured (a Secret or key that is missing, a bad user).
    ContainerConfig,
    /// The container can't be created or started for another reason.
    ContainerStart,
    /// The container's program ended although it should run.
    Exited,
    /// The kernel killed a process of the sandbox because its memory limit was reached.
    OutOfMemory,
    /// The kubelet or the API evicted the pod.
    Evicted,
    /// The scheduler removed the pod for one of higher priority.
    Preempted,
    /// The pod's node stopped answering or was removed.
    NodeLost,
    /// Somebody deleted the pod.
    Deleted,
    /// It took longer than the start time-out allows, with nothing in particular wrong.
    Deadline,
    /// The connection to the command was lost and how it ended is not known.
    ConnectionLost,
}

impl Cause {
    /// Every cause.
    pub const ALL: [Self; 25] = [
        Self::ImageNotFound,
        Self::ImageDenied,
        Self::ImageInvalid,
        Self::ImagePull,
        Self::ImageUnsupported,
        Self::NodeMismatch,
        Self::Taint,
        Self::TooLarge,
        Self::Capacity,
        Self::Unschedulable,
        Self::Quota,
        Self::PodSecurity,
        Self::Admission,
        Self::ClaimPending,
        Self::Volume,
        Self::ContainerConfig,
        Self::ContainerStart,
        Self::Exited,
        Self::OutOfMemory,
        Self::Evicted,
        Self::Preempted,
        Self::NodeLost,
        Self::Deleted,
        Self::Deadline,
        Self::ConnectionLost,
    ];

    /// The name, as it stands in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ImageNotFound => "image_not_found",
            Self::ImageDenied => "image_denied",
            Self::ImageInvalid => "image_invalid",
            Self::ImagePull => "image_pull",
            Self::ImageUnsupported => "image_unsupported",
            Self::NodeMismatch => "node_mismatch",
            Self::Taint => "taint",
            Self::TooLarge => "too_large",
            Self::Capacity => "capacity",
            Self::Unschedulable => "unschedulable",
            Self::Quota => "quota",
            Self::PodSecurity => "pod_security",
            Self::Admission => "admission",
            Self::ClaimPending => "claim_pending",
            Self::Volume => "volume",
            Self::ContainerConfig => "container_config",
            Self::ContainerStart => "container_start",
            Self::Exited => "exited",
            Self::OutOfMemory => "out_of_memory",
            Self::Evicted => "evicted",
            Self::Preempted => "preempted",
            Self::NodeLost => "node_lost",
            Self::Deleted => "deleted",
            Self::Deadline => "deadline",
            Self::ConnectionLost => "connection_lost",
        }
    }

    /// Whose fault it usually is.
    pub const fn blame(self) -> Blame {
        match self {
            Self::ImageNotFound
            | Self::ImageDenied
            | Self::ImageInvalid
            | Self::ImageUnsupported
            | Self::NodeMismatch
            | Self::Taint
            | Self::TooLarge
            | Self::Quota
            | Self::PodSecurity
            | Self::Admission
            | Self::ContainerConfig => Blame::Configuration,
            Self::OutOfMemory | Self::Exited => Blame::Task,
            Self::ImagePull
            | Self::Capacity
            | Self::Unschedulable
            | Self::ClaimPending
            | Self::Volume
            | Self::ContainerStart
            | Self::Evicted
            | Self::Preempted
            | Self::NodeLost
            | Self::Deleted
            | Self::Deadline
            | Self::ConnectionLost => Blame::Infrastructure,
        }
    }

    /// Whether trying again can help.
    pub const fn retry(self) -> Retry {
        match self {
            Self::ImageNotFound
            | Self::ImageDenied
            | Self::ImageInvalid
            | Self::ImageUnsupported
            | Self::NodeMismatch
            | Self::Taint
            | Self::PodSecurity
            | Self::Admission
            | Self::ContainerConfig
            | Self::Exited => Retry::Never,
            Self::OutOfMemory => Retry::MoreResources,
            // A larger node would do.
            Self::TooLarge | Self::NodeLost | Self::Evicted | Self::Volume | Self::ContainerStart => {
                Retry::Elsewhere
            }
            Self::ImagePull
            | Self::Capacity
            | Self::Unschedulable
            | Self::Quota
            | Self::ClaimPending
            | Self::Preempted
            | Self::Deleted
            | Self::Deadline
            | Self::ConnectionLost => Retry::Same,
        }
    }

    /// The error code a failed start of this cause has.
    pub const fn code(self) -> ErrorCode {
        match self {
            Self::ImageNotFound
            | Self::ImageDenied
            | Self::ImageInvalid
            | Self::ImagePull
            | Self::ImageUnsupported => ErrorCode::Build,
            Self::Deadline => ErrorCode::Timeout,
            Self::Evicted
            | Self::Preempted
            | Self::NodeLost
            | Self::Deleted
            | Self::ConnectionLost
            | Self::Exited
            | Self::OutOfMemory => ErrorCode::Disconnected,
            Self::NodeMismatch
            | Self::Taint
            | Self::TooLarge
            | Self::Capacity
            | Self::Unschedulable
            | Self::Quota
            | Self::PodSecurity
            | Self::Admission
            | Self::ClaimPending
            | Self::Volume
            | Self::ContainerConfig
            | Self::ContainerStart => ErrorCode::Unavailable,
        }
    }
}

/// A text that names no cause.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no cause of a failure: {}", known())]
pub struct CauseError {
    text: String,
}

fn known() -> String {
    Cause::ALL.map(Cause::as_str).join(", ")
}

impl FromStr for Cause {
    type Err = CauseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|cause| cause.as_str() == text)
            .ok_or_else(|| CauseError {
                text: text.to_owned(),
            })
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whose fault a failure is. An evaluation scores `task` and repeats `infrastructure`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Blame {
    /// What ran in the sandbox.
    Task,
    /// The cluster, its nodes, its network or a registry.
    Infrastructure,
    /// What was asked for: an image's name, a limit, a policy of the namespace.
    Configuration,
}

impl fmt::Display for Blame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Task => "task",
            Self::Infrastructure => "infrastructure",
            Self::Configuration => "configuration",
        })
    }
}

/// Whether trying again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Retry {
    /// The same request will fail again.
    Never,
    /// The same request may succeed later.
    Same,
    /// It may succeed with more memory, CPU or disk (or, on small nodes, with less).
    MoreResources,
    /// It may succeed on another node or cluster.
    Elsewhere,
}

impl fmt::Display for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Never => "never",
            Self::Same => "same",
            Self::MoreResources => "more_resources",
            Self::Elsewhere => "elsewhere",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_causes_are_those_of_their_json() {
        for cause in Cause::ALL {
            assert_eq!(cause.as_str().parse(), Ok(cause));
            let name = serde::de::value::StrDeserializer::<serde::de::value::Error>::new(cause.as_str());
            assert_eq!(Cause::deserialize(name), Ok(cause));
        }
    }
}
