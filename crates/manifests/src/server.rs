//! Which HTTP server an image brings, and how it is started.

podbay_protocol::choices! {
    /// A server that is in the image. All of them answer `GET /alive` without a session key.
    pub enum ServerKind: "server" {
        /// Whatever the image's own command starts.
        Image = "image",
        /// OpenHands' V0 exec server (`openhands.runtime.action_execution_server`).
        OpenHands = "openhands",
        /// OpenHands' V1 agent-server.
        AgentServer = "agent-server",
    }
}

/// OpenHands' V1 server in its images.
pub(crate) const AGENT_SERVER: &str = "/usr/local/bin/openhands-agent-server";
/// What OpenHands' V0 server is started through in its images.
pub(crate) const MICROMAMBA: &str = "/openhands/micromamba/bin/micromamba";

/// Where VS Code listens in sessions of OpenHands' V0 clients that Podbay's agent serves: the port that OpenHands' remote runtimes have for it.
pub const ACTIONS_VSCODE_PORT: u16 = 60_001;

/// Uid of the user `openhands` in OpenHands' images.
pub(crate) const OPENHANDS_ID: u64 = 1000;
/// Where OpenHands' V0 server is started: it finds its code there.
pub(crate) const OPENHANDS_WORKDIR: &str = "/openhands/code/";

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_goes_both_ways() {
        for kind in ServerKind::ALL {
            assert_eq!(kind.to_string().parse(), Ok(*kind));
            assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{kind}\""));
        }
        assert!("OpenHands".parse::<ServerKind>().is_err());
    }
}
