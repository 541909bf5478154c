//! What the API and the routes ask of sessions, of a cluster or of this machine.
//!
//! ```text
//!   namespaces.rs the sessions of all namespaces of the service
//!   service.rs    the sessions of the service: paused, woken, ended, followed
//!   lookup.rs     found: in the index, or by one call
//!   begin.rs      started and brought back
//!   drain.rs      what runs is waited for before a pause
//!   jobs.rs       where the pods of Jobs are
//!   known.rs      one of them
//!   starts.rs     starts under way in this process, and failed ones
//!   steps.rs      how long the steps of a start take
//!   answering.rs  which sandboxes have answered
//!   secrets.rs    the keys of sessions, read from their Secrets
//!   unknown.rs    how often the cluster is asked for what the index does not know   (pure)
//!   told.rs       what the cluster says of sessions that do not start                (pure)
//!   commands.rs   how commands ended that sessions were started for                 (pure)
//!   recovery.rs   which sessions are brought back whose pod was lost                (pure)
//!   stopped.rs    sessions that this process has ended a moment ago                (pure)
//!   pauses.rs     when a request may wake a paused session                          (pure)
//! ```

mod answering;
mod begin;
mod commands;
mod drain;
mod jobs;
mod known;
mod lookup;
mod namespaces;
mod pauses;
mod recovery;
mod secrets;
mod service;
mod starts;
mod steps;
mod stopped;
mod told;
mod unknown;

use async_trait::async_trait;
use podbay_manifests::{KeyHash, RuntimeId, SessionOwner};
use podbay_runtime::dial::{BoxIo, DialError, SandboxAddress};
use podbay_runtime::{SessionId, SessionState};

pub use begin::{Begun, NotStarted};
pub use drain::Drained;
pub use known::{Known, PUBLIC_LABEL, SessionKey};
pub(crate) use known::{VSCODE_PORT, WORK_PORTS};
pub use namespaces::AllSessions;
pub(crate) use pauses::QUIET;
pub use service::ServiceSessions;
pub(crate) use told::{Told, bounded};

/// One session, as a route sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// By what it is found from outside.
    pub runtime_id: RuntimeId,
    /// Its id.
    pub session: SessionId,
    /// Whom it belongs to. `None` for one that the command line opened.
    pub owner: Option<SessionOwner>,
    /// How it is now.
    pub state: SessionState,
    /// Why its start came to nothing, where no verdict tells.
    pub failure: Option<String>,
    /// Where its sandbox is: the session's own pod. `None` while there is none, or its address is not known.
    pub address: Option<SandboxAddress>,
    /// What listens in it, and where.
    pub ports: SandboxPorts,
    /// What a client's session key is checked against. `None` for a session of an earlier version, whose key is in its Secret
    /// alone.
    pub key: Option<KeyHash>,
    /// What the token of VS Code is checked against that the session's agent told a client, if the agent serves it.
    pub vscode_token: Option<KeyHash>,
    /// Whether its work ports are shown to whoever knows their URL.
    pub public: bool,
}

/// The ports of a sandbox that have a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SandboxPorts {
    /// The server that the session's `url` leads to.
    pub server: u16,
    /// VS Code.
    pub vscode: u16,
    /// What a program in the sandbox may serve: the first and the second work host.
    pub work: [u16; 2],
}

/// Why it can't be told whether there is a session: the index is behind and the cluster does not answer.
#[derive(Clone, Debug, thiserror::Error)]
#[error("it can't be told whether there is a session: {message}")]
pub struct NotKnown {
    /// What was met.
    pub message: String,
}

/// Why a paused session is not brought back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotWoken {
    /// It was paused a moment ago: what still asks was on its way before.
    #[error("it was paused a moment ago")]
    JustPaused,
    /// It was woken too often of late.
    #[error("it was woken too often of late")]
    TooOften,
    /// There is no place for it, or the cluster refuses it; in words for people.
    #[error("{0}")]
    Refused(String),
}

/// Sessions by runtime id, and the ways into them.
#[async_trait]
pub trait Sessions: Send + Sync + 'static {
    /// The session with this runtime id as it is now; `None` if there is none.
    async fn route(&self, id: &RuntimeId) -> Result<Option<Route>, NotKnown>;

    /// Waits until [`Sessions::route`] may answer other than `seen`. It may return without a reason, and never misses one.
    async fn changed(&self, seen: &Route);

    /// Begins to bring a paused session back. Returns when that is written, not when the session is ready; several calls at once
    /// are one.
    async fn wake(&self, id: &RuntimeId) -> Result<(), NotWoken>;

    /// Connects to a port of a sandbox.
    async fn connect(&self, address: &SandboxAddress, port: u16) -> Result<BoxIo, DialError>;
}
