//! Signals. One that comes while a command runs is passed on to it, as docker does, and the command then has the grace
//! period to end; a second one kills it. With no command to pass it on to, the first signal ends things in order. One more
//! ends them at once.

use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::exit::of_signal;
use crate::output::complain;

/// The signals that end a process that does not handle them, but for those that tell of a fault in it and those
/// that can't be handled (signal(7)).
const ENDING: [Signal; 12] = [
    Signal::INT,
    Signal::TERM,
    Signal::HUP,
    Signal::QUIT,
    Signal::USR1,
    Signal::USR2,
    Signal::ALARM,
    Signal::VTALARM,
    Signal::PROF,
    Signal::XCPU,
    Signal::XFSZ,
    Signal::IO,
];

/// Those that mean what the command makes of them: passed on, they begin no end.
const MESSAGES: [Signal; 2] = [Signal::USR1, Signal::USR2];

/// How soon after a signal another one of the same kind is its echo. coreutils' `timeout` sends its signal to its child and then
/// to its own process group, in which the child is; a person takes longer to press a key again.
const ECHO: Duration = Duration::from_millis(200);

/// Listens to the signals that ask this process to end.
#[derive(Clone, Debug)]
pub(crate) struct Signals {
    first: Arc<OnceLock<Signal>>,
    cancel: CancellationToken,
    again: CancellationToken,
    command: Arc<Mutex<Option<Command>>>,
    /// The last one that was heeded, and when.
    last: Arc<Mutex<Option<(Signal, Instant)>>>,
}

/// The command that signals are passed on to.
#[derive(Clone, Debug)]
struct Command {
    signals: mpsc::UnboundedSender<i32>,
    /// How long it has to end.
    grace: Duration,
}

impl Signals {
    /// Starts to listen. A signal that was ignored when the process began stays ignored: `nohup` means it, and
    /// so does a shell that starts a job in the background.
    pub(crate) fn listen() -> io::Result<Self> {
        let this = Self {
            first: Arc::default(),
            cancel: CancellationToken::new(),
            again: CancellationToken::new(),
            command: Arc::default(),
            last: Arc::default(),
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

    /// Whether a signal is the same one once more. Messages are never: each means something to the command.
    fn is_echo(&self, signal: Signal) -> bool {
        let now = Instant::now();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let is_echo = !MESSAGES.contains(&signal)
            && last.is_some_and(|(heeded, when)| heeded == signal && now.duration_since(when) < ECHO);
        if !is_echo {
            *last = Some((signal, now));
        }
        is_echo
    }

    fn hear(&self, signal: Signal) {
        if self.is_echo(signal) {
            return;
        }
        if self.cancel.is_cancelled() {
            self.again.cancel();
            return;
        }
        let command = self
            .command
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let passed_on = command.filter(|command| command.signals.send(signal.as_raw()).is_ok());
        if passed_on.is_some() && MESSAGES.contains(&signal) {
            return;
        }
        match (self.first.set(signal), passed_on) {
            (Ok(()), Some(Command { grace, .. })) => {
                let cancel = self.cancel.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(grace).await;
                    cancel.cancel();
                });
            }
            _ => self.cancel.cancel(),
        }
    }

    /// The signals to pass on to a command that is about to run, and has so long to end after the first.
    pub(crate) fn pass_on(&self, grace: Duration) -> mpsc::UnboundedReceiver<i32> {
        let (signals, to_pass_on) = mpsc::unbounded_channel();
        *self.command.lock().unwrap_or_else(PoisonError::into_inner) = Some(Command { signals, grace });
        to_pass_on
    }

    /// Cancelled when what goes on is to end: by the first signal or, while a command runs, by the end of its grace period
    /// or a second signal.
    pub(crate) fn token(&self) -> CancellationToken {
        self.cancel.clone()
    }

    /// What to exit with because of a signal, if there was one.
    pub(crate) fn exit_code(&self) -> Option<u8> {
        self.first.get().map(|signal| of_signal(*signal))
    }

    /// Does `work`, which heeds [`Signals::token`] by itself. One more signal drops it where it stands and says
    /// what may be `left`, if anything may.
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
        let hint = left().map(|left| format!("\nhint: {left}")).unwrap_or_default();
        complain(&format!("error: ended by one more signal{hint}"));
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

    fn signals() -> Signals {
        Signals {
            first: Arc::default(),
            cancel: CancellationToken::new(),
            again: CancellationToken::new(),
            command: Arc::default(),
            last: Arc::default(),
        }
    }

    #[test]
    fn what_nohup_ignores_is_seen() {
        let status = "Name:\tpodbay\nSigIgn:\t0000000000001001\nSigCgt:\t0000000000000002\n";
        let ignored = parse_ignored(status).unwrap();
        assert_ne!(ignored & mask(Signal::HUP), 0);
        assert_eq!(ignored & mask(Signal::INT), 0);
        assert_eq!(parse_ignored("Name:\tpodbay\n"), None);
    }

    #[test]
    fn without_a_command_the_first_ends_things_and_the_second_at_once() {
        let signals = signals();
        signals.hear(Signal::TERM);
        assert!(signals.cancel.is_cancelled() && !signals.again.is_cancelled());
        signals.hear(Signal::INT);
        assert!(signals.again.is_cancelled());
        assert_eq!(signals.exit_code(), Some(143));
    }

    #[tokio::test(start_paused = true)]
    async fn a_command_is_told_first_and_has_its_grace() {
        let signals = signals();
        let mut told = signals.pass_on(Duration::from_secs(5));
        signals.hear(Signal::USR1);
        assert_eq!((told.recv().await, signals.exit_code()), (Some(10), None));
        signals.hear(Signal::TERM);
        assert_eq!(told.recv().await, Some(15));
        let begun = tokio::time::Instant::now();
        assert!(!signals.cancel.is_cancelled());
        signals.cancel.cancelled().await;
        assert_eq!(begun.elapsed().as_secs(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_signal_kills_and_a_third_ends_at_once() {
        let signals = signals();
        let _told = signals.pass_on(Duration::from_secs(5));
        for _ in 0..2 {
            signals.hear(Signal::INT);
            tokio::time::advance(ECHO).await;
        }
        assert!(signals.cancel.is_cancelled() && !signals.again.is_cancelled());
        signals.hear(Signal::INT);
        assert!(signals.again.is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn a_signal_that_timeout_sends_twice_is_one() {
        let signals = signals();
        let mut told = signals.pass_on(Duration::from_secs(5));
        for _ in 0..3 {
            signals.hear(Signal::TERM);
            tokio::time::advance(ECHO / 4).await;
        }
        assert_eq!((told.recv().await, told.try_recv().is_err()), (Some(15), true));
        assert!(!signals.cancel.is_cancelled());
        // Another kind is none, nor is a message.
        signals.hear(Signal::USR1);
        signals.hear(Signal::USR1);
        assert_eq!((told.recv().await, told.recv().await), (Some(10), Some(10)));
        signals.hear(Signal::INT);
        assert!(signals.cancel.is_cancelled());
    }
}
