//! The cgroups of commands that an agent which is gone has left (cgroups(7)).
//!
//! An agent makes one for each command where it may, names them by its process id, and removes them. One that is killed can't; it has
//! written into its lock what their paths begin with.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use podbay_process::proc_fs;
use podbay_protocol::agent::SUPERVISE_MODE;
use rustix::process::Pid;

use crate::lock::agent_lock;

/// How often it is looked whether what was killed is gone, and how often at most.
const LOOK: Duration = Duration::from_millis(5);
const LOOKS: u32 = 200;

/// What the paths of an agent's cgroups begin with.
#[derive(Debug, PartialEq, Eq)]
struct Prefix {
    directory: PathBuf,
    name: String,
    agent: Pid,
}

impl Prefix {
    /// Reads what an agent has written, which is no more than a hint: its commands are the same user's.
    fn read(bytes: &[u8]) -> Option<Self> {
        let path = Path::new(std::ffi::OsStr::from_bytes(bytes));
        let name = path.file_name()?.to_str()?;
        let agent = proc_fs::pid(name.strip_prefix("podbay-")?.strip_suffix('-')?)?;
        path.is_absolute().then(|| Self {
            directory: path.parent().unwrap_or(path).to_owned(),
            name: name.to_owned(),
            agent,
        })
    }

    /// The cgroups that are there.
    fn found(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.directory).into_iter().flatten().flatten();
        let is_its = |entry: &fs::DirEntry| {
            let name = entry.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix(&self.name));
            number.is_some_and(|number| number.parse::<u64>().is_ok())
        };
        let its = entries.filter(is_its).map(|entry| entry.path());
        // Only a cgroup has that file.
        its.filter(|path| path.join("cgroup.kill").exists()).collect()
    }
}

/// Kills what is in the cgroups that the agent of a session's directory has left, and removes them. Blocks. Returns how many processes
/// of the session were in them. The agent is gone; where a later process has its id, nothing is done: they may be that one's.
pub(crate) fn remove_left(directory: &Path) -> usize {
    let Ok(written) = fs::read(agent_lock(directory)) else {
        return 0;
    };
    let Some(prefix) = Prefix::read(&written).filter(|prefix| !proc_fs::is_alive(prefix.agent)) else {
        return 0;
    };
    prefix.found().iter().map(|group| remove(group)).sum()
}

#[expect(clippy::disallowed_methods, reason = "it runs on a thread that may block")]
fn pause() {
    std::thread::sleep(LOOK);
}

fn remove(group: &Path) -> usize {
    let killed = processes(group);
    if is_populated(group) {
        if let Err(error) = fs::write(group.join("cgroup.kill"), "1") {
            tracing::debug!(%error, group = %group.display(), "a cgroup can't be killed");
        }
        for _ in 0..LOOKS {
            if !is_populated(group) {
                break;
            }
            pause();
        }
    }
    remove_tree(group);
    killed
}

/// How many processes of the session are in it and below.
fn processes(group: &Path) -> usize {
    let own = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    let pids = own.lines().filter_map(proc_fs::pid);
    // What was killed just now, or ends by itself, may be in it for a moment.
    let own = pids
        .filter(|pid| proc_fs::is_alive(*pid) && !is_supervisor(*pid))
        .count();
    own + below(group).iter().map(|group| processes(group)).sum::<usize>()
}

/// Whether a process is the agent's own, which stands above a command and is no process of the session's. It is one as long as it
/// says so; no more than a count hangs on that.
fn is_supervisor(pid: Pid) -> bool {
    let arguments = fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).unwrap_or_default();
    let arguments: Vec<_> = arguments.split(|byte| *byte == 0).skip(1).collect();
    arguments == [SUPERVISE_MODE.as_bytes(), b""]
}

fn is_populated(group: &Path) -> bool {
    let events = fs::read_to_string(group.join("cgroup.events")).unwrap_or_default();
    events.lines().any(|line| line == "populated 1")
}

/// Those that its processes have made.
fn below(group: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(group).into_iter().flatten().flatten();
    let directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    directories.map(|entry| entry.path()).collect()
}

/// The kernel removes none that has a process in it.
fn remove_tree(group: &Path) {
    for group in below(group) {
        remove_tree(&group);
    }
    if let Err(error) = fs::remove_dir(group) {
        tracing::debug!(%error, group = %group.display(), "a cgroup can't be removed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_a_path_that_an_agent_would_write() {
        let read = Prefix::read(b"/sys/fs/cgroup/a/podbay-17-").unwrap();
        assert_eq!(
            (read.directory.as_path(), read.name.as_str(), read.agent),
            (
                Path::new("/sys/fs/cgroup/a"),
                "podbay-17-",
                Pid::from_raw(17).unwrap()
            )
        );
        for text in [
            "",
            "podbay-17-",
            "/a/podbay-17",
            "/a/podbay-x-",
            "/a/podbay--1-",
            "/a/other-17-",
            "/",
        ] {
            assert_eq!(Prefix::read(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn what_is_no_cgroup_stays() {
        let there = tempfile::tempdir().unwrap();
        // No process has an id as large (proc(5), pid_max).
        let name = "podbay-4294967295-";
        let other = there.path().join(format!("{name}1"));
        fs::create_dir(&other).unwrap();
        fs::write(
            agent_lock(there.path()),
            there.path().join(name).as_os_str().as_bytes(),
        )
        .unwrap();
        assert_eq!(remove_left(there.path()), 0);
        assert!(other.exists());
    }
}
