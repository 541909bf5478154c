//! All processes of an agent.

use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use podbay_protocol::{
    Offsets, ProcessEnd, ProcessId, ProcessInfo, ProcessSpec, ReaderId, Signal, SignalTarget, TerminalSize,
};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};

use super::driver::{Driver, Given};
use super::entry::{Command, Entry};
use super::error::{
    AcknowledgeError, ReadError, ResizeError, SignalError, StartRefusal, StdinError, UnknownProcess,
};
use super::input::{Input, Stdin};
use super::kept::KeptRecord;
use super::reader::OutputReader;
use super::record::not_started;
use super::registry::Registry;
use super::request::{Digest, request};
use super::settings::ProcessSettings;
use super::spool::Spool;
use crate::cgroup::Groups;
use crate::init::Children;
use crate::supervise::Spare;

/// SIGTERM.
const TERM: i32 = 15;
/// What the shell of a terminal gets before SIGTERM, which interactive shells ignore: the system sends SIGHUP when a terminal closes.
const HANG_UP: Command = Command::Signal {
    number: 1,
    tree: false,
};
/// What a short command takes, at most: until it has ended, or for that long, nothing else is done beside it.
const SHORT: Duration = Duration::from_millis(5);
/// How long what was killed is waited for. What is not gone then can't be killed.
const KILLED_WITHIN: Duration = Duration::from_secs(5);

/// All processes of an agent. Cheap to clone.
#[derive(Clone)]
pub struct Processes(Arc<Shared>);

struct Shared {
    settings: ProcessSettings,
    /// What the paths of the processes' cgroups begin with.
    cgroups: Option<PathBuf>,
    children: Children,
    spool: Arc<Spool>,
    spare: Spare,
    table: Mutex<Table>,
    /// How many processes something is left of, forgotten ones too.
    alive: watch::Sender<usize>,
    /// Ordered once, obeyed by all.
    closing: watch::Sender<Option<Command>>,
}

struct Table {
    registry: Registry<Arc<Entry>>,
    is_closing: bool,
}

/// A process that was asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Started {
    /// The process.
    pub info: ProcessInfo,
    /// Whether it was made now; else it was there, started with the same specification.
    pub created: bool,
}

impl Processes {
    /// No processes yet.
    pub fn new(settings: ProcessSettings, children: Children) -> Self {
        let spool = Spool::new(
            settings.spool.clone(),
            settings.spool_limit,
            settings.stream_limit,
        );
        let groups = settings.cgroups.then(Groups::find).flatten();
        let cgroups = groups.as_ref().map(Groups::prefix);
        let spare = Spare::new(children.clone(), settings.program.clone(), settings.spare, groups);
        let table = Table {
            registry: Registry::new(settings.kept, settings.kept_for),
            is_closing: false,
        };
        Self(Arc::new(Shared {
            settings,
            cgroups,
            children,
            spool,
            spare,
            table: Mutex::new(table),
            alive: watch::Sender::new(0),
            closing: watch::Sender::new(None),
        }))
    }

    /// What the paths of the cgroups begin with that processes get; `None` where there are none.
    pub fn cgroups(&self) -> Option<&Path> {
        self.0.cgroups.as_deref()
    }

    /// Starts a process. Must be called within a tokio runtime. Asked again with the same specification, it gives the
    /// process that is there.
    pub fn start(&self, spec: ProcessSpec) -> Result<Started, StartRefusal> {
        let shared = &self.0;
        let digest = Digest::of(&spec);
        let invalid = |problem| StartRefusal::Invalid {
            id: spec.id.clone(),
            problem,
        };
        let request = request(&spec, &shared.settings).map_err(invalid)?;
        let (commands, orders) = mpsc::unbounded_channel();
        let (input, pieces) = request.stdin.then(Input::new).unzip();
        let entry = Arc::new(Entry::new(
            &spec,
            digest,
            &request,
            &shared.settings,
            Arc::clone(&shared.spool),
            (input, commands),
        ));
        let number = {
            let mut table = shared.table();
            table.registry.purge(Instant::now());
            if let Some(there) = table.registry.get(&spec.id) {
                if there.digest != digest {
                    return Err(StartRefusal::IdTaken { id: spec.id });
                }
                return Ok(Started {
                    info: there.info(),
                    created: false,
                });
            }
            if table.registry.has_expired(&spec.id) {
                return Err(StartRefusal::Expired { id: spec.id });
            }
            if table.is_closing {
                return Err(StartRefusal::ShuttingDown { id: spec.id });
            }
            // Counted while the table is locked, so that a shutdown that begins now waits for it.
            shared.alive.send_modify(|alive| *alive += 1);
            table.registry.insert(Arc::clone(&entry.id), Arc::clone(&entry))
        };
        let given = Given {
            children: shared.children.clone(),
            commands: orders,
            input: pieces,
            spare: shared.spare.clone(),
            linger: shared.settings.linger,
        };
        let alive = Alive {
            shared: Arc::clone(shared),
            entry: Arc::clone(&entry),
            number,
        };
        match Driver::start(Arc::clone(&entry), &request, given) {
            Ok(driver) => drop(tokio::spawn(alive.look_after(driver))),
            Err(error) => {
                entry.end(not_started(&entry, &error));
                drop(alive);
            }
        }
        Ok(Started {
            info: entry.info(),
            created: true,
        })
    }

