//! How Podbay's agent comes into a session's pod.

use serde::{Deserialize, Serialize};

/// How the agent comes into the pod. A record without a word of it is of a session without an agent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AgentDelivery {
    /// There is none: commands and files go by the API server's exec.
    #[default]
    None,
}

impl AgentDelivery {
    /// Whether there is no agent in the pod.
    pub const fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }
}
