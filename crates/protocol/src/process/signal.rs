//! Signals for a process.

use std::fmt;
use std::str::FromStr;

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

/// The text names no signal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no signal: a name such as TERM or SIGTERM, or a number from 1 to 64")]
pub struct UnknownSignal {
    /// The text.
    pub text: String,
}

/// The names of the signals 1 to 31, in their order, without `SIG` (signal(7), x86 and ARM).
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
    "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
    "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

impl FromStr for Signal {
    type Err = UnknownSignal;

    /// A name, with `SIG` or without and in any case, or a number.
    fn from_str(text: &str) -> Result<Self, UnknownSignal> {
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        let by_name = NAMES.iter().zip(1..).find(|(known, _)| **known == name);
        by_name
            .map(|(_, number)| number)
            .or_else(|| text.parse().ok())
            .and_then(|number: i32| Self::try_from(number).ok())
            .ok_or_else(|| UnknownSignal {
                text: text.to_owned(),
            })
    }
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
    fn a_signal_is_named_as_kill_takes_it() {
        for (text, number) in [
            ("TERM", 15),
            ("SIGTERM", 15),
            ("sigusr1", 10),
            ("9", 9),
            ("sys", 31),
            ("64", 64),
        ] {
            assert_eq!(text.parse::<Signal>().map(Signal::number), Ok(number), "{text}");
        }
        for text in ["", "SIG", "0", "65", "-9", "NOPE", "SIG9"] {
            assert!(text.parse::<Signal>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_signal_has_a_number_that_kill_takes() {
        assert_eq!(Signal::try_from(9), Ok(Signal::KILL));
        assert_eq!(Signal::try_from(64).map(Signal::number), Ok(64));
        for number in [-9, 0, 65, 265] {
            assert_eq!(Signal::try_from(number), Err(InvalidSignal { number }));
        }
    }
}
