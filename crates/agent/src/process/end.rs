//! How a process ended, from what was seen of it.

use podbay_protocol::ProcessEnd;

use crate::init::ChildEnd;

/// SIGKILL.
const KILL: i32 = 9;
/// What a shell adds to the number of the signal that ended its command.
const BY_SIGNAL: i32 = 128;

/// What was seen of a process's end.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// How its command ended; none if the supervisor was killed and nobody saw it.
    pub(super) command: Option<ChildEnd>,
    /// The time-out that passed while the command ran, in seconds.
    pub(super) timed_out: Option<f64>,
    /// Whether it was killed on order.
    pub(super) was_killed: bool,
    /// How many processes of the sandbox the kernel killed for memory meanwhile.
    pub(super) oom_kills: u64,
    /// Whether the supervisor was killed before it told the end.
    pub(super) supervisor_lost: bool,
    /// Whether all was killed as a whole on order, the supervisor with it.
    pub(super) group_killed: bool,
}

/// How it ended.
pub(super) fn conclude(seen: &Seen) -> ProcessEnd {
    if let Some(seconds) = seen.timed_out {
        return ProcessEnd::TimedOut { seconds };
    }
    let looks_killed = match seen.command {
        Some(ChildEnd::Signaled(signal)) => signal == KILL,
        Some(ChildEnd::Exited(code)) => code == BY_SIGNAL + KILL,
        None => true,
    };
    if looks_killed && !seen.was_killed && seen.oom_kills > 0 {
        return ProcessEnd::OutOfMemory;
    }
    match seen.command {
        // Once the supervisor is dead, the agent itself kills what is left: that tells nothing of the command.
        Some(ChildEnd::Signaled(KILL)) | None if seen.supervisor_lost && !seen.group_killed => {
            ProcessEnd::Lost {
                message: "the process's supervisor was killed, and the agent then killed what it had started"
                    .to_owned(),
            }
        }
        Some(ChildEnd::Exited(code)) => ProcessEnd::Exited { code },
        Some(ChildEnd::Signaled(signal)) => ProcessEnd::Signaled { signal },
        None => ProcessEnd::Lost {
            message: "nobody saw how the process ended".to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(command: ChildEnd) -> Seen {
        Seen {
            command: Some(command),
            ..Seen::default()
        }
    }

    #[test]
    fn what_the_command_did_is_told() {
        assert_eq!(
            conclude(&seen(ChildEnd::Exited(3))),
            ProcessEnd::Exited { code: 3 }
        );
        let signaled = conclude(&seen(ChildEnd::Signaled(15)));
        assert_eq!(signaled, ProcessEnd::Signaled { signal: 15 });
    }

    #[test]
    fn memory_is_the_reason_only_of_a_kill_that_nobody_ordered() {
        let end = |command, oom_kills, was_killed| {
            conclude(&Seen {
                was_killed,
                oom_kills,
                ..seen(command)
            })
        };
        assert_eq!(end(ChildEnd::Signaled(9), 1, false), ProcessEnd::OutOfMemory);
        assert_eq!(end(ChildEnd::Exited(137), 1, false), ProcessEnd::OutOfMemory);
        assert_eq!(end(ChildEnd::Exited(1), 1, false), ProcessEnd::Exited { code: 1 });
        let killed = ProcessEnd::Signaled { signal: 9 };
        assert_eq!(end(ChildEnd::Signaled(9), 0, false), killed);
        assert_eq!(end(ChildEnd::Signaled(9), 1, true), killed);
    }

    #[test]
    fn a_time_out_is_the_reason_of_what_it_did() {
        let timed_out = Seen {
            timed_out: Some(1.5),
            ..seen(ChildEnd::Signaled(9))
        };
        assert_eq!(conclude(&timed_out), ProcessEnd::TimedOut { seconds: 1.5 });
    }

    #[test]
    fn a_lost_supervisor_is_never_success() {
        let lost = Seen {
            supervisor_lost: true,
            ..Seen::default()
        };
        assert!(matches!(conclude(&lost), ProcessEnd::Lost { .. }));
        let killed = Seen {
            command: Some(ChildEnd::Signaled(9)),
            ..lost.clone()
        };
        assert!(matches!(conclude(&killed), ProcessEnd::Lost { .. }));
        // Unless that was the order, and its end was seen.
        let on_order = Seen {
            was_killed: true,
            group_killed: true,
            ..killed
        };
        assert_eq!(conclude(&on_order), ProcessEnd::Signaled { signal: 9 });
        let memory = Seen { oom_kills: 1, ..lost };
        assert_eq!(conclude(&memory), ProcessEnd::OutOfMemory);
    }
}
