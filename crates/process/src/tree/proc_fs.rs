//! Reading `/proc` (proc(5)). A process may go at any moment: what can't be read isn't there.

use std::collections::HashMap;
use std::fs;

use rustix::process::{Pid, getpid};

/// A process's place in the tree of processes, from `/proc/PID/stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: Pid,
    /// Its parent's; none if that is outside of the pid namespace.
    pub parent: Option<Pid>,
    /// Its session's leader's.
    pub session: Option<Pid>,
    /// Whether it is dead and only not waited for yet.
    pub dead: bool,
    /// Whether it runs none of its program any more: its end has begun, and may take the kernel a while.
    pub exiting: bool,
    /// When it was started, in clock ticks since boot. Tells it from a later process with its id.
    pub started: u64,
}

/// Whether `/proc` is there and is that of our own pid namespace.
pub fn is_ours() -> bool {
    fs::read_link("/proc/self").is_ok_and(|this| {
        let this = this.to_str().and_then(|pid| pid.parse().ok());
        this == Some(getpid().as_raw_nonzero().get())
    })
}

/// The process id that a text is. Neither 0 nor a negative number is one: to kill(2) they mean many processes.
pub fn pid(text: &str) -> Option<Pid> {
    text.parse().ok().and_then(of_number)
}

fn of_number(raw: i32) -> Option<Pid> {
    if raw > 0 { Pid::from_raw(raw) } else { None }
}

/// All processes.
pub fn all_processes() -> Vec<Pid> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let entries = entries.filter_map(Result::ok);
    entries
        .filter_map(|entry| pid(entry.file_name().to_str()?))
        .collect()
}

/// All processes with their places in the tree.
pub fn processes() -> HashMap<Pid, Process> {
    let all = all_processes().into_iter();
    all.filter_map(|pid| Some((pid, process(pid)?))).collect()
}

/// The environment a process was started with; empty for a dead one and for one that is not ours to look into.
pub fn environment(pid: Pid) -> Vec<u8> {
    fs::read(format!("/proc/{}/environ", pid.as_raw_nonzero())).unwrap_or_default()
}

/// A process's place in the tree; `None` for one that is gone.
pub fn process(pid: Pid) -> Option<Process> {
    // A program may be called anything, also what is no UTF-8.
    let stat = fs::read(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    parse_stat(pid, &String::from_utf8_lossy(&stat))
}

/// Whether there is such a process that goes on. One that was killed is there until the kernel is done with it, and somebody has waited
/// for it; its locks and descriptors are gone before.
pub fn is_alive(pid: Pid) -> bool {
    process(pid).is_some_and(|process| !process.exiting)
}

/// The flag of a process whose end has begun (`PF_EXITING` of the kernel's `sched.h`, shown by proc(5) among the flags).
const EXITING: u64 = 4;

/// Reads `pid (comm) state ppid pgrp session tty tpgid flags … starttime …`, where `starttime` is the 22nd; `comm` may hold
/// anything, `)` too.
fn parse_stat(pid: Pid, stat: &str) -> Option<Process> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace();
    let state = fields.next()?;
    // Of a process that is just being waited for, group and session are -1.
    let parent = of_number(fields.next()?.parse().ok()?);
    let session = of_number(fields.nth(1)?.parse().ok()?);
    let flags: u64 = fields.nth(2)?.parse().ok()?;
    let started = fields.nth(12)?.parse().ok()?;
    let dead = matches!(state, "Z" | "X");
    Some(Process {
        pid,
        parent,
        session,
        dead,
        exiting: dead || flags & EXITING != 0,
        started,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_whatever_the_program_is_called() {
        let pid = |raw| Pid::from_raw(raw);
        let line = "7 (a) Z 9 (b) S 3 5 2 0 -1 4194304 99 0 0 0 0 0 0 0 20 0 1 0 1234 11317248";
        let expected = Process {
            pid: pid(7).unwrap(),
            parent: pid(3),
            session: pid(2),
            dead: false,
            exiting: false,
            started: 1234,
        };
        assert_eq!(parse_stat(pid(7).unwrap(), line), Some(expected));
        let zombie = parse_stat(pid(7).unwrap(), &line.replace("S 3", "Z 0")).unwrap();
        assert_eq!((zombie.parent, zombie.dead, zombie.exiting), (None, true, true));
        let exiting = parse_stat(pid(7).unwrap(), &line.replace(" 4194304 ", " 4194308 ")).unwrap();
        assert_eq!((exiting.dead, exiting.exiting), (false, true));
        let gone = "7 (a) X 0 -1 -1 0 -1 4194564 99 0 0 0 0 0 0 0 20 0 0 0 1234 0";
        let gone = parse_stat(pid(7).unwrap(), gone).unwrap();
        assert_eq!((gone.parent, gone.session, gone.dead), (None, None, true));
        assert_eq!(parse_stat(pid(7).unwrap(), "7 (sh"), None);
    }

    #[test]
    fn what_means_many_is_no_process_id() {
        assert_eq!(super::pid("17"), Pid::from_raw(17));
        for text in ["0", "-1", "-17", "", "x", "4294967296"] {
            assert_eq!(super::pid(text), None, "{text}");
        }
    }

    #[test]
    fn this_process_is_among_them() {
        let all = processes();
        assert_eq!(all.get(&getpid()).unwrap().parent, rustix::process::getppid());
        assert!(is_ours());
    }
}
