//! What reaches into a session: its processes and its files, over whatever way there is.
//!
//! ```text
//!   capabilities.rs  what a way can do, and the one error for what it can't
//!   error.rs         why something of the files failed
//!   files.rs         `FileTransport`: stat, get, put, trees; `crate::files` has the one by commands
//!   processes.rs     `ProcessTransport`: start, attach, write, signal
//!   connections.rs   processes that live as long as one connection, which `exec` and `local` share
//!   report.rs        from how a process ended to the end that is reported (pure)
//!   errand.rs        short commands that look after others
//!   user/            another user than the container's
//!   exec/            over the exec subresource, with the image's own shell
//!   local/           processes of this machine that this process keeps
//!   agent/           processes by Podbay's agent, in the pod or on this machine
//! ```
//!
//! What is above (`command/`, `copy/`) carries streams, counts, decides about time-outs and what a copy means; how a process is
//! started, ended and looked after, and how a file gets there, is the matter of the transport alone.

mod agent;
mod capabilities;
mod connections;
mod errand;
mod error;
mod exec;
mod files;
mod local;
mod processes;
mod report;
mod user;

use std::sync::Arc;

pub use capabilities::{Capabilities, Integrity, TreeKill};
pub use error::TransportError;
pub use files::{ByteRange, FileKind, FileStat, FileTransport, Ownership, PutOptions, Reader, Writer};
pub use processes::{Attachment, AttachmentEnd, Chunk, Output, ProcessTransport};

pub(crate) use agent::AGENT_CAPABILITIES;

use podbay_protocol::{DialWay, TransportKind, TransportUsed};

use crate::agent::AgentConnection;
use crate::error::Error;
use crate::local::LocalSession;
use crate::session::{ClusterSession, Place, Session};
use agent::{AgentProcesses, MachineProcesses, Way};
use exec::ExecProcesses;
use local::LocalProcesses;

/// A way to a session's processes, and what is to be said of it.
pub(crate) struct Reached {
    pub(crate) processes: Arc<dyn ProcessTransport>,
    pub(crate) used: TransportUsed,
}

impl Session {
    /// Its processes, by what needs no agent in a pod; those of this machine that outlive their client have no other way.
    pub(crate) fn without_agent(&self) -> Reached {
        match self.home() {
            Place::Machine(session) => self.on_machine(session),
            Place::Cluster(session) => by_exec(session),
        }
    }

    fn on_machine(&self, session: &LocalSession) -> Reached {
        if session.is_in_process() {
            Reached {
                processes: Arc::new(LocalProcesses::new(session.clone())),
                used: TransportUsed::plain(TransportKind::Local),
            }
        } else {
            Reached {
                processes: Arc::new(MachineProcesses::new(self.clone(), session.clone())),
                used: TransportUsed::agent(DialWay::Loopback, Vec::new()),
            }
        }
    }

    /// The connection to its agent, for what nothing else can do: why it can't be reached is told. `None` where it has none.
    pub(crate) async fn required_agent(&self) -> Result<Option<AgentConnection>, Error> {
        match self.home() {
            Place::Machine(session) => agent::connection(session).await,
            Place::Cluster(session) => agent::required(session).await,
        }
    }

    /// The connection to its agent if that is what carries its files, as it carries its processes.
    pub(crate) async fn agent_for_files(&self) -> Result<Option<AgentConnection>, Error> {
        let session = match self.home() {
            Place::Machine(session) => return agent::connection(session).await,
            Place::Cluster(session) => session,
        };
        Ok(match agent::way(session).await? {
            Way::Agent(connection) => Some(connection),
            Way::Exec(_) => None,
        })
    }

    /// Its processes, by the best way there is to them: its agent, where it has one that can be reached, else the exec
    /// subresource. Whoever has begun one way goes on with it.
    ///
    /// Fails where the setting `agent.dial` names a way to the agent, and that way does not lead to it.
    pub async fn processes(&self) -> Result<Arc<dyn ProcessTransport>, Error> {
        Ok(self.reach_processes().await?.processes)
    }

    /// The same, with what is to be said of it.
    pub(crate) async fn reach_processes(&self) -> Result<Reached, Error> {
        let session = match self.home() {
            Place::Machine(session) => return Ok(self.on_machine(session)),
            Place::Cluster(session) => session,
        };
        match agent::way(session).await? {
            Way::Agent(connection) => Ok(self.by_agent(connection).await),
            Way::Exec(passed_over) => {
                let Reached { processes, used } = by_exec(session);
                Ok(Reached {
                    processes,
                    used: TransportUsed { passed_over, ..used },
                })
            }
        }
    }

    /// The transport by which processes outlive their connection. Where the session has no agent it is one that refuses that, by
    /// its capabilities; where there is one that can't be reached, why is an error.
    pub(crate) async fn lasting_processes(&self) -> Result<Reached, Error> {
        let session = match self.home() {
            Place::Machine(session) => return Ok(self.on_machine(session)),
            Place::Cluster(session) => session,
        };
        match agent::required(session).await? {
            Some(connection) => Ok(self.by_agent(connection).await),
            None => Ok(self.without_agent()),
        }
    }

    async fn by_agent(&self, connection: AgentConnection) -> Reached {
        let used = connection.used().await;
        Reached {
            processes: Arc::new(AgentProcesses::new(self.clone(), connection)),
            used: used.unwrap_or(TransportUsed::plain(TransportKind::Agent)),
        }
    }
}

fn by_exec(session: &ClusterSession) -> Reached {
    Reached {
        processes: Arc::new(ExecProcesses::new(session.clone())),
        used: TransportUsed::plain(TransportKind::Exec),
    }
}
