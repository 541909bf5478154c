//! A session of this process alone: a private directory, and the processes started in it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::sync::{PoisonError, RwLock};

use podbay_process::{
    HostEnvironment, LeftBehind, PrivateDirectory, Process, ProcessSpec, ProcessTree, StartError,
};
use tokio_util::sync::CancellationToken;

use crate::layout::Layout;

/// What the name of a private directory begins with.
const PREFIX: &str = "podbay-";

/// A session that ends with this process, or with the last handle. It holds resources of the host until [`Sandbox::close`].
///
/// No `Debug`: the environment holds secrets.
pub struct Sandbox {
    processes: ProcessTree,
    layout: Layout,
    host: HostEnvironment,
    environment: BTreeMap<OsString, OsString>,
    /// The private directory; none once the session is closed. Read while a process is started, so that none is
    /// started behind the back of `close`, which writes.
    directory: RwLock<Option<PrivateDirectory>>,
    /// Cancelled when the session has ended.
    ended: CancellationToken,
}

/// A command to be started in a sandbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SandboxCommand {
    /// The program and its arguments; at least one word.
    pub argv: Vec<String>,
    /// The directory that it starts in, relative to the session's or absolute; `None` is the session's.
    pub directory: Option<String>,
    /// Whether it gets a standard input to write to.
    pub stdin: bool,
    /// Whether it gets a terminal.
    pub terminal: bool,
}

/// The session ended meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the session has ended")]
pub struct Closed;

impl Sandbox {
    /// Makes the directories of a session whose commands start in `work` (a path as a container would have it) with these
    /// variables. `uid` marks its processes and is no other session's. Of this process's environment, commands get what is no
    /// credential.
    ///
    /// Fails if no directory can be made in the host's directory for temporary files (`TMPDIR`).
    pub fn open(uid: &str, work: &str, environment: BTreeMap<OsString, OsString>) -> io::Result<Self> {
        let directory = PrivateDirectory::make(PREFIX)?;
        let layout = Layout::below(directory.path(), work);
        layout.make()?;
        Ok(Self {
            processes: ProcessTree::new(uid),
            layout,
            host: HostEnvironment::from_variables(std::env::vars_os()),
            environment,
            directory: RwLock::new(Some(directory)),
            ended: CancellationToken::new(),
        })
    }

    /// The private directory; none once the session ended.
    pub fn directory(&self) -> Option<PathBuf> {
        let directory = self.directory.read().unwrap_or_else(PoisonError::into_inner);
        directory.as_ref().map(|directory| directory.path().to_owned())
    }

    /// The directory that commands start in; none once the session ended.
    pub fn work(&self) -> Option<PathBuf> {
        self.directory().map(|_| self.layout.work.clone())
    }

    /// Starts a command. Must be called within a tokio runtime.
    pub fn start(&self, command: SandboxCommand) -> Result<Result<Process, StartError>, Closed> {
        let directory = self.directory.read().unwrap_or_else(PoisonError::into_inner);
        if directory.is_none() {
            return Err(Closed);
        }
        let given = self.environment.clone();
        Ok(self.processes.start(&ProcessSpec {
            argv: command.argv.into_iter().map(OsString::from).collect(),
            environment: self.layout.environment(&self.host, command.terminal, given),
            directory: Some(match command.directory {
                Some(directory) => self.layout.work.join(directory),
                None => self.layout.work.clone(),
            }),
            stdin: command.stdin,
            terminal: command.terminal,
        }))
    }

    /// Resolves when the session has ended.
    pub fn ended(&self) -> CancellationToken {
        self.ended.clone()
    }

    /// Ends the session: kills what runs in it, waits until that is gone and removes its directory. Blocks. Fails where
    /// something of the directory stays; the session has ended nevertheless. Where another call is closing it already, this
    /// one returns at once; [`Sandbox::ended`] tells when that is done.
    pub fn close(&self) -> Result<(), LeftBehind> {
        let directory = self
            .directory
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(directory) = directory else { return Ok(()) };
        self.processes.kill();
        let removed = directory.remove();
        self.ended.cancel();
        removed
    }
}

/// On a panic too.
impl Drop for Sandbox {
    fn drop(&mut self) {
        if let Err(left) = self.close() {
            tracing::warn!(error = %left.source, "{left}");
        }
    }
}
