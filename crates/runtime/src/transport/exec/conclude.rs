//! From how the exec subresource says a command ended, and what became of the pod, to the end that is reported.

use podbay_protocol::{End, ProcessEnd, Verdict};

use crate::transport::processes::AttachmentEnd;
use crate::transport::report::report;

/// Exit codes from here on are of processes that a signal ended: 128 and its number.
pub(super) const SIGNALLED: i32 = 128;

/// SIGKILL: by a user, by the kernel for memory, or because the pod went.
const KILL: i32 = 9;

/// SIGTERM: by a user, or by an init system of the image's that ends with the pod.
const TERM: i32 = 15;

/// Whether the command was killed, by whomever.
pub(super) fn was_killed(end: &AttachmentEnd) -> bool {
    let AttachmentEnd::Ended(record) = end else {
        return false;
    };
    let by = |signal: i32| signal == KILL || signal == TERM;
    match record.end {
        ProcessEnd::Exited { code } => by(code - SIGNALLED),
        ProcessEnd::Signaled { signal } => by(signal),
        _ => false,
    }
}

/// Whether the pod must be looked at before `end` can be told.
pub(in crate::transport) fn needs_a_look(end: &AttachmentEnd) -> bool {
    let has_ended = match end {
        AttachmentEnd::Ended(record) => !matches!(record.end, ProcessEnd::NotStarted { .. }),
        AttachmentEnd::Lost { .. } => false,
    };
    was_killed(end) || !has_ended
}

/// The end to report, and the verdict. `pod` is why the pod takes no commands any longer, if it doesn't;
/// `out_of_memory` whether the kernel killed a process of the sandbox for memory meanwhile.
pub(in crate::transport) fn conclude(
    end: AttachmentEnd,
    pod: Option<Verdict>,
    out_of_memory: Option<Verdict>,
) -> (End, Option<Verdict>) {
    if needs_a_look(&end)
        && let Some(verdict) = pod.or(out_of_memory)
    {
        return (End::Killed, Some(verdict));
    }
    report(end)
}

#[cfg(test)]
mod tests {
    use podbay_protocol::{Cause, EndRecord};

    use super::*;

    fn evicted() -> Verdict {
        Verdict::new(Cause::Evicted, "evicted", "")
    }

    fn ended(end: ProcessEnd) -> AttachmentEnd {
        AttachmentEnd::Ended(EndRecord::new(end))
    }

    fn exited(code: i32) -> AttachmentEnd {
        ended(ProcessEnd::Exited { code })
    }

    #[test]
    fn a_kill_is_the_commands_own_unless_something_says_otherwise() {
        assert_eq!(
            conclude(exited(137), None, None),
            (End::Exited { code: 137 }, None)
        );
        assert_eq!(
            conclude(exited(137), Some(evicted()), None),
            (End::Killed, Some(evicted()))
        );
        assert_eq!(
            conclude(exited(137), None, Some(evicted())),
            (End::Killed, Some(evicted()))
        );
    }

    #[test]
    fn the_pod_is_looked_at_where_its_end_may_be_the_commands() {
        let not_started = ProcessEnd::NotStarted {
            reason: String::new(),
            message: String::new(),
        };
        let lost = AttachmentEnd::Lost {
            message: String::new(),
        };
        for (end, killed, look) in [
            (exited(137), true, true),
            (exited(143), true, true),
            (ended(ProcessEnd::Signaled { signal: 9 }), true, true),
            (exited(139), false, false),
            (exited(9), false, false),
            (lost, false, true),
            (ended(not_started), false, true),
        ] {
            assert_eq!((was_killed(&end), needs_a_look(&end)), (killed, look), "{end:?}");
        }
    }

    #[test]
    fn an_exit_of_its_own_stands_whatever_became_of_the_pod() {
        assert_eq!(
            conclude(exited(0), Some(evicted()), None),
            (End::Exited { code: 0 }, None)
        );
    }
}
