//! One session of this machine.

use std::sync::{Arc, PoisonError};

use podbay_local::{Life, Locked, Sandbox, SessionFile, SessionName, Sessions};
use podbay_manifests::{ACTIONS_VSCODE_PORT, Record, SessionId, SessionNames, SessionOwner};
use podbay_protocol::{SessionState, Verdict};
use secrecy::SecretString;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::record::{self, Secrets};
use super::seen::{Seen, agent_is_gone};
use crate::agent::AgentConnection;
use crate::dial::SandboxAddress;
use crate::error::Error;
use crate::lifecycle::Closed;
use crate::machine::{InProcess, Keeper, Machine};

/// A session of this machine. Cheap to clone.
#[derive(Clone)]
pub(crate) struct LocalSession {
    machine: Arc<Machine>,
    owner: Option<SessionOwner>,
    id: SessionId,
}

/// What it takes to use a session.
pub(crate) enum Access {
    /// Its agent is reached by a socket.
    Agent {
        /// Tells it from other sessions of its name.
        uid: String,
        /// What it asks clients for.
        key: SecretString,
        /// Where it listens.
        socket: std::path::PathBuf,
    },
    /// This process keeps it.
    Process(Arc<Sandbox>),
}

impl LocalSession {
    pub(crate) const fn new(machine: Arc<Machine>, owner: Option<SessionOwner>, id: SessionId) -> Self {
        Self { machine, owner, id }
    }

    /// The session of a record.
    pub(crate) fn of(machine: &Arc<Machine>, record: &Record) -> Self {
        Self::new(
            Arc::clone(machine),
            record.spec.owner().cloned(),
            record.id().clone(),
        )
    }

    /// What it shares with others.
    pub(crate) const fn machine(&self) -> &Arc<Machine> {
        &self.machine
    }

    /// Its id.
    pub(crate) fn id(&self) -> &str {
        self.id.as_str()
    }

    /// The name that its pod would have.
    pub(crate) fn pod_name(&self) -> String {
        SessionNames::of(self.owner.as_ref(), &self.id).object()
    }

    /// The name of its directory.
    pub(super) fn name(&self) -> SessionName {
        let owner = self.owner.as_ref().map(SessionOwner::as_str);
        SessionName::of(owner, self.id.as_str())
    }

    /// Names the session that an operation on its directory concerns.
    pub(super) fn error(&self, source: podbay_local::Error) -> Error {
        Error::Machine {
            session: self.id.to_string(),
            source: Box::new(source),
        }
    }

    pub(crate) fn not_found(&self) -> Error {
        Error::NotHere {
            session: self.id.to_string(),
        }
    }

    pub(super) fn lost(&self, killed: usize) -> Error {
        Error::Lost {
            session: self.id.to_string(),
            verdict: Box::new(agent_is_gone(killed)),
        }
    }

    /// Reads what is written down of it.
    pub(super) fn read(&self, file: &SessionFile) -> Result<Record, Error> {
        let record = record::read(file).map_err(|source| Error::Record {
            session: self.id.to_string(),
            source,
        })?;
        // Two names may meet in a hash.
        if record.id() == &self.id && record.spec.owner() == self.owner.as_ref() {
            Ok(record)
        } else {
            Err(Error::NameTaken {
                session: self.id.to_string(),
                object: format!("the directory {}", self.name()),
            })
        }
    }

    /// Whether this process keeps it; else an agent does.
    pub(crate) fn is_in_process(&self) -> bool {
        matches!(self.machine.keeper, Keeper::Process(_))
    }

    /// The session, if this process keeps it.
    fn in_process(&self) -> Option<InProcess> {
        match &self.machine.keeper {
            Keeper::Process(all) => {
                let all = all.lock().unwrap_or_else(PoisonError::into_inner);
                all.get(&self.name()).cloned()
            }
            Keeper::Agents(_) => None,
        }
    }

