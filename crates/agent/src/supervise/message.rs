//! What an agent and the supervisor of one process tell each other, a JSON text per packet.

use serde::{Deserialize, Serialize};

/// From the agent to the supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case")]
pub(crate) enum Order {
    /// Start the command. With it come descriptors: the [`Launch`](super::launch::Launch) as a file, and the command's
    /// streams as that says.
    Start,
    /// Send a signal.
    Signal {
        /// Its number.
        number: i32,
        /// Whether to the command and all that is below the supervisor; else to the command alone.
        tree: bool,
    },
    /// Kill all that is below, and end.
    Kill,
}

/// From the supervisor to the agent. When it has nothing below it any more, it ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Event {
    /// The command runs. With it comes the outer side of its terminal, if it has one.
    Started {
        /// Its id.
        pid: i32,
    },
    /// The command could not be started.
    NotStarted {
        /// The name of an errno, or a word.
        reason: String,
        /// What was tried, and the system's words.
        message: String,
    },
    /// Some of what it was ordered to kill is another user's, and not its to kill.
    NotItsToKill,
    /// The command has ended.
    Ended {
        /// Its exit code, if it exited.
        #[serde(skip_serializing_if = "Option::is_none")]
        code: Option<i32>,
        /// The signal that ended it, if one did.
        #[serde(skip_serializing_if = "Option::is_none")]
        signal: Option<i32>,
        /// What it and the descendants that were waited for used.
        usage: Usage,
    },
}

/// What processes used (getrusage(2)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Usage {
    /// Processor time in user mode, in seconds.
    pub(crate) user_seconds: f64,
    /// Processor time in the kernel, in seconds.
    pub(crate) system_seconds: f64,
    /// The most memory that one of them had resident, in bytes.
    pub(crate) max_resident_bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_the_way() {
        for order in [
            Order::Start,
            Order::Signal {
                number: 15,
                tree: true,
            },
            Order::Kill,
        ] {
            let text = serde_json::to_string(&order).unwrap();
            assert_eq!(serde_json::from_str::<Order>(&text).unwrap(), order);
        }
        let ended = Event::Ended {
            code: Some(3),
            signal: None,
            usage: Usage::default(),
        };
        let text = serde_json::to_string(&ended).unwrap();
        assert_eq!(serde_json::from_str::<Event>(&text).unwrap(), ended);
    }
}
