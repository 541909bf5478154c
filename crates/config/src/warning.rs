//! What a person should know although it stops nothing.

use thiserror::Error;

use crate::error::assignment;
use crate::nearest::suggestion;
use crate::origin::Place;

/// Something in the sources that has no effect.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Warning {
    /// Two names of one setting have different values.
    #[error("{key} has two values: {used} is used, {ignored} is ignored")]
    Conflict {
        /// The full key.
        key: String,
        /// The one that holds.
        used: Place,
        /// The one that does not.
        ignored: Place,
    },

    /// The setting is accepted without effect.
    #[error("{place}: {key} has no effect here: {reason}")]
    NoEffect {
        /// Where.
        place: Place,
        /// The full key.
        key: String,
        /// Why.
        reason: &'static str,
    },

    /// A setting has no effect because of another one.
    #[error("{place}: {key} has no effect with {} ({other_place}): {reason}", assignment(other, other_value.as_deref()))]
    Idle {
        /// The setting without effect.
        key: &'static str,
        /// Where.
        place: Place,
        /// The setting that makes it so.
        other: &'static str,
        /// The value of that as the file would have it; `None` when it is not set.
        other_value: Option<String>,
        /// Where that is from.
        other_place: Place,
        /// Why.
        reason: &'static str,
    },

    /// A value is accepted and yet not what it seems.
    #[error("{place}: {key} is {value}: {remark}")]
    Remark {
        /// Where.
        place: Place,
        /// The full key.
        key: String,
        /// The value, shortened; never a secret.
        value: String,
        /// What there is to know.
        remark: String,
    },

    /// A variable without a prefix of ours has a value that cannot be read, and may be meant for another program.
    #[error("environment variable {name} is ignored: {key} cannot be {value}; allowed is {allowed}")]
    UnreadableVariable {
        /// The variable.
        name: String,
        /// The full key.
        key: String,
        /// The value, shortened; never a secret.
        value: String,
        /// What is allowed.
        allowed: &'static str,
    },

    /// A section or top-level key that neither Podbay nor OpenHands knows.
    #[error("{place}: {name} is not known and ignored{}", suggestion(nearest.as_deref()))]
    Unknown {
        /// Where.
        place: Place,
        /// The section or key.
        name: String,
        /// The closest name there is.
        nearest: Option<String>,
    },

    /// A variable with a prefix of ours that is none of ours.
    #[error(
        "environment variable {name} is not known and ignored{}",
        suggestion(nearest.as_deref())
    )]
    UnknownVariable {
        /// The variable.
        name: String,
        /// The variable that was most likely meant.
        nearest: Option<String>,
    },
}
