//! From how its carrier says a command ended, and what became of the pod, to the end that is reported.

use podbay_k8s_client::ExecEnd;
use podbay_protocol::{Cause, End, Hint, Verdict};

/// Exit codes from here on are of processes that a signal ended: 128 and its number.
pub(super) const SIGNALLED: i32 = 128;

/// SIGKILL: by a user, by the kernel for memory, or because the pod went.
const KILL: i32 = 9;

/// SIGTERM: by a user, or by an init system of the image's that ends with the pod.
const TERM: i32 = 15;

/// Whether the command was killed, by whomever.
pub(super) fn was_killed(end: &ExecEnd) -> bool {
    let by = |signal: i32| signal == KILL || signal == TERM;
    match end {
        ExecEnd::Exited { code } => by(code - SIGNALLED),
        ExecEnd::Signaled { signal } => by(*signal),
        ExecEnd::Lost { .. } | ExecEnd::NotStarted { .. } => false,
    }
}

/// Whether the pod must be looked at before `end` can be told.
pub(super) fn needs_a_look(end: &ExecEnd) -> bool {
    was_killed(end) || matches!(end, ExecEnd::Lost { .. } | ExecEnd::NotStarted { .. })
}

/// The end to report, and the verdict. `pod` is why the pod takes no commands any longer, if it doesn't;
/// `out_of_memory` whether the kernel killed a process of the sandbox for memory meanwhile.
pub(super) fn conclude(
    end: ExecEnd,
    pod: Option<Verdict>,
    out_of_memory: Option<Verdict>,
) -> (End, Option<Verdict>) {
    if needs_a_look(&end)
        && let Some(verdict) = pod.or(out_of_memory)
    {
        return (End::Killed, Some(verdict));
    }
    match end {
        ExecEnd::Exited { code } => (End::Exited { code }, None),
        ExecEnd::Signaled { signal } => (End::Signaled { signal }, None),
        ExecEnd::NotStarted { reason, message } => not_started(&reason, message),
        ExecEnd::Lost { message } => {
            let verdict = Verdict::new(Cause::ConnectionLost, &message, Hint::LookBeforeRunningAgain);
            (End::Lost { message }, Some(verdict))
        }
    }
}

/// What the runtime's words (runc, crun) or an errno say.
fn not_started(reason: &str, message: String) -> (End, Option<Verdict>) {
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    // The shell that carries every command: without it no command can be run, whatever it is.
    if message.contains("\"/bin/sh\"") {
        let hint = Hint::UseImageWithShellForCommands;
        return (
            End::Killed,
            Some(Verdict::new(Cause::ImageUnsupported, message, hint)),
        );
    }
    if reason == "ENOENT" || says(&["executable file not found", "no such file or directory"]) {
        (End::NotFound { message }, None)
    } else if reason == "EACCES" || says(&["permission denied", "exec format error", "is a directory"]) {
        (End::CannotExecute { message }, None)
    } else {
        let verdict = Verdict::new(Cause::ContainerStart, &message, Hint::NodeCannotStartCommand);
        (End::Lost { message }, Some(verdict))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evicted() -> Verdict {
        Verdict::new(Cause::Evicted, "evicted", "")
    }

    #[test]
    fn a_kill_is_the_commands_own_unless_something_says_otherwise() {
        let killed = || ExecEnd::Exited { code: 137 };
        assert_eq!(conclude(killed(), None, None), (End::Exited { code: 137 }, None));
        assert_eq!(
            conclude(killed(), Some(evicted()), None),
            (End::Killed, Some(evicted()))
        );
        assert_eq!(
            conclude(killed(), None, Some(evicted())),
            (End::Killed, Some(evicted()))
        );
    }

    #[test]
    fn the_pod_is_looked_at_where_its_end_may_be_the_commands() {
        for (end, killed, look) in [
            (ExecEnd::Exited { code: 137 }, true, true),
            (ExecEnd::Exited { code: 143 }, true, true),
            (ExecEnd::Signaled { signal: 9 }, true, true),
            (ExecEnd::Exited { code: 139 }, false, false),
            (ExecEnd::Exited { code: 9 }, false, false),
            (
                ExecEnd::Lost {
                    message: String::new(),
                },
                false,
                true,
            ),
        ] {
            assert_eq!((was_killed(&end), needs_a_look(&end)), (killed, look), "{end:?}");
        }
    }

    #[test]
    fn an_exit_of_its_own_stands_whatever_became_of_the_pod() {
        let end = ExecEnd::Exited { code: 0 };
        assert_eq!(
            conclude(end, Some(evicted()), None),
            (End::Exited { code: 0 }, None)
        );
    }

    #[test]
    fn a_lost_connection_is_never_success() {
        let (end, verdict) = conclude(
            ExecEnd::Lost {
                message: "reset".to_owned(),
            },
            None,
            None,
        );
        assert_eq!(end.exit_code(), 125);
        assert_eq!(verdict.map(|verdict| verdict.cause), Some(Cause::ConnectionLost));
    }

    #[test]
    fn what_could_not_be_started_has_the_shells_codes() {
        let end = |reason: &str, message: &str| {
            let end = ExecEnd::NotStarted {
                reason: reason.to_owned(),
                message: message.to_owned(),
            };
            conclude(end, None, None).0.exit_code()
        };
        assert_eq!(end("ENOENT", "x: not found"), 127);
        assert_eq!(end("EACCES", "x: Permission denied"), 126);
        assert_eq!(
            end("InternalError", "exec: \"x\": executable file not found in $PATH"),
            127
        );
        assert_eq!(end("InternalError", "exec: \"/tmp\": permission denied"), 126);
        assert_eq!(
            end(
                "InternalError",
                "exec: \"/bin/sh\": stat /bin/sh: no such file or directory"
            ),
            125
        );
        assert_eq!(end("InternalError", "container not found"), 125);
    }
}
