//! What a running pod is on the host: a private directory, and the processes started in it.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use podbay_process::{LeftBehind, PrivateDirectory, ProcessTree};
use tokio_util::sync::CancellationToken;

use super::Admitted;
/// A running pod. It holds host resources until [`Sandbox::close`].
pub(crate) struct Sandbox {
    /// The containers, by name.
    containers: BTreeMap<String, Admitted>,
    processes: ProcessTree,
    /// The private directory; none once the pod is closed. Read while a process is started, so that none is
    /// started behind the back of `close`, which writes.
    directory: RwLock<Option<PrivateDirectory>>,
    /// Cancelled when the pod ends: followers of its log stop.
    ended: CancellationToken,
}

/// The pod ended meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Closed;

/// The directories of a pod, each made with it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    /// Stands for the container's root: container path `/p` is `files/p`.
    Files,
    /// `HOME`.
    Home,
    /// `TMPDIR`.
    Temporary,
}

impl Place {
    const ALL: [Self; 3] = [Self::Files, Self::Home, Self::Temporary];

    /// Its path in the pod's directory.
    const fn name(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Home => "home",
            Self::Temporary => "tmp",
        }
    }

    /// Its path, given the pod's directory.
    pub(crate) fn in_pod(self, directory: &Path) -> PathBuf {
        directory.join(self.name())
    }
}

impl Sandbox {
    /// Makes the directories of a pod, below `parent`.
    pub(crate) fn open(parent: &Path, uid: &str, containers: BTreeMap<String, Admitted>) -> io::Result<Self> {
        let directory = PrivateDirectory::make_in(parent, "pod-")?;
        for place in Place::ALL {
            std::fs::create_dir(place.in_pod(directory.path()))?;
        }
        for container in containers.values() {
            std::fs::create_dir_all(
                Place::Files
                    .in_pod(directory.path())
                    .join(&container.working_directory),
            )?;
        }
        Ok(Self {
            containers,
            processes: ProcessTree::new(uid),
            directory: RwLock::new(Some(directory)),
            ended: CancellationToken::new(),
        })
    }

    /// What a container runs with.
    pub(crate) fn container(&self, name: &str) -> Option<&Admitted> {
        self.containers.get(name)
    }

    /// The private directory; none once the pod ended.
    pub(crate) fn directory(&self) -> Option<PathBuf> {
        let directory = self.directory.read().unwrap_or_else(PoisonError::into_inner);
        directory.as_ref().map(|directory| directory.path().to_owned())
    }

    /// Calls `start` with the private directory and the pod's processes; the pod can't end meanwhile.
    pub(crate) fn start<T>(&self, start: impl FnOnce(&Path, &ProcessTree) -> T) -> Result<T, Closed> {
        let directory = self.directory.read().unwrap_or_else(PoisonError::into_inner);
        let directory = directory.as_ref().ok_or(Closed)?;
        Ok(start(directory.path(), &self.processes))
    }

    /// Resolves when the pod ends.
    pub(crate) fn ended(&self) -> CancellationToken {
        self.ended.clone()
    }

    /// Ends the pod: kills what runs in it, waits until that is gone and removes its directory. Blocks. Fails where
    /// something of the directory stays; the pod has ended nevertheless.
    pub(crate) fn close(&self) -> Result<(), LeftBehind> {
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
