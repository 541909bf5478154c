//! Opening a session of this machine.

use std::sync::{Arc, MutexGuard, PoisonError};

use jiff::Timestamp;
use podbay_local::{AgentProgram, Created, Locked, NewSession, Sandbox, SessionFile, SessionName, Sessions};
use podbay_manifests::{CreationValues, Record, SessionSecrets, SessionSpec};
use podbay_protocol::{PhaseTimes, SessionState, StartPhase};
use secrecy::SecretString;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::record::{self, Secrets, mark_paused, new_uid};
use super::session::LocalSession;
use crate::agent::AgentConnection;
use crate::dial::{SandboxAddress, Ways};
use crate::error::Error;
use crate::lifecycle::{
    OpenMode, OpenOutcome, Origin, Stored, creation_values, run_main_command, start_ended_server,
};
use crate::machine::{InProcess, Keeper, Machine};

/// The port of an agent that listens on a socket.
const NO_PORT: u16 = 0;

/// A session of this machine that is about to be opened.
pub(crate) struct LocalOpen {
    pub(crate) machine: Arc<Machine>,
    pub(crate) spec: SessionSpec,
    pub(crate) secrets: SessionSecrets,
    pub(crate) mode: OpenMode,
    /// How many sessions its owner may have at once.
    pub(crate) owner_limit: Option<u32>,
    /// Told of each step as it begins.
    pub(crate) state: watch::Sender<SessionState>,
    /// Told once the session's directory is there.
    pub(crate) stored: watch::Sender<Option<Stored>>,
    /// Ends the start early; what it made is removed.
    pub(crate) cancel: CancellationToken,
}

/// A session with an agent that takes commands.
struct Opened {
    record: Record,
    origin: Origin,
    /// None where it was there and ready.
    times: Option<PhaseTimes>,
}

impl LocalOpen {
    /// Makes the session, or attaches to the one that is there. What this call made is removed again when it fails.
    pub(crate) async fn open(self) -> Result<OpenOutcome, Error> {
        let opened = match &self.machine.keeper {
            Keeper::Process(_) => self.in_process().await?,
            Keeper::Agents(sessions) => self.by_agent(sessions).await?,
        };
        Ok(OpenOutcome {
            pod: opened.record.spec.names().object(),
            record: Box::new(opened.record),
            times: opened.times,
            origin: opened.origin,
            without_agent: None,
        })
    }

    fn session(&self) -> LocalSession {
        let owner = self.spec.owner().cloned();
        LocalSession::new(Arc::clone(&self.machine), owner, self.spec.id().clone())
    }

    /// A session that this process keeps.
    async fn in_process(&self) -> Result<Opened, Error> {
        let session = self.session();
        if self.mode == OpenMode::Replace {
            session.close().await?;
        }
        let begun = Instant::now();
        let Keeper::Process(all) = &self.machine.keeper else {
            return Err(session.not_found());
        };
        let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
        let record = all.get(&session.name()).map(|found| found.record.clone());
        match record {
            Some(record) => Ok(Opened {
                record,
                origin: Origin::Attached,
                times: None,
            }),
            None if self.mode == OpenMode::Attach => Err(session.not_found()),
            None => self.make_sandbox(&session.name(), &mut all, begun),
        }
    }

    fn make_sandbox(
        &self,
        name: &SessionName,
        all: &mut MutexGuard<'_, std::collections::BTreeMap<SessionName, InProcess>>,
        begun: Instant,
    ) -> Result<Opened, Error> {
        let is_of_owner = |found: &&InProcess| found.record.spec.owner() == self.spec.owner();
        self.check_limits(all.len(), all.values().filter(is_of_owner).count())?;
        let (values, uid) = (creation_values(), new_uid());
        let secrets = Secrets::new(&self.secrets, &values);
        let sandbox = Sandbox::open(&uid, &self.work(), secrets.environment());
        let sandbox = sandbox.map_err(|source| Error::NoSandbox {
            session: self.spec.id().to_string(),
            source,
        })?;
        let record = self.new_record(&values, &uid)?;
        let session = InProcess {
            record: record.clone(),
            key: self.tell_stored(&record, &secrets),
            sandbox: Arc::new(sandbox),
        };
        all.insert(name.clone(), session);
        Ok(Opened {
            record,
            origin: Origin::Created,
            times: Some(times(begun, begun)),
        })
    }

