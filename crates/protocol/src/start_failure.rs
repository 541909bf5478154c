//! A start that failed, as the session's record keeps it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::phase::PhaseTimes;
use crate::verdict::Verdict;

/// The last start of a session, which failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StartFailure {
    /// Why.
    pub verdict: Verdict,
    /// The seconds of each step up to the failure.
    pub times: PhaseTimes,
    /// Which attempt of the start it was, from 1.
    pub attempt: u32,
    /// When it failed.
    pub at: Timestamp,
}

impl StartFailure {
    /// A failure of the attempt with this number, from 1.
    pub const fn new(verdict: Verdict, times: PhaseTimes, attempt: u32, at: Timestamp) -> Self {
        Self {
            verdict,
            times,
            attempt,
            at,
        }
    }
}
