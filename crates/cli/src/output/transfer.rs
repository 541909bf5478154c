//! How a copy goes on, on standard error.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::{IsTerminal as _, stderr};
use std::time::Duration;

use podbay_runtime::copy::CopyProgress;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::is_plain;
use super::line::Line;
use crate::args::GlobalArgs;

/// How often the line changes.
const TICK: Duration = Duration::from_millis(200);
/// A copy that is over sooner shows nothing.
const WORTH_SHOWING: Duration = Duration::from_millis(500);
/// The rate is that of the last so many ticks: 5 s.
const WINDOW: usize = 25;

/// Shows how far a copy is, on a terminal only. Never ends: drop it when the copy is over, and its line is gone.
pub(crate) async fn follow_copy(global: &GlobalArgs, progress: CopyProgress) -> Infallible {
    if global.quiet || global.verbose > 0 || is_plain() || !stderr().is_terminal() {
        return std::future::pending().await;
    }
    let begun = Instant::now();
    tokio::time::sleep(WORTH_SHOWING).await;
    let line = Line::new(true);
    let mut rate = Rate::default();
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        let bytes = progress.bytes();
        let rate = rate.at(begun.elapsed(), bytes);
        line.show(&text(bytes, progress.total(), rate));
    }
}

/// Bytes a second, of late.
#[derive(Debug, Default)]
struct Rate(VecDeque<(Duration, u64)>);

impl Rate {
    fn at(&mut self, time: Duration, bytes: u64) -> u64 {
        if self.0.is_empty() {
            self.0.push_back((Duration::ZERO, 0));
        }
        self.0.push_back((time, bytes));
        if self.0.len() > WINDOW {
            self.0.pop_front();
        }
        let (since, before) = self.0.front().copied().unwrap_or_default();
        let milliseconds = time.saturating_sub(since).as_millis().max(1);
        let rate = u128::from(bytes - before) * 1000 / milliseconds;
        u64::try_from(rate).unwrap_or(u64::MAX)
    }
}

/// How far a copy is, in a line.
fn text(bytes: u64, total: Option<u64>, rate: u64) -> String {
    let rate_text = format!("{}/s", size(rate));
    // What claims to have less than came has no end that is known.
    let Some(total) = total.filter(|total| *total >= bytes) else {
        return format!("copied {}, {rate_text}", size(bytes));
    };
    let percent = (u128::from(bytes) * 100)
        .checked_div(u128::from(total))
        .unwrap_or(100);
    let left = match (total - bytes).checked_div(rate) {
        Some(seconds) => format!(", {} left", clock(seconds)),
        None => String::new(),
    };
    format!(
        "copied {} of {} ({percent} %), {rate_text}{left}",
        size(bytes),
        size(total)
    )
}

/// A number of bytes, with a unit that leaves it below 1024, and one digit after the point.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut unit = 0;
    let mut tenths = u128::from(bytes) * 10 / 1024;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// Seconds as minutes and seconds, or hours, minutes and seconds.
fn clock(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_bytes_rate_and_time_left() {
        assert_eq!(
            text(300 << 20, Some(1 << 30), 100 << 20),
            "copied 300.0 MiB of 1.0 GiB (29 %), 100.0 MiB/s, 0:07 left"
        );
        assert_eq!(text(7, None, 0), "copied 7 B, 0 B/s");
        assert_eq!(text(7, Some(3), 2048), "copied 7 B, 2.0 KiB/s");
        assert_eq!(text(0, Some(0), 0), "copied 0 B of 0 B (100 %), 0 B/s");
        assert_eq!(
            text(0, Some(10_000), 1),
            "copied 0 B of 9.7 KiB (0 %), 1 B/s, 2:46:40 left"
        );
        assert_eq!(
            (size(1023), size(1024), size(u64::MAX)),
            ("1023 B".into(), "1.0 KiB".into(), "16383.9 PiB".into())
        );
    }

    #[test]
    fn the_rate_is_that_of_the_last_seconds() {
        let mut rate = Rate::default();
        let at = |tick: u64| Duration::from_millis(200 * tick);
        assert_eq!(rate.at(at(5), 1000), 1000);
        // Nothing more comes.
        let mut last = 0;
        for tick in 6..40 {
            last = rate.at(at(tick), 1000);
        }
        assert_eq!(last, 0);
    }
}
