//! Which readings tell that something is going on. Time is passed in, as how long the sandbox has run.

use std::time::Duration;

/// Cores in use on average from which on the sandbox is at work. Less is what waiting programs use to look around.
const BUSY_CORES: f64 = 0.05;
/// Bytes over the network a second, both ways, from which on somebody uses it. The kubelet's probes and a client's pings are
/// less.
const BUSY_BYTES: f64 = 2048.0;

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sample {
    pub(super) at: Duration,
    /// Seconds of one core that were used.
    pub(super) cpu: Option<f64>,
    /// Bytes that went either way.
    pub(super) network: Option<u64>,
}

/// What followed from the samples so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Sampler {
    last: Option<Sample>,
    /// Cores in use between the last two samples.
    pub(super) cores: Option<f64>,
    /// When processor time was last used to speak of.
    pub(super) cpu_seen: Option<Duration>,
    /// When the network was last used to speak of.
    pub(super) network_seen: Option<Duration>,
}

impl Sampler {
    /// Takes in a sample.
    pub(super) fn observe(&mut self, sample: Sample) {
        if let Some(last) = self.last.replace(sample) {
            let seconds = sample.at.saturating_sub(last.at).as_secs_f64();
            if seconds <= 0.0 {
                return;
            }
            // Sums over processes shrink when one ends whose parent does not count it.
            self.cores = last
                .cpu
                .zip(sample.cpu)
                .map(|(before, after)| (after - before).max(0.0) / seconds);
            if self.cores.is_some_and(|cores| cores >= BUSY_CORES) {
                self.cpu_seen = Some(sample.at);
            }
            #[expect(clippy::cast_precision_loss, reason = "bytes of one interval")]
            let bytes = last
                .network
                .zip(sample.network)
                .map(|(before, after)| after.saturating_sub(before) as f64 / seconds);
            if bytes.is_some_and(|bytes| bytes >= BUSY_BYTES) {
                self.network_seen = Some(sample.at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observed(samples: &[(u64, f64, u64)]) -> Sampler {
        let mut sampler = Sampler::default();
        for &(at, cpu, network) in samples {
            sampler.observe(Sample {
                at: Duration::from_secs(at),
                cpu: Some(cpu),
                network: Some(network),
            });
        }
        sampler
    }

    #[test]
    fn one_sample_tells_nothing() {
        let sampler = observed(&[(1, 50.0, 1 << 30)]);
        assert_eq!(
            (sampler.cores, sampler.cpu_seen, sampler.network_seen),
            (None, None, None)
        );
    }

    #[test]
    fn work_is_seen_and_looking_around_is_not() {
        let at = |seconds| Some(Duration::from_secs(seconds));
        // Half a core for ten seconds, then next to nothing.
        let sampler = observed(&[(0, 0.0, 0), (10, 5.0, 500), (20, 5.1, 1000)]);
        assert_eq!((sampler.cpu_seen, sampler.network_seen), (at(10), None));
        assert!(sampler.cores.is_some_and(|cores| (cores - 0.01).abs() < 1e-9));
        // Somebody fetches something.
        let sampler = observed(&[(0, 0.0, 0), (10, 0.1, 1 << 20), (20, 0.2, 1 << 20)]);
        assert_eq!((sampler.cpu_seen, sampler.network_seen), (None, at(10)));
    }

    #[test]
    fn what_goes_backwards_or_comes_twice_at_once_is_no_work() {
        let sampler = observed(&[(0, 9.0, 900), (0, 19.0, 1 << 30), (10, 2.0, 1)]);
        assert_eq!(
            (sampler.cores, sampler.cpu_seen, sampler.network_seen),
            (Some(0.0), None, None)
        );
        let mut sampler = sampler;
        sampler.observe(Sample {
            at: Duration::from_secs(30),
            cpu: None,
            network: None,
        });
        assert_eq!(sampler.cores, None);
    }
}
