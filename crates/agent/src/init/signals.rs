//! The signals that PID 1 is sent.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

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
