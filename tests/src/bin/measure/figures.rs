//! Medians and their like.

use std::time::Duration;

use tokio::process::Command;
use tokio::time::Instant;

/// Milliseconds of several runs.
#[derive(Debug, Default)]
pub(crate) struct Figures(Vec<f64>);

impl Figures {
    pub(crate) fn add(&mut self, time: Duration) {
        self.0.push(time.as_secs_f64() * 1000.0);
    }

    /// The value below which this part of the runs is.
    fn quantile(&self, part: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an index, rounded"
        )]
        #[expect(clippy::cast_precision_loss, reason = "far fewer runs than 2^52")]
        let index = (part * (sorted.len().saturating_sub(1)) as f64).round() as usize;
        sorted.get(index).copied().unwrap_or(f64::NAN)
    }

    pub(crate) fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// One line: what it is of, and its figures.
    pub(crate) fn line(&self, of: &str) -> String {
        format!(
            "{of}: n={} min={:.1} median={:.1} p95={:.1} max={:.1} ms",
            self.0.len(),
            self.quantile(0.0),
            self.median(),
            self.quantile(0.95),
            self.quantile(1.0)
        )
    }
}

/// How long a command takes as a whole process; it must succeed.
pub(crate) async fn time(command: &mut Command) -> Duration {
    let begun = Instant::now();
    let output = command.output().await.unwrap();
    let took = begun.elapsed();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    took
}
