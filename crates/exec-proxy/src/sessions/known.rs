//! One session, as the service knows it.

use std::sync::Arc;

use jiff::Timestamp;
use podbay_manifests::{Record, SessionKind, SessionOwner};
use podbay_runtime::dial::SandboxAddress;
use podbay_runtime::{Look, SessionId, SessionState, SessionView, StartPhase};

use super::{Route, SandboxPorts};

/// Where VS Code listens in a sandbox that clients of the remote runtime API ask for.
pub(crate) const VSCODE_PORT: u16 = podbay_manifests::ACTIONS_VSCODE_PORT;
/// Where clients of the remote runtime API expect what an image starts by itself.
const SERVER_PORT: u16 = 60_000;
/// The ports of work hosts, as OpenHands has them.
pub(crate) const WORK_PORTS: [u16; 2] = [12_000, 12_001];

/// The label by whose value `true` a session's work ports are shown to whoever knows their URL.
pub const PUBLIC_LABEL: &str = "podbay-public";

/// Whose session it is, and its id: two owners may use one id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SessionKey {
    /// The owner; `None` for one that the command line opened.
    pub owner: Option<SessionOwner>,
    /// Its id.
    pub id: SessionId,
}

/// A session, as the service knows it.
#[derive(Clone, Debug)]
pub struct Known {
    /// Its record.
    pub record: Arc<Record>,
    /// Its state.
    pub state: SessionState,
    /// Where its sandbox is.
    pub address: Option<SandboxAddress>,
    /// How often its container was started again, and why it had ended.
    pub restarts: (u32, Option<String>),
    /// Why its start in this process came to nothing, where no verdict tells: the state is then what was seen last.
    pub failure: Option<String>,
}

impl Known {
    /// What the index knows of it; `None` if it has seen no record that can be read.
    pub(super) fn of_view(view: &SessionView, now: Timestamp) -> Option<Self> {
        let record = Arc::clone(view.record()?);
        Some(Self {
            record,
            state: view.state(now)?,
            address: view.address(),
            restarts: view.restarts(),
            failure: None,
        })
    }

    /// Whose it is, and its id.
    pub fn key(&self) -> SessionKey {
        SessionKey {
            owner: self.record.spec.owner().cloned(),
            id: self.record.id().clone(),
        }
    }

    /// Whether it is there, or somebody has begun to start it.
    pub(super) fn is_live(&self) -> bool {
        self.failure.is_none() && matches!(self.state, SessionState::Starting(_) | SessionState::Ready(_))
    }

    /// What listens in it, and where.
    pub fn ports(&self) -> SandboxPorts {
        ports(&self.record)
    }

    /// As a route sees it; `None` for one of an earlier version, which has no runtime id.
    pub fn route(&self) -> Option<Route> {
        Some(Route {
            runtime_id: self.record.runtime_id.clone()?,
            session: self.record.id().clone(),
            owner: self.record.spec.owner().cloned(),
            state: self.state.clone(),
            failure: self.failure.clone(),
            address: self.address.clone(),
            ports: self.ports(),
            key: self.record.key_hash.clone(),
            vscode_token: self.record.vscode_token_hash.clone(),
            public: self.record.spec.labels().get(PUBLIC_LABEL) == Some("true"),
        })
    }
}

impl From<Look> for Known {
    fn from(look: Look) -> Self {
        let Look {
            record,
            state,
            address,
        } = look;
        Self {
            record: Arc::new(record),
            state,
            address,
            restarts: (0, None),
            failure: None,
        }
    }
}

/// The ports of a session's sandbox that have a URL.
pub(super) fn ports(record: &Record) -> SandboxPorts {
    let spec = &record.spec;
    let server = spec
        .actions()
        .or_else(|| spec.server().map(podbay_manifests::ServerSpec::port))
        .or_else(|| spec.agent().port())
        .or_else(|| (spec.kind() == SessionKind::Image).then_some(SERVER_PORT));
    SandboxPorts {
        // One without any server has nothing that listens there.
        server: server.unwrap_or(0),
        vscode: spec
            .server()
            .map_or(VSCODE_PORT, podbay_manifests::ServerSpec::vscode_port),
        work: WORK_PORTS,
    }
}

/// The state of a session that this process has begun to start and knows no more of.
pub(super) const BEGUN: SessionState = SessionState::Starting(StartPhase::Creating);
