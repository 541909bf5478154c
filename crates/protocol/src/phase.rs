//! The steps of a session's start.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A step of a session's start. The order of the variants is the order of the steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StartPhase {
    /// The objects are written to the API server.
    Creating,
    /// The pod waits for a node.
    Scheduling,
    /// The node sets up volumes, network and the pod's sandbox.
    Preparing,
    /// The node pulls the image, and creates and starts the container.
    Starting,
    /// The container runs and, where the image carries a server, answers.
    Ready,
}

impl StartPhase {
    /// The name, as it stands in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Scheduling => "scheduling",
            Self::Preparing => "preparing",
            Self::Starting => "starting",
            Self::Ready => "ready",
        }
    }
}

impl fmt::Display for StartPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How long each step of a start took, in seconds; a step that did not happen (the session was there
/// already) took none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PhaseTimes {
    /// Writing the objects.
    pub creating: f64,
    /// Until a node was chosen.
    pub scheduling: f64,
    /// Volumes, network, sandbox.
    pub preparing: f64,
    /// Image, container.
    pub starting: f64,
    /// From the first request to ready.
    pub total: f64,
}

impl PhaseTimes {
    /// Adds the time spent in `phase`.
    pub fn add(&mut self, phase: StartPhase, spent: Duration) {
        let seconds = spent.as_secs_f64();
        match phase {
            StartPhase::Creating => self.creating += seconds,
            StartPhase::Scheduling => self.scheduling += seconds,
            StartPhase::Preparing => self.preparing += seconds,
            StartPhase::Starting => self.starting += seconds,
            StartPhase::Ready => return,
        }
        self.total += seconds;
    }
}

/// OpenHands' status names (`openhands.runtime.runtime_status.RuntimeStatus`), as its callbacks and its user
/// interface know them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RuntimeStatus {
    /// The pod is being created or attached to.
    #[serde(rename = "STATUS$STARTING_RUNTIME")]
    StartingRuntime,
    /// The session takes commands.
    #[serde(rename = "STATUS$READY")]
    Ready,
    /// The session was closed.
    #[serde(rename = "STATUS$STOPPED")]
    Stopped,
    /// The start failed.
    #[serde(rename = "STATUS$ERROR")]
    Error,
    /// A ready session was lost.
    #[serde(rename = "STATUS$ERROR_RUNTIME_DISCONNECTED")]
    ErrorRuntimeDisconnected,
}

impl RuntimeStatus {
    /// The name, as it stands in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StartingRuntime => "STATUS$STARTING_RUNTIME",
            Self::Ready => "STATUS$READY",
            Self::Stopped => "STATUS$STOPPED",
            Self::Error => "STATUS$ERROR",
            Self::ErrorRuntimeDisconnected => "STATUS$ERROR_RUNTIME_DISCONNECTED",
        }
    }
}

impl fmt::Display for RuntimeStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
