//! Signals: the first one ends things in order, the second at once.

use std::future::Future;
use std::io;
use std::sync::{Arc, OnceLock};

use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::exit::of_signal;
use crate::output::complain;

/// The signals that ask a process to end.
const ENDING: [Signal; 3] = [Signal::INT, Signal::TERM, Signal::HUP];

/// Listens to the signals that ask this process to end.
#[derive(Clone, Debug)]
pub(crate) struct Signals {
    first: Arc<OnceLock<Signal>>,
    cancel: CancellationToken,
    again: CancellationToken,
}

impl Signals {
    /// Starts to listen. A signal that was ignored when the process began stays ignored: `nohup` means it, and
    /// so does a shell that starts a job in the background.
    pub(crate) fn listen() -> io::Result<Self> {
        let this = Self {
            first: Arc::default(),
            cancel: CancellationToken::new(),
            again: CancellationToken::new(),
        };
        let ignored = ignored_signals();
        for ending in ENDING.into_iter().filter(|ending| ignored & mask(*ending) == 0) {
            let mut stream = signal(SignalKind::from_raw(ending.as_raw()))?;
            let heard = this.clone();
            tokio::spawn(async move {
                while stream.recv().await.is_some() {
                    heard.hear(ending);
                }
            });
        }
        Ok(this)
    }

    fn hear(&self, signal: Signal) {
        if self.first.set(signal).is_ok() {
            self.cancel.cancel();
        } else {
            self.again.cancel();
        }
    }

    /// Cancelled by the first signal.
    pub(crate) fn token(&self) -> CancellationToken {
        self.cancel.clone()
    }

    /// What to exit with because of a signal, if there was one.
    pub(crate) fn exit_code(&self) -> Option<u8> {
        self.first.get().map(|signal| of_signal(*signal))
    }

    /// Does `work`, which heeds the first signal by itself. A second one drops it where it stands and says
    /// what may be `left` and how to remove it, if there is a way.
    pub(crate) async fn guard<T>(
        &self,
        work: impl Future<Output = T>,
        left: impl FnOnce() -> Option<String>,
    ) -> Result<T, u8> {
        tokio::select! {
            biased;
            done = work => return Ok(done),
            () = self.again.cancelled() => {}
        }
        match left() {
            Some(left) => complain(&format!("error: ended by a second signal\nhint: {left}")),
            None => complain("error: ended by a second signal"),
        }
        Err(self.exit_code().unwrap_or_else(|| of_signal(Signal::INT)))
    }
}

/// The signals this process ignores, a bit each, as Linux tells them (`proc_pid_status(5)`); none elsewhere.
fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    parse_ignored(&status).unwrap_or_default()
}

fn parse_ignored(status: &str) -> Option<u64> {
    let digits = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(digits.trim(), 16).ok()
}

const fn mask(signal: Signal) -> u64 {
    1 << (signal.as_raw() - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nohup_ignores_is_seen() {
        let status = "Name:\tpodbay\nSigIgn:\t0000000000001001\nSigCgt:\t0000000000000002\n";
        let ignored = parse_ignored(status).unwrap();
        assert_ne!(ignored & mask(Signal::HUP), 0);
        assert_eq!(ignored & mask(Signal::INT), 0);
        assert_eq!(parse_ignored("Name:\tpodbay\n"), None);
    }
}
