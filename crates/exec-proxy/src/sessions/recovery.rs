//! Which sessions are brought back by themselves whose pod was lost: those that the policy of the configuration names, and that have their
//! workspace on a claim. Pure; the time comes in.

use std::collections::HashMap;
use std::time::Duration;

use podbay_config::Config;
use podbay_manifests::Record;
use podbay_protocol::Verdict;
use tokio::time::Instant;

/// How long after it was tried to bring a session back it is not tried again: what keeps it from running may last.
const REST: Duration = Duration::from_secs(30);

/// Whether the policy (`kubernetes.start_retries`) has a session start again whose pod was lost so, after those that it has lost before.
pub(super) fn is_to_be_brought_back(config: &Config, record: &Record, verdict: &Verdict) -> bool {
    let tries = config.kubernetes.start_retries.get(verdict.cause.as_str());
    let lost = record.last_loss.as_ref().map_or(0, |loss| loss.count);
    config.sandbox.remote_runtime_enable_retries
        && record.spec.persistent()
        && tries.is_some_and(|tries| lost < *tries)
}

/// Sessions that were tried to be brought back of late, by the uids of their records.
#[derive(Debug, Default)]
pub(super) struct Recoveries(HashMap<String, Instant>);

impl Recoveries {
    /// Whether it may be tried at `now`. If so, that is noted: of several who ask at once one does.
    pub(super) fn may_try(&mut self, uid: &str, now: Instant) -> bool {
        self.0.retain(|_, since| now < *since + REST);
        if self.0.contains_key(uid) {
            return false;
        }
        self.0.insert(uid.to_owned(), now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_tried_at_once_and_again_after_a_rest() {
        let (mut all, now) = (Recoveries::default(), Instant::now());
        assert!(all.may_try("a", now) && all.may_try("b", now));
        assert!(!all.may_try("a", now + REST - Duration::from_millis(1)));
        assert!(all.may_try("a", now + REST));
    }
}
