//! How long the steps of a start take.

use std::time::Duration;

use podbay_runtime::{SessionState, StartPhase};
use tokio::sync::watch;
use tokio::time::Instant;

/// The steps of a start, as its state tells them.
pub(super) struct Steps {
    state: watch::Receiver<SessionState>,
    begun: Instant,
    /// The step that is under way, and since when.
    current: (StartPhase, Instant),
    taken: Vec<(StartPhase, Duration)>,
    ended: Instant,
}

impl Steps {
    /// Of a start that begins now.
    pub(super) fn begin(state: watch::Receiver<SessionState>) -> Self {
        let now = Instant::now();
        Self {
            state,
            begun: now,
            current: (StartPhase::Creating, now),
            taken: Vec::new(),
            ended: now,
        }
    }

    /// Follows the steps until the start is over.
    pub(super) async fn until<T>(mut self, start: impl Future<Output = T>) -> (T, Self) {
        let mut start = std::pin::pin!(start);
        let mut is_told = true;
        let ended = loop {
            tokio::select! {
                // A step that ends with the start is seen before its end.
                biased;
                changed = self.state.changed(), if is_told => {
                    is_told = changed.is_ok();
                    let state = self.state.borrow_and_update().clone();
                    if let SessionState::Starting(phase) = state {
                        self.enter(phase, Instant::now());
                    }
                }
                ended = &mut start => break ended,
            }
        };
        self.ended = Instant::now();
        self.leave(self.ended);
        (ended, self)
    }

    /// Each step that was taken, as long as it took; one that came again twice.
    pub(super) fn taken(&self) -> impl Iterator<Item = (StartPhase, Duration)> {
        self.taken.iter().copied()
    }

    /// From the beginning to the end.
    pub(super) fn total(&self) -> Duration {
        self.ended - self.begun
    }

    fn enter(&mut self, phase: StartPhase, now: Instant) {
        if phase != self.current.0 {
            self.leave(now);
            self.current = (phase, now);
        }
    }

    fn leave(&mut self, now: Instant) {
        let (phase, since) = self.current;
        if phase != StartPhase::Ready {
            self.taken.push((phase, now - since));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_step_has_its_time() {
        let (state, receiver) = watch::channel(SessionState::Starting(StartPhase::Creating));
        let second = Duration::from_secs(1);
        let start = async move {
            for phase in [
                StartPhase::Scheduling,
                StartPhase::Scheduling,
                StartPhase::Starting,
            ] {
                tokio::time::sleep(second).await;
                state.send_replace(SessionState::Starting(phase));
            }
            tokio::time::sleep(second).await;
            state.send_replace(SessionState::Ready(None));
            "over"
        };
        let (ended, steps) = Steps::begin(receiver).until(start).await;
        assert_eq!(ended, "over");
        let taken: Vec<_> = steps.taken().collect();
        assert_eq!(
            taken,
            [
                (StartPhase::Creating, second),
                (StartPhase::Scheduling, second * 2),
                (StartPhase::Starting, second)
            ]
        );
        assert_eq!(steps.total(), second * 4);
    }
}
