//! From how a process ended to the end that is reported.

use podbay_protocol::{Cause, End, Hint, ProcessEnd, Verdict};

use super::processes::AttachmentEnd;
use crate::readiness::out_of_memory;

/// The end to report, and the verdict, where nothing else is known than how the process ended.
pub(super) fn report(end: AttachmentEnd) -> (End, Option<Verdict>) {
    let end = match end {
        AttachmentEnd::Ended(record) => record.end,
        AttachmentEnd::Lost { message } => {
            let verdict = Verdict::new(Cause::ConnectionLost, &message, Hint::LookBeforeRunningAgain);
            return (End::Lost { message }, Some(verdict));
        }
    };
    match end {
        ProcessEnd::Exited { code } => (End::Exited { code }, None),
        ProcessEnd::Signaled { signal } => (End::Signaled { signal }, None),
        ProcessEnd::TimedOut { seconds } => (End::TimedOut { seconds }, None),
        ProcessEnd::OutOfMemory => (End::Killed, Some(killed_for_memory())),
        ProcessEnd::NotStarted { reason, message } => not_started(&reason, message),
        ProcessEnd::Lost { message } => report(AttachmentEnd::Lost { message }),
        other => report(AttachmentEnd::Lost {
            message: format!("the process ended in a way that has no name here: {other:?}"),
        }),
    }
}

/// The kernel killed a process of the sandbox for memory.
pub(super) fn killed_for_memory() -> Verdict {
    out_of_memory("the kernel killed the command: the sandbox's memory limit was reached")
}

/// The word of an agent for a command whose directory can't be entered.
const WORKING_DIRECTORY: &str = "working_directory";

/// Its word for a user by a name that the image does not have.
const UNKNOWN_USER: &str = "unknown_user";

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
    if [WORKING_DIRECTORY, UNKNOWN_USER, "EPERM"].contains(&reason) {
        // As a shell that can't enter the directory says, or one that can't become the user.
        (End::CannotExecute { message }, None)
    } else if reason == "ENOENT" || says(&["executable file not found", "no such file or directory"]) {
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
    use podbay_protocol::EndRecord;

    use super::*;

    fn reported(end: ProcessEnd) -> (End, Option<Verdict>) {
        report(AttachmentEnd::Ended(EndRecord::new(end)))
    }

    #[test]
    fn a_lost_connection_is_never_success() {
        let (end, verdict) = report(AttachmentEnd::Lost {
            message: "reset".to_owned(),
        });
        assert_eq!(end.exit_code(), 125);
        assert_eq!(verdict.map(|verdict| verdict.cause), Some(Cause::ConnectionLost));
    }

    #[test]
    fn what_ended_the_process_is_told() {
        assert_eq!(
            reported(ProcessEnd::Signaled { signal: 9 }),
            (End::Signaled { signal: 9 }, None)
        );
        assert_eq!(
            reported(ProcessEnd::TimedOut { seconds: 2.5 }),
            (End::TimedOut { seconds: 2.5 }, None)
        );
        let (end, verdict) = reported(ProcessEnd::OutOfMemory);
        assert_eq!(
            (end, verdict.map(|verdict| verdict.cause)),
            (End::Killed, Some(Cause::OutOfMemory))
        );
    }

    #[test]
    fn what_could_not_be_started_has_the_shells_codes() {
        let end = |reason: &str, message: &str| {
            let end = ProcessEnd::NotStarted {
                reason: reason.to_owned(),
                message: message.to_owned(),
            };
            reported(end).0.exit_code()
        };
        assert_eq!(end("ENOENT", "x: not found"), 127);
        for reason in [WORKING_DIRECTORY, UNKNOWN_USER, "EPERM"] {
            assert_eq!(end(reason, "no such file or directory"), 126, "{reason}");
        }
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
