//! What is told while a session starts.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures::Stream;
use podbay_protocol::{RuntimeStatus, StartPhase, Verdict};
use serde::Serialize;
use tokio::sync::mpsc;

/// A change of a session's state.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Status {
    /// OpenHands' name for it.
    pub status: RuntimeStatus,
    /// The step of the start, while it starts.
    pub phase: Option<StartPhase>,
    /// Why it failed, once it did.
    pub verdict: Option<Verdict>,
}

/// The changes of a session's state, from the first to ready or failed.
#[derive(Debug)]
pub struct StatusStream(mpsc::UnboundedReceiver<Status>);

impl Stream for StatusStream {
    type Item = Status;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Status>> {
        self.0.poll_recv(cx)
    }
}

/// Tells changes; a start has few of them, so the queue has no bound.
#[derive(Clone, Debug)]
pub(super) struct Teller(Option<mpsc::UnboundedSender<Status>>);

impl Teller {
    /// One that nobody listens to.
    pub(super) const fn silent() -> Self {
        Self(None)
    }

    /// One with its listener.
    pub(super) fn new() -> (Self, StatusStream) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(Some(sender)), StatusStream(receiver))
    }

    pub(super) fn phase(&self, phase: StartPhase) {
        let status = match phase {
            StartPhase::Ready => RuntimeStatus::Ready,
            _ => RuntimeStatus::StartingRuntime,
        };
        self.tell(Status {
            status,
            phase: Some(phase),
            verdict: None,
        });
    }

    pub(super) fn failed(&self, verdict: Option<Verdict>) {
        self.tell(Status {
            status: RuntimeStatus::Error,
            phase: None,
            verdict,
        });
    }

    fn tell(&self, status: Status) {
        if let Some(sender) = &self.0 {
            // A listener that is gone does not want to know.
            let _ = sender.send(status);
        }
    }
}
