//! Signals for a process.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::choices;

choices! {
    /// Who gets a signal.
    pub enum SignalTarget: "signal target" {
        /// The process alone.
        Process = "process",
        /// The process and all that it started.
        Tree = "tree",
    }
}

/// A signal, by its number on the sandbox's system: 1 to 64, as `kill(2)` of Linux takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(
    feature = "openapi",
    derive(utoipa::ToSchema),
    schema(minimum = 1, maximum = 64)
)]
#[serde(try_from = "i32", into = "i32")]
pub struct Signal(u8);

/// The number is no signal's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{number} is no signal: they have the numbers 1 to 64")]
pub struct InvalidSignal {
    /// The number.
    pub number: i32,
}

impl Signal {
    /// SIGKILL, which no process can refuse.
    pub const KILL: Self = Self(9);

    /// Its number.
    pub fn number(self) -> i32 {
        self.0.into()
    }
}

impl TryFrom<i32> for Signal {
    type Error = InvalidSignal;

    fn try_from(number: i32) -> Result<Self, InvalidSignal> {
        match u8::try_from(number) {
            Ok(signal @ 1..=64) => Ok(Self(signal)),
            _ => Err(InvalidSignal { number }),
        }
    }
}

impl From<Signal> for i32 {
    fn from(signal: Signal) -> Self {
        signal.number()
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "signal {}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_has_a_number_that_kill_takes() {
        assert_eq!(Signal::try_from(9), Ok(Signal::KILL));
        assert_eq!(Signal::try_from(64).map(Signal::number), Ok(64));
        for number in [-9, 0, 65, 265] {
            assert_eq!(Signal::try_from(number), Err(InvalidSignal { number }));
        }
    }
}