    /// Looks for it. What a killed agent has left is killed. `None` if there is no such session.
    pub(crate) async fn look(&self) -> Result<Option<Seen>, Error> {
        let sessions = match &self.machine.keeper {
            Keeper::Process(_) => {
                return Ok(self.in_process().map(|session| Seen {
                    record: session.record,
                    life: Life::Serves,
                    work: session.sandbox.work(),
                    closing: false,
                    killed: 0,
                }));
            }
            Keeper::Agents(sessions) => sessions,
        };
        let found = {
            let (sessions, name) = (sessions.clone(), self.name());
            spawn_blocking(move || sessions.find(&name)).await
        };
        // The runtime is being shut down: nobody asks any longer.
        let found = found.unwrap_or(Ok(None)).map_err(|error| self.error(error))?;
        let Some(found) = found else { return Ok(None) };
        let file = found.file.map_err(|error| self.error(error))?;
        let killed = match found.life {
            Life::Ended => self.kill_left(sessions, &file).await?,
            Life::Serves | Life::Changing => 0,
        };
        Ok(Some(Seen {
            record: self.read(&file)?,
            life: found.life,
            work: Some(file.files.join(&file.work_directory)),
            closing: file.closing,
            killed,
        }))
    }

    /// Kills what an agent that is gone has left. Who is busy with the session does that itself.
    pub(super) async fn kill_left(&self, sessions: &Sessions, file: &SessionFile) -> Result<usize, Error> {
        let killing = async {
            let locked = match sessions.lock(&self.name(), std::time::Duration::ZERO).await {
                Err(podbay_local::Error::Busy { .. }) | Ok(None) => return Ok(0),
                locked => locked?,
            };
            match locked {
                Some(locked) if !locked.has_agent()? => locked.kill_left(file).await,
                _ => Ok(0),
            }
        };
        let killed = killing.await.map_err(|error| self.error(error))?;
        if killed > 0 {
            tracing::warn!(session = self.id(), killed, "what its agent had left was killed");
        }
        Ok(killed)
    }

    /// Its record.
    pub(crate) async fn record(&self) -> Result<Record, Error> {
        let seen = self.look().await?;
        seen.map(|seen| seen.record).ok_or_else(|| self.not_found())
    }

    /// Where it is, if this is its record.
    pub(crate) fn address_of(&self, record: &Record) -> SandboxAddress {
        let address = SandboxAddress::on_this_machine(self.id(), &record.uid);
        match (record.spec.actions(), &self.machine.keeper) {
            (Some(port), Keeper::Agents(sessions)) => address
                .with_socket(port, sessions.socket(&self.name()))
                .with_socket(ACTIONS_VSCODE_PORT, sessions.vscode_socket(&self.name())),
            _ => address,
        }
    }

    /// Its key.
    pub(crate) async fn key(&self) -> Result<SecretString, Error> {
        match &self.machine.keeper {
            Keeper::Process(_) => {
                let session = self.in_process();
                session.map(|session| session.key).ok_or_else(|| self.not_found())
            }
            Keeper::Agents(sessions) => {
                // That it is there, and what is wrong with it, is told first.
                self.record().await?;
                Ok(self.secrets(sessions.secret(&self.name()))?.key())
            }
        }
    }

    pub(super) fn secrets(&self, bytes: Result<Vec<u8>, podbay_local::Error>) -> Result<Secrets, Error> {
        let bytes = bytes.map_err(|error| self.error(error))?;
        Secrets::read(&bytes).ok_or_else(|| Error::NameTaken {
            session: self.id.to_string(),
            object: format!("the file secret.json in {}", self.name()),
        })
    }

    /// The connection to its agent, if that has answered a moment ago, and nobody has paused or ended the session since: then who
    /// listens need not be looked for, which takes longer than all else that is done here before a command.
    pub(crate) fn fresh_agent(&self) -> Option<AgentConnection> {
        let Keeper::Agents(sessions) = &self.machine.keeper else {
            return None;
        };
        let file = sessions.file(&self.name()).ok()??;
        let connection = self.machine.agents.get(&file.uid)?;
        let is_fresh = connection.is_fresh(Instant::now()) && !file.closing;
        (is_fresh && !self.read(&file).ok()?.paused).then_some(connection)
    }

    /// What it takes to use the session; tells why it can't be used. One that another process is opening is waited for.
    pub(crate) async fn access(&self) -> Result<Access, Error> {
        let sessions = match &self.machine.keeper {
            Keeper::Process(_) => {
                let session = self.in_process().ok_or_else(|| self.not_found())?;
                return Ok(Access::Process(session.sandbox));
            }
            Keeper::Agents(sessions) => sessions,
        };
        let mut seen = self.look().await?.ok_or_else(|| self.not_found())?;
        if seen.life == Life::Changing {
            drop(self.lock(sessions).await?);
            seen = self.look().await?.ok_or_else(|| self.not_found())?;
        }
        match seen.state() {
            SessionState::Ready(_) => Ok(Access::Agent {
                uid: seen.record.uid,
                key: self.secrets(sessions.secret(&self.name()))?.key(),
                socket: sessions.socket(&self.name()),
            }),
            SessionState::Paused => Err(Error::Paused {
                session: self.id.to_string(),
            }),
            SessionState::Stopping => Err(self.not_found()),
            _ => Err(self.lost(seen.killed)),
        }
    }