    /// Begins what makes the first process start as fast as the others. Within a tokio runtime.
    pub(crate) fn prepare(&self) {
        self.0.spare.refill();
    }

    /// A process.
    pub fn info(&self, id: &ProcessId) -> Option<ProcessInfo> {
        self.entry(id).ok().map(|entry| entry.info())
    }

    /// All processes, in the order of their start.
    pub fn list(&self) -> Vec<ProcessInfo> {
        let entries: Vec<Arc<Entry>> = {
            let mut table = self.0.table();
            table.registry.purge(Instant::now());
            table.registry.list().into_iter().cloned().collect()
        };
        entries.iter().map(|entry| entry.info()).collect()
    }

    /// Drops a process's record and output. One that runs is killed with all it started, and so is what one that has
    /// ended left behind.
    pub fn forget(&self, id: &ProcessId) -> Result<(), UnknownProcess> {
        let entry = self.0.table().registry.remove(id);
        let entry = entry.ok_or_else(|| UnknownProcess { id: id.clone() })?;
        entry.order(Command::Kill);
        Ok(())
    }

    /// Reads a process's output from a place in each stream. With a `reader`, a process that waits for its reader
    /// waits for this one from now on; the pieces it has taken are to be acknowledged.
    pub fn read(
        &self,
        id: &ProcessId,
        from: Offsets,
        reader: Option<ReaderId>,
    ) -> Result<OutputReader, ReadError> {
        let entry = self.entry(id)?;
        entry.check(from)?;
        Ok(OutputReader::new(entry, from, reader))
    }

    /// Tells how much of a process's output `reader` has taken for good.
    pub fn acknowledge(
        &self,
        id: &ProcessId,
        reader: &ReaderId,
        taken: Offsets,
    ) -> Result<(), AcknowledgeError> {
        self.entry(id)?.acknowledge(reader, taken)
    }

    /// Writes to a process's standard input what of `bytes`, which begin at `offset`, it has not taken yet; waits while
    /// it is slower. Returns how much it has taken then. Dropped, it may have taken some of them.
    pub async fn write_stdin(&self, id: &ProcessId, offset: u64, bytes: Bytes) -> Result<u64, StdinError> {
        self.stdin(id)?.write(id, offset, bytes).await
    }

    /// Writes to a process's standard input, after whatever others wrote; waits while it is slower. Dropped, it may have taken some of
    /// `bytes`.
    pub async fn append_stdin(&self, id: &ProcessId, bytes: Bytes) -> Result<u64, StdinError> {
        self.stdin(id)?.append(id, bytes).await
    }

    /// Ends a process's standard input: it reads an end of file once it has read what was written. Closing it again
    /// changes nothing.
    pub async fn close_stdin(&self, id: &ProcessId) -> Result<(), StdinError> {
        self.stdin(id)?.close().await;
        Ok(())
    }

    /// Sends a signal. SIGKILL to the tree kills whatever is below until nothing is.
    ///
    /// One that has ended gets none; but what it left behind does, by [`SignalTarget::Tree`].
    pub fn signal(&self, id: &ProcessId, signal: Signal, target: SignalTarget) -> Result<(), SignalError> {
        let entry = self.entry(id)?;
        let tree = target == SignalTarget::Tree;
        let ended = || SignalError::Ended { id: id.clone() };
        if entry.has_ended() && !tree {
            return Err(ended());
        }
        let number = signal.number();
        if !entry.order(Command::Signal { number, tree }) {
            return Err(ended());
        }
        Ok(())
    }

