//! The state of a session: one value, the same for whoever looks at it.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::phase::StartPhase;
use crate::verdict::Verdict;

/// The state of a session, as its record and its pods tell it.
///
/// In JSON an object of `state`, the variant's name in snake case, and `detail`, its value: `{"state": "starting",
/// "detail": "preparing"}`, `{"state": "paused"}`. Lists and tables have the word of [`SessionState::as_str`] alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", content = "detail", rename_all = "snake_case")]
#[non_exhaustive]
pub enum SessionState {
    /// On its way to ready, in this step. Nothing seen so far is known to be hopeless.
    Starting(StartPhase),
    /// It takes commands. With what is not well of it, if anything is.
    Ready(Option<Degraded>),
    /// Its pod was freed on request, and a resume brings it back.
    Paused,
    /// It was closed, and its objects are being deleted.
    Stopping,
    /// Its start failed, or can't succeed any more. A new start of the same id tries again.
    Failed(Verdict),
    /// It was started, and its pod has ended, is gone, or is on a node that does not answer.
    Lost(Verdict),
    /// Its record can't be read by this version.
    Unreadable,
}

/// What is not well of a session that is otherwise ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Degraded {
    /// Its server answered once, and no longer answers the kubelet's readiness probe.
    ServerUnresponsive {
        /// Since when, to the second.
        since: Timestamp,
        /// What the probe met last (`Get "http://10.0.0.7:8080/alive": context deadline exceeded`). `None` if nobody
        /// has read the pod's events.
        message: Option<String>,
    },
}

impl SessionState {
    /// The state in one word, capitalised, as lists and tables show it. A start is told by its step (`Creating`,
    /// `Scheduling`, `Preparing`, `Starting`), a ready session of which something is not well as `NotReady`.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Starting(StartPhase::Creating) => "Creating",
            Self::Starting(StartPhase::Scheduling) => "Scheduling",
            Self::Starting(StartPhase::Preparing) => "Preparing",
            Self::Starting(StartPhase::Starting) => "Starting",
            Self::Ready(None) | Self::Starting(StartPhase::Ready) => "Ready",
            Self::Ready(Some(_)) => "NotReady",
            Self::Paused => "Paused",
            Self::Stopping => "Stopping",
            Self::Failed(_) => "Failed",
            Self::Lost(_) => "Lost",
            Self::Unreadable => "Unreadable",
        }
    }

    /// Why the session takes no commands, if it failed or was lost.
    pub const fn verdict(&self) -> Option<&Verdict> {
        match self {
            Self::Failed(verdict) | Self::Lost(verdict) => Some(verdict),
            Self::Starting(_) | Self::Ready(_) | Self::Paused | Self::Stopping | Self::Unreadable => None,
        }
    }

    /// What is not well of a ready session.
    pub const fn degraded(&self) -> Option<&Degraded> {
        match self {
            Self::Ready(degraded) => degraded.as_ref(),
            Self::Starting(_)
            | Self::Paused
            | Self::Stopping
            | Self::Failed(_)
            | Self::Lost(_)
            | Self::Unreadable => None,
        }
    }
}

impl fmt::Display for SessionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Degraded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ServerUnresponsive { since, message } => {
                write!(f, "its server has not answered since {since}")?;
                match message {
                    Some(message) => write!(f, ": {message}"),
                    None => Ok(()),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Cause;

    fn states() -> [(SessionState, &'static str, &'static str); 8] {
        let verdict = Verdict::new(Cause::Evicted, "m", "h");
        let degraded = Degraded::ServerUnresponsive {
            since: Timestamp::UNIX_EPOCH,
            message: None,
        };
        [
            (
                SessionState::Starting(StartPhase::Preparing),
                "Preparing",
                r#"{"state":"starting","detail":"preparing"}"#,
            ),
            (
                SessionState::Ready(None),
                "Ready",
                r#"{"state":"ready","detail":null}"#,
            ),
            (
                SessionState::Ready(Some(degraded)),
                "NotReady",
                r#"{"state":"ready","detail":{"kind":"server_unresponsive","since":"1970-01-01T00:00:00Z","message":null}}"#,
            ),
            (SessionState::Paused, "Paused", r#"{"state":"paused"}"#),
            (SessionState::Stopping, "Stopping", r#"{"state":"stopping"}"#),
            (
                SessionState::Failed(verdict.clone()),
                "Failed",
                r#"{"state":"failed","detail":{"cause":"evicted","blame":"infrastructure","retry":"elsewhere","message":"m","hint":"h"}}"#,
            ),
            (
                SessionState::Lost(verdict),
                "Lost",
                r#"{"state":"lost","detail":{"cause":"evicted","blame":"infrastructure","retry":"elsewhere","message":"m","hint":"h"}}"#,
            ),
            (
                SessionState::Unreadable,
                "Unreadable",
                r#"{"state":"unreadable"}"#,
            ),
        ]
    }

    #[test]
    fn the_json_of_each_state_is_read_back_as_that_state() {
        for (state, _, json) in states() {
            assert_eq!(serde_json::to_string(&state).unwrap(), json);
            assert_eq!(serde_json::from_str::<SessionState>(json).unwrap(), state);
        }
    }

    #[test]
    fn each_state_has_its_word_and_its_reasons() {
        for (state, word, _) in states() {
            assert_eq!(state.to_string(), word);
            let failed = matches!(state, SessionState::Failed(_) | SessionState::Lost(_));
            assert_eq!(state.verdict().is_some(), failed, "{word}");
            assert_eq!(state.degraded().is_some(), word == "NotReady", "{word}");
        }
    }

    #[test]
    fn a_start_is_told_by_the_step_it_is_in() {
        use StartPhase::{Creating, Preparing, Ready, Scheduling, Starting};
        for phase in [Creating, Scheduling, Preparing, Starting, Ready] {
            let word = SessionState::Starting(phase).to_string();
            assert_eq!(word.to_lowercase(), phase.as_str());
        }
    }

    #[test]
    fn a_server_that_does_not_answer_is_told_with_the_moment_and_the_probe() {
        let silent = |message: Option<&str>| Degraded::ServerUnresponsive {
            since: Timestamp::UNIX_EPOCH,
            message: message.map(str::to_owned),
        };
        assert_eq!(
            silent(None).to_string(),
            "its server has not answered since 1970-01-01T00:00:00Z"
        );
        assert_eq!(
            silent(Some("connection refused")).to_string(),
            "its server has not answered since 1970-01-01T00:00:00Z: connection refused"
        );
    }
}