    /// A session that an agent keeps.
    async fn by_agent(&self, sessions: &Sessions) -> Result<Opened, Error> {
        let begun = Instant::now();
        let session = self.session();
        let mut mode = self.mode;
        loop {
            self.check_cancelled(false)?;
            if mode == OpenMode::Replace {
                // What can't be made anew is not ended.
                self.agent_program()?;
                session.close().await?;
                mode = OpenMode::AttachOrCreate;
            }
            if mode == OpenMode::AttachOrCreate && !sessions.directory(&session.name()).exists() {
                let program = self.agent_program()?;
                if let Some((locked, values)) = self.create(sessions, &session).await? {
                    return self.start_new(&session, locked, &values, &program, begun).await;
                }
            }
            let Some(locked) = session.lock(sessions).await? else {
                if mode == OpenMode::Attach {
                    return Err(session.not_found());
                }
                // It was closed meanwhile.
                continue;
            };
            match locked.read().map_err(|error| session.error(error))? {
                Some(file) if !file.closing => {
                    return self.adopt(&session, sessions, (locked, file), begun).await;
                }
                // Whoever began its end did not get through.
                _ => session.end(sessions, locked).await?,
            }
        }
    }

    /// Makes the session's directory; `None` if there is one.
    async fn create(
        &self,
        sessions: &Sessions,
        session: &LocalSession,
    ) -> Result<Option<(Locked, CreationValues)>, Error> {
        let failed = |error| session.error(error);
        let alone = self.take_place(sessions, session).await?;
        let (values, uid) = (creation_values(), new_uid());
        let new = NewSession {
            uid: &uid,
            work: &self.work(),
            record: serde_json::json!(record::new(&self.spec, &values, &uid, Timestamp::now())),
            secret: &Secrets::new(&self.secrets, &values).to_bytes(),
        };
        let created = sessions.create(&session.name(), new).map_err(failed)?;
        drop(alone);
        match created {
            Created::New(locked) => Ok(Some((locked, values))),
            Created::Exists => Ok(None),
        }
    }

    /// Makes sure that the session is not one too many. Until what it returns is dropped nobody else takes a place: of those that
    /// do so at the same moment each counts the others.
    async fn take_place(&self, sessions: &Sessions, session: &LocalSession) -> Result<Option<Locked>, Error> {
        if self.machine.session_limit.is_none() && self.owner_limit.is_none() {
            return Ok(None);
        }
        let failed = |error| session.error(error);
        let alone = sessions.alone(self.machine.patience).await.map_err(failed)?;
        let (mut others, mut of_owner) = (0, 0);
        for found in sessions.list().map_err(failed)? {
            let record = match &found.file {
                Ok(file) if file.closing => continue,
                Ok(file) => record::read(file).ok(),
                Err(_) => None,
            };
            if found.name == session.name() || record.as_ref().is_some_and(|record| record.paused) {
                continue;
            }
            others += 1;
            if record.is_some_and(|record| record.spec.owner() == self.spec.owner()) {
                of_owner += 1;
            }
        }
        self.check_limits(others, of_owner)?;
        Ok(alone)
    }

    /// Starts the agent of a session that this call has made. If that fails, nothing of the session stays.
    async fn start_new(
        &self,
        session: &LocalSession,
        locked: Locked,
        values: &CreationValues,
        program: &AgentProgram,
        begun: Instant,
    ) -> Result<Opened, Error> {
        let file = match locked.read() {
            Ok(Some(file)) => file,
            Ok(None) => return Err(session.not_found()),
            Err(error) => return Err(session.error(error)),
        };
        let made = Instant::now();
        let secrets = Secrets::new(&self.secrets, values);
        let record = session.read(&file);
        if let Ok(record) = &record {
            self.tell_stored(record, &secrets);
        }
        let started = self.start_agent(&locked, &file, &secrets, program, false).await;
        let opened = started.and_then(|()| {
            Ok(Opened {
                record: record?,
                origin: Origin::Created,
                times: Some(times(begun, made)),
            })
        });
        if opened.is_ok() {
            locked.unlock();
        } else if let Err(left) = locked.close(file).await {
            tracing::warn!(
                session = session.id(),
                "a session that did not start left something behind: {left}"
            );
        }
        opened
    }

    /// Attaches to a session that is there, and brings back what it lacks: its agent, or that its processes run.
    async fn adopt(
        &self,
        session: &LocalSession,
        sessions: &Sessions,
        (locked, mut file): (Locked, SessionFile),
        begun: Instant,
    ) -> Result<Opened, Error> {
        let failed = |error| session.error(error);
        let mut record = session.read(&file)?;
        let secrets = session.secrets(sessions.secret(&session.name()))?;
        let alone = if record.paused {
            self.take_place(sessions, session).await?
        } else {
            None
        };
        self.tell_stored(&record, &secrets);
        let has_agent = locked.has_agent().map_err(failed)?;
        let (origin, times) = if has_agent {
            let (origin, times) = if record.paused {
                locked.thaw(&file).await.map_err(failed)?;
                (Origin::Resumed, Some(times(begun, begun)))
            } else {
                (Origin::Attached, None)
            };
            let key = secrets.key();
            start_ended_server(&agent(session, sessions, &file, &key), &record.spec, &key).await?;
            (origin, times)
        } else {
            let program = self.agent_program()?;
            locked.kill_left(&file).await.map_err(failed)?;
            self.start_agent(&locked, &file, &secrets, &program, true).await?;
            (Origin::Recreated, Some(times(begun, begun)))
        };
        if record.paused {
            mark_paused(&mut file, false);
            locked.write(&file).map_err(failed)?;
            record.paused = false;
        }
        drop(alone);
        locked.unlock();
        Ok(Opened {
            record,
            origin,
            times,
        })
    }

