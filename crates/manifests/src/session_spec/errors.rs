//! All that is wrong with a specification, with the places in the configuration that it comes from.

use std::error::Error;
use std::fmt;

use podbay_config::{Config, Origin, Place};
use podbay_protocol::{Library, Words};

use super::problem::SpecProblem;

/// All that is wrong with a specification; never empty.
#[derive(Debug)]
pub struct SpecErrors(Vec<Placed>);

/// A problem, and where in the configuration it comes from.
#[derive(Debug)]
struct Placed {
    place: Option<Place>,
    problem: SpecProblem,
}

impl SpecErrors {
    /// Those that come from a file are in its order, after those from elsewhere.
    pub(super) fn new(problems: Vec<SpecProblem>, config: &Config) -> Self {
        let mut placed: Vec<Placed> = problems
            .into_iter()
            .map(|problem| Placed {
                place: place(&problem, config),
                problem,
            })
            .collect();
        placed.sort_by_key(|placed| placed.place.as_ref().and_then(Place::position));
        Self(placed)
    }

    /// The problems: first those that do not come from a file, in the order of the specification's fields, then the
    /// others in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &SpecProblem> {
        self.0.iter().map(|placed| &placed.problem)
    }

    /// The same, each with the place of the setting that it is about, if that is in a file or the environment.
    pub fn placed(&self) -> impl Iterator<Item = (Option<&Place>, &SpecProblem)> {
        self.0
            .iter()
            .map(|placed| (placed.place.as_ref(), &placed.problem))
    }

    /// One line a problem, each with its place and its cause, in the words of a surface.
    pub fn in_words(&self, words: &dyn Words) -> String {
        let lines = self.placed().map(|(place, problem)| match place {
            Some(place) => format!("{place}: {}", problem.in_words(words)),
            None => problem.in_words(words),
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// Where its setting is from. The message names the flag already, and of a default there is nothing to tell.
fn place(problem: &SpecProblem, config: &Config) -> Option<Place> {
    let place = config.place_inside(problem.setting()?, &problem.inside());
    match place.origin {
        Origin::File { .. } | Origin::Environment { .. } => Some(place),
        Origin::Default | Origin::Flag { .. } => None,
    }
}

impl fmt::Display for SpecErrors {
    /// As [`SpecErrors::in_words`] of the library: several errors can't share one chain of sources.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.in_words(&Library))
    }
}

impl Error for SpecErrors {}
