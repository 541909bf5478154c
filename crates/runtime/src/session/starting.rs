//! A session on its way to ready, as its opener holds it.

use podbay_manifests::{SessionId, SessionRequest};
use podbay_protocol::SessionState;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::builder::OpenReport;
use super::handle::Session;
use crate::context::{Backing, Podbay};
use crate::error::Error;
use crate::lifecycle::{self, OpenOutcome, Origin, Stored};
use crate::local::LocalSession;

/// A session that starts, in a task of its own: it goes on whether or not anybody looks.
///
/// What dropping the handle does, by how far the start has come:
///
/// | the start | dropped |
/// |---|---|
/// | creates objects, or waits for a session that it created | ends, and what it created is removed in the background |
/// | waits for a session that was there, failed ones that it starts again included | ends; the session stays, and goes on by itself |
/// | is over: ready | the session stays open, as when a [`Session`] is dropped |
/// | is over: failed | nothing is left to do; a session that is kept ([`SessionBuilder::keep_failed`](crate::SessionBuilder::keep_failed)) stays |
///
/// Dropping is no failure: what is dropped is not kept as a failed session. One that is being given up because its start has
/// failed is left as that, whoever drops what.
///
/// [`Starting::detach`] lets the start go on without the handle, [`Starting::cancel`] waits until all is removed.
#[must_use = "dropping it ends the start"]
#[derive(Debug)]
pub struct Starting {
    podbay: Podbay,
    id: SessionId,
    request: SessionRequest,
    state: watch::Receiver<SessionState>,
    stored: watch::Receiver<Option<Stored>>,
    task: JoinHandle<Result<OpenOutcome, Error>>,
    cancel: CancellationToken,
    /// Ends the start when the handle is dropped.
    guard: DropGuard,
}

/// A start that is about to begin.
pub(super) struct Start {
    pub(super) podbay: Podbay,
    pub(super) id: SessionId,
    pub(super) request: SessionRequest,
    /// Told of each step by the operation, and here of its end.
    pub(super) state: watch::Sender<SessionState>,
    /// Where the operation tells that what outlives this process is stored.
    pub(super) stored: watch::Receiver<Option<Stored>>,
    /// The operation's own token.
    pub(super) cancel: CancellationToken,
}

impl Start {
    /// Begins the operation.
    pub(super) fn begin(
        self,
        operation: impl Future<Output = Result<OpenOutcome, Error>> + Send + 'static,
    ) -> Starting {
        let Self {
            podbay,
            id,
            request,
            state,
            stored,
            cancel,
        } = self;
        let receiver = state.subscribe();
        let task = tokio::spawn(async move {
            let opened = operation.await;
            match &opened {
                Ok(_) => {
                    state.send_replace(SessionState::Ready(None));
                }
                Err(Error::Cancelled { goes_on: false, .. }) => {
                    state.send_replace(SessionState::Stopping);
                }
                Err(error) => {
                    if let Some(verdict) = error.verdict() {
                        state.send_replace(SessionState::Failed(verdict.clone()));
                    }
                }
            }
            opened
        });
        Starting {
            podbay,
            id,
            request,
            state: receiver,
            stored,
            task,
            guard: cancel.clone().drop_guard(),
            cancel,
        }
    }
}

impl Starting {
    /// The session's id.
    pub fn id(&self) -> &str {
        self.id.as_str()
    }

    /// Follows the start. The channel closes when the start is over; then its value is `Ready`, `Failed` with the verdict, or
    /// `Stopping` where it was cancelled. Any other value says that the start ended with an error that is no verdict, which
    /// [`Starting::ready`] returns.
    pub fn state(&self) -> watch::Receiver<SessionState> {
        self.state.clone()
    }

    /// Becomes some value once the session's record and its Secret are stored: from then on any process finds the session, and
    /// can carry its start on. The channel closes when the start is over.
    pub fn stored(&self) -> watch::Receiver<Option<Stored>> {
        self.stored.clone()
    }

    /// Waits until the session takes commands. Dropping the future is dropping the handle.
    pub async fn ready(mut self) -> Result<Session, Error> {
        let opened = finished(&self.id, (&mut self.task).await)?;
        self.guard.disarm();
        let OpenOutcome {
            record,
            pod,
            times,
            origin,
            without_agent,
        } = opened;
        let differences = match origin {
            Origin::Created => Vec::new(),
            Origin::Attached | Origin::Recreated | Origin::Resumed | Origin::StartedAgain => {
                self.request.differences(&record.spec)
            }
        };
        let report = OpenReport {
            attached: origin != Origin::Created,
            recreated: origin == Origin::Recreated,
            resumed: origin == Origin::Resumed,
            started_again: origin == Origin::StartedAgain,
            differences,
            times,
            without_agent,
        };
        Ok(Session::opened(self.podbay, record, pod, report))
    }

    /// Lets the start go on without anybody who waits for it. It is rolled back, or left as a failed session, if it fails, and stays if it succeeds; any
    /// process learns its state from the cluster.
    pub fn detach(self) {
        self.guard.disarm();
    }

    /// Ends the start, and waits until what it created is removed: if it was ready by then, it is closed. A session that was
    /// there before stays.
    ///
    /// Fails if the start had failed by itself, with that error, or if removing it fails.
    pub async fn cancel(self) -> Result<(), Error> {
        self.cancel.cancel();
        match finished(&self.id, self.task.await) {
            Ok(OpenOutcome {
                record,
                origin: Origin::Created,
                ..
            }) => match &self.podbay.0 {
                Backing::Cluster(ctx) => {
                    let session = ctx.session_of(&record);
                    lifecycle::close(session, &record, false).await.map(drop)
                }
                Backing::Machine(machine) => LocalSession::of(machine, &record).close().await.map(drop),
            },
            Ok(_) | Err(Error::Cancelled { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// What the task came to. One that was aborted went with its runtime.
fn finished(
    id: &SessionId,
    joined: Result<Result<OpenOutcome, Error>, JoinError>,
) -> Result<OpenOutcome, Error> {
    match joined {
        Ok(opened) => opened,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(Error::Cancelled {
            session: id.to_string(),
            goes_on: false,
        }),
    }
}
