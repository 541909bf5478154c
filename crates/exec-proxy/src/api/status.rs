//! From a session's state to the two words that clients act on: a pure function.
//!
//! `status` is what newer clients read, `pod_status` what V0's do. Where no document says so, what each does on a word was seen
//! by running it.

use podbay_runtime::SessionState;
use podbay_runtime::StartPhase;
use podbay_runtime::protocol::{Cause, Verdict};

use crate::sessions::Known;

/// The two words for a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    /// `starting`, `running`, `paused`, `stopped`, `error`.
    pub(crate) status: &'static str,
    /// `pending`, `running`, `ready`, `failed`, `unknown`, `crashloopbackoff`, `not found`.
    pub(crate) pod_status: &'static str,
}

/// What to tell of a session, whose server was seen to answer or not.
pub(crate) fn status_of(known: &Known, answers: bool) -> Status {
    if known.failure.is_some() {
        return Status {
            status: "error",
            pod_status: "unknown",
        };
    }
    status(&known.state, answers)
}

/// What to tell of a session in this state, whose server was seen to answer or not.
fn status(state: &SessionState, answers: bool) -> Status {
    let (status, pod_status) = match state {
        SessionState::Starting(StartPhase::Creating | StartPhase::Scheduling | StartPhase::Preparing) => {
            ("starting", "pending")
        }
        SessionState::Ready(None) if answers => ("running", "ready"),
        // To V0's client a pod that runs is not yet ready. One that is, it asks at once, and gives up where nobody answers yet.
        SessionState::Starting(StartPhase::Starting | StartPhase::Ready) | SessionState::Ready(_) => {
            ("starting", "running")
        }
        // Neither a failure to V0's client, nor a start to older app servers.
        SessionState::Paused => ("paused", "not found"),
        SessionState::Stopping => ("stopped", "not found"),
        SessionState::Failed(verdict) => ("error", of_failure(verdict)),
        SessionState::Lost(verdict) => ("error", of_loss(verdict)),
        // Also of states that this version does not know.
        _ => ("error", "unknown"),
    };
    Status { status, pod_status }
}

fn of_failure(verdict: &Verdict) -> &'static str {
    match verdict.cause {
        Cause::Exited | Cause::OutOfMemory => "crashloopbackoff",
        _ => "failed",
    }
}

fn of_loss(verdict: &Verdict) -> &'static str {
    match verdict.cause {
        Cause::NodeLost => "unknown",
        _ => of_failure(verdict),
    }
}

/// Whether nothing happens to a session in this state by itself: its clients need not be kept waiting.
pub(crate) fn is_settled(state: &SessionState, answers: bool) -> bool {
    match state {
        SessionState::Starting(_) => false,
        SessionState::Ready(_) => answers,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use podbay_runtime::Degraded;

    use super::*;

    fn verdict(cause: Cause) -> Verdict {
        Verdict::new(cause, "m", "h")
    }

    /// The table of the contract, line by line.
    #[test]
    fn each_state_has_its_words() {
        use StartPhase::{Creating, Preparing, Ready, Scheduling, Starting};
        let silent = Degraded::ServerUnresponsive {
            since: jiff::Timestamp::UNIX_EPOCH,
            message: None,
        };
        for (state, answers, expected) in [
            (SessionState::Starting(Creating), false, ("starting", "pending")),
            (SessionState::Starting(Scheduling), false, ("starting", "pending")),
            (SessionState::Starting(Preparing), false, ("starting", "pending")),
            (SessionState::Starting(Starting), false, ("starting", "running")),
            (SessionState::Starting(Ready), false, ("starting", "running")),
            (SessionState::Ready(None), false, ("starting", "running")),
            (SessionState::Ready(None), true, ("running", "ready")),
            (SessionState::Ready(Some(silent)), true, ("starting", "running")),
            (SessionState::Paused, true, ("paused", "not found")),
            (SessionState::Stopping, true, ("stopped", "not found")),
            (SessionState::Unreadable, false, ("error", "unknown")),
        ] {
            let Status { status, pod_status } = super::status(&state, answers);
            assert_eq!((status, pod_status), expected, "{state}");
        }
    }

    #[test]
    fn a_failure_is_told_by_what_a_retry_can_do() {
        for (cause, failed, lost) in [
            (Cause::ImageNotFound, "failed", "failed"),
            (Cause::Capacity, "failed", "failed"),
            (Cause::Exited, "crashloopbackoff", "crashloopbackoff"),
            (Cause::OutOfMemory, "crashloopbackoff", "crashloopbackoff"),
            (Cause::Evicted, "failed", "failed"),
            (Cause::NodeLost, "failed", "unknown"),
        ] {
            let told = status(&SessionState::Failed(verdict(cause)), false);
            assert_eq!((told.status, told.pod_status), ("error", failed), "{cause}");
            let told = status(&SessionState::Lost(verdict(cause)), true);
            assert_eq!((told.status, told.pod_status), ("error", lost), "{cause}");
        }
    }

    #[test]
    fn clients_are_kept_waiting_for_what_starts_alone() {
        assert!(!is_settled(&SessionState::Starting(StartPhase::Creating), false));
        assert!(!is_settled(&SessionState::Ready(None), false));
        assert!(is_settled(&SessionState::Ready(None), true));
        assert!(is_settled(&SessionState::Paused, false));
        assert!(is_settled(&SessionState::Failed(verdict(Cause::Quota)), false));
    }
}
