//! What of a sandbox a URL leads to.

use crate::sessions::SandboxPorts;

/// What of a sandbox a URL leads to. The names in URLs are those that OpenHands' clients derive from a session's `url` by
/// themselves: in host style they stand before the host, in path style they are the segment after the runtime id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Endpoint {
    /// The server that the session's `url` leads to: our agent, or that of the image.
    Server,
    /// VS Code.
    VsCode,
    /// What a program in the sandbox serves on the first work port.
    Work1,
    /// The same on the second one.
    Work2,
}

impl Endpoint {
    /// All of them, in the order of the ports of a session in port style.
    pub const ALL: [Self; 4] = [Self::Server, Self::VsCode, Self::Work1, Self::Work2];

    /// Whether a program in the sandbox is reached by it, and not what the service knows.
    pub const fn is_work(self) -> bool {
        matches!(self, Self::Work1 | Self::Work2)
    }

    /// Its name in URLs; that of the server is empty.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Server => "",
            Self::VsCode => "vscode",
            Self::Work1 => "work-1",
            Self::Work2 => "work-2",
        }
    }

    /// The one with this name in URLs. The server has none.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|endpoint| !name.is_empty() && endpoint.name() == name)
    }

    /// Its port in a sandbox.
    pub const fn port(self, ports: &SandboxPorts) -> u16 {
        match self {
            Self::Server => ports.server,
            Self::VsCode => ports.vscode,
            Self::Work1 => ports.work[0],
            Self::Work2 => ports.work[1],
        }
    }
}
