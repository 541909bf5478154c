//! What runs in a session is waited for before it is paused, for a while.

use std::time::Duration;

use podbay_runtime::protocol::agent::figures::{Figures, IdleSignal};
use podbay_runtime::{Session, SessionState};
use tokio::time::{Instant, sleep, timeout_at};

use super::known::Known;
use super::service::ServiceSessions;

/// How often it is looked whether something runs.
const LOOK: Duration = Duration::from_millis(200);

/// What came of waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// Nothing runs, or it can't be told.
    Idle,
    /// An action still runs.
    StillBusy,
}

impl ServiceSessions {
    /// Waits until no action of a session runs, for so long at most. What its agent can't tell is not waited for, nor is anything on
    /// this machine, where a pause ends nothing.
    pub async fn drain(&self, known: &Known, most: Duration) -> Drained {
        let is_drained =
            matches!(known.state, SessionState::Ready(_)) && !self.is_on_this_machine() && !most.is_zero();
        if !is_drained {
            return Drained::Idle;
        }
        let podbay = self.podbay.of_owner(known.record.spec.owner().cloned());
        match podbay.existing(known.record.id().as_str()) {
            Ok(session) => until_idle(&session, Instant::now() + most).await,
            Err(_) => Drained::Idle,
        }
    }
}

async fn until_idle(session: &Session, deadline: Instant) -> Drained {
    let mut last = Drained::Idle;
    loop {
        last = match timeout_at(deadline, session.figures()).await {
            Ok(Ok(figures)) if is_busy(&figures) => Drained::StillBusy,
            // One without an agent, or with an earlier one.
            Ok(_) => return Drained::Idle,
            Err(_) => return last,
        };
        if timeout_at(deadline, sleep(LOOK)).await.is_err() {
            return last;
        }
    }
}

/// Whether a request with the session's key is being answered: an action. What was left to run by itself is not waited for.
fn is_busy(figures: &Figures) -> bool {
    let signals = figures.idle.signals.iter();
    signals
        .filter(|signal| signal.signal == IdleSignal::Requests)
        .any(|signal| signal.seconds <= 0.0)
}
