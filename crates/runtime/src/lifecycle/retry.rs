//! Which failed starts are tried again, and how often.

use std::collections::HashMap;
use std::time::Duration;

use podbay_config::Config;
use podbay_protocol::Cause;

use crate::error::Error;

/// New tries by the cause of the failure. A cause that is not named is not tried again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RetryPolicy {
    tries: HashMap<Cause, u32>,
    delay: Duration,
}

impl RetryPolicy {
    /// What the configuration says. A cause that does not exist is refused here, before anything is created.
    pub(crate) fn of(config: &Config) -> Result<Self, Error> {
        let tries = config
            .kubernetes
            .start_retries
            .iter()
            .map(|(name, tries)| match name.parse::<Cause>() {
                Ok(cause) => Ok((cause, *tries)),
                Err(error) => Err(Error::Setting {
                    key: "kubernetes.start_retries",
                    message: error.to_string(),
                }),
            })
            .collect::<Result<HashMap<_, _>, _>>()?;
        Ok(Self {
            // OpenHands' own switch for trying again.
            tries: if config.sandbox.remote_runtime_enable_retries {
                tries
            } else {
                HashMap::new()
            },
            delay: Duration::from_secs(config.podbay.start_retry_delay_seconds),
        })
    }

    /// How long to wait before the next try of a start that failed with `cause` after `done` new tries; none if there
    /// is to be no other.
    pub(crate) fn next(&self, cause: Cause, done: u32) -> Option<Duration> {
        self.tries
            .get(&cause)
            .is_some_and(|tries| done < *tries)
            .then_some(self.delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        let mut config = Config::default();
        config.kubernetes.start_retries = [("node_lost".to_owned(), 2)].into();
        config.podbay.start_retry_delay_seconds = 7;
        config
    }

    #[test]
    fn as_often_as_its_cause_may() {
        let policy = RetryPolicy::of(&config()).unwrap();
        let delay = Some(Duration::from_secs(7));
        assert_eq!(policy.next(Cause::NodeLost, 0), delay);
        assert_eq!(policy.next(Cause::NodeLost, 1), delay);
        assert_eq!(policy.next(Cause::NodeLost, 2), None);
        assert_eq!(policy.next(Cause::Evicted, 0), None);
    }

    #[test]
    fn the_switch_of_openhands_turns_it_off() {
        let mut config = config();
        config.sandbox.remote_runtime_enable_retries = false;
        assert_eq!(RetryPolicy::of(&config).unwrap().next(Cause::NodeLost, 0), None);
    }

    #[test]
    fn a_cause_that_does_not_exist_is_refused_with_those_that_do() {
        let mut config = config();
        config.kubernetes.start_retries.insert("eviction".to_owned(), 1);
        let error = RetryPolicy::of(&config).unwrap_err().to_string();
        assert!(
            error.contains("\"eviction\"") && error.contains("evicted"),
            "{error}"
        );
    }
}
