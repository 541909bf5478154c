//! How long to wait, and when to give up: a state machine over what was seen and when.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Event, Pod};
use podbay_config::Config;
use podbay_protocol::{Blame, Cause, Hint, PhaseTimes, Retry, StartPhase, Verdict};
use tokio::time::Instant;

use super::diagnosis::{Patience, Symptom, symptom};
use super::phase::{phase_of, runs};
use super::probe;

/// Events that say an autoscaler is about to add a node (cluster-autoscaler, Karpenter).
const SCALING_UP: [&str; 2] = ["TriggeredScaleUp", "Nominated"];

/// How long a pod may be in preparation before its events are read, while nothing looks wrong yet. The kubelet tells
/// there of a volume it can't mount at its first try.
const FIRST_LOOK: Duration = Duration::from_secs(5);

/// How long a server that has stopped answering may take to answer again: a period of its readiness probe, and the probe's
/// own time-out.
const SERVER: Duration = Duration::from_secs(15);

/// How long each kind of trouble may last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GracePeriods {
    pub(crate) start: Duration,
    pub(crate) unschedulable: Duration,
    pub(crate) capacity: Duration,
    pub(crate) image_pull: Duration,
    pub(crate) config: Duration,
    pub(crate) volume: Duration,
    pub(crate) claim: Duration,
    pub(crate) node: Duration,
}

impl GracePeriods {
    /// Those of the configuration.
    pub(crate) fn of(config: &Config) -> Self {
        let settings = &config.podbay;
        Self {
            start: Duration::from_secs(podbay_manifests::start_timeout_seconds(config)),
            unschedulable: Duration::from_secs(settings.unschedulable_grace_seconds),
            capacity: Duration::from_secs(settings.capacity_grace_seconds),
            image_pull: Duration::from_secs(settings.image_pull_grace_seconds),
            config: Duration::from_secs(settings.config_error_grace_seconds),
            volume: Duration::from_secs(settings.volume_grace_seconds),
            claim: Duration::from_secs(settings.claim_grace_seconds),
            node: Duration::from_secs(settings.node_lost_grace_seconds),
        }
    }

    const fn of_patience(&self, patience: Patience) -> Duration {
        match patience {
            Patience::None | Patience::Denial => Duration::ZERO,
            Patience::ImagePull => self.image_pull,
            Patience::Unschedulable => self.unschedulable,
            Patience::Capacity => self.capacity,
            Patience::Claim => self.claim,
            Patience::Config | Patience::Preparation => self.config,
            Patience::Volume => self.volume,
            Patience::Node => self.node,
            Patience::Server => SERVER,
        }
    }
}

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Decision {
    /// The session takes commands.
    Ready,
    /// Wait for the pod to change, at most until then.
    Wait(Instant),
    /// Something looks wrong: look at the pod's events before going on.
    ReadEvents,
    /// Give up.
    GiveUp(Box<Verdict>),
}

/// A start, as far as it has come.
#[derive(Debug)]
pub(crate) struct StartMonitor {
    graces: GracePeriods,
    server: bool,
    deadline: Instant,
    phase: StartPhase,
    phase_since: Instant,
    /// Since when the session's container runs.
    running_since: Option<Instant>,
    times: PhaseTimes,
    /// The trouble that lasts, and since when.
    trouble: Option<Trouble>,
    /// When the events were read last.
    events_read: Option<Instant>,
}

#[derive(Debug)]
struct Trouble {
    symptom: Symptom,
    since: Instant,
}

impl StartMonitor {
    /// A start that began to wait at `now`, with the time its objects took to write.
    pub(crate) fn new(graces: GracePeriods, server: bool, creating: Duration, now: Instant) -> Self {
        let mut times = PhaseTimes::default();
        times.add(StartPhase::Creating, creating);
        Self {
            graces,
            server,
            deadline: now + graces.start,
            phase: StartPhase::Scheduling,
            phase_since: now,
            running_since: None,
            times,
            trouble: None,
            events_read: None,
        }
    }

    pub(crate) const fn phase(&self) -> StartPhase {
        self.phase
    }

    /// The seconds of each step up to `now`.
    pub(crate) fn times(&self, now: Instant) -> PhaseTimes {
        let mut times = self.times;
        times.add(self.phase, now - self.phase_since);
        times
    }

