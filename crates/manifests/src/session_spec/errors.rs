//! All that is wrong with a specification, with the places in the configuration that it comes from.

use std::error::Error;
use std::fmt;

use podbay_config::{Config, Origin, Place};

use super::SpecError;

/// All that is wrong with a specification; never empty.
#[derive(Debug)]
pub struct SpecErrors(Vec<Placed>);

/// A problem, and where in the configuration it comes from.
#[derive(Debug)]
struct Placed {
    place: Option<Place>,
    error: SpecError,
}

impl SpecErrors {
    /// Those that come from a file are in its order, after those from elsewhere.
    pub(super) fn new(errors: Vec<SpecError>, config: &Config) -> Self {
        let mut placed: Vec<Placed> = errors
            .into_iter()
            .map(|error| Placed {
                place: place(&error, config),
                error,
            })
            .collect();
        placed.sort_by_key(|placed| placed.place.as_ref().and_then(Place::position));
        Self(placed)
    }

    /// The problems: first those that do not come from a file, in the order of the specification's fields, then the
    /// others in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &SpecError> {
        self.0.iter().map(|placed| &placed.error)
    }

    /// The same, each with the place of the setting that it is about, where that is in a file or the environment, and
    /// its text with its cause.
    pub fn placed(&self) -> impl Iterator<Item = (Option<&Place>, &SpecError, String)> {
        self.0
            .iter()
            .map(|placed| (placed.place.as_ref(), &placed.error, placed.text()))
    }
}

impl Placed {
    fn text(&self) -> String {
        let Self { place: _, error } = self;
        match error.source() {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        }
    }
}

/// Where its setting is from. The message names the flag already, and of a default there is nothing to tell.
fn place(error: &SpecError, config: &Config) -> Option<Place> {
    let place = config.place_inside(error.setting()?, &error.inside());
    match place.origin {
        Origin::File { .. } | Origin::Environment { .. } => Some(place),
        Origin::Default | Origin::Flag { .. } => None,
    }
}

impl fmt::Display for SpecErrors {
    /// One line a problem, each with its place and its cause: several errors can't share one chain of sources.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, placed) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            if let Some(place) = &placed.place {
                write!(f, "{place}: ")?;
            }
            f.write_str(&placed.text())?;
        }
        Ok(())
    }
}

impl Error for SpecErrors {}