    /// Locks it, once nobody else is busy with it. `None` if there is no such session.
    pub(super) async fn lock(&self, sessions: &Sessions) -> Result<Option<Locked>, Error> {
        let locked = sessions.lock(&self.name(), self.machine.patience).await;
        locked.map_err(|error| self.error(error))
    }

    /// Why it takes no processes any longer, if it doesn't.
    pub(crate) async fn verdict_of_agent(&self) -> Option<Verdict> {
        match self.look().await {
            Ok(None) => Some(agent_is_gone(0)),
            Ok(Some(seen)) if seen.closing || seen.life == Life::Ended => Some(agent_is_gone(seen.killed)),
            Ok(Some(_)) => None,
            Err(error) => {
                tracing::debug!(error = error.chain(), "the session could not be looked at");
                None
            }
        }
    }

    /// Stops all that runs in it.
    pub(crate) async fn pause(&self) -> Result<(), Error> {
        let Keeper::Agents(sessions) = &self.machine.keeper else {
            self.record().await?;
            return Err(Error::Unsupported {
                what: "pausing",
                why: "the session ends with this process".to_owned(),
            });
        };
        let locked = self.lock(sessions).await?.ok_or_else(|| self.not_found())?;
        let file = locked.read().map_err(|error| self.error(error))?;
        let Some(mut file) = file.filter(|file| !file.closing) else {
            return Err(self.not_found());
        };
        let record = self.read(&file)?;
        if !locked.has_agent().map_err(|error| self.error(error))? {
            let killed = locked.kill_left(&file).await.map_err(|error| self.error(error))?;
            return Err(self.lost(killed));
        }
        // Marked first: who dies in between leaves a session that says it is paused and takes no commands, and the next pause
        // or resume puts it right.
        if !record.paused {
            record::mark_paused(&mut file, true);
            locked.write(&file).map_err(|error| self.error(error))?;
        }
        locked.freeze(&file).await.map_err(|error| self.error(error))
    }

    /// Ends it.
    pub(crate) async fn close(&self) -> Result<Closed, Error> {
        let existed = match &self.machine.keeper {
            Keeper::Process(all) => {
                let removed = {
                    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
                    all.remove(&self.name())
                };
                match removed {
                    Some(session) => self.close_sandbox(session.sandbox).await?,
                    None => false,
                }
            }
            Keeper::Agents(sessions) => match self.lock(sessions).await? {
                Some(locked) => {
                    self.end(sessions, locked).await?;
                    true
                }
                None => false,
            },
        };
        Ok(Closed {
            session: self.id.to_string(),
            existed,
            claim: None,
        })
    }

    async fn close_sandbox(&self, sandbox: Arc<Sandbox>) -> Result<bool, Error> {
        let ended = sandbox.ended();
        // It blocks. If another call is closing it already, this returns at once, and the other is waited for.
        let closed = spawn_blocking(move || sandbox.close()).await;
        match closed {
            Ok(closed) => {
                ended.cancelled().await;
                closed.map(|()| true).map_err(|left| self.error(left.into()))
            }
            // The runtime is being shut down; the sandbox closes when it is dropped.
            Err(_) => Ok(true),
        }
    }

    /// Ends a session that this process has locked, whatever can be read of it.
    pub(super) async fn end(&self, sessions: &Sessions, locked: Locked) -> Result<(), Error> {
        let ended = match locked.read() {
            Ok(Some(file)) => locked.close(file).await,
            Ok(None) => sessions.remove_unreadable(&self.name(), locked).await,
            // Whoever made it knows what belongs to it.
            Err(error @ podbay_local::Error::Newer { .. }) => Err(error),
            Err(error) => {
                tracing::warn!(%error, "what is written down of the session can't be read, and it is removed");
                sessions.remove_unreadable(&self.name(), locked).await
            }
        };
        ended.map_err(|error| self.error(error))
    }
}