    /// Sets the size of a process's terminal.
    pub fn resize(&self, id: &ProcessId, size: TerminalSize) -> Result<(), ResizeError> {
        let entry = self.entry(id)?;
        if !entry.has_terminal {
            return Err(ResizeError::NoTerminal { id: id.clone() });
        }
        if entry.has_ended() {
            return Err(ResizeError::Ended { id: id.clone() });
        }
        entry.resize(size);
        Ok(())
    }

    /// Looks at a process's terminal, or sets it up. `None` if it has none, or has ended.
    pub(crate) fn with_terminal<T>(
        &self,
        id: &ProcessId,
        look: impl FnOnce(BorrowedFd<'_>) -> T,
    ) -> Option<T> {
        self.entry(id).ok()?.with_terminal(look)
    }

    /// Ends all processes: SIGTERM to all, to the shells of terminals SIGHUP before it, after `grace` SIGKILL to what is left. None can be started any more.
    pub async fn shut_down(&self, grace: Duration) {
        let shared = &self.0;
        shared.table().is_closing = true;
        let end = Command::Signal {
            number: TERM,
            tree: true,
        };
        shared.closing.send_replace(Some(end));
        tokio::join!(shared.spare.close(), shared.all_end(grace));
    }

    /// Those of which something is left, counted.
    pub fn alive(&self) -> usize {
        *self.0.alive.borrow()
    }

    /// The directory that a process starts in if it names none.
    pub(crate) fn directory(&self) -> PathBuf {
        let directory = self.0.settings.directory.clone();
        directory.unwrap_or_else(|| std::env::current_dir().unwrap_or_else(|_| "/".into()))
    }

    fn stdin(&self, id: &ProcessId) -> Result<Stdin, StdinError> {
        let stdin = self.entry(id)?.stdin();
        stdin.ok_or_else(|| StdinError::None { id: id.clone() })
    }

    fn entry(&self, id: &ProcessId) -> Result<Arc<Entry>, UnknownProcess> {
        let table = self.0.table();
        let entry = table.registry.get(id).cloned();
        entry.ok_or_else(|| UnknownProcess { id: id.clone() })
    }
}

impl Shared {
    /// Waits for the end of all that were told to end, and kills what is left after `grace`.
    async fn all_end(&self, grace: Duration) {
        let mut alive = self.alive.subscribe();
        let none = alive.wait_for(|alive| *alive == 0);
        if tokio::time::timeout(grace, none).await.is_ok() {
            return;
        }
        self.closing.send_replace(Some(Command::Kill));
        let none = alive.wait_for(|alive| *alive == 0);
        if tokio::time::timeout(KILLED_WITHIN, none).await.is_err() {
            tracing::warn!("processes are left that can't be killed");
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts a process for as long as something is left of it.
struct Alive {
    shared: Arc<Shared>,
    entry: Arc<Entry>,
    number: u64,
}

impl Alive {
    /// Looks after a process, and passes on what all are ordered.
    async fn look_after(self, driver: Driver) {
        let mut closing = self.shared.closing.subscribe();
        let pass_on = async {
            loop {
                let order = *closing.borrow_and_update();
                if let Some(order) = order {
                    // Without it a shell whose command is ended goes on with the next one of its list.
                    if self.entry.has_terminal {
                        self.entry.order(HANG_UP);
                    }
                    self.entry.order(order);
                }
                if closing.changed().await.is_err() {
                    return std::future::pending::<()>().await;
                }
            }
        };
        let refill = async {
            sleep(SHORT).await;
            self.shared.spare.refill();
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = driver.run(|| self.note_end()) => {}
            () = pass_on => {}
            () = refill => {}
        }
        self.shared.spare.refill();
    }

    fn note_end(&self) {
        let mut table = self.shared.table();
        table.registry.ended(&self.entry.id, self.number, Instant::now());
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        if !self.entry.has_ended() {
            // The supervisor sees by its socket that nobody looks after its command any more, and kills it.
            let message = "the agent's task that looked after it ended early, and it was killed";
            self.entry.end(KeptRecord::new(ProcessEnd::Lost {
                message: message.to_owned(),
            }));
        }
        self.entry.is_gone();
        self.note_end();
        self.shared.alive.send_modify(|alive| *alive -= 1);
    }
}
