//! What a running pod is on the host: a private directory, and the processes started in it.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use podbay_process::{ProcessTree, remove_tree};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::Admitted;
/// A running pod. It holds host resources until [`Sandbox::close`].
pub(crate) struct Sandbox {
    /// The containers, by name.
    containers: BTreeMap<String, Admitted>,
    processes: ProcessTree,
    /// The private directory; none once the pod is closed. Read while a process is started, so that none is
    /// started behind the back of `close`, which writes.
    directory: RwLock<Option<TempDir>>,
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

/// A directory for this user alone, whatever the umask: what commands write may be secret.
pub(crate) fn private_directory() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.permissions(Permissions::from_mode(0o700));
    builder
}

impl Sandbox {
    /// Makes the directories of a pod, below `parent`.
    pub(crate) fn open(parent: &Path, uid: &str, containers: BTreeMap<String, Admitted>) -> io::Result<Self> {
        let directory = private_directory().prefix("pod-").tempdir_in(parent)?;
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

    /// Ends the pod: kills what runs in it, waits until that is gone and removes its directory. Blocks.
    pub(crate) fn close(&self) {
        let directory = self
            .directory
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(directory) = directory else { return };
        self.processes.kill();
        let path = directory.keep();
        if let Err(error) = remove_tree(&path) {
            tracing::warn!(directory = %path.display(), %error, "a pod's directory was not removed");
        }
        self.ended.cancel();
    }
}

/// On a panic too.
impl Drop for Sandbox {
    fn drop(&mut self) {
        self.close();
    }
}
