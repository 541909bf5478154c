//! What is below a process, on Linux: found by whose child it is, stopped, started again and killed.

use std::collections::{HashMap, HashSet};
use std::os::fd::{AsFd as _, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};

use super::proc_fs::{Process, environment, process, processes};

/// How often at most to look for processes that were forked while others were being stopped. Each round stops all there
/// is; two or three are usual.
const ROUNDS: u32 = 50;
/// How long to wait for a killed process to be gone. That takes microseconds, unless it is in a system call that can't be
/// interrupted.
const GONE_WITHIN: Timespec = Timespec {
    tv_sec: 1,
    tv_nsec: 0,
};

/// All that lives below `root`, itself left out, and parents before their children.
pub fn below(root: Pid) -> Vec<Process> {
    below_any(&processes(), &HashSet::from([root]))
}

/// All that lives below one of `roots`, these left out.
fn below_any(all: &HashMap<Pid, Process>, roots: &HashSet<Pid>) -> Vec<Process> {
    let mut children: HashMap<Pid, Vec<&Process>> = HashMap::new();
    for process in all.values() {
        if let Some(parent) = process.parent {
            children.entry(parent).or_default().push(process);
        }
    }
    let mut found = Vec::new();
    let mut level: Vec<Pid> = roots.iter().copied().collect();
    let mut seen = roots.clone();
    while !level.is_empty() {
        let next: Vec<&Process> = level
            .iter()
            .filter_map(|parent| children.get(parent))
            .flatten()
            .copied()
            // Processes were read one after the other: ids used again in between could make a circle of them.
            .filter(|process| seen.insert(process.pid))
            .collect();
        level = next.iter().map(|process| process.pid).collect();
        found.extend(next.into_iter().filter(|process| !process.dead).copied());
    }
    found
}

/// All that carries a mark in its environment or is in the session of `leader`, and all that lives below these: what is left
/// of processes whose supervisor is gone. Parents come before their children. `is_mark` is given each variable of an
/// environment, `NAME=value`.
pub fn of_mark(leader: Option<Pid>, is_mark: impl Fn(&[u8]) -> bool) -> Vec<Process> {
    let all = processes();
    let is_marked = |pid: Pid| environment(pid).split(|byte| *byte == 0).any(&is_mark);
    let roots: HashSet<Pid> = all
        .values()
        .filter(|process| !process.dead)
        .filter(|process| (leader.is_some() && process.session == leader) || is_marked(process.pid))
        .map(|process| process.pid)
        .collect();
    let mut found: Vec<Process> = roots.iter().filter_map(|pid| all.get(pid)).copied().collect();
    found.extend(below_any(&all, &roots));
    found.sort_by_key(|process| depth(&all, process));
    found
}

/// How many ancestors a process has.
fn depth(all: &HashMap<Pid, Process>, process: &Process) -> usize {
    // Ids used again while processes were read could make a circle of them.
    std::iter::successors(Some(process), |process| all.get(&process.parent?))
        .take(all.len())
        .count()
}

/// Stops all that `find` finds until it finds nothing new, so that none of them forks, or goes on because a child of
/// it died, while they are killed. Returns how many were found.
pub fn stop(find: impl Fn() -> Vec<Process>) -> usize {
    let mut stopped = HashSet::new();
    for _ in 0..ROUNDS {
        let fresh: Vec<Process> = find()
            .into_iter()
            .filter(|process| stopped.insert((process.pid, process.started)))
            .collect();
        if fresh.is_empty() {
            break;
        }
        for process in fresh {
            send(&process, Signal::STOP).ok(); // One that is not ours to stop, or has gone.
        }
    }
    stopped.len()
}

/// Lets all go on that `find` finds, children before their parents: a shell whose child still stands would take it for one
/// that was stopped at a terminal.
pub fn resume(find: impl Fn() -> Vec<Process>) {
    for process in find().iter().rev() {
        send(process, Signal::CONT).ok(); // One that is not ours, or has gone.
    }
}

/// Kills all that `find` finds until it finds nothing more that is ours to kill. Blocks.
pub fn kill(find: impl Fn() -> Vec<Process>) {
    for _ in 0..ROUNDS {
        let killed: Vec<Option<OwnedFd>> = find()
            .iter()
            .filter_map(|process| send(process, Signal::KILL).ok())
            .collect();
        if killed.is_empty() {
            return;
        }
        for handle in killed.iter().flatten() {
            // A pidfd can be read once its process is dead (pidfd_open(2)).
            let mut interest = [PollFd::from_borrowed_fd(handle.as_fd(), PollFlags::IN)];
            poll(&mut interest, Some(&GONE_WITHIN)).ok(); // Interrupted: the next round looks again.
        }
    }
}

/// Sends a signal to a process if it is still the one that was seen: its id may have become another's meanwhile. Gives
/// a handle to it where the kernel has such.
pub fn send(seen: &Process, signal: Signal) -> rustix::io::Result<Option<OwnedFd>> {
    let is_still_there = || {
        let now = process(seen.pid).filter(|now| now.started == seen.started && !now.dead);
        now.map(|_| ()).ok_or(Errno::SRCH)
    };
    match pidfd_open(seen.pid, PidfdFlags::empty()) {
        Ok(handle) => {
            is_still_there()?;
            pidfd_send_signal(&handle, signal)?;
            Ok(Some(handle))
        }
        // Older and simulated kernels; the moment between look and signal is short.
        Err(Errno::NOSYS | Errno::PERM | Errno::INVAL) => {
            is_still_there()?;
            kill_process(seen.pid, signal)?;
            Ok(None)
        }
        Err(errno) => Err(errno),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pid(raw: i32) -> Pid {
        Pid::from_raw(raw).unwrap()
    }

    fn table(links: &[(i32, i32)]) -> HashMap<Pid, Process> {
        let process = |&(own, parent)| Process {
            pid: pid(own),
            parent: Pid::from_raw(parent),
            session: None,
            dead: own % 10 == 9,
            exiting: own % 10 == 9,
            started: 0,
        };
        links
            .iter()
            .map(process)
            .map(|process| (process.pid, process))
            .collect()
    }

    #[test]
    fn parents_come_before_their_children_and_the_dead_are_passed_through() {
        let all = table(&[(1, 0), (2, 1), (9, 2), (4, 9), (5, 4), (6, 1), (7, 6)]);
        let found: Vec<i32> = below_any(&all, &HashSet::from([pid(2)]))
            .iter()
            .map(|process| process.pid.as_raw_nonzero().get())
            .collect();
        assert_eq!(found, [4, 5]);
    }

    #[test]
    fn a_circle_of_ids_used_again_ends() {
        let all = table(&[(2, 3), (3, 2)]);
        let found = below_any(&all, &HashSet::from([pid(2)]));
        assert_eq!(found.len(), 1);
    }
}
