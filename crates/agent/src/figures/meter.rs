//! The figures of a running server.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use podbay_protocol::agent::Figures;
use podbay_protocol::agent::figures::{Idle, IdleSignal, IdleSignalAge};
use podbay_protocol::agent::info::Resources;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::container;
use super::sampler::{Sample, Sampler};

/// Between two looks at what is used: often enough to see a short command, seldom enough to be no load.
const INTERVAL: Duration = Duration::from_secs(10);
/// The longest hold.
pub(crate) const LONGEST_HOLD: Duration = Duration::from_secs(24 * 60 * 60);

/// Looks at what the sandbox uses. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Meter(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    started: Instant,
    /// Whose filesystem is told.
    directory: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    sampler: Sampler,
    /// What OpenHands' clients are told.
    resources: Option<Resources>,
    /// When the last process was seen to run.
    processes: Option<Instant>,
    /// Until when clients want the sandbox to be kept.
    hold: Option<Instant>,
}

impl Meter {
    pub(crate) fn new(directory: impl Into<PathBuf>) -> Self {
        Self(Arc::new(Shared {
            started: Instant::now(),
            directory: directory.into(),
            state: Mutex::default(),
        }))
    }

    /// Looks again and again, until it is dropped. `running` tells how many processes of clients run.
    pub(crate) async fn run(self, running: impl Fn() -> usize) {
        let mut ticks = interval(INTERVAL);
        // Looks right after one another, after a stand-still, would take their own work for the sandbox's.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let meter = self.clone();
            // A filesystem or a `/proc` with many processes may be slow.
            let looked = tokio::task::spawn_blocking(move || meter.look()).await;
            if looked.is_err() {
                return; // The runtime is shut down.
            }
            if running() > 0 {
                self.state(|state| state.processes = Some(Instant::now()));
            }
        }
    }

    fn look(&self) {
        let reading = container::read();
        let sample = Sample {
            at: self.0.started.elapsed(),
            cpu: reading.cpu.map(|cpu| cpu.seconds),
            network: reading.network.map(|network| network.received + network.sent),
        };
        let disk = container::disk(&self.0.directory);
        let (machine, moved) = (container::machine_memory(), container::io());
        self.state(|state| {
            state.sampler.observe(sample);
            let mut figures = Figures::default();
            figures.cpu = reading.cpu.map(|mut cpu| {
                cpu.cores = state.sampler.cores;
                cpu
            });
            (figures.memory, figures.disk) = (reading.memory, disk);
            state.resources = Some(Resources::of(&figures, machine, moved));
        });
    }

    /// What was used when it was looked at last: everybody may ask, and each look costs something.
    pub(crate) fn resources(&self) -> Option<Resources> {
        self.state(|state| state.resources)
    }

    /// Keeps the sandbox from being taken for idle for so long from now on; [`LONGEST_HOLD`] at most.
    pub(crate) fn hold(&self, duration: Duration) {
        let until = Instant::now() + duration.min(LONGEST_HOLD);
        self.state(|state| state.hold = Some(until));
    }

    /// What is used now. `requests` is how long nobody has asked for anything, `running` how many processes of clients run.
    /// Blocks for as long as the kernel takes.
    pub(crate) fn figures(&self, requests: Duration, running: usize) -> Figures {
        let reading = container::read();
        let mut figures = Figures::default();
        figures.cpu = reading.cpu.map(|mut cpu| {
            cpu.cores = self.state(|state| state.sampler.cores);
            cpu
        });
        figures.memory = reading.memory;
        figures.network = reading.network;
        figures.disk = container::disk(&self.0.directory);
        figures.idle = self.idle(requests, running);
        figures
    }

    /// Since when nobody needs the sandbox.
    pub(crate) fn idle(&self, requests: Duration, running: usize) -> Idle {
        let now = Instant::now();
        let uptime = now - self.0.started;
        let since = |moment: Option<Duration>| moment.map(|moment| uptime.saturating_sub(moment));
        let signals = self.state(|state| {
            if running > 0 {
                state.processes = Some(now);
            }
            [
                (IdleSignal::Requests, Some(requests)),
                (IdleSignal::Processes, state.processes.map(|seen| now - seen)),
                (IdleSignal::Cpu, since(state.sampler.cpu_seen)),
                (IdleSignal::Network, since(state.sampler.network_seen)),
                // Until it ends it is seen now.
                (
                    IdleSignal::Hold,
                    state.hold.map(|until| now.saturating_duration_since(until)),
                ),
            ]
        });
        let seen = signals.into_iter().filter_map(|(signal, age)| {
            let seconds = age?.as_secs_f64();
            Some(IdleSignalAge { signal, seconds })
        });
        Idle::of(uptime.as_secs_f64(), seen.collect())
    }

    fn state<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.0.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(1000);

    /// Whole seconds since anybody needed it.
    fn since(meter: &Meter) -> u64 {
        Duration::from_secs_f64(meter.idle(LONG * 1000, 0).seconds).as_secs()
    }

    async fn pass(seconds: u64) {
        tokio::time::advance(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_is_seen_last_tells_why() {
        let meter = Meter::new("/");
        pass(5).await;
        let idle = meter.idle(LONG, 0);
        assert_eq!((idle.seconds, idle.why), (5.0, IdleSignal::Started));
        pass(5).await;
        // A process runs, then no more.
        assert_eq!(meter.idle(LONG, 1).why, IdleSignal::Processes);
        pass(3).await;
        let idle = meter.idle(LONG, 0);
        assert_eq!((idle.seconds, idle.why), (3.0, IdleSignal::Processes));
        let idle = meter.idle(Duration::from_secs(2), 0);
        assert_eq!((idle.seconds, idle.why), (2.0, IdleSignal::Requests));
    }

    #[tokio::test(start_paused = true)]
    async fn a_hold_counts_until_it_ends_and_not_for_ever() {
        let meter = Meter::new("/");
        pass(100).await;
        meter.hold(Duration::from_secs(30));
        pass(29).await;
        let idle = meter.idle(LONG, 0);
        assert_eq!((idle.seconds, idle.why), (0.0, IdleSignal::Hold));
        pass(11).await;
        assert_eq!(since(&meter), 10);
        meter.hold(Duration::MAX);
        meter.hold(Duration::ZERO);
        pass(4).await;
        assert_eq!(since(&meter), 4);
        meter.hold(Duration::MAX);
        pass(24 * 60 * 60 + 1).await;
        assert_eq!(since(&meter), 1);
    }

    #[test]
    fn what_is_used_is_told() {
        let meter = Meter::new("/");
        assert!(meter.resources().is_none());
        meter.look();
        let resources = meter.resources().unwrap();
        assert!(resources.memory.rss > 0 && resources.memory.percent > 0.0 && resources.disk.total > 0);
        let figures = meter.figures(Duration::ZERO, 0);
        assert!(figures.memory.is_some() && figures.disk.is_some() && figures.cpu.is_some());
    }
}
