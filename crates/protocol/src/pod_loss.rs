//! A pod that was lost and followed by another, as the session's record keeps it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::verdict::Verdict;

/// The last pod that a session lost while it was wanted: one that had ended, or was gone, when the session was started again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PodLoss {
    /// Why it was lost.
    pub verdict: Verdict,
    /// How many the session has lost since it was made, or paused last.
    pub count: u32,
    /// When another began to take its place.
    pub at: Timestamp,
}

impl PodLoss {
    /// The loss with this number, from 1.
    pub const fn new(verdict: Verdict, count: u32, at: Timestamp) -> Self {
        Self { verdict, count, at }
    }
}