    /// Tells those who follow the start that the session is there; returns its key.
    fn tell_stored(&self, record: &Record, secrets: &Secrets) -> SecretString {
        let key = secrets.key();
        self.stored.send_replace(Some(Stored {
            record: record.clone(),
            key: Some(key.clone()),
        }));
        key
    }

    async fn start_agent(
        &self,
        locked: &Locked,
        file: &SessionFile,
        secrets: &Secrets,
        program: &AgentProgram,
        was_there: bool,
    ) -> Result<(), Error> {
        self.check_cancelled(was_there)?;
        self.state
            .send_replace(SessionState::Starting(StartPhase::Starting));
        let key = secrets.key();
        let started = tokio::select! {
            started = program.start(locked, file, &key, secrets.environment()) => started,
            () = self.cancel.cancelled() => return Err(self.cancelled(was_there)),
        };
        started.map_err(|source| Error::NoAgent {
            session: self.spec.id().to_string(),
            source: Box::new(source),
        })?;
        let Keeper::Agents(sessions) = &self.machine.keeper else {
            return Ok(());
        };
        let session = self.session();
        let spec = session.read(file)?.spec;
        run_main_command(&agent(&session, sessions, file, &key), &spec, true, &key).await
    }

    fn agent_program(&self) -> Result<AgentProgram, Error> {
        let configured = self.machine.config.agent.binary.as_deref();
        let own = std::env::current_exe().ok();
        let path = std::env::var_os("PATH");
        let found = AgentProgram::find(configured, own.as_deref(), path.as_ref());
        let program = found.map_err(|source| Error::NoAgentProgram { source })?;
        Ok(match self.spec.agent_log() {
            Some(level) => program.with_log_level(level),
            None => program,
        })
    }

    fn new_record(&self, values: &CreationValues, uid: &str) -> Result<Record, Error> {
        let object = record::new(&self.spec, values, uid, Timestamp::now());
        Record::parse(&object).map_err(|source| Error::Record {
            session: self.spec.id().to_string(),
            source,
        })
    }

    /// The directory that commands start in, as a container would have it.
    fn work(&self) -> String {
        let named = self.spec.container_workdir().map(ToOwned::to_owned);
        named.unwrap_or_else(|| self.spec.workspace_mount_path().to_string())
    }

    /// Refuses one session more where there are so many `others`, or so many of its owner.
    fn check_limits(&self, others: usize, of_owner: usize) -> Result<(), Error> {
        let reached = |limit: Option<u32>, others: usize| {
            limit.filter(|limit| usize::try_from(*limit).is_ok_and(|limit| others >= limit))
        };
        let session = self.spec.id().to_string();
        if let Some(limit) = reached(self.machine.session_limit, others) {
            let namespace = self.machine.namespace.clone();
            return Err(Error::TooManySessions {
                session,
                namespace,
                limit,
            });
        }
        match reached(self.owner_limit, of_owner) {
            Some(limit) => Err(Error::TooManyOfOwner { session, limit }),
            None => Ok(()),
        }
    }

    fn check_cancelled(&self, was_there: bool) -> Result<(), Error> {
        if self.cancel.is_cancelled() {
            Err(self.cancelled(was_there))
        } else {
            Ok(())
        }
    }

    fn cancelled(&self, goes_on: bool) -> Error {
        Error::Cancelled {
            session: self.spec.id().to_string(),
            goes_on,
        }
    }
}

/// A connection to the agent of a session of this machine. None is made before it is used.
fn agent(
    session: &LocalSession,
    sessions: &Sessions,
    file: &SessionFile,
    key: &SecretString,
) -> AgentConnection {
    let address = SandboxAddress::on_this_machine(session.id(), &file.uid);
    let ways = Arc::new(Ways::of_socket(sessions.socket(&session.name())));
    AgentConnection::new(ways, address, NO_PORT, key.clone())
}

/// The seconds of a start that began then, and had made all but what runs at `made`.
fn times(begun: Instant, made: Instant) -> PhaseTimes {
    PhaseTimes {
        creating: (made - begun).as_secs_f64(),
        starting: made.elapsed().as_secs_f64(),
        total: begun.elapsed().as_secs_f64(),
        ..PhaseTimes::default()
    }
}
