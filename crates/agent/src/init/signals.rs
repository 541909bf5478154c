//! The signals that PID 1 is sent.

use std::io;

use nix::sys::signal::{SigSet, Signal as NixSignal};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Keeps SIGSEGV and SIGBUS that other processes send from being delivered. To be called before any thread is started: the threads
/// that this one starts have its mask.
///
/// PID 1 gets no signal that it has no handler for (pid_namespaces(7)), but the standard library has one for these two, which tells of
/// overflowed stacks. It takes each for a fault of this process: one that arrives while a thread is being started, or while
/// the other is handled, makes it abort. A real fault ends the process also where its signal is blocked (sigprocmask(2)).
/// What this process starts has neither blocked: the standard library empties the mask for it.
pub fn block_faults_of_others() -> io::Result<()> {
    let mut faults = SigSet::empty();
    faults.add(NixSignal::SIGSEGV);
    faults.add(NixSignal::SIGBUS);
    Ok(faults.thread_block()?)
}

/// Signals that end the sandbox. While one listens for them they don't end this program by themselves.
#[derive(Debug)]
pub struct EndingSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl EndingSignals {
    /// Begins to listen. Within a tokio runtime.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// The number of the next one.
    pub async fn next(&mut self) -> i32 {
        let (terminate, interrupt) = (SignalKind::terminate(), SignalKind::interrupt());
        tokio::select! {
            _ = self.terminate.recv() => terminate.as_raw_value(),
            _ = self.interrupt.recv() => interrupt.as_raw_value(),
        }
    }
}

/// Signals that are passed on to the sandbox's main command, and mean nothing to us.
pub(super) struct PassedOn(Vec<(i32, Signal)>);

impl PassedOn {
    pub(super) fn listen() -> io::Result<Self> {
        let kinds = [
            SignalKind::hangup(),
            SignalKind::quit(),
            SignalKind::user_defined1(),
            SignalKind::user_defined2(),
            SignalKind::alarm(),
            SignalKind::window_change(),
        ];
        let listened = kinds.map(|kind| Ok((kind.as_raw_value(), signal(kind)?)));
        Ok(Self(listened.into_iter().collect::<io::Result<_>>()?))
    }

    /// The number of the next one.
    pub(super) async fn next(&mut self) -> i32 {
        let next = self.0.iter_mut().map(|(number, signal)| {
            Box::pin(async move {
                signal.recv().await;
                *number
            })
        });
        futures::future::select_all(next).await.0
    }
}
