//! How a start goes on, on standard error.

use std::convert::Infallible;
use std::future::pending;
use std::io::{IsTerminal as _, Write as _, stderr};
use std::time::Duration;

use podbay_protocol::{SessionState, StartPhase};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::{is_plain, note, printable_cell};
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
        let line = Line {
            shown: self == Self::Line,
        };
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
                Self::Line => line.show(session, step.phase, begun.elapsed()),
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

/// A line on the terminal that is written over, and erased at the end.
struct Line {
    shown: bool,
}

impl Line {
    fn show(&self, session: &str, phase: StartPhase, elapsed: Duration) {
        if self.shown {
            // To the line's begin, the text, erase what is left of the old one (ECMA-48 EL). No wrapping: a
            // line that is longer than the terminal could not be written over.
            let text = format!("session {session}: {phase} {:.1} s", elapsed.as_secs_f64());
            let text = printable_cell(&text);
            let width = usize::from(crate::terminal::size().width).saturating_sub(1);
            let text: String = text.chars().take(width).collect();
            write(&format!("\r{text}\x1b[K"));
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if self.shown {
            write("\r\x1b[K");
        }
    }
}

fn write(text: &str) {
    let mut stderr = stderr().lock();
    // Progress that can't be shown is no reason to fail.
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}
