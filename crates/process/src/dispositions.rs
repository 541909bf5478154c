//! What a new process would inherit of this one's signal dispositions.
//!
//! A program starts with the signals ignored that its parent ignored (execve(2)); whoever starts us decides about ours
//! (`nohup`, a shell's background job, a service manager). A command in a container starts with none ignored, and so do
//! ours. And where SIGCHLD is ignored the kernel reaps children by itself: how they ended is lost (wait(2)).
//!
//! The standard library resets SIGPIPE and the mask of blocked signals for each process it starts.

use std::sync::Once;

use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};

/// Left as they are: SIGPIPE is ignored by the standard library itself, and resets itself for children; with a handler
/// for the other two, writing to a terminal from the background would be tried again without end.
const LEFT_ALONE: [Signal; 3] = [Signal::PIPE, Signal::TTIN, Signal::TTOU];

/// Gives SIGCHLD and each ignored signal a handler that does nothing: to this process that is as good as ignoring it, and
/// a program it starts has the default action again. Must be called within a tokio runtime.
pub fn take_over_ignored() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let ignored = std::fs::read_to_string("/proc/self/status")
            .ok()
            .and_then(|status| parse_ignored(&status))
            .unwrap_or_default();
        for number in 1..=i32::try_from(u64::BITS).unwrap_or_default() {
            let is_ignored = ignored & (1 << (number - 1)) != 0;
            let is_left_alone = LEFT_ALONE.iter().any(|left| left.as_raw() == number);
            if (is_ignored && !is_left_alone) || number == Signal::CHILD.as_raw() {
                // The handler stays when its listener is dropped.
                if let Err(error) = signal(SignalKind::from_raw(number)) {
                    tracing::debug!(%error, number, "an ignored signal stays ignored for commands");
                }
            }
        }
    });
}

/// The ignored signals of a `/proc/PID/status` (proc_pid_status(5)), a bit each.
fn parse_ignored(status: &str) -> Option<u64> {
    let digits = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(digits.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_read() {
        let status = "Name:\tp\nSigIgn:\t0000000000011001\nSigCgt:\t0000000000000002\n";
        assert_eq!(parse_ignored(status), Some(0x11001));
        assert_eq!(parse_ignored("Name:\tp\n"), None);
    }
}