    /// What to do, given the pod (none while the watch has not seen it) and the events read last.
    pub(crate) fn observe(&mut self, pod: Option<&Pod>, events: &[Event], now: Instant) -> Decision {
        if let Some(pod) = pod {
            let phase = phase_of(pod, self.server);
            if phase > self.phase {
                self.times.add(self.phase, now - self.phase_since);
                self.phase = phase;
                self.phase_since = now;
            }
            if runs(pod) {
                self.running_since.get_or_insert(now);
            }
        }
        let found = pod.and_then(|pod| symptom(pod, events));
        if self.phase == StartPhase::Ready && found.is_none() {
            return Decision::Ready;
        }
        self.remember(found, now);
        if let Some(trouble) = &self.trouble {
            let until = trouble.since + self.graces.of_patience(trouble.symptom.patience);
            if now >= until {
                let hopeless = trouble.symptom.patience == Patience::None;
                // What they told before the grace was over may have passed.
                let read = self.events_read.is_some_and(|read| read >= until);
                if !hopeless && !read {
                    return self.read_events(now);
                }
                if !self.is_scaling_up(events) {
                    return Decision::GiveUp(Box::new(trouble.symptom.verdict.clone()));
                }
            } else if now < self.deadline {
                let until = until.min(self.deadline);
                return self.look_at_claim(until, now).unwrap_or(Decision::Wait(until));
            }
        }
        if now >= self.deadline {
            // What a server that runs answered to its probe stands in events alone.
            let read = self.events_read.is_some_and(|read| read >= self.deadline);
            if self.trouble.is_none() && self.silent_for(now).is_some() && !read {
                return self.read_events(now);
            }
            return Decision::GiveUp(Box::new(self.deadline_verdict(events, now)));
        }
        // Volumes and sandboxes that fail show in events alone, so a pod that stays in preparation is looked at.
        if self.phase == StartPhase::Preparing {
            let look = self.events_read.map_or(self.phase_since + FIRST_LOOK, |read| {
                read + self.graces.volume.max(FIRST_LOOK)
            });
            if now >= look {
                return self.read_events(now);
            }
            return Decision::Wait(look.min(self.deadline));
        }
        Decision::Wait(self.deadline)
    }

    /// A look at the events of a claim that is not bound, once and before its grace is over: they alone tell that there is
    /// no such storage class.
    fn look_at_claim(&mut self, until: Instant, now: Instant) -> Option<Decision> {
        let claim = self
            .trouble
            .as_ref()
            .filter(|trouble| trouble.symptom.patience == Patience::Claim)?;
        let look = claim.since + FIRST_LOOK;
        if self.events_read.is_some_and(|read| read >= look) {
            return None;
        }
        Some(if now >= look {
            self.read_events(now)
        } else {
            Decision::Wait(look.min(until))
        })
    }

    /// For how long the session's server has run without answering.
    fn silent_for(&self, now: Instant) -> Option<Duration> {
        let since = self.running_since.filter(|_| self.server)?;
        Some(now - since)
    }

    const fn read_events(&mut self, now: Instant) -> Decision {
        self.events_read = Some(now);
        Decision::ReadEvents
    }

    fn is_scaling_up(&self, events: &[Event]) -> bool {
        let scheduling = self.trouble.as_ref().is_some_and(|trouble| {
            matches!(
                trouble.symptom.patience,
                Patience::Unschedulable | Patience::Capacity
            )
        });
        scheduling
            && events.iter().any(|event| {
                event
                    .reason
                    .as_deref()
                    .is_some_and(|reason| SCALING_UP.contains(&reason))
            })
    }

    /// Keeps the moment a trouble began: a message that changes while the kind stays is the same trouble, and
    /// so is a pull that alternates between failing and waiting to be tried again.
    fn remember(&mut self, found: Option<Symptom>, now: Instant) {
        self.trouble = found.map(|symptom| match self.trouble.take() {
            Some(before) if before.symptom.patience == symptom.patience => {
                // "Back-off pulling image" says less than the error before it.
                let keep = symptom.verdict.message.contains("Back-off pulling image")
                    && symptom.verdict.cause == before.symptom.verdict.cause;
                let symptom = if keep { before.symptom } else { symptom };
                Trouble { symptom, ..before }
            }
            // What was found in events lasts as long as the step it stopped.
            _ if matches!(symptom.patience, Patience::Volume | Patience::Preparation) => Trouble {
                symptom,
                since: self.phase_since,
            },
            _ => Trouble { symptom, since: now },
        });
    }

    fn deadline_verdict(&self, events: &[Event], now: Instant) -> Verdict {
        if let Some(trouble) = &self.trouble {
            return trouble.symptom.verdict.clone();
        }
        let seconds = self.graces.start.as_secs();
        let Some(silent) = self.silent_for(now) else {
            return Verdict::new(
                Cause::Deadline,
                format!("not ready after {seconds} s; it was {}", self.phase),
                Hint::RaiseStartTimeout,
            );
        };
        let answer =
            probe::answer(events, probe::STARTUP).or_else(|| probe::answer(events, probe::READINESS));
        let answer = answer.map(|answer| format!(" ({answer})")).unwrap_or_default();
        let verdict = Verdict::new(
            Cause::Deadline,
            format!(
                "not ready after {seconds} s: its server has run for {} s and does not answer{answer}",
                silent.as_secs()
            ),
            Hint::CheckServer,
        );
        // Most of the time went by before the server was started: the next try may have it.
        if silent < self.graces.start / 2 {
            return verdict;
        }
        Verdict {
            blame: Blame::Configuration,
            retry: Retry::Never,
            ..verdict
        }
    }
}
