//! What a person should know although it stops nothing.

use thiserror::Error;

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

    /// OpenHands has the key, Podbay does not.
    #[error("{place}: {key} is a setting of OpenHands that has no effect here")]
    NoEffect {
        /// Where.
        place: Place,
        /// The full key.
        key: String,
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

    /// A variable that is almost the name of a setting.
    #[error(
        "environment variable {name} is not known and ignored{}",
        suggestion(Some(nearest))
    )]
    UnknownVariable {
        /// The variable.
        name: String,
        /// What it may have been meant to be.
        nearest: String,
    },
}
