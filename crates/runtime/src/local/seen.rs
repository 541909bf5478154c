//! What was found of a session of this machine, and the state that makes.

use std::path::PathBuf;

use podbay_local::Life;
use podbay_manifests::Record;
use podbay_protocol::{Cause, Hint, SessionState, StartPhase, Verdict};

/// What was found of a session.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) record: Record,
    pub(crate) life: Life,
    /// The directory that its commands start in, unless it is gone.
    pub(crate) work: Option<PathBuf>,
    /// Whether its end was begun.
    pub(crate) closing: bool,
    /// How many processes its agent had left, and were killed when that was seen.
    pub(crate) killed: usize,
}

impl Seen {
    /// The state of the session.
    pub(crate) fn state(&self) -> SessionState {
        match self.life {
            _ if self.closing => SessionState::Stopping,
            Life::Serves if self.record.paused => SessionState::Paused,
            Life::Serves => SessionState::Ready(None),
            Life::Changing => SessionState::Starting(StartPhase::Creating),
            Life::Ended => SessionState::Lost(agent_is_gone(self.killed)),
        }
    }
}

/// The verdict on a session that is there and whose agent is not. So many processes were left of it, and were killed.
pub(crate) fn agent_is_gone(killed: usize) -> Verdict {
    let gone = "its agent is gone: it was killed, or whoever opened the session died before there was one";
    let message = match killed {
        0 => gone.to_owned(),
        1 => format!("{gone}; a process that it had left was killed"),
        _ => format!("{gone}; {killed} processes that it had left were killed"),
    };
    Verdict::new(Cause::Deleted, message, Hint::OpenAgainHere)
}

#[cfg(test)]
mod tests {
    use podbay_config::Config;
    use podbay_manifests::{SessionRequest, SessionSpec};

    use super::*;
    use crate::lifecycle::creation_values;

    fn seen(life: Life, paused: bool, closing: bool) -> &'static str {
        let config = Config::default();
        let request = SessionRequest {
            image: Some("host".to_owned()),
            ..SessionRequest::default()
        };
        let (spec, _) = SessionSpec::validate("demo".parse().unwrap(), "default", &config, request).unwrap();
        let object = super::super::record::new(&spec, &creation_values(), "u", jiff::Timestamp::UNIX_EPOCH);
        let record = Record {
            paused,
            ..Record::parse(&object).unwrap()
        };
        let seen = Seen {
            record,
            life,
            work: None,
            closing,
            killed: 0,
        };
        seen.state().as_str()
    }

    #[test]
    fn who_has_which_lock_makes_the_state() {
        assert_eq!(seen(Life::Serves, false, false), "Ready");
        assert_eq!(seen(Life::Serves, true, false), "Paused");
        assert_eq!(seen(Life::Changing, false, false), "Creating");
        assert_eq!(seen(Life::Ended, false, false), "Lost");
        // What stood still is gone with the agent.
        assert_eq!(seen(Life::Ended, true, false), "Lost");
        for life in [Life::Serves, Life::Changing, Life::Ended] {
            assert_eq!(seen(life, false, true), "Stopping");
        }
    }

    #[test]
    fn what_was_killed_is_told() {
        assert!(!agent_is_gone(0).message.contains("were killed"));
        assert!(
            agent_is_gone(3)
                .message
                .ends_with("; 3 processes that it had left were killed")
        );
    }
}
