//! Killing all processes of a mark, on Linux.

use std::collections::{HashMap, HashSet};
use std::os::fd::{AsFd as _, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, getpid, pidfd_open, pidfd_send_signal};

use super::Mark;
use super::proc_fs::{Process, all_processes, environment, process};

/// How often at most to look for processes that were forked while others were being killed. Each round kills
/// all there is; two or three are usual.
const ROUNDS: u32 = 50;
/// How long to wait in one round for killed processes to be gone. That takes microseconds, unless one is in a
/// system call that can't be interrupted.
const GONE_WITHIN: Timespec = Timespec {
    tv_sec: 1,
    tv_nsec: 0,
};

/// Kills all processes that carry `mark`, all in the sessions of the `leaders` (children of this process, not
/// waited for yet), and all their descendants. Blocks until they are gone.
pub(super) fn kill_marked(mark: &Mark, leaders: &HashSet<Pid>) {
    for _ in 0..ROUNDS {
        let all = all_processes();
        let marked: HashSet<Pid> = all
            .iter()
            .copied()
            .filter(|pid| mark.is_on(&environment(*pid)))
            .collect();
        if marked.is_empty() && leaders.is_empty() {
            return; // The common case, and the cheap one: nothing but environments was read.
        }
        let tree: HashMap<Pid, Process> = all
            .iter()
            .filter_map(|pid| process(*pid))
            .map(|process| (process.pid, process))
            .collect();
        let doomed: Vec<OwnedFd> = with_descendants(&tree, marked, leaders)
            .into_iter()
            .filter_map(|victim| kill(&victim))
            .collect();
        if doomed.is_empty() {
            return;
        }
        wait_until_gone(&doomed);
    }
    tracing::warn!(?mark, "processes keep coming up faster than they are killed");
}

/// The processes to kill, in this order: the marked, those in the leaders' sessions, and all below these.
fn with_descendants(
    tree: &HashMap<Pid, Process>,
    mut doomed: HashSet<Pid>,
    leaders: &HashSet<Pid>,
) -> Vec<Process> {
    // A leader's id is its own only while it is our child; as long as it is, its session is too.
    let leads = |pid: &Pid| {
        leaders.contains(pid)
            && tree
                .get(pid)
                .is_some_and(|leader| leader.parent == Some(getpid()))
    };
    doomed.extend(
        tree.values()
            .filter(|p| p.session.as_ref().is_some_and(leads))
            .map(|p| p.pid),
    );
    loop {
        let before = doomed.len();
        let children = tree
            .values()
            .filter(|p| p.parent.is_some_and(|parent| doomed.contains(&parent)));
        let children: Vec<Pid> = children.map(|child| child.pid).collect();
        doomed.extend(children);
        if doomed.len() == before {
            break;
        }
    }
    let mut victims: Vec<Process> = doomed
        .iter()
        .filter_map(|pid| tree.get(pid))
        .filter(|victim| !victim.dead)
        .copied()
        .collect();
    // From the top down. Were a child killed first, its parent would see that and go on: a shell whose last
    // command is killed so exits by itself, even with 0.
    victims.sort_by_key(|victim| (!leads(&victim.pid), depth(tree, victim)));
    victims
}

/// How many ancestors a process has.
fn depth(tree: &HashMap<Pid, Process>, process: &Process) -> usize {
    let parent = |process: &&Process| tree.get(&process.parent?);
    // Processes were read one after the other: ids used again in between could make a circle of them.
    std::iter::successors(Some(process), parent)
        .take(tree.len())
        .count()
}

/// Kills a process if it is still the one that was seen: its id may have become another's meanwhile.
fn kill(victim: &Process) -> Option<OwnedFd> {
    let handle = pidfd_open(victim.pid, PidfdFlags::empty()).ok()?;
    process(victim.pid).filter(|now| now.started == victim.started && !now.dead)?;
    // A process of another user (setuid) can't be killed; it isn't waited for either.
    pidfd_send_signal(&handle, Signal::KILL).ok()?;
    Some(handle)
}

/// Waits until all are dead: a pidfd then becomes readable (pidfd_open(2)), waited for or not.
fn wait_until_gone(processes: &[OwnedFd]) {
    for process in processes {
        let mut interest = [PollFd::from_borrowed_fd(process.as_fd(), PollFlags::IN)];
        if let Err(error) = poll(&mut interest, Some(&GONE_WITHIN)) {
            tracing::debug!(%error, "waiting for a killed process");
        }
    }
}
