//! The steps of a session's start.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::choices;

choices! {
    /// A step of a session's start. The order of the variants is the order of the steps.
    #[derive(PartialOrd, Ord)]
    pub enum StartPhase: "phase" {
        /// The objects are written to the API server.
        Creating = "creating",
        /// The pod waits for a node.
        Scheduling = "scheduling",
        /// The node sets up volumes, network and the pod's sandbox.
        Preparing = "preparing",
        /// The node pulls the image, and creates and starts the container.
        Starting = "starting",
        /// The container runs and, where the image carries a server, answers.
        Ready = "ready",
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

choices! {
    /// OpenHands' status names (`openhands.runtime.runtime_status.RuntimeStatus`), as its callbacks and its user
    /// interface know them.
    pub enum RuntimeStatus: "status" {
        /// The pod is being created or attached to.
        StartingRuntime = "STATUS$STARTING_RUNTIME",
        /// The session takes commands.
        Ready = "STATUS$READY",
        /// The session was closed.
        Stopped = "STATUS$STOPPED",
        /// The start failed.
        Error = "STATUS$ERROR",
        /// A ready session was lost.
        ErrorRuntimeDisconnected = "STATUS$ERROR_RUNTIME_DISCONNECTED",
    }
}
