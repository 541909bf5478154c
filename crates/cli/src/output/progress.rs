//! How a start goes on, on standard error.

use std::convert::Infallible;
use std::future::pending;
use std::io::{IsTerminal as _, stderr};
use std::time::Duration;

use podbay_protocol::{SessionState, StartPhase};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::line::Line;
use super::{is_plain, note};
use crate::args::GlobalArgs;

/// How often the line's seconds change: tenths are shown.
const TICK: Duration = Duration::from_millis(100);

/// Without a terminal, a step is told only when it takes this long: logs of quick starts stay short.
const WORTH_TELLING: Duration = Duration::from_secs(2);

/// How a start is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Not at all.
    Silent,
    /// One line that changes, on a terminal.
    Line,
    /// A plain line a step: each at once, or only those that last.
    Plain {
        /// Each, at once.
        each: bool,
    },
}

impl Progress {
    /// What the flags, the terminal and the environment ask for.
    pub(crate) fn new(global: &GlobalArgs) -> Self {
        match global {
            GlobalArgs { quiet: true, .. } => Self::Silent,
            // Log lines and a line that changes would overwrite one another.
            GlobalArgs { verbose: 1.., .. } => Self::Plain { each: true },
            _ if stderr().is_terminal() && !is_plain() => Self::Line,
            _ => Self::Plain { each: false },
        }
    }

    /// Shows the start of `session` as `state` tells it. Never ends: drop it when the start is over, and
    /// its line is gone.
    pub(crate) async fn follow(self, session: &str, mut state: watch::Receiver<SessionState>) -> Infallible {
        let begun = Instant::now();
        let line = Line::new(self == Self::Line);
        let mut step = Step {
            phase: StartPhase::Creating,
            since: begun,
            told: false,
        };
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                changed = state.changed() => match changed {
                    Ok(()) => if let Some(phase) = phase_of(&state.borrow_and_update()) && phase != step.phase {
                        step = Step { phase, since: Instant::now(), told: phase == StartPhase::Ready };
                    },
                    Err(_) => return pending().await,
                },
                _ = ticks.tick(), if self != Self::Silent => {}
            }
            match self {
                Self::Silent => {}
                Self::Line => {
                    let seconds = begun.elapsed().as_secs_f64();
                    line.show(&format!("session {session}: {} {seconds:.1} s", step.phase));
                }
                Self::Plain { each } => step.tell(session, if each { Duration::ZERO } else { WORTH_TELLING }),
            }
        }
    }
}

/// The step that a start in this state is in.
const fn phase_of(state: &SessionState) -> Option<StartPhase> {
    match state {
        SessionState::Starting(phase) => Some(*phase),
        SessionState::Ready(_) => Some(StartPhase::Ready),
        _ => None,
    }
}

/// The step that a start is in.
struct Step {
    phase: StartPhase,
    since: Instant,
    told: bool,
}

impl Step {
    fn tell(&mut self, session: &str, after: Duration) {
        if !self.told && self.since.elapsed() >= after {
            self.told = true;
            note(&format!("session {session}: {}", self.phase));
        }
    }
}
