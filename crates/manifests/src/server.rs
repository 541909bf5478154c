//! Which HTTP server an image brings, and how it is started.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A server that is in the image. All of them answer `GET /alive` without a session key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ServerKind {
    /// Whatever the image's own command starts.
    #[serde(rename = "image")]
    Image,
    /// OpenHands' V0 exec server (`openhands.runtime.action_execution_server`).
    #[serde(rename = "openhands")]
    OpenHands,
    /// OpenHands' V1 agent-server.
    #[serde(rename = "agent-server")]
    AgentServer,
}

/// OpenHands' V1 server in its images.
pub(crate) const AGENT_SERVER: &str = "/usr/local/bin/openhands-agent-server";
/// What OpenHands' V0 server is started through in its images.
pub(crate) const MICROMAMBA: &str = "/openhands/micromamba/bin/micromamba";

/// Uid of the user `openhands` in OpenHands' images.
pub(crate) const OPENHANDS_ID: u64 = 1000;
/// Where OpenHands' V0 server is started: it finds its code there.
pub(crate) const OPENHANDS_WORKDIR: &str = "/openhands/code/";

/// A text that names no server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a server: image (the image's own command), openhands or agent-server")]
pub struct ServerKindError(String);

impl ServerKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Image, Self::OpenHands, Self::AgentServer];

    /// The name, as `--server` takes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::OpenHands => "openhands",
            Self::AgentServer => "agent-server",
        }
    }
}

impl ServerKind {
    /// The kind whose command starts with `program`, a path in the container.
    pub fn started_by(program: &str) -> Option<Self> {
        match program {
            MICROMAMBA => Some(Self::OpenHands),
            AGENT_SERVER => Some(Self::AgentServer),
            _ => None,
        }
    }

    /// The image that has this server, as OpenHands publishes it; `None` for a server of the image's own.
    pub const fn stock_image(self) -> Option<&'static str> {
        match self {
            Self::Image => None,
            Self::OpenHands => Some("docker.io/openhands/runtime"),
            Self::AgentServer => Some("ghcr.io/openhands/agent-server"),
        }
    }
}

impl FromStr for ServerKind {
    type Err = ServerKindError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| ServerKindError(text.into()))
    }
}

impl fmt::Display for ServerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_goes_both_ways() {
        for kind in ServerKind::ALL {
            assert_eq!(kind.to_string().parse(), Ok(kind));
            assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{kind}\""));
        }
        assert!("OpenHands".parse::<ServerKind>().is_err());
    }
}
