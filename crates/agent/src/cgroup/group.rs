//! A cgroup for each process, so that all that it started is killed as a whole (`cgroup.kill`, Linux 5.14): also what runs as
//! another user, or has escaped its supervisor in some way.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use podbay_process::proc_fs;
use rustix::process::Pid;

use super::place::{is_limited, maker, name, own_directory, prefix};

/// How often it is looked whether killed processes are gone, and how often at most.
const LOOK: Duration = Duration::from_millis(5);
const LOOKS: u32 = 200;

/// Where cgroups are made. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Groups(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    directory: PathBuf,
    next: AtomicU64,
    /// Whether the kernel has refused one: it will again.
    refused: AtomicBool,
}

/// A cgroup. Removed when dropped, if nothing is in it.
#[derive(Debug)]
pub(crate) struct Group {
    directory: PathBuf,
}

impl Groups {
    /// Below this program's own cgroup; none where that can't be written or has limits. Removes what agents that are gone have
    /// left there.
    pub(crate) fn find() -> Option<Self> {
        let texts = ["/proc/self/mountinfo", "/proc/self/cgroup"].map(fs::read_to_string);
        let [Ok(mountinfo), Ok(cgroup)] = texts else {
            return None;
        };
        let directory = own_directory(&mountinfo, &cgroup)?;
        let limit = |name| fs::read_to_string(directory.join(name)).ok();
        if is_limited(limit("memory.max").as_deref(), limit("cpu.max").as_deref()) {
            return None;
        }
        remove_left(&directory);
        let groups = Self(Arc::new(Shared {
            directory,
            next: AtomicU64::new(0),
            refused: AtomicBool::new(false),
        }));
        // The file tells whether the kernel knows it.
        let first = groups.make()?;
        first.directory.join("cgroup.kill").exists().then_some(groups)
    }

    /// What the paths of all of them begin with.
    pub(crate) fn prefix(&self) -> PathBuf {
        self.0.directory.join(prefix(std::process::id()))
    }

    /// Puts a process, which has no others below it yet, into a cgroup of its own. None where that can't be.
    pub(crate) fn put(&self, process: Pid) -> Option<Group> {
        if self.0.refused.load(Ordering::Relaxed) {
            return None;
        }
        let group = self.make()?;
        let id = process.as_raw_nonzero().to_string();
        match fs::write(group.directory.join("cgroup.procs"), id) {
            Ok(()) => Some(group),
            Err(error) => {
                tracing::debug!(%error, directory = %group.directory.display(), "putting a process into a cgroup");
                // One that has ended meanwhile says nothing of the next.
                if error.kind() == io::ErrorKind::PermissionDenied {
                    self.0.refused.store(true, Ordering::Relaxed);
                }
                None
            }
        }
    }

    fn make(&self) -> Option<Group> {
        loop {
            let number = self.0.next.fetch_add(1, Ordering::Relaxed);
            let directory = self.0.directory.join(name(std::process::id(), number));
            match fs::create_dir(&directory) {
                Ok(()) => return Some(Group { directory }),
                // Left by an agent that is gone, and had the id that is ours now.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => {
                    tracing::debug!(%error, directory = %directory.display(), "making a cgroup");
                    return None;
                }
            }
        }
    }
}

impl Group {
    /// Kills all that is in it and in cgroups below.
    pub(crate) fn kill(&self) {
        if let Err(error) = fs::write(self.directory.join("cgroup.kill"), "1") {
            tracing::warn!(%error, directory = %self.directory.display(), "killing a cgroup");
        }
    }

    /// Whether a process is in it or below. One that can't be asked is gone.
    pub(crate) fn is_populated(&self) -> bool {
        let events = fs::read_to_string(self.directory.join("cgroup.events")).unwrap_or_default();
        super::value(&events, "populated") == Some(1)
    }

    /// Kills what is left in it, and waits until that is gone, but not for ever: what hangs in the kernel stays.
    pub(crate) async fn clear(self) {
        if !self.is_populated() {
            return;
        }
        self.kill();
        for _ in 0..LOOKS {
            if !self.is_populated() {
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
        tracing::warn!(directory = %self.directory.display(), "processes of a cgroup can't be killed");
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        remove(&self.directory);
    }
}

/// Removes a cgroup with those below, which its processes may have made. The kernel removes none that has a process in it.
fn remove(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&entry.path());
        }
    }
    if let Err(error) = fs::remove_dir(directory) {
        tracing::debug!(%error, directory = %directory.display(), "removing a cgroup");
    }
}

/// Removes the cgroups of agents that are gone.
fn remove_left(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let Some(made_by) = entry.file_name().to_str().and_then(maker) else {
            continue;
        };
        let made_by = i32::try_from(made_by).ok().and_then(Pid::from_raw);
        if !made_by.is_some_and(proc_fs::is_alive) {
            remove(&entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_an_agent_before_left_is_passed_over() {
        let directory = tempfile::tempdir().unwrap();
        let groups = Groups(Arc::new(Shared {
            directory: directory.path().to_owned(),
            next: AtomicU64::new(0),
            refused: AtomicBool::new(false),
        }));
        let left = directory.path().join(name(std::process::id(), 0));
        fs::create_dir(&left).unwrap();
        let made = groups.make().unwrap();
        assert_eq!(made.directory, directory.path().join(name(std::process::id(), 1)));
        drop(made);
        assert!(left.exists());
        drop(directory);
        assert!(groups.make().is_none()); // For another reason: it is not tried for ever.
    }
}
